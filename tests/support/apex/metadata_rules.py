"""Rules of the Salesforce package's metadata: Salesforce's own schema, and references between components.

The schema is that of the metadata WSDL which simple-salesforce ships (v63).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path, PurePath

import simple_salesforce
from lxml import etree

from tests.support.apex.source_rules import Finding

XSD = "{http://www.w3.org/2001/XMLSchema}"
META = "{http://soap.sforce.com/2006/04/metadata}"
TRIGGERS = "/main/default/triggers/"
COLUMNS = {"NAME", "CREATED_DATE", "LAST_UPDATE", "OWNER.ALIAS", "CREATEDBY_USER"}
"""Columns of list views that are no fields of the object's own."""


def findings(tree: Mapping[str, bytes]) -> list[Finding]:
    """Check a Salesforce DX project, given as files by path."""
    found = [
        Finding(path, 0, problem)
        for path, content in tree.items()
        if content.startswith(b"<?xml")
        for problem in schema_problems(content)
    ]
    return found + list(_companions(tree)) + list(_references(tree))


@cache
def _schema() -> tuple[etree.XMLSchema, dict[str, list[tuple[str, str]]]]:
    """The schema with an element for each type, and the declared children of each type, in their order."""
    wsdl = etree.parse(Path(simple_salesforce.__file__).parent / "metadata.wsdl")
    root = wsdl.find(f".//{XSD}schema")
    types = {node.get("name"): node for node in root.iter(f"{XSD}complexType") if node.get("name")}
    present = {node.get("name") for node in root.findall(f"{XSD}element")}
    for name in types.keys() - present:
        etree.SubElement(root, f"{XSD}element", name=name, type=f"tns:{name}")

    def children(name: str) -> list[tuple[str, str]]:
        node = types[name]
        base = node.find(f".//{XSD}extension")
        inherited = children(base.get("base").partition(":")[2]) if base is not None else []
        own = [(e.get("name"), e.get("type", "").partition(":")[2]) for e in node.iter(f"{XSD}element")]
        return inherited + own

    order = {name: children(name) for name in types}
    alone = etree.fromstring(etree.tostring(root))  # with the prefixes that the WSDL around it declares
    return etree.XMLSchema(alone), order


def _ordered(element: etree._Element, kind: str) -> etree._Element:
    """The element with its children in the schema's order: a file's order is free, a sequence's is not."""
    _, order = _schema()
    declared = order.get(kind, [])
    rank = {name: (number, child) for number, (name, child) in enumerate(declared)}
    copy = etree.Element(element.tag)
    copy.text = element.text
    known = sorted(element, key=lambda child: rank.get(etree.QName(child).localname, (len(rank), ""))[0])
    for child in known:
        copy.append(_ordered(child, rank.get(etree.QName(child).localname, (0, ""))[1]))
    return copy


def schema_problems(content: bytes) -> list[str]:
    """What the schema has against a file."""
    root = etree.fromstring(content)
    kind = etree.QName(root).localname
    checker = _schema()[0]
    checker.validate(_ordered(root, kind))
    return [error.message for error in checker.error_log]


def _companions(tree: Mapping[str, bytes]) -> Iterator[Finding]:
    """Apex without its -meta.xml, and a -meta.xml without its Apex."""
    for path in tree:
        if path.endswith((".cls", ".trigger")) and f"{path}-meta.xml" not in tree:
            yield Finding(path, 0, f"{PurePath(path).name} has no -meta.xml")
        if path.endswith((".cls-meta.xml", ".trigger-meta.xml")):
            source = path.removesuffix("-meta.xml")
            if source not in tree:
                yield Finding(path, 0, f"{PurePath(source).name} is missing")


def _references(tree: Mapping[str, bytes]) -> Iterator[Finding]:
    """What names a missing component, and fields that the permission set does not grant."""
    fields = _fields(tree)
    objects = {name.partition(".")[0] for name in fields}
    granted_as_whole = _settings(tree)
    for path, content in tree.items():
        if path.endswith(".permissionset-meta.xml"):
            yield from _permissions(path, etree.fromstring(content), fields, granted_as_whole)
        elif path.endswith(".tab-meta.xml"):
            name = PurePath(path).name.removesuffix(".tab-meta.xml")
            if name not in objects:
                yield Finding(path, 0, f"no object {name}")
        elif path.endswith(".listView-meta.xml"):
            owner = PurePath(path).parts[-3]
            root = etree.fromstring(content)
            for element in (*root.iter(f"{META}columns"), *root.iter(f"{META}field")):
                if element.text not in COLUMNS and f"{owner}.{element.text}" not in fields:
                    yield Finding(path, 0, f"no field {owner}.{element.text}")
        elif path.endswith(".platformEventSubscriberConfig-meta.xml"):
            name = etree.fromstring(content).findtext(f"{META}platformEventConsumer")
            if not any(other.endswith(f"{TRIGGERS}{name}.trigger") for other in tree):
                yield Finding(path, 0, f"no trigger {name}")


def _fields(tree: Mapping[str, bytes]) -> dict[str, etree._Element]:
    return {
        f"{PurePath(path).parts[-3]}.{PurePath(path).name.partition('.')[0]}": etree.fromstring(content)
        for path, content in tree.items()
        if path.endswith(".field-meta.xml")
    }


def _settings(tree: Mapping[str, bytes]) -> set[str]:
    """Return the custom settings, which are granted as a whole."""
    return {
        PurePath(path).name.removesuffix(".object-meta.xml")
        for path, content in tree.items()
        if path.endswith(".object-meta.xml")
        and etree.fromstring(content).find(f"{META}customSettingsType") is not None
    }


def _permissions(
    path: str, root: etree._Element, fields: Mapping[str, etree._Element], settings: set[str]
) -> Iterator[Finding]:
    """Required fields and those of events and custom settings take no permission; all others need one."""
    granted = {node.text or "" for node in root.iterfind(f"{META}fieldPermissions/{META}field")}
    for name in sorted(granted - fields.keys()):
        yield Finding(path, 0, f"no field {name}")
    for name, field in fields.items():
        owner = name.partition(".")[0]
        free = owner.endswith("__e") or owner in settings or field.findtext(f"{META}required") == "true"
        if not free and name not in granted:
            yield Finding(path, 0, f"{name} is granted to nobody")
