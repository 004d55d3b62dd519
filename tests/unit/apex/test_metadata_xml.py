"""The package's XML against Salesforce's own schema: the metadata WSDL that simple-salesforce ships (v63)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import simple_salesforce
from lxml import etree

from rtsd.apex import metadata, metadata_zip, sfdx_project

XSD = "{http://www.w3.org/2001/XMLSchema}"
META = "{http://soap.sforce.com/2006/04/metadata}"
OBJECTS = ["Contact", "User", "Invoice__c"]
URL = "https://rts.example.com"


@cache
def schema() -> tuple[etree.XMLSchema, dict[str, list[tuple[str, str]]]]:
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


def ordered(element: etree._Element, kind: str) -> etree._Element:
    """The element with its children in the schema's order: a file's order is free, a sequence's is not."""
    _, order = schema()
    declared = order.get(kind, [])
    rank = {name: (number, child) for number, (name, child) in enumerate(declared)}
    copy = etree.Element(element.tag)
    copy.text = element.text
    known = sorted(element, key=lambda child: rank.get(etree.QName(child).localname, (len(rank), ""))[0])
    for child in known:
        copy.append(ordered(child, rank.get(etree.QName(child).localname, (0, ""))[1]))
    return copy


def problems(content: bytes) -> list[str]:
    """What the schema has against a file."""
    root = etree.fromstring(content)
    kind = etree.QName(root).localname
    checker = schema()[0]
    checker.validate(ordered(root, kind))
    return [error.message for error in checker.error_log]


def xml_files() -> dict[str, bytes]:
    """Every XML file, in both formats."""
    tree = {f"metadata/{path}": content for path, content in metadata(OBJECTS, URL, "62.0").items()}
    tree |= sfdx_project(OBJECTS, URL, "62.0")
    return {path: content for path, content in tree.items() if content.startswith(b"<?xml")}


def test_every_file_is_valid() -> None:
    """No misspelt element, no value that is none, nothing missing, in any file of either format."""
    files = xml_files()
    assert len(files) > 60
    assert {path: found for path, content in files.items() if (found := problems(content))} == {}


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("objects/RTS_Error__c.object", b"<sharingModel>Private<", b"<sharingModel>Secret<"),
        ("objects/RTS_Settings__c.object", b"<inlineHelpText>", b"<inlineHelp>"),
        ("objects/RTS_Change__e.object", b"LongTextArea", b"LongText"),
        ("remoteSiteSettings/RTS_Gateway.remoteSite", b"<isActive>true<", b"<isActive>yes<"),
        ("permissionsets/RTS_Sync.permissionset", b"<label>RTS Sync</label>", b""),
        ("applications/RTS_App.app", b"<navType>Standard<", b"<navType>Sidebar<"),
        ("reports/RTS_Reports/RTS_Errors_by_Day.report", b"INTERVAL_LAST30", b"LAST_30_DAYS"),
        ("layouts/RTS_Status__c-RTS Status Layout.layout", b"<behavior>Required<", b"<behavior>Must<"),
    ],
)
def test_mistakes_are_found(path: str, old: bytes, new: bytes) -> None:
    """A wrong value, a misspelt element and a missing one are found: the check above can fail."""
    content = metadata(OBJECTS, URL, "62.0")[path]
    assert old in content
    broken = content.replace(old, new)
    if new == b"<inlineHelp>":
        broken = broken.replace(b"</inlineHelpText>", b"</inlineHelp>")
    assert problems(broken)


def test_fields_have_help() -> None:
    """Every field tells an administrator what it is for, within the 510 characters that Salesforce keeps."""
    for path, content in metadata(OBJECTS, URL, "62.0").items():
        if path.startswith("objects/"):
            for field in etree.fromstring(content).iter(f"{META}fields"):
                text = field.findtext(f"{META}inlineHelpText")
                assert text, (path, field.findtext(f"{META}fullName"))
                assert 10 < len(text) <= 510


def test_permission_set_is_small() -> None:
    """The permission set reaches the package's own objects, every field of them, and no more."""
    tree = metadata(OBJECTS, URL, "62.0")
    granted = etree.fromstring(tree["permissionsets/RTS_Sync.permissionset"])
    assert {node.text for node in granted.iterfind(f"{META}userPermissions/{META}name")} == {"ApiEnabled"}
    objects = {node.text for node in granted.iterfind(f"{META}objectPermissions/{META}object")}
    assert objects == {"RTS_Change__e", "RTS_Error__c", "RTS_Status__c", "RTS_Synced_Field__c"}
    fields = {node.text for node in granted.iterfind(f"{META}fieldPermissions/{META}field")}
    wanted = {
        f"{name}.{field.findtext(f'{META}fullName')}"
        for name in objects
        for field in etree.fromstring(tree[f"objects/{name}.object"]).iter(f"{META}fields")
        if field.findtext(f"{META}required") != "true"  # required fields take no permission
        and not name.endswith("__e")  # and those of events neither: who may read one reads all of it
    }
    assert fields == wanted


def test_an_administrator_sees_all_and_changes_conditions_only() -> None:
    """The other permission set has the app, every tab and field, and no permission of rtsd's user."""
    tree = metadata(OBJECTS, URL, "62.0")
    sync, admin = (
        etree.fromstring(tree[f"permissionsets/{name}.permissionset"]) for name in ("RTS_Sync", "RTS_Admin")
    )
    assert admin.find(f"{META}userPermissions") is None
    assert sync.find(f"{META}applicationVisibilities") is None
    assert sync.find(f"{META}tabSettings") is None
    tabs = {path.removeprefix("tabs/").removesuffix(".tab") for path in tree if path.startswith("tabs/")}
    assert {node.text for node in admin.iterfind(f"{META}tabSettings/{META}tab")} == tabs
    readable = {node.text for node in sync.iterfind(f"{META}fieldPermissions/{META}field")}
    assert {node.text for node in admin.iterfind(f"{META}fieldPermissions/{META}field")} == readable
    editable = {
        node.findtext(f"{META}field", "").partition(".")[0]
        for node in admin.iterfind(f"{META}fieldPermissions")
        if node.findtext(f"{META}editable") == "true"
    }
    assert editable == {"RTS_Synced_Field__c"}


def test_every_field_is_on_the_layout_of_its_object() -> None:
    """Fields that the Metadata API creates are on none by themselves."""
    tree = metadata(OBJECTS, URL, "62.0")
    layouts = {path: etree.fromstring(tree[path]) for path in tree if path.startswith("layouts/")}
    assert len(layouts) == 3
    for path, content in layouts.items():
        name = path.removeprefix("layouts/").partition("-")[0]
        fields = {
            field.findtext(f"{META}fullName")
            for field in etree.fromstring(tree[f"objects/{name}.object"]).iter(f"{META}fields")
        }
        assert fields <= {node.text for node in content.iter(f"{META}field")}


def test_limits_of_a_deployment() -> None:
    """Far below 10,000 files, 39 MB, and 6 MB of Apex (Metadata API guide, Limits; Apex guide, Governors)."""
    objects = [f"Object{n}__c" for n in range(200)]
    tree = metadata(objects, URL, "62.0")
    assert len(tree) < 1_000
    assert len(metadata_zip(objects, URL, "62.0")) < 1_000_000
    assert sum(len(text) for path, text in tree.items() if path.endswith((".cls", ".trigger"))) < 300_000
