"""References of metadata files to other components, each of which must be in the archive or in the org."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtssim.metadata.archive import NAMESPACE, Archive, Member, MetadataError, parse_xml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from xml.etree import ElementTree as ET

PERMISSIONS = {
    "fieldPermissions/field": "CustomField",
    "objectPermissions/object": "CustomObject",
    "customSettingAccesses/name": "CustomObject",
    "customPermissions/name": "CustomPermission",
    "tabSettings/tab": "CustomTab",
}
"""Paths in a permission set, and the types of what they name (Metadata API guide, PermissionSet)."""


def problems(member: Member, root: ET.Element, exists: Callable[[Member], bool]) -> Iterator[str]:
    """Yield a line for each component that a file names and that is nowhere."""
    if member.type == "PermissionSet":
        for path, kind in PERMISSIONS.items():
            for name in _texts(root, path):
                if not exists(Member(kind, name)):
                    yield f"In field: {path.rpartition('/')[2]} - no {kind} named {name} found"
    elif member.type == "CustomTab" and not exists(Member("CustomObject", member.name)):
        yield f"In field: customObject - no CustomObject named {member.name} found"
    elif member.type == "PlatformEventSubscriberConfig":
        for name in _texts(root, "platformEventConsumer"):
            if not exists(Member("ApexTrigger", name)):
                yield f"In field: platformEventConsumer - no ApexTrigger named {name} found"


def names_of(archive: Archive) -> set[Member]:
    """Return the components that an archive adds, with the fields of its objects."""
    found = set(archive.added)
    for member in archive.added:
        content = archive.files.get(f"objects/{member.name}.object")
        if member.type == "CustomObject" and content is not None:
            try:
                root = parse_xml(content, member.name)
            except MetadataError:
                continue
            found |= {
                Member("CustomField", f"{member.name}.{name}") for name in _texts(root, "fields/fullName")
            }
    return found


def _texts(root: ET.Element, path: str) -> list[str]:
    qualified = "/".join(f"{NAMESPACE}{tag}" for tag in path.split("/"))
    return [element.text or "" for element in root.findall(qualified)]
