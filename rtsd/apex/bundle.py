"""Zip archives for `POST /metadata/deployRequest`, and the one that installs the package.

They are for `singlePackage: true`, with package.xml at the root (Metadata API guide, Deploy).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping

from rtsd.apex.names import trigger_names
from rtsd.apex.source import apex_version, metadata
from rtsd.core.channel import STREAM

_TYPES = {
    "applications": ("CustomApplication", ".app"),
    "PlatformEventSubscriberConfigs": ("PlatformEventSubscriberConfig", ".platformEventSubscriberConfig"),
    "classes": ("ApexClass", ".cls"),
    "customPermissions": ("CustomPermission", ".customPermission"),
    "layouts": ("Layout", ".layout"),
    "objects": ("CustomObject", ".object"),
    "permissionsets": ("PermissionSet", ".permissionset"),
    "reports": ("Report", ".report"),
    "remoteSiteSettings": ("RemoteSiteSetting", ".remoteSite"),
    "tabs": ("CustomTab", ".tab"),
    "triggers": ("ApexTrigger", ".trigger"),
}
_FOLDER = "-meta.xml"
"""How the file of a folder of reports ends, which is a member of their type (Metadata API guide, Report)."""
REMOTE_SITE = "RTS_Gateway"
PERMISSION_SET = "RTS_Sync"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every entry, to keep archives reproducible."""


def components(objects: Iterable[str]) -> dict[str, list[str]]:
    """Return the components of the package for these objects: sorted names by metadata type."""
    return members_of(metadata(objects, "https://gateway.example", "62.0"))


def metadata_zip(
    objects: Iterable[str],
    gateway_url: str,
    api_version: str,
    obsolete_triggers: Iterable[str] = (),
    *,
    run_as: str = "",
    left_out: Iterable[str] = (),
    relay_note: bool = False,
    reads_pushes: bool = False,
) -> bytes:
    """Return the archive that installs the package and then deletes `obsolete_triggers`.

    `run_as` is the username of rtsd's user, `left_out` are objects without a trigger on purpose
    (see `sfdx_project`, also for `gateway_url` and `reads_pushes`), `relay_note` as in `metadata`.
    Raises ValueError for an invalid object name, URL or API version.
    """
    wanted = list(objects)
    tree = metadata(
        wanted,
        gateway_url,
        api_version,
        run_as=run_as,
        left_out=left_out,
        relay_note=relay_note,
        reads_pushes=reads_pushes,
    )
    tree["package.xml"] = manifest(members_of(tree), apex_version(api_version))
    obsolete = sorted(set(obsolete_triggers) - set(trigger_names(wanted).values()))
    if obsolete:
        tree["destructiveChangesPost.xml"] = manifest({"ApexTrigger": obsolete}, None)
    return zipped(tree)


def retirement_zip(channel: str, api_version: str) -> bytes:
    """Return the archive that removes what only the other channel than `channel` needs.

    That is the remote site of the gateway, or Read on the event of the stream.
    """
    version = apex_version(api_version)
    if channel == STREAM:
        remote_site = manifest({"RemoteSiteSetting": [REMOTE_SITE]}, None)
        return zipped({"package.xml": manifest({}, version), "destructiveChangesPost.xml": remote_site})
    path = f"permissionsets/{PERMISSION_SET}.permissionset"
    tree = {path: metadata((), "", api_version)[path]}
    return zipped({**tree, "package.xml": manifest(members_of(tree), version)})


def members_of(paths: Iterable[str]) -> dict[str, list[str]]:
    """Return the components of files in metadata format: sorted names by metadata type."""
    members: dict[str, list[str]] = {}
    for path in sorted(set(paths)):
        folder, _, file = path.partition("/")
        kind, ending = _TYPES[folder]
        if file.endswith(ending):
            members.setdefault(kind, []).append(file.removesuffix(ending))
        elif kind == "Report":
            members.setdefault(kind, []).append(file.removesuffix(_FOLDER))
    return members


def manifest(members: Mapping[str, list[str]], version: str | None) -> bytes:
    """Return a manifest of components by metadata type; of destructive changes without an API version."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<Package xmlns="http://soap.sforce.com/2006/04/metadata">',
    ]
    for kind, names in sorted(members.items()):
        lines.append("    <types>")
        lines += [f"        <members>{name}</members>" for name in names]
        lines += [f"        <name>{kind}</name>", "    </types>"]
    if version is not None:
        lines.append(f"    <version>{version}</version>")
    return "\n".join([*lines, "</Package>", ""]).encode()


def zipped(tree: Mapping[str, bytes]) -> bytes:
    """Return the archive of some files by path; the same files give the same bytes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(tree):
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, tree[path])  # stored: compressors differ between machines
    return target.getvalue()
