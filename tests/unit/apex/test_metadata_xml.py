"""The package's XML against Salesforce's own schema: the metadata WSDL that simple-salesforce ships (v63)."""

from __future__ import annotations

import pytest
from lxml import etree

from rtsd.apex import metadata, metadata_zip, sfdx_project
from tests.support.apex.metadata_rules import META, schema_problems

OBJECTS = ["Contact", "User", "Invoice__c"]
URL = "https://rts.example.com"


def xml_files() -> dict[str, bytes]:
    """Every XML file, in both formats."""
    tree = {f"metadata/{path}": content for path, content in metadata(OBJECTS, URL, "62.0").items()}
    tree |= sfdx_project(OBJECTS, URL, "62.0")
    return {path: content for path, content in tree.items() if content.startswith(b"<?xml")}


def test_every_file_is_valid() -> None:
    """No misspelt element, no value that is none, nothing missing, in any file of either format."""
    files = xml_files()
    assert len(files) > 60
    assert {path: found for path, content in files.items() if (found := schema_problems(content))} == {}


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
    assert schema_problems(broken)


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
    assert objects == {
        "RTS_Change__e",
        "RTS_Error__c",
        "RTS_Push__e",
        "RTS_Status__c",
        "RTS_Synced_Field__c",
    }
    fields = {node.text for node in granted.iterfind(f"{META}fieldPermissions/{META}field")}
    wanted = {
        f"{name}.{field.findtext(f'{META}fullName')}"
        for name in objects
        for field in etree.fromstring(tree[f"objects/{name}.object"]).iter(f"{META}fields")
        if field.findtext(f"{META}required") != "true"  # required fields take no permission
        and not name.endswith("__e")  # and those of events neither: who may read one reads all of it
    }
    assert fields == wanted


@pytest.mark.parametrize("reads", [True, False])
def test_pushes_are_read_by_rtsds_user_alone(*, reads: bool) -> None:
    """With the channel stream, and with the gateway by nobody; the event has the fields of the contract."""
    tree = metadata(OBJECTS, "" if reads else URL, "62.0", reads_pushes=reads)
    assert any("remoteSite" in path for path in tree) is not reads
    granted = [
        path
        for path, content in tree.items()
        if path.startswith("permissionsets/")
        for part in etree.fromstring(content).iterfind(f"{META}objectPermissions")
        if part.findtext(f"{META}object") == "RTS_Push__e" and part.findtext(f"{META}allowRead") == "true"
    ]
    assert granted == (["permissionsets/RTS_Sync.permissionset"] if reads else [])
    event = etree.fromstring(tree["objects/RTS_Push__e.object"])
    assert event.findtext(f"{META}eventType") == "HighVolume"
    fields = {
        field.findtext(f"{META}fullName"): (
            field.findtext(f"{META}type"),
            field.findtext(f"{META}length") or field.findtext(f"{META}precision"),
        )
        for field in event.iter(f"{META}fields")
    }
    assert fields == {
        "Id__c": ("Text", "255"),
        "Timestamp__c": ("Text", "20"),
        "Signature__c": ("Text", "255"),
        "Part__c": ("Number", "18"),
        "Parts__c": ("Number", "18"),
        "Sealed__c": ("Checkbox", None),
        "Body__c": ("LongTextArea", "131072"),
    }


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
