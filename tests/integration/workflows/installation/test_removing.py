"""`rtsd package remove`: nothing stays behind, or everything works as before."""

from __future__ import annotations

import pytest

from rtsd.errors import DeployFailed
from tests.support.installation import Office

WAITING = "Jobs of the package are under way; waiting for them to end."


async def test_nothing_is_left(office: Office) -> None:
    """No component, no job, no row; a second time there is nothing to do."""
    await office.deploy()
    (admin,) = office.select("SELECT Id FROM PermissionSet WHERE Name = 'RTS_Admin'")[0]
    given = {"PermissionSetId": admin, "AssigneeId": office.org.admin.user_id}
    office.org.create(office.org.admin, "PermissionSetAssignment", [given])[0].unwrap()
    error = {"Object__c": "Contact", "Message__c": "x"}
    office.org.create(office.org.admin, "RTS_Error__c", [error])[0].unwrap()
    removed = await office.remove()
    assert removed.left == []
    assert {"object RTS_Settings__c", "custom permission RTS_Bypass"} <= set(removed.done)
    for kind in ("ApexClass", "ApexTrigger", "PermissionSet"):
        assert office.select(f"SELECT Name FROM {kind} WHERE Name LIKE 'RTS%'") == []
    assert office.select("SELECT Id FROM CronTrigger") == []
    assert office.select("SELECT Id FROM RemoteProxy") == []
    assert office.select("SELECT Id FROM Folder") == []
    assert office.select("SELECT Id FROM CustomPermission") == []
    assert office.select("SELECT Id FROM PlatformEventSubscriberConfig") == []
    assert office.select("SELECT Id FROM PermissionSetAssignment WHERE PermissionSet.Name LIKE 'RTS%'") == []
    assert not [entity.name for entity in office.org.schema if entity.name.startswith("RTS_")]
    assert (await office.remove()).done == []


async def test_a_folder_that_destructive_changes_leave_is_deleted_as_a_row(office: Office) -> None:
    """Whether a manifest may name a folder is not documented: nothing is left either way."""
    await office.sim.control("switches", {"destructive_changes_delete_folders": False})
    await office.deploy()
    assert office.select("SELECT DeveloperName FROM Folder") == [("RTS_Reports",)]
    assert (await office.remove()).left == []
    assert office.select("SELECT Id FROM Folder") == []


async def test_what_failed_leaves_the_package_at_work(office: Office) -> None:
    """Jobs, settings and assignment are as they were when the destructive deployment is refused."""
    await office.deploy()
    await office.sim.fault("deploy_failed", count=1)
    with pytest.raises(DeployFailed):
        await office.remove()
    found = await office.status()
    assert (found.differences, found.disabled) == ([], False)


async def produce(office: Office, *tests: str) -> None:
    """Turn the org into production, with tests of its own, and deploy the package."""
    office.become("Enterprise Edition")
    for name in tests:
        theirs = {"Name": name, "Body": f"@IsTest private class {name} {{ }}"}
        office.org.create(office.org.admin, "ApexClass", [theirs])[0].unwrap()
    await office.deploy()
    office.progress.clear()
    office.said.clear()


@pytest.mark.parametrize("goes", [True, False], ids=["runs a test that goes", "runs what stays"])
async def test_production_runs_one_test_when_code_goes(*, goes: bool, office: Office) -> None:
    """The package's own, which goes last; where Salesforce runs no test that goes, the org's run for it."""
    await office.sim.control("switches", {"removed_tests_run": goes})
    await produce(office, "Their_Test")
    assert (await office.remove()).left == []
    assert {progress.tests_total for progress in office.progress} == {1}
    assert office.select("SELECT Name FROM ApexClass") == [("Their_Test",)]


async def test_failing_tests_of_the_orgs_own_keep_nothing_but_an_empty_test(office: Office) -> None:
    """All that does something goes; the last class goes with any test that passes."""
    await produce(office, "Their_Failing_Test", "Their_Test")
    await office.sim.fault("test_failed", path="Their_Failing_Test")
    removed = await office.remove()
    assert removed.left == ["ApexClass RTS_Removal_Test"]
    assert not [entity.name for entity in office.org.schema if entity.name.startswith("RTS_")]
    assert office.select("SELECT Id FROM CronTrigger") == []
    assert (await office.status()).state == "missing"
    removed = await office.remove(run_test="Their_Test")
    assert (removed.done, removed.left) == (["ApexClass RTS_Removal_Test"], [])
    assert len(office.select("SELECT Name FROM ApexClass")) == 2


async def test_local_tests_that_fail_are_told_with_the_way_out(office: Office) -> None:
    """Whoever asks for all tests of the org gets them; nothing changes, and the error says the way out."""
    await produce(office, "Their_Failing_Test")
    await office.sim.fault("test_failed", path="Their_Failing_Test")
    with pytest.raises(DeployFailed) as caught:
        await office.remove(local=True)
    assert "Their_Failing_Test" in "\n".join(caught.value.details)
    assert "without --local-tests" in caught.value.do
    assert (await office.status()).differences == []


def job(office: Office, status: str) -> str:
    """Put a job of the package into the org's queue."""
    ((sender,),) = office.select("SELECT Id FROM ApexClass WHERE Name = 'RTS_Sender'")
    row = {"ApexClassId": sender, "JobType": "Queueable", "Status": status}
    return office.org.create(office.org.admin, "AsyncApexJob", [row])[0].unwrap()


@pytest.mark.parametrize("refusal", ["pending", "referenced"])
async def test_jobs_that_wait_are_aborted(refusal: str, office: Office) -> None:
    """A retry in ten minutes does not keep the package in the org, whatever Salesforce calls it."""
    await office.sim.control("switches", {"class_with_job": refusal})
    await office.deploy()
    waiting = job(office, "Queued")
    assert (await office.remove()).left == []
    assert office.select(f"SELECT Status FROM AsyncApexJob WHERE Id = '{waiting}'") == [("Aborted",)]
    assert WAITING not in office.said


@pytest.mark.parametrize("refusal", ["pending", "referenced"])
async def test_a_job_under_way_is_waited_for(refusal: str, office: Office) -> None:
    """It ends by itself; one that does not leaves the package at work, and says what to do."""
    await office.sim.control("switches", {"class_with_job": refusal})
    await office.deploy()
    job(office, "Processing")
    with pytest.raises(DeployFailed) as caught:
        await office.remove()
    assert "Setup → Apex Jobs" in caught.value.do
    assert (await office.status()).differences == []
    office.said.clear()

    async def until_it_ends(_seconds: float) -> None:
        if WAITING in office.said:
            office.org.database.execute("UPDATE AsyncApexJob SET Status = 'Completed'")

    office.no_pause = until_it_ends
    assert (await office.remove()).left == []


async def test_a_trigger_left_over_goes_too(office: Office) -> None:
    """Of an object that is not mirrored any more; somebody else's class with such a name stays."""
    await office.deploy()
    office.org.create(office.org.admin, "ApexClass", [{"Name": "RTS_Theirs", "Body": "class RTS_Theirs {}"}])
    only = office.configuration('[[objects]]\nname = "Contact"\n')
    assert (await office.remove(only)).left == []
    assert office.select("SELECT Name FROM ApexTrigger") == []
    assert office.select("SELECT Name FROM ApexClass") == [("RTS_Theirs",)]


async def test_it_goes_without_a_gateway_and_without_its_objects(office: Office) -> None:
    """Whoever is back at Interval Sync, or has lost an object, can still remove what is there."""
    await office.deploy()
    objects = '[[objects]]\nname = "Contact"\n[[objects]]\nname = "Gone__c"\n'
    assert (await office.remove(office.configuration(objects, listen="", public_url=""))).left == []
    assert office.select("SELECT Name FROM ApexTrigger") == []
