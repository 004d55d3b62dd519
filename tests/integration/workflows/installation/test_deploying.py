"""`rtsd package deploy` and `status` against a simulated org, over HTTP."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest

from rtsd import apex, config
from rtsd.errors import ConfigError, Conflict, DeployFailed, UsageError
from rtsd.workflows.installation import plan as plans
from rtsd.workflows.installation.deploying import Deploying
from rtsd.workflows.installation.org_session import org_session
from rtsd.workflows.installation.plan import Choice
from rtsd.workflows.installation.reports import InstallationReport, report
from tests.support.installation import Office

WAITING = "Jobs of the package are under way; waiting for them to end."
FIRST = "SELECT Disable_RTS__c, Error_Logging__c, Gateway_URL__c, Org_Id__c FROM RTS_Settings__c"


def told(found: InstallationReport) -> list[str]:
    """The differences as lines."""
    return [f"{difference.part}: {difference.what}" for difference in found.differences]


async def test_first_deployment_makes_everything_right(office: Office) -> None:
    """Nothing is there, then all of it: code, settings, assignment, conditions, jobs; status agrees."""
    assert (await office.status()).state == "missing"
    outcome = await office.deploy()
    assert outcome.left == []
    assert outcome.done[-1] == "had the org send a test push: rtsd events shows it when it arrives"
    found = await office.status()
    assert (found.state, found.version, told(found)) == ("installed", apex.VERSION, [])
    assert found.triggers == ["Contact", "Invoice__c"]
    assert office.select(FIRST) == [(False, True, "http://127.0.0.1:9", office.org.org_id)]
    assert office.select("SELECT Key__c, Condition__c FROM RTS_Synced_Field__c") == [("Contact.Email", True)]
    names = [name for (name,) in office.select("SELECT CronJobDetail.Name FROM CronTrigger")]
    assert sorted(map(str, names)) == list(apex.HEARTBEAT_JOBS)
    said = "\n".join(office.said)
    assert said.index("Checking the deployment; nothing changes yet.\n") < said.index("\nDeploying.\n")
    assert {progress.check_only for progress in office.progress} == {True, False}


async def test_second_deployment_has_nothing_to_do(office: Office) -> None:
    """No deployment, no row written, no job; the calls are looks only."""
    await office.deploy()
    before = await office.calls()
    outcome = await office.deploy()
    assert (outcome.done, outcome.left) == ([], [])
    after = await office.calls()
    spent = {kind for kind in after if after[kind] != before.get(kind, 0)}
    assert spent <= {"query", "tooling_query", "describe", "describe_global"}


@pytest.mark.parametrize(
    ("statement", "values", "part"),
    [
        ("UPDATE ApexClass SET Body = ? WHERE Name = 'RTS_Sender'", ["class RTS_Sender {}"], "code"),
        ("UPDATE ApexTrigger SET Status = ? WHERE Name = 'RTS_Contact'", ["Inactive"], "code"),
        ("UPDATE ApexTrigger SET Status = ? WHERE Name = 'RTS_Change_Event'", ["Inactive"], "code"),
        ("DELETE FROM ApexTrigger WHERE Name = ?", ["RTS_Invoice"], "code"),
        ("UPDATE RTS_Settings__c SET Gateway_URL__c = ?", ["https://elsewhere.example"], "settings"),
        ("UPDATE RTS_Settings__c SET Token__c = ?", ["another token"], "settings"),
        ("UPDATE RTS_Settings__c SET Org_Id__c = ?", ["00D000000000001EAA"], "settings"),
        ("UPDATE CronTrigger SET State = ?", ["ERROR"], "jobs"),
        ("UPDATE RemoteProxy SET EndpointUrl = ?", ["https://elsewhere.example"], "remote site"),
        ("UPDATE RemoteProxy SET IsActive = ?", [0], "remote site"),
        ("DELETE FROM PermissionSetAssignment WHERE Id <> ?", [""], "assignment"),
        ("DELETE FROM CustomPermission WHERE DeveloperName = ?", ["RTS_Bypass"], "custom permission"),
    ],
)
async def test_what_was_changed_in_the_org_is_seen_and_put_right(
    statement: str, values: list[object], part: str, office: Office
) -> None:
    """Each part alone; rows and jobs take no deployment."""
    await office.deploy()
    office.org.database.execute(statement, values)
    found = await office.status()
    assert {difference.part for difference in found.differences} == {part}, told(found)
    before = (await office.calls())["deploy_create"]
    await office.deploy()
    assert told(await office.status()) == []
    deployed = (await office.calls())["deploy_create"] - before
    assert deployed == (2 if part in ("code", "remote site", "custom permission") else 0)


async def act(office: Office, action: str) -> None:
    """An administrator's action on the relay's subscription."""
    await office.sim.control("package/relay", {"action": action})


@pytest.mark.parametrize("action", ["suspend", "exhaust_retries"])
async def test_a_stopped_relay_is_resumed_by_a_deployment(action: str, office: Office) -> None:
    """It is saved with another comment, which modifies it, as often as it is needed; nothing else differs."""
    await office.deploy()
    for _ in range(2):
        await act(office, action)
        found = await office.status()
        assert [difference.part for difference in found.differences] == ["relay"], told(found)
        outcome = await office.deploy()
        assert "saved the relay again, so that Salesforce resumes it" in outcome.done
        assert (outcome.left, outcome.warnings) == ([], [])
        found = await office.status()
        assert found.relay is not None
        assert (found.relay.status, told(found)) == ("Running", [])
    office.org.database.execute("UPDATE ApexClass SET Body = 'changed' WHERE Name = 'RTS_Sender'")
    before = office.select("SELECT Body FROM ApexTrigger WHERE Name = 'RTS_Change_Event'")
    await office.deploy()
    assert office.select("SELECT Body FROM ApexTrigger WHERE Name = 'RTS_Change_Event'") == before


async def test_a_relay_that_stays_suspended_is_told(office: Office) -> None:
    """Salesforce may take minutes to resume it; then an administrator has to."""
    await office.deploy()
    await office.sim.control("switches", {"modified_relay_resumes": False})
    await act(office, "suspend")
    outcome = await office.deploy()
    assert outcome.left == []
    (warning,) = outcome.warnings
    assert "has not resumed yet (its subscription has the status Suspended)" in warning
    assert "Setup → Platform Events → RTS Change → Manage" in warning


async def test_a_relay_of_a_deactivated_user_gets_rtsds_user(office: Office) -> None:
    """The status names the user; a deployment has the relay run as the sync user."""
    await office.deploy()
    ((config, sync_user),) = office.select("SELECT Id, UserId FROM PlatformEventSubscriberConfig")
    (niamh,) = [user for user, name in office.select("SELECT Id, Username FROM User") if "niamh" in str(name)]
    runs_as = {"Id": config, "UserId": niamh}
    await office.sim.dml("update", "PlatformEventSubscriberConfig", rows=[runs_as])
    await office.sim.dml("update", "User", rows=[{"Id": niamh, "IsActive": False}])
    assert told(await office.status()) == ["relay: runs as niamh@acme.example, who is deactivated"]
    await office.deploy()
    assert told(await office.status()) == []
    assert office.select("SELECT UserId FROM PlatformEventSubscriberConfig") == [(sync_user,)]


async def test_settings_of_the_administrators_own_stay(office: Office) -> None:
    """Disable RTS and error logging are no differences, and a deployment leaves them; so do conditions."""
    await office.deploy()
    await office.sim.control("package/settings", {"Disable_RTS__c": True, "Error_Logging__c": False})
    office.org.database.execute("UPDATE RTS_Synced_Field__c SET Condition__c = 0")
    await office.sim.control("package/settings", {"Gateway_URL__c": "https://elsewhere.example"})
    assert (await office.status()).disabled is True
    assert (await office.deploy()).done[0].startswith("wrote the settings")
    assert office.select("SELECT Disable_RTS__c, Error_Logging__c FROM RTS_Settings__c") == [(True, False)]
    assert office.select("SELECT Condition__c FROM RTS_Synced_Field__c") == [(False,)]


async def test_an_object_that_is_not_mirrored_any_more_loses_its_trigger(office: Office) -> None:
    """Ours goes; a trigger of somebody else's with such a name stays."""
    await office.deploy()
    office.org.create(
        office.org.admin,
        "ApexTrigger",
        [
            {
                "Name": "RTS_Theirs",
                "TableEnumOrId": "Lead",
                "Body": "trigger RTS_Theirs on Lead (after insert) {}",
            }
        ],
    )[0].unwrap()
    only = office.configuration('[[objects]]\nname = "Contact"\n')
    assert any(
        "RTS_Invoice belongs to an object that is no longer mirrored" in line
        for line in told(await office.status(only))
    )
    await office.deploy(only)
    names = [name for (name,) in office.select("SELECT Name FROM ApexTrigger ORDER BY Name")]
    assert names == ["RTS_Change_Event", "RTS_Contact", "RTS_Synced_Field", "RTS_Theirs"]
    assert told(await office.status(only)) == []


async def test_component_errors_name_file_and_line(office: Office) -> None:
    """A refused deployment changes nothing, and every reason is told."""
    await office.sim.fault("deploy_failed", message="INVALID_CROSS_REFERENCE_KEY: no Lead in this org")
    with pytest.raises(DeployFailed) as caught:
        await office.deploy()
    assert "INVALID_CROSS_REFERENCE_KEY" in caught.value.details[0]
    assert "check" in caught.value.message
    assert (await office.status()).state == "missing"


async def test_failed_redeployment_leaves_the_heartbeat_running(office: Office) -> None:
    """The jobs are ended for a deployment; when that fails they are scheduled as they were."""
    await office.deploy()
    office.org.database.execute("UPDATE ApexClass SET Body = 'changed' WHERE Name = 'RTS_Sender'")
    await office.sim.fault("deploy_failed")
    with pytest.raises(DeployFailed):
        await office.deploy()
    assert len(office.select("SELECT Id FROM CronTrigger")) == len(apex.HEARTBEAT_JOBS)


async def test_production_runs_the_packages_tests(office: Office) -> None:
    """A failing test is told, and nothing is installed."""
    office.become("Enterprise Edition")
    await office.sim.fault("test_failed", count=1)
    with pytest.raises(DeployFailed) as caught:
        await office.deploy()
    assert "Class.RTS_Test.runs: line 12" in "\n".join(caught.value.details)
    assert (await office.status()).state == "missing"
    outcome = await office.deploy()
    assert f"after {len(apex.TEST_CLASSES)} tests" in outcome.done[0]
    assert told(await office.status()) == []


THREE = "".join(f'[[objects]]\nname = "{name}"\n' for name in ("Contact", "Invoice__c", "User"))


@pytest.mark.parametrize("kind", ["validation_rule", "required_lookup", "duplicate_rule"])
async def test_rules_that_refuse_every_save_do_not_refuse_the_package(kind: str, office: Office) -> None:
    """Before triggers run before such rules, also for users, whom tests only change."""
    office.become("Enterprise Edition")
    for name in ("Contact", "Invoice__c", "User"):
        await office.sim.rule(name, kind)
    settings = office.configuration(THREE)
    await office.deploy(settings)
    assert told(await office.status(settings)) == []


@pytest.mark.parametrize("kind", ["before_trigger", "before_flow"])
async def test_an_object_that_no_test_can_save_is_named_with_the_way_out(kind: str, office: Office) -> None:
    """What throws before the package's trigger: the error says which object, and deploys without it."""
    office.become("Enterprise Edition")
    await office.sim.rule("Invoice__c", kind)
    with pytest.raises(DeployFailed) as caught:
        await office.deploy()
    assert "No test can save Invoice__c" in caught.value.details[0]
    assert "rtsd package deploy --without Invoice__c" in caught.value.do
    assert (await office.status()).state == "missing"
    await office.deploy(choice=Choice(without=("invoice__c",)))
    found = await office.status()
    assert (told(found), found.triggers, found.left_out) == ([], ["Contact"], ["Invoice__c"])


async def test_the_org_remembers_what_was_left_out(office: Office) -> None:
    """Later deployments leave it out as well, until it gets its trigger back."""
    await office.deploy()
    await office.deploy(choice=Choice(without=("Contact",)))
    assert office.select("SELECT Name FROM ApexTrigger WHERE Name = 'RTS_Contact'") == []
    assert (await office.deploy()).done == []
    assert (await office.status()).left_out == ["Contact"]
    await office.deploy(choice=Choice(restored=("Contact",)))
    found = await office.status()
    assert (told(found), found.triggers, found.left_out) == ([], ["Contact", "Invoice__c"], [])
    with pytest.raises(UsageError, match="Nope is not among"):
        await office.deploy(choice=Choice(without=("Nope",)))


async def test_developer_edition_with_few_jobs_left_gets_two(office: Office) -> None:
    """Five scheduled jobs are all it takes (Apex Developer Guide, Apex Scheduler Limits)."""
    for number in range(2):
        detail = office.org.create(office.org.admin, "CronJobDetail", [{"Name": f"Nightly {number}"}])[
            0
        ].unwrap()
        office.org.create(office.org.admin, "CronTrigger", [{"CronJobDetailId": detail, "State": "WAITING"}])
    await office.deploy()
    found = await office.status()
    assert told(found) == []
    assert len(found.jobs) == 2


async def test_edition_without_apex_is_said_plainly(office: Office) -> None:
    """Interval only works there, and that is what the message says."""
    office.become("Professional Edition")
    with pytest.raises(Conflict) as caught:
        await office.deploy()
    assert "Professional Edition runs no Apex" in caught.value.message
    assert "Interval Sync" in caught.value.do


async def test_configuration_without_a_gateway_is_refused_before_any_call(office: Office) -> None:
    """Nothing to push to, or nobody knows where: exit 2, and the org is not asked."""
    for wrong in ({"listen": ""}, {"public_url": ""}):
        with pytest.raises(ConfigError):
            await office.deploy(office.configuration(**wrong))
    assert await office.calls() == {}


async def test_part_that_may_not_be_asked_for_is_unknown_not_different(office: Office) -> None:
    """What cannot be seen is shown as such; the rest is compared."""
    await office.deploy()
    hidden = ["RemoteProxy", "CronTrigger", "EventBusSubscriber"]
    await office.sim.control("visibility", {"hidden_objects": hidden})
    found = await office.status()
    assert (found.unknown, told(found)) == (["jobs", "relay", "remote site"], [])


async def test_calls_beside_a_daemon_are_in_its_ledger(office: Office) -> None:
    """Every call of the visit has the purpose `package`, in the file of a daemon that does not run."""
    from rtsd.store.sqlite.database import SqliteDatabase

    async with await SqliteDatabase.open(office.place / "mirror.db"):
        pass
    before = sum((await office.calls()).values())
    await office.status()
    spent = sum((await office.calls()).values()) - before
    with closing(sqlite3.connect(office.place / "mirror.db")) as database:
        rows = database.execute(
            "SELECT purpose, sum(calls) FROM _rts_ledger WHERE resource = 'DailyApiRequests'"
        )
        assert rows.fetchall() == [("package", spent + 1)]  # who-am-I is not counted by this org


async def test_calls_beside_nodes_take_no_lease(office: Office) -> None:
    """A mirror that nodes share is written by its leader alone, whatever file lies at `path`."""
    (office.place / "mirror.db").touch()
    found = office.configuration()
    shared = found.store.model_copy(update={"url": "postgresql://rts@127.0.0.1:1/acme"})
    async with asyncio.timeout(20):
        await office.status(found.model_copy(update={"store": shared}))


async def test_a_gateway_on_this_machine_is_no_address_for_a_real_org(office: Office) -> None:
    """Salesforce cannot reach 127.0.0.1: said before anything is deployed."""
    path = office.place / "rtsd.toml"
    office.configuration()
    path.write_text(path.read_text().replace(office.sim.url, "https://acme.my.salesforce.com"))
    with pytest.raises(ConfigError, match="cannot reach"):
        await office.deploy(config.load(path))


async def test_what_cannot_be_assigned_is_told_and_the_rest_goes_on(office: Office) -> None:
    """Without the right to assign permission sets an administrator has to; status says so until then."""
    await office.sim.fault("no_access", path="/sobjects/PermissionSetAssignment")
    outcome = await office.deploy()
    assert [(leftover.part, leftover.what) for leftover in outcome.left] == [
        ("assignment", "RTS_Sync is not assigned to sync@acme.example")
    ]
    assert any("Manage Assignments" in warning for warning in outcome.warnings)


async def test_conditions_that_cannot_work_are_not_written(office: Office) -> None:
    """A compound field and an audit stamp of the configuration: named, with what to name instead."""
    objects = '[[objects]]\nname = "Contact"\nconditions = ["MailingAddress", "LastModifiedDate"]\n'
    outcome = await office.deploy(office.configuration(objects))
    told_of = "\n".join(outcome.warnings)
    assert "MailingAddress is a compound field: name MailingStreet, MailingCity" in told_of
    assert "LastModifiedDate changes with every save" in told_of
    assert office.select("SELECT Key__c FROM RTS_Synced_Field__c") == []
    assert [difference.part for difference in outcome.left] == ["conditions"]


async def test_users_and_profiles_without_pushes_are_listed(office: Office) -> None:
    """A forgotten row of a data loader's user, or of a profile, explains changes that no push brings."""
    await office.deploy()
    assert (await office.status()).disabled_for == []
    ((user, name, profile),) = office.select(
        f"SELECT Id, Name, ProfileId FROM User WHERE Id = '{office.org.admin.user_id}'"
    )
    for owner, disabled in ((user, True), (profile, True)):
        row = {"SetupOwnerId": owner, "Disable_RTS__c": disabled}
        office.org.create(office.org.admin, "RTS_Settings__c", [row])[0].unwrap()
    ((named,),) = office.select(f"SELECT Name FROM Profile WHERE Id = '{profile}'")
    found = await office.status()
    assert found.disabled_for == [f"profile {named}", f"user {name}"]
    assert (found.disabled, told(found)) == (False, [])


async def test_somebody_else_may_deploy_for_rtsds_user(office: Office) -> None:
    """The permission set goes to whom it is for; a user that there is not is refused."""
    (username,) = [name for _, name in office.select("SELECT Id, Username FROM User") if "niamh" in str(name)]
    settings = office.configuration()
    async with org_session(settings) as session:
        session.client.exchange.retrier.sleep = office.no_pause
        plan = await plans.make(session.client, settings, user=str(username))
        await Deploying(session.client, plan, plan.tests(), office.said.append, office.progress.append).run()
        assert (await report(session.client, plan)).differences == []
        with pytest.raises(UsageError, match="no user"):
            await plans.make(session.client, settings, user="nobody@acme.example")
    given = "SELECT Assignee.Username FROM PermissionSetAssignment WHERE PermissionSet.Name LIKE 'RTS%'"
    assert office.select(given) == [(username,)]


async def test_pushes_under_way_are_waited_for(office: Office) -> None:
    """A class with a job cannot be replaced: it is tried again until the job has ended, not for ever."""
    await office.deploy()
    ((sender,),) = office.select("SELECT Id FROM ApexClass WHERE Name = 'RTS_Sender'")
    job = {"ApexClassId": sender, "JobType": "Queueable", "Status": "Processing"}
    office.org.create(office.org.admin, "AsyncApexJob", [job])[0].unwrap()
    office.org.database.execute("UPDATE ApexClass SET Body = 'changed' WHERE Name = 'RTS_Sender'")
    with pytest.raises(DeployFailed, match="check"):
        await office.deploy()
    waits = office.said.count(WAITING)
    assert waits > 1

    async def until_it_ends(seconds: float) -> None:
        if office.said.count(WAITING) > waits + 1:
            office.org.database.execute(
                "UPDATE AsyncApexJob SET Status = 'Completed' WHERE JobType = 'Queueable'"
            )
        await asyncio.sleep(0 * seconds)

    office.no_pause = until_it_ends
    await office.deploy()
    assert told(await office.status()) == []
