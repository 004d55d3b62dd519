"""The zip of a deployment: its members to add and to remove, and its files."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

NAMESPACE = "{http://soap.sforce.com/2006/04/metadata}"
DESTRUCTIVE = ("destructiveChanges.xml", "destructiveChangesPre.xml", "destructiveChangesPost.xml")


class MetadataError(Exception):
    """A zip, or a file in it, that the org can't read."""


@dataclass(frozen=True)
class Member:
    """A component named in package.xml or destructiveChanges.xml."""

    type: str
    name: str


@dataclass(frozen=True)
class Archive:
    """The content of a deployment's zip."""

    added: list[Member]
    removed: list[Member]
    files: dict[str, bytes] = field(repr=False)


def read_zip(content: bytes) -> Archive:
    """Read a deployment's zip; raises `MetadataError` without a package.xml or for invalid XML."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    except zipfile.BadZipFile as problem:
        raise MetadataError("The zip file could not be read") from problem
    if "package.xml" not in files:
        raise MetadataError("No package.xml found")
    removed = [member for name in DESTRUCTIVE if name in files for member in _members(files[name], name)]
    return Archive(_members(files["package.xml"], "package.xml"), removed, files)


def _members(content: bytes, name: str) -> list[Member]:
    found = []
    for types in parse_xml(content, name).iter(f"{NAMESPACE}types"):
        kind = text_of(types, "name")
        found += [Member(kind, member.text or "") for member in types.iter(f"{NAMESPACE}members")]
    return found


def parse_xml(content: bytes, name: str) -> ET.Element:
    """Return the root of an XML file; raises `MetadataError` for invalid XML."""
    try:
        return ET.fromstring(content)  # noqa: S314 - a test org on the loopback
    except ET.ParseError as problem:
        raise MetadataError(f"{name}: Error parsing file: {problem}") from problem


def text_of(element: ET.Element, path: str, default: str = "") -> str:
    """Return the text of a descendant, or `default` if there is none; `path` names tags without namespace."""
    qualified = "/".join(f"{NAMESPACE}{tag}" for tag in path.split("/"))
    return element.findtext(qualified, default)


def has(element: ET.Element, tag: str) -> bool:
    """Return True if the element has a child with this tag."""
    return element.find(f"{NAMESPACE}{tag}") is not None
