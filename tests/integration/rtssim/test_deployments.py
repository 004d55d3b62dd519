"""Metadata deployments: the effects of a zip, and the reports of its errors."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import aiohttp
import pytest

from rtsd.apex import metadata_zip
from rtssim.process import SimulatedOrg
from tests.support.rtssim.api import Api, Deploy, Gateway

XMLNS = 'xmlns="http://soap.sforce.com/2006/04/metadata"'
META = f"<{{0}} {XMLNS}><apiVersion>62.0</apiVersion><status>Active</status></{{0}}>"
SITE = (
    "<disableProtocolSecurity>false</disableProtocolSecurity><isActive>true</isActive><url>https://x.io</url>"
)
SETTINGS = f"""<CustomObject {XMLNS}><customSettingsType>Hierarchy</customSettingsType>
<fields><fullName>Disable_RTS__c</fullName><defaultValue>false</defaultValue><label>Off</label><type>Checkbox</type></fields>
<fields><fullName>Error_Logging__c</fullName><defaultValue>true</defaultValue><type>Checkbox</type></fields>
<fields><fullName>Gateway_URL__c</fullName><label>Gateway URL</label><type>Url</type></fields>
<fields><fullName>Token__c</fullName><label>Token</label><length>255</length><type>Text</type></fields>
<fields><fullName>Org_Id__c</fullName><label>Org</label><length>18</length><type>Text</type></fields>
<label>RTS Settings</label></CustomObject>"""
ERROR = f"""<CustomObject {XMLNS}><deploymentStatus>Deployed</deploymentStatus><label>RTS Error</label>
<nameField><displayFormat>E-{{0}}</displayFormat><label>Number</label><type>AutoNumber</type></nameField>
<fields><fullName>Message__c</fullName><label>Message</label><length>255</length><type>Text</type></fields>
<pluralLabel>RTS Errors</pluralLabel><sharingModel>ReadWrite</sharingModel></CustomObject>"""


def package(members: dict[str, list[str]]) -> str:
    """Return a package.xml."""
    types = "".join(
        f"<types>{''.join(f'<members>{name}</members>' for name in names)}<name>{kind}</name></types>"
        for kind, names in members.items()
    )
    return f"<Package {XMLNS}>{types}<version>62.0</version></Package>"


def zipped(files: dict[str, str]) -> bytes:
    """Return a zip of the files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


PACKAGE = {
    "package.xml": package(
        {
            "CustomObject": ["RTS_Settings__c", "RTS_Error__c"],
            "ApexClass": ["RTS_Handler", "RTS_Test"],
            "ApexTrigger": ["RTS_Contact"],
            "RemoteSiteSetting": ["RTS_Gateway"],
        }
    ),
    "objects/RTS_Settings__c.object": SETTINGS,
    "objects/RTS_Error__c.object": ERROR,
    "classes/RTS_Handler.cls": "public class RTS_Handler {}",
    "classes/RTS_Handler.cls-meta.xml": META.format("ApexClass"),
    "classes/RTS_Test.cls": "@IsTest class RTS_Test { static void saves() { insert new Contact(); } }",
    "classes/RTS_Test.cls-meta.xml": META.format("ApexClass"),
    "triggers/RTS_Contact.trigger": "trigger RTS_Contact on Contact (after insert) { RTS_Handler.run(); }",
    "triggers/RTS_Contact.trigger-meta.xml": META.format("ApexTrigger"),
    "remoteSiteSettings/RTS_Gateway.remoteSite": f"<RemoteSiteSetting {XMLNS}>{SITE}</RemoteSiteSetting>",
}


async def test_deployed_package_pushes(org: SimulatedOrg, api: Api, gateway: Gateway, deploy: Deploy) -> None:
    """Objects, class and trigger are there after the deployment, and changes are pushed once configured."""
    result = await deploy(zipped(PACKAGE))
    assert (result["status"], result["success"], result["numberComponentErrors"]) == ("Succeeded", True, 0)
    assert result["numberComponentsDeployed"] == 6
    found = await api.query("SELECT Name, TableEnumOrId FROM ApexTrigger WHERE Name LIKE 'RTS_%'")
    assert [(row["Name"], row["TableEnumOrId"]) for row in found["records"]] == [("RTS_Contact", "Contact")]
    settings = {"SetupOwnerId": org.info["org_id"], "Gateway_URL__c": gateway.url, "Token__c": "t"}
    assert (await api.call("POST", "/sobjects/RTS_Settings__c", json=settings))[0] == 201
    await org.dml("create", "Account", rows=[{"Name": "no trigger"}])
    await org.dml("create", "Contact", rows=[{"LastName": "trigger"}])
    (push,) = await gateway.wait(1)
    assert [change["object"] for change in push["changes"]] == ["Contact"]


async def test_check_only_changes_nothing_until_the_quick_deploy(api: Api, deploy: Deploy) -> None:
    """A validated deployment leaves the org as it was, and can be deployed by its id."""
    result = await deploy(zipped(PACKAGE), checkOnly=True)
    assert result["success"]
    assert (await api.call("GET", "/sobjects/RTS_Settings__c/describe"))[0] == 404
    again = {"validatedDeployRequestId": result["id"]}
    status, _, quick = await api.call("POST", "/metadata/deployRequest", json=again)
    assert status == 201
    await ended(api, quick["id"])
    assert (await api.call("GET", "/sobjects/RTS_Settings__c/describe"))[0] == 200


async def ended(api: Api, deployment: str) -> dict[str, Any]:
    """Wait for a deployment's end."""
    result: dict[str, Any] = {"done": False}
    while not result["done"]:
        result = (await api.get(f"/metadata/deployRequest/{deployment}"))["deployResult"]
    return result


async def test_it_takes_effect_at_its_end_or_never(org: SimulatedOrg, api: Api) -> None:
    """Asynchronous: nothing is there before it has ended, and a canceled one changes nothing."""
    await org.control("switches", {"deploy_poll_steps": 2})
    setting = "/sobjects/RTS_Settings__c/describe"
    made = await posted(api)
    await api.get(f"/metadata/deployRequest/{made}")
    assert (await api.call("GET", setting))[0] == 404
    cancel = {"deployResult": {"status": "Canceling"}}
    assert (await api.call("PATCH", f"/metadata/deployRequest/{made}", json=cancel))[0] == 202
    assert (await ended(api, made))["status"] == "Canceled"
    assert (await api.call("GET", setting))[0] == 404
    assert (await ended(api, await posted(api)))["status"] == "Succeeded"
    assert (await api.call("GET", setting))[0] == 200


async def posted(api: Api) -> str:
    """Post the package without waiting for more; returns the deployment's id."""
    form = aiohttp.FormData()
    form.add_field("json", '{"deployOptions": {}}', content_type="application/json")
    form.add_field("file", zipped(PACKAGE), filename="deploy.zip", content_type="application/zip")
    return str((await api.call("POST", "/metadata/deployRequest", data=form))[2]["id"])


async def test_component_failures(deploy: Deploy) -> None:
    """A missing file and a trigger on an unknown object fail by name, and nothing is deployed."""
    files = {
        "package.xml": package(
            {"ApexTrigger": ["RTS_Nope"], "ApexClass": ["RTS_Missing"], "RemoteSiteSetting": ["RTS_Site"]}
        ),
        "remoteSiteSettings/RTS_Site.remoteSite": f"<RemoteSiteSetting {XMLNS}></RemoteSiteSetting>",
        "triggers/RTS_Nope.trigger": "trigger RTS_Nope on Nope__c (after insert) {}",
        "triggers/RTS_Nope.trigger-meta.xml": META.format("ApexTrigger"),
    }
    result = await deploy(zipped(files))
    assert (result["status"], result["success"], result["numberComponentErrors"]) == ("Failed", False, 3)
    problems = {item["fullName"]: item["problem"] for item in result["details"]["componentFailures"]}
    assert problems["RTS_Nope"] == "Invalid type: Nope__c"
    assert problems["RTS_Site"] == "Required field is missing: disableProtocolSecurity"
    assert "was not found" in problems["RTS_Missing"]


async def test_unreadable_zip(deploy: Deploy) -> None:
    """A zip without a package.xml, or no zip at all, fails with a message."""
    for content in (zipped({"other.xml": "<a/>"}), b"no zip"):
        result = await deploy(content)
        assert result["status"] == "Failed"
        assert result["errorMessage"]


async def test_destructive_changes(org: SimulatedOrg, api: Api, deploy: Deploy) -> None:
    """Destructive changes remove existing components and warn of missing ones."""
    await deploy(zipped(PACKAGE))
    files = {
        "package.xml": f"<Package {XMLNS}><version>62.0</version></Package>",
        "destructiveChanges.xml": package(
            {"ApexTrigger": ["RTS_Contact", "RTS_Gone"], "CustomObject": ["RTS_Error__c"]}
        ),
    }
    result = await deploy(zipped(files))
    assert result["success"]
    warned = [
        item["fullName"]
        for item in result["details"]["componentSuccesses"]
        if item["problemType"] == "Warning"
    ]
    assert warned == ["RTS_Gone"]
    assert (await api.query("SELECT Id FROM ApexTrigger WHERE Name LIKE 'RTS_%'"))["totalSize"] == 0
    assert (await api.call("GET", "/sobjects/RTS_Error__c/describe"))[0] == 404
    assert (await org.stats())["pushes"]["triggers"] == []


async def run(api: Api, code: str) -> dict[str, Any]:
    """Run anonymous Apex."""
    status, _, answer = await api.call("GET", "/tooling/executeAnonymous/", params={"anonymousBody": code})
    assert status == 200
    return dict(answer)


async def test_scheduled_jobs_block_their_class(api: Api, deploy: Deploy) -> None:
    """Scheduled twice under one name is an exception; a class with a job is neither replaced nor deleted."""
    assert (await run(api, "System.schedule('a', '0 3 * * * ?', new RTS_Handler());"))["compiled"] is False
    await deploy(zipped(PACKAGE))
    once = "System.schedule('RTS Heartbeat 03', '0 3 * * * ?', new RTS_Handler());"
    assert (await run(api, once))["success"] is True
    twice = await run(api, once)
    assert (twice["success"], "already scheduled" in twice["exceptionMessage"]) == (False, True)
    result = await deploy(zipped(PACKAGE))
    assert [failure["problem"] for failure in result["details"]["componentFailures"]] == [
        "This schedulable class has jobs pending or in progress"
    ]
    abort = (
        "for (CronTrigger job : [SELECT Id FROM CronTrigger WHERE CronJobDetail.Name LIKE 'RTS%'])"
        " System.abortJob(job.Id);"
    )
    assert (await run(api, abort + once))["success"] is True
    found = await api.query("SELECT CronJobDetail.Name FROM CronTrigger")
    assert [row["CronJobDetail"]["Name"] for row in found["records"]] == ["RTS Heartbeat 03"]
    await run(api, abort)
    assert (await deploy(zipped(PACKAGE)))["success"] is True


def become_production(org: SimulatedOrg) -> None:
    """Turn the org into one that requires tests."""
    assert org.server is not None
    org.server.org.database.execute("UPDATE Organization SET OrganizationType = 'Enterprise Edition'")


async def test_production_wants_tests_with_apex(org: SimulatedOrg, deploy: Deploy) -> None:
    """Production refuses NoTestRun, and a failing test fails the deployment."""
    become_production(org)
    result = await deploy(zipped(PACKAGE), testLevel="NoTestRun")
    assert "NoTestRun" in result["errorMessage"]
    await org.fault("test_failed", count=1)
    result = await deploy(zipped(PACKAGE), testLevel="RunSpecifiedTests", runTests=["RTS_Test"])
    failures = result["details"]["runTestResult"]["failures"]
    assert (result["success"], [failure["name"] for failure in failures]) == (False, ["RTS_Test"])
    assert (await deploy(zipped(PACKAGE)))["success"] is True


BEFORE = "trigger RTS_Contact on Contact (before insert, after insert) { RTS_Handler.run(); }"


CODES = {
    "validation_rule": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
    "required_lookup": "REQUIRED_FIELD_MISSING",
    "duplicate_rule": "DUPLICATES_DETECTED",
    "before_trigger": "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
    "before_flow": "CANNOT_EXECUTE_FLOW_TRIGGER",
}


@pytest.mark.parametrize("kind", CODES)
async def test_rules_of_the_orgs_own_stand_in_the_way(
    kind: str, org: SimulatedOrg, api: Api, deploy: Deploy
) -> None:
    """A refused save reaches no after trigger, and before triggers only as the order of execution has it."""
    become_production(org)
    await org.rule("Contact", kind)
    status, _, answer = await api.call("POST", "/sobjects/Contact", json={"LastName": "refused"})
    assert (status, answer[0]["errorCode"]) == (400, CODES[kind])
    reached = not kind.startswith("before_")
    for trigger, covered in ((PACKAGE["triggers/RTS_Contact.trigger"], False), (BEFORE, reached)):
        result = await deploy(
            zipped({**PACKAGE, "triggers/RTS_Contact.trigger": trigger}),
            checkOnly=True,
            testLevel="RunSpecifiedTests",
            runTests=["RTS_Test"],
        )
        assert (result["success"], result["numberComponentErrors"]) == (covered, 0)
        names = [warning["name"] for warning in result["details"]["runTestResult"]["codeCoverageWarnings"]]
        assert ("RTS_Contact" in names) is not covered


async def test_what_no_test_names_is_not_covered(org: SimulatedOrg, deploy: Deploy) -> None:
    """Tests of others reach neither class nor trigger."""
    become_production(org)
    theirs = {"Name": "Customer_Test", "Body": "@IsTest class Customer_Test { }"}
    await org.dml("create", "ApexClass", rows=[theirs])
    result = await deploy(zipped(PACKAGE), testLevel="RunSpecifiedTests", runTests=["Customer_Test"])
    warnings = result["details"]["runTestResult"]["codeCoverageWarnings"]
    assert [warning["name"] for warning in warnings] == ["RTS_Handler", "RTS_Contact"]
    assert "Apex Class is 0%" in warnings[0]["message"]


async def test_a_users_own_settings_silence_that_user_only(
    org: SimulatedOrg, api: Api, deploy: Deploy, gateway: Gateway
) -> None:
    """The lowest row of the hierarchy decides (Apex Developer Guide, Custom Settings)."""
    await deploy(zipped(PACKAGE))
    assert org.server is not None
    admin = org.server.org.admin.user_id
    row = {"SetupOwnerId": org.info["org_id"], "Gateway_URL__c": gateway.url, "Token__c": "t"}
    await api.call("POST", "/sobjects/RTS_Settings__c", json=row)
    await api.call("POST", "/sobjects/RTS_Settings__c", json={"SetupOwnerId": admin, "Disable_RTS__c": True})
    await org.dml("create", "Contact", rows=[{"LastName": "by the silenced"}])
    await api.call("POST", "/sobjects/Contact", json={"LastName": "by another"})
    (push,) = await gateway.wait(1)
    assert [change["fields"]["LastName"] for change in push["changes"]] == ["by another"]
    assert (await org.stats())["pushes"]["suppressed"] == 1


PLANTED = [
    (
        "applications/RTS_App.app",
        ("<tabs>RTS_Error__c<", "<tabs>RTS_Nope__c<"),
        "no CustomTab named RTS_Nope__c",
    ),
    (
        "reports/RTS_Reports/RTS_Errors_by_Day.report",
        ("RTS_Error__c.Message__c", "RTS_Error__c.Nope__c"),
        "Nope__c",
    ),
    (
        "reports/RTS_Reports/RTS_Errors_by_Day.report",
        ("$RTS_Error__c", "$RTS_Nope__c"),
        "Invalid report type",
    ),
    ("layouts/RTS_Status__c-RTS Status Layout.layout", ("Summary__c", "Nope__c"), "RTS_Status__c.Nope__c"),
    (
        "layouts/RTS_Status__c-RTS Status Layout.layout",
        (">Required<", ">Edit<"),
        "required layout field: Key__c",
    ),
    (
        "permissionsets/RTS_Admin.permissionset",
        ("RTS_Status__c.Gateway__c", "RTS_Status__c.Key__c"),
        "required field",
    ),
    ("permissionsets/RTS_Admin.permissionset", ("RTS_Error__c.Stack__c", "RTS_Error__c.Nope__c"), "Nope__c"),
    (
        "permissionsets/RTS_Admin.permissionset",
        (">RTS_App<", ">RTS_Nope<"),
        "no CustomApplication named RTS_Nope",
    ),
    (
        "permissionsets/RTS_Admin.permissionset",
        ("<tab>RTS_Error__c<", "<tab>RTS_Nope__c<"),
        "no CustomTab named",
    ),
    (
        "permissionsets/RTS_Sync.permissionset",
        ("<object>RTS_Error__c<", "<object>Nope__c<"),
        "no CustomObject named",
    ),
]
"""A file, a mistake in it, and what the org says."""


@pytest.mark.parametrize(("path", "mistake", "says"), PLANTED)
async def test_references_to_nothing_are_refused(
    path: str, mistake: tuple[str, str], says: str, gateway: Gateway, deploy: Deploy
) -> None:
    """Apps, reports, layouts and permission sets name tabs, objects and fields that have to be there."""
    with zipfile.ZipFile(io.BytesIO(metadata_zip(["Contact"], gateway.url, "62.0"))) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert mistake[0] in files[path]
    files[path] = files[path].replace(*mistake)
    result = await deploy(zipped(files), checkOnly=True)
    assert result["success"] is False
    assert says in "\n".join(item["problem"] for item in result["details"]["componentFailures"])
