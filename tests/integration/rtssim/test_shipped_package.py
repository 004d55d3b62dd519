"""The package that rtsd ships, deployed as a zip: installed, at work, removed."""

from __future__ import annotations

import io
import zipfile

import pytest

from rtsd.apex import components, destructive_zip, metadata_zip, trigger_names
from rtssim.process import SimulatedOrg
from tests.support.rtssim.api import Api, Deploy, Gateway

OBJECTS = ["Contact", "User", "Invoice__c"]


async def test_deployed_and_removed(org: SimulatedOrg, api: Api, gateway: Gateway, deploy: Deploy) -> None:
    """Every component is taken, a change is pushed, and nothing is left after the removal."""
    result = await deploy(metadata_zip(OBJECTS, gateway.url, "62.0"), checkOnly=True)
    assert result["success"], result
    before = await left(api)
    result = await deploy(metadata_zip(OBJECTS, gateway.url, "62.0"))
    assert result["success"]
    assert result["numberComponentsDeployed"] == sum(map(len, components(OBJECTS).values()))
    found = await api.query("SELECT Name, TableEnumOrId FROM ApexTrigger WHERE Name LIKE 'RTS_%'")
    triggers = {row["TableEnumOrId"]: row["Name"] for row in found["records"]}
    own = {"RTS_Change__e": "RTS_Change_Event", "RTS_Synced_Field__c": "RTS_Synced_Field"}
    assert triggers == {**trigger_names(OBJECTS), **own}

    settings = {
        "SetupOwnerId": org.info["org_id"],
        "Org_Id__c": org.info["org_id"],
        "Gateway_URL__c": gateway.url,
        "Token__c": gateway.token,
    }
    assert (await api.call("POST", "/sobjects/RTS_Settings__c", json=settings))[0] == 201
    await org.dml("create", "Contact", rows=[{"LastName": "pushed"}])
    (push,) = await gateway.wait(1)
    assert push["changes"][0]["fields"]["LastName"] == "pushed"

    removed = await deploy(destructive_zip(OBJECTS, "62.0"))
    assert removed["success"]
    assert await left(api) == before == []


@pytest.mark.parametrize(
    "mistake",
    [
        ("objects/RTS_Error__c.object", ">Private<", ">Secret<", "not a valid value for the enum"),
        ("objects/RTS_Error__c.object", ">LongTextArea<", ">LongText<", "not a valid value for the enum"),
        ("objects/RTS_Settings__c.object", "inlineHelpText>", "inlineHelp>", "invalid at this location"),
        ("remoteSiteSettings/RTS_Gateway.remoteSite", ">true<", ">yes<", "type xsd:boolean"),
        (
            "permissionsets/RTS_Sync.permissionset",
            "RTS_Error__c.Stack__c",
            "RTS_Error__c.Stak__c",
            "named RTS_",
        ),
        (
            "permissionsets/RTS_Sync.permissionset",
            "<object>RTS_Error__c",
            "<object>RTS_Eror__c",
            "no CustomObject named RTS_Eror__c",
        ),
        ("permissionsets/RTS_Admin.permissionset", "<tab>RTS_Error__c", "<tab>RTS_Eror__c", "no CustomTab"),
        (
            "PlatformEventSubscriberConfigs/RTS_Change_Event.platformEventSubscriberConfig",
            "<platformEventConsumer>RTS_Change_Event",
            "<platformEventConsumer>RTS_Gone",
            "no ApexTrigger named RTS_Gone",
        ),
        ("triggers/RTS_Contact.trigger", "on Contact", "on Kontact", "Invalid type: Kontact"),
        ("package.xml", "<members>RTS_Ping</members>", "", "Not in package.xml"),
        ("package.xml", "<members>RTS_Ping<", "<members>RTS_Pong<", "not found in zipped directory"),
    ],
)
async def test_mistakes_in_a_deployment_are_refused(
    mistake: tuple[str, str, str, str], gateway: Gateway, deploy: Deploy
) -> None:
    """Wrong values, elements and names, and a manifest that differs from the zip, each by its component."""
    path, old, new, says = mistake
    with zipfile.ZipFile(io.BytesIO(metadata_zip(OBJECTS, gateway.url, "62.0"))) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert old in files[path]
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text.replace(old, new) if name == path else text)
    result = await deploy(changed.getvalue())
    assert not result["success"]
    assert says in " ".join(failure["problem"] for failure in result["details"]["componentFailures"])


async def test_a_class_in_use_stays(api: Api, gateway: Gateway, deploy: Deploy) -> None:
    """Not deleted while a class of others names it."""
    await deploy(metadata_zip(OBJECTS, gateway.url, "62.0"))
    theirs = {"Name": "Theirs", "Body": "public class Theirs { void run() { RTS_Ping.send(); } }"}
    assert (await api.call("POST", "/tooling/sobjects/ApexClass", json=theirs))[0] == 201
    result = await deploy(destructive_zip(OBJECTS, "62.0"))
    (failure,) = result["details"]["componentFailures"]
    assert failure["fullName"] == "RTS_Ping"
    assert failure["problem"].endswith("Remove the usage and try again. : Apex Class - Theirs")


async def left(api: Api) -> list[str]:
    """What is in the org of the package."""
    described = await api.get("/sobjects")
    names = [entry["name"] for entry in described["sobjects"] if entry["name"].startswith("RTS_")]
    for kind in ("ApexClass", "ApexTrigger"):
        found = await api.query(f"SELECT Name FROM {kind} WHERE Name LIKE 'RTS_%'")
        names += [row["Name"] for row in found["records"]]
    return names
