"""An object's files of the source format as the one file of the metadata format."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as ET

NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
_FOLDERS = {"fields": "fields", "listViews": "listViews"}


def compose(files: Mapping[str, bytes]) -> bytes:
    """Return the `.object` file.

    `files` are given by path below the object's folder, such as `fields/A__c.field-meta.xml`.
    Elements stand in the order Salesforce writes them: by name, and fields by their full name.
    """
    ET.register_namespace("", NAMESPACE)
    root = ET.Element(f"{{{NAMESPACE}}}CustomObject")
    children: list[ET.Element] = []
    for path in sorted(files):
        element = ET.fromstring(files[path])  # noqa: S314 - our own package data
        folder, found, _ = path.partition("/")
        if found:
            element.tag = f"{{{NAMESPACE}}}{_FOLDERS[folder]}"
            children.append(element)
        else:
            children += list(element)
    root.extend(sorted(children, key=lambda child: child.tag))
    ET.indent(root, "    ")
    text: str = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()
