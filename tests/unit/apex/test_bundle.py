"""The trees and zips: complete, consistent, the same bytes every time."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from rtsd.apex import (
    HEARTBEAT_JOBS,
    TEST_CLASSES,
    VERSION,
    components,
    destructive_zip,
    metadata,
    metadata_zip,
    schedule_script,
    sfdx_project,
    trigger_names,
)
from tests.support.apex import metadata_rules

OBJECTS = ["Contact", "Account", "User", "CampaignMember", "Invoice__c"]
URL = "https://rts.example.com:8443/ignored/path"
NAMESPACE = "{http://soap.sforce.com/2006/04/metadata}"


def read(content: bytes) -> dict[str, bytes]:
    """A zip's files."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def members(manifest: bytes) -> dict[str, list[str]]:
    """A manifest's members by type."""
    found: dict[str, list[str]] = {}
    for types in ET.fromstring(manifest).iter(f"{NAMESPACE}types"):
        members = [member.text or "" for member in types.iter(f"{NAMESPACE}members")]
        found[types.findtext(f"{NAMESPACE}name", "")] = members
    return found


FILES = {
    "ApexClass": ["classes/{}.cls", "classes/{}.cls-meta.xml"],
    "ApexTrigger": ["triggers/{}.trigger", "triggers/{}.trigger-meta.xml"],
    "CustomApplication": ["applications/{}.app"],
    "CustomObject": ["objects/{}.object"],
    "CustomPermission": ["customPermissions/{}.customPermission"],
    "Layout": ["layouts/{}.layout"],
    "Report": ["reports/{}.report"],
    "CustomTab": ["tabs/{}.tab"],
    "PlatformEventSubscriberConfig": ["PlatformEventSubscriberConfigs/{}.platformEventSubscriberConfig"],
    "PermissionSet": ["permissionsets/{}.permissionset"],
    "RemoteSiteSetting": ["remoteSiteSettings/{}.remoteSite"],
}


def test_zip_and_manifest_agree() -> None:
    """Every member has its files, every file its member, and nothing else is in the zip."""
    files = read(metadata_zip(OBJECTS, URL, "62.0"))
    named = members(files.pop("package.xml"))
    named["Report"].remove("RTS_Reports")  # a folder: its file has another name
    wanted = {
        pattern.format(name) for kind, names in named.items() for name in names for pattern in FILES[kind]
    }
    wanted.add("reports/RTS_Reports-meta.xml")
    named["Report"].insert(0, "RTS_Reports")
    assert wanted == set(files)
    assert named == components(OBJECTS)


def test_contract_parts() -> None:
    """The names that the contract fixes are there."""
    named = components(OBJECTS)
    assert {"RTS_Settings__c", "RTS_Error__c", "RTS_Status__c", "RTS_Synced_Field__c"} <= set(
        named["CustomObject"]
    )
    assert set(trigger_names(OBJECTS).values()) <= set(named["ApexTrigger"])
    assert named["PermissionSet"] == ["RTS_Admin", "RTS_Sync"]
    assert named["CustomApplication"] == ["RTS_App"]
    assert named["RemoteSiteSetting"] == ["RTS_Gateway"]
    assert named["CustomPermission"] == ["RTS_Bypass"]
    assert set(TEST_CLASSES) <= set(named["ApexClass"])
    tree = metadata(OBJECTS, URL, "62.0")
    fields = {
        name: {f.findtext(f"{NAMESPACE}fullName") for f in ET.fromstring(tree[f"objects/{name}.object"]).iter(
            f"{NAMESPACE}fields")}
        for name in ("RTS_Settings__c", "RTS_Synced_Field__c")
    }  # fmt: skip
    assert fields["RTS_Settings__c"] == {
        "Disable_RTS__c", "Error_Logging__c", "Gateway_URL__c", "Token__c", "Org_Id__c",
        "Conditional_Objects__c", "Channel__c", "Sealed__c",
    }  # fmt: skip
    assert fields["RTS_Synced_Field__c"] == {"Key__c", "Object__c", "Field__c", "Condition__c"}


def test_the_same_bytes() -> None:
    """The order of objects changes nothing, and neither does time."""
    bundle = metadata_zip(OBJECTS, URL, "62.0")
    assert bundle == metadata_zip(OBJECTS[::-1], URL, "62.0")
    assert {entry.date_time for entry in zipfile.ZipFile(io.BytesIO(bundle)).infolist()} == {
        (1980, 1, 1, 0, 0, 0)
    }
    assert bundle != metadata_zip(OBJECTS, "https://other.example", "62.0")


def test_remove_names_everything() -> None:
    """The destructive manifests name all that was deployed, and the triggers of former objects.

    First what refers to something else; layouts go with their objects.
    """
    files = read(destructive_zip(OBJECTS, "62.0", ["RTS_Lead"]))
    assert set(files) == {"package.xml", "destructiveChangesPre.xml", "destructiveChangesPost.xml"}
    assert members(files["package.xml"]) == {}
    first, then = (members(files[f"destructiveChanges{when}.xml"]) for when in ("Pre", "Post"))
    assert set(first) == {"CustomApplication", "PermissionSet", "Report"}
    assert first["Report"][-1] == "RTS_Reports"
    wanted = components(OBJECTS)
    wanted["ApexTrigger"] = sorted([*wanted["ApexTrigger"], "RTS_Lead"])
    del wanted["Layout"]
    named = {kind: sorted(names) for kind, names in {**first, **then}.items()}
    assert named == wanted


def test_obsolete_triggers_go_with_a_deployment() -> None:
    """A former object's trigger is deleted after the new classes are in; a wanted one is kept."""
    files = read(metadata_zip(["Contact"], URL, "62.0", ["RTS_Lead", "RTS_Contact"]))
    assert members(files["destructiveChangesPost.xml"]) == {"ApexTrigger": ["RTS_Lead"]}
    assert "destructiveChangesPost.xml" not in read(metadata_zip(["Contact"], URL, "62.0", ["RTS_Contact"]))


def test_remote_site_is_the_origin() -> None:
    """The remote site is scheme, host and port of the gateway's URL (Metadata API, RemoteSiteSetting)."""
    site = ET.fromstring(metadata(OBJECTS, URL, "62.0")["remoteSiteSettings/RTS_Gateway.remoteSite"])
    assert site.findtext(f"{NAMESPACE}url") == "https://rts.example.com:8443"


@pytest.mark.parametrize("url", ["rts.example.com", "ftp://a.example", "https://", "https://user@a.example"])
def test_impossible_url(url: str) -> None:
    """No package is made for a URL that no remote site can be."""
    with pytest.raises(ValueError, match="is not a URL"):
        metadata([], url, "62.0")


def test_the_relay_runs_as_who_is_named() -> None:
    """As rtsd's user where that is known, else as Salesforce's own; a name is never read as XML."""
    path = "PlatformEventSubscriberConfigs/RTS_Change_Event.platformEventSubscriberConfig"
    users = [
        ET.fromstring(metadata([], URL, "62.0", run_as=name)[path]).findtext(f"{NAMESPACE}user")
        for name in ("", "sync&co@acme.com")
    ]
    assert users == [None, "sync&co@acme.com"]


@pytest.mark.parametrize(("asked", "compiled"), [("62.0", "62.0"), ("66.0", "66.0"), ("67.0", "66.0")])
def test_apex_is_pinned(asked: str, compiled: str) -> None:
    """From version 67 on Apex that says nothing runs in user mode: newer orgs get 66."""
    tree = metadata(["Contact"], URL, asked)
    versions = {ET.fromstring(content).findtext(f"{NAMESPACE}apiVersion")
                for path, content in tree.items() if path.startswith(("classes/", "triggers/"))
                and path.endswith("-meta.xml")}  # fmt: skip
    assert versions == {compiled}


@pytest.mark.parametrize("version", ["61.0", "", "v62.0", "nan"])
def test_impossible_version(version: str) -> None:
    """An org too old for the package is told so before anything is sent."""
    with pytest.raises(ValueError, match="API version"):
        metadata([], URL, version)


def test_project_is_what_other_tools_deploy() -> None:
    """The project has its file of settings, and the same classes as the zip."""
    tree = sfdx_project(OBJECTS, URL, "66.0")
    project = json.loads(tree["sfdx-project.json"])
    assert project["packageDirectories"] == [
        {
            "path": "force-app",
            "default": True,
            "package": "RTS",
            "versionName": VERSION,
            "versionNumber": f"{VERSION}.NEXT",
        },
        {"path": "generated"},
    ]
    assert project["sourceApiVersion"] == "66.0"
    assert {path.partition("/")[0] for path in tree} == {"force-app", "generated", "sfdx-project.json"}
    apex = {Path(path).name: content for path, content in tree.items() if path.endswith((".cls", ".trigger"))}
    zipped = metadata(OBJECTS, URL, "66.0")
    assert apex == {
        Path(path).name: content for path, content in zipped.items() if path.endswith((".cls", ".trigger"))
    }
    assert all(b"{{" not in content for content in tree.values() if b"<" in content)


def test_the_core_is_the_same_for_every_org() -> None:
    """What depends on objects, gateway and user is apart, so that the core can be a package of its own."""
    ours = sfdx_project(OBJECTS, URL, "66.0", run_as="sync@acme.com", left_out=["Lead"])
    other = sfdx_project([], "https://other.example", "66.0")
    core = {path: content for path, content in ours.items() if path.startswith("force-app/")}
    assert core == {path: content for path, content in other.items() if path.startswith("force-app/")}
    generated = {Path(path).name for path in other if path.startswith("generated/")}
    assert {name for name in generated if "-meta.xml" not in name} == {
        "RTS_Trigger_Test.cls",
        "RTS_Triggers.cls",
    }
    assert metadata_rules.findings(core) == []


def test_version_is_the_apex_version() -> None:
    """What the pushes say is what rtsd knows."""
    assert f"VALUE = '{VERSION}';".encode() in metadata([], URL, "62.0")["classes/RTS_Version.cls"]


def test_trigger_events_fit_the_object() -> None:
    """No event that an object does not have: undelete for standard objects without one, delete for users."""
    tree = metadata(OBJECTS, URL, "62.0")
    events = {
        name: tree[f"triggers/{trigger}.trigger"].decode() for name, trigger in trigger_names(OBJECTS).items()
    }
    assert "after undelete" in events["Contact"]
    assert "after undelete" in events["Invoice__c"]
    assert "undelete" not in events["CampaignMember"]
    assert "delete" not in events["User"]
    assert all("after insert, after update" in body for body in events.values())


def test_jobs_are_scheduled_by_their_names() -> None:
    """The script ends what was scheduled and schedules each heartbeat once."""
    script = schedule_script()
    assert script.index("abortJob") < script.index("System.schedule(")
    assert [script.count(f"'{name}'") for name in HEARTBEAT_JOBS] == [1, 1, 1, 1]
    assert "'0 48 * * * ?'" in script
