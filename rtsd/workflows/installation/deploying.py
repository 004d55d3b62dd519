"""Making an org's package as it should be: what differs is changed, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from rtsd import apex
from rtsd.apex.jobs import FEW_MINUTES, HEARTBEAT_MINUTES
from rtsd.errors import AuthenticationFailed, DeployFailed, OrgUnreachable, QuotaExhausted, SalesforceError
from rtsd.salesforce import deploy, package
from rtsd.salesforce.client import Client
from rtsd.salesforce.deploy import NO_TESTS, ApexTests, Deployed, OnProgress
from rtsd.salesforce.package import PURPOSE
from rtsd.workflows.installation.differences import (
    Difference,
    differences,
    missing_rows,
    object_fields,
    obsolete_triggers,
    takes_deployment,
    unseeded,
)
from rtsd.workflows.installation.inventory import Inventory, take
from rtsd.workflows.installation.plan import Plan

BUSY = "jobs pending or in progress"
"""What Salesforce says of a class with a job under way: it can be neither replaced nor deleted yet."""
BUSY_TRIES = 7
BUSY_PAUSE_S = 10.0
"""The package's own jobs take seconds."""

Say = Callable[[str], None]


@dataclass
class Outcome:
    """What a deployment did. `done` is empty when there was nothing to do."""

    done: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    left: list[Difference] = field(default_factory=list)
    """What still differs afterwards: nothing, unless somebody else works on it."""


class Deploying:
    """One `rtsd package deploy`."""

    def __init__(self, client: Client, plan: Plan, tests: ApexTests, say: Say, tell: OnProgress) -> None:
        self._client = client
        self._plan = plan
        self._tests = tests
        self._say = say
        self._tell = tell
        self._outcome = Outcome()

    async def run(self) -> Outcome:
        """Compare, and change what differs; a second run finds nothing to do.

        Raises DeployFailed, after which the org is as it was, and what the client raises.
        """
        self._say("Comparing the org with what should be there.")
        found = await look(self._client, self._plan)
        wanted = differences(self._plan, found)
        if not wanted:
            return self._outcome
        if takes_deployment(wanted):
            await self._deploy(found)
            found = await look(self._client, self._plan)
        await self._assign(found)
        await self._set(found)
        await self._seed(found)
        await self._schedule(found)
        self._say("Comparing again.")
        self._outcome.left = differences(self._plan, await look(self._client, self._plan))
        await self._ping()
        return self._outcome

    async def _deploy(self, found: Inventory) -> None:
        plan = self._plan
        obsolete = obsolete_triggers(plan, found)
        content = apex.metadata_zip(
            plan.objects, plan.gateway_url, plan.api_version, obsolete, run_as=plan.user
        )
        async with AsyncExitStack() as undo:
            await end_jobs(self._client, found, undo, self._say)
            purge = not plan.is_production
            deployed = await check_and_deploy(
                self._client, content, self._tests, purge=purge, say=self._say, tell=self._tell
            )
            undo.pop_all()
        self._outcome.warnings += deployed.warnings
        tests = f" after {deployed.tests} tests" if deployed.tests else ""
        self._did(f"deployed {deployed.components} components{tests}, version {apex.VERSION}")
        if obsolete:
            self._did(f"removed the triggers {', '.join(obsolete)}")
        found.jobs.clear()

    async def _assign(self, found: Inventory) -> None:
        """Fields that came by a deployment are hidden from everybody until a permission set grants them."""
        plan = self._plan
        if plan.user_id in found.assignments or found.permission_set is None:
            return
        body = {"AssigneeId": plan.user_id, "PermissionSetId": found.permission_set}
        path = "sobjects/PermissionSetAssignment"
        try:
            await self._client.post(path, purpose=PURPOSE, body=body, repeatable=False)
        except (AuthenticationFailed, OrgUnreachable, QuotaExhausted):
            raise
        except SalesforceError as error:
            do = "Setup → Permission Sets → RTS Sync → Manage Assignments does it by hand."
            self._outcome.warnings.append(f"RTS_Sync was not assigned to {plan.user}: {error.message} {do}")
        else:
            self._did(f"assigned permission set RTS_Sync to {plan.user}")

    async def _set(self, found: Inventory) -> None:
        """Write the org's settings; whether it is disabled or logs errors is the administrator's affair."""
        plan = self._plan
        row = await package.org_settings(self._client, plan.org.id, with_token=True)
        found.settings = [row] if row is not None else []
        if not any(one.part == "settings" for one in differences(plan, found)):
            return
        values: dict[str, object] = {"Gateway_URL__c": plan.gateway_url, "Org_Id__c": plan.org.id}
        if row is None:
            values |= {"Disable_RTS__c": False, "Error_Logging__c": True}
        if row is None or row.token not in plan.tokens:
            values["Token__c"] = plan.tokens[-1]
        await package.write_settings(self._client, plan.org.id, values, row)
        self._did(f"wrote the settings: the package pushes to {plan.gateway_url}")

    async def _seed(self, found: Inventory) -> None:
        plan = self._plan
        found.synced = await package.read_synced_fields(self._client, plan.objects) or []
        names = unseeded(plan, found)
        if names:
            await package.write_synced_fields(self._client, missing_rows(plan, found))
            self._did(f"wrote the sync conditions of {', '.join(names)}")

    async def _schedule(self, found: Inventory) -> None:
        if not any(one.part == "jobs" for one in differences(self._plan, found)):
            return
        try:
            await deploy.run_anonymous(self._client, apex.schedule_script())
        except DeployFailed:
            if self._plan.org.edition != "Developer Edition":
                raise
            await deploy.run_anonymous(self._client, apex.schedule_script(FEW_MINUTES))
        self._did("scheduled the heartbeat")

    async def _ping(self) -> None:
        """A test push: the gateway hears of the package at once, and not at its first heartbeat."""
        try:
            await deploy.run_anonymous(self._client, apex.test_script())
        except (AuthenticationFailed, OrgUnreachable, QuotaExhausted):
            raise
        except SalesforceError as error:
            why = "; ".join(error.details) if isinstance(error, DeployFailed) else error.message
            self._outcome.warnings.append(f"No test push could be sent: {why}")
        else:
            self._did("sent a test push")

    def _did(self, what: str) -> None:
        self._outcome.done.append(what)
        self._say(what[0].upper() + what[1:] + ".")


async def look(client: Client, plan: Plan) -> Inventory:
    """Take stock of what the plan is about."""
    return await take(client, tuple(object_fields(plan.files)), plan.objects)


async def check_and_deploy(
    client: Client, content: bytes, tests: ApexTests, *, purge: bool, say: Say, tell: OnProgress
) -> Deployed:
    """Check first, then deploy; what was checked with tests is deployed without running them again."""
    say("Checking the deployment; nothing changes yet.")
    checked = await _patiently(client, content, tests, check_only=True, purge=purge, say=say, tell=tell)
    say("Deploying.")
    if tests != NO_TESTS:
        try:
            return await deploy.deploy_validated(client, checked.id, tell)
        except DeployFailed:
            raise
        except SalesforceError:  # a quick deployment is not always to be had: then the long way
            say("There is no quick deployment; the tests run again.")
    return await _patiently(client, content, tests, check_only=False, purge=purge, say=say, tell=tell)


async def _patiently(
    client: Client,
    content: bytes,
    tests: ApexTests,
    *,
    check_only: bool,
    purge: bool,
    say: Say,
    tell: OnProgress,
) -> Deployed:
    """Deploy, and again while jobs of the package are on their way out."""
    for attempt in range(1, BUSY_TRIES + 1):
        try:
            return await deploy.deploy(
                client, content, tests, check_only=check_only, purge=purge, on_progress=tell
            )
        except DeployFailed as error:
            if attempt == BUSY_TRIES or not any(BUSY in reason for reason in error.details):
                raise
        say("Pushes are being sent; waiting for them to end.")
        await client.exchange.retrier.sleep(BUSY_PAUSE_S)
    raise AssertionError("the last attempt returns or raises")


async def end_jobs(client: Client, found: Inventory, undo: AsyncExitStack, say: Say) -> None:
    """End the scheduled jobs, which would block a deployment; `undo` schedules those that were there."""
    if not found.jobs:
        return
    say("Ending the scheduled heartbeats: a class with a job can be neither replaced nor deleted.")
    await deploy.run_anonymous(client, apex.unschedule_script())
    minutes = [one for one in HEARTBEAT_MINUTES if any(name.endswith(f" {one:02d}") for name in found.jobs)]
    undo.push_async_callback(deploy.run_anonymous, client, apex.schedule_script(minutes))
