"""`rtsd package remove`: nothing stays behind, or everything works as before."""

from __future__ import annotations

import pytest

from rtsd.errors import DeployFailed
from tests.support.installation import Office


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
    assert "object RTS_Settings__c" in removed.done
    for kind in ("ApexClass", "ApexTrigger", "PermissionSet"):
        assert office.select(f"SELECT Name FROM {kind} WHERE Name LIKE 'RTS%'") == []
    assert office.select("SELECT Id FROM CronTrigger") == []
    assert office.select("SELECT Id FROM RemoteProxy") == []
    assert office.select("SELECT Id FROM Folder") == []
    assert office.select("SELECT Id FROM PlatformEventSubscriberConfig") == []
    assert office.select("SELECT Id FROM PermissionSetAssignment") == []
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


async def test_production_runs_tests_when_code_goes(office: Office) -> None:
    """The package's own tests go with it, so the org's are run."""
    office.become("Enterprise Edition")
    await office.deploy()
    office.progress.clear()
    assert (await office.remove()).left == []
    assert any(progress.tests_total for progress in office.progress)


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
