"""Manifests of destructive changes, which remove the package from an org.

Production demands that a deployment which deletes Apex runs a test (Metadata API guide, Running Tests in a
Deployment), and the org's own tests may fail. So everything goes but RTS_Removal_Test, which is that test.
It goes last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rtsd.apex.bundle import components, manifest, members_of, zipped
from rtsd.apex.source import GENERATED, REMOVAL_TEST, apex_version, metadata, sfdx_project

_NOWHERE = "https://gateway.invalid"
_FIRST = ("CustomApplication", "PermissionSet", "Report")
"""Types that refer to others, so they are deleted before these."""
_WITH_THEIR_OBJECT = ("Layout",)
"""Types that Salesforce deletes with the object, and not alone: an object has a layout."""


def destructive_zip(
    objects: Iterable[str],
    api_version: str,
    more_triggers: Iterable[str] = (),
    *,
    keep_test: bool = False,
) -> bytes:
    """Return the archive that removes the package with its rows, settings and triggers.

    `more_triggers` are triggers of objects that are no longer among `objects`. With `keep_test` the archive
    brings the test of removals, for the deployment to run, and leaves it in the org. Jobs must be aborted
    first (`unschedule_script`, `abort_script`). A missing component is a warning, not a failure.
    """
    tree = everything(objects, api_version, more_triggers, with_test=not keep_test)
    if keep_test:
        source = metadata((), _NOWHERE, api_version)
        test = {path: source[path] for path in source if path.startswith(f"classes/{REMOVAL_TEST}.")}
        tree |= {**test, "package.xml": manifest(members_of(test), apex_version(api_version))}
    return zipped(tree)


def last_zip(api_version: str) -> bytes:
    """Return the archive that removes the test of removals."""
    return zipped(last(api_version))


def everything(
    objects: Iterable[str], api_version: str, more_triggers: Iterable[str] = (), *, with_test: bool = False
) -> dict[str, bytes]:
    """Return the manifests that remove the package, with or without the test of removals, by file name."""
    members = components(objects)
    members["ApexTrigger"] = sorted({*members["ApexTrigger"], *more_triggers})
    if not with_test:
        members["ApexClass"].remove(REMOVAL_TEST)
    first = {kind: members.pop(kind)[::-1] for kind in _FIRST}  # a folder after its reports
    for kind in _WITH_THEIR_OBJECT:
        del members[kind]
    return {
        "package.xml": manifest({}, apex_version(api_version)),
        "destructiveChangesPre.xml": manifest(first, None),
        "destructiveChangesPost.xml": manifest(members, None),
    }


def last(api_version: str) -> dict[str, bytes]:
    """Return the manifests that remove the test of removals, by file name."""
    return _manifests(api_version, {"ApexClass": [REMOVAL_TEST]})


def generated(objects: Iterable[str], api_version: str) -> dict[str, bytes]:
    """Return the manifests that remove what is generated for an org, by file name.

    They are for an org with the core as an unlocked package, which can be uninstalled after that.
    """
    project = sfdx_project(objects, _NOWHERE, api_version)
    inside = f"{GENERATED}/main/default/"
    paths = [path.removeprefix(inside) for path in project if path.startswith(inside)]
    return _manifests(api_version, members_of(path.removesuffix("-meta.xml") for path in paths))


def _manifests(api_version: str, members: Mapping[str, list[str]]) -> dict[str, bytes]:
    return {
        "package.xml": manifest({}, apex_version(api_version)),
        "destructiveChanges.xml": manifest(members, None),
    }
