"""Deployment of the package, limited to what differs from the plan."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from rtsd import apex
from rtsd.apex.jobs import FEW_MINUTES, HEARTBEAT_MINUTES
from rtsd.core.channel import PUSH_EVENT
from rtsd.core.condition_fields import unsuitable
from rtsd.core.plural import plural
from rtsd.core.relay import APEX_TRIGGER
from rtsd.errors import AuthenticationFailed, DeployFailed, OrgUnreachable, QuotaExhausted, SalesforceError
from rtsd.salesforce import deploy, objects, package
from rtsd.salesforce.client import Client
from rtsd.salesforce.deploy import NO_TESTS, ApexTests, Deployed, OnProgress
from rtsd.salesforce.package import PURPOSE
from rtsd.workflows.installation.differences import (
    OTHER_CHANNEL,
    Difference,
    differences,
    object_fields,
    obsolete_triggers,
    requires_deployment,
    rows_of_conditions,
    without_conditions,
)
from rtsd.workflows.installation.inventory import Inventory, read_parts
from rtsd.workflows.installation.plan import Plan

BUSY = ("jobs pending or in progress", "Async Apex Job")
"""Parts of Salesforce's errors for a class with a job, which cannot be replaced or deleted yet."""
BUSY_ATTEMPTS = 7
BUSY_DO = (
    "Repeat it when Setup → Apex Jobs lists no job of a class RTS_… as Queued or Processing. If there always"
    " is one, Setup → Deployment Settings can allow deployments while Apex jobs are pending."
)
SETTLE_S = 5.0
"""For jobs of the package that read the settings before they changed."""
BUSY_PAUSE_S = 10.0
"""Seconds between attempts; the package's jobs run for seconds."""

Report = Callable[[str], None]


@dataclass
class Outcome:
    """The result of a deployment. `done` is empty if there was nothing to do."""

    done: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    left: list[Difference] = field(default_factory=list)
    """The differences that remain; normally none."""


class Deploying:
    """A run of `rtsd package deploy`."""

    def __init__(
        self, client: Client, plan: Plan, tests: ApexTests, report: Report, on_progress: OnProgress
    ) -> None:
        self._client = client
        self._plan = plan
        self._tests = tests
        self._report = report
        self._on_progress = on_progress
        self._outcome = Outcome()

    async def run(self) -> Outcome:
        """Compare the org with the plan and resolve the differences; a second run finds nothing to do.

        Raises DeployFailed, which leaves the org unchanged, and the client's errors.
        """
        self._report("Comparing the org with the configuration.")
        found = await read_inventory(self._client, self._plan)
        wanted = differences(self._plan, found)
        if not wanted:
            return self._outcome
        if requires_deployment(wanted):
            await self._deploy(found)
            found = await read_inventory(self._client, self._plan)
        await self._assign(found)
        await self._write_settings(found)
        await self._write_conditions(found)
        await self._schedule(found)
        self._report("Comparing again.")
        left = differences(self._plan, await read_inventory(self._client, self._plan))
        if {difference.part for difference in left} - {"relay"} == {OTHER_CHANNEL}:
            await self._retire()
            left = differences(self._plan, await read_inventory(self._client, self._plan))
        self._outcome.left = [difference for difference in left if difference.part != "relay"]
        self._outcome.warnings += [_not_resumed(relay) for relay in left if relay.part == "relay"]
        await self._ping()
        return self._outcome

    async def _deploy(self, found: Inventory) -> None:
        plan = self._plan
        obsolete = obsolete_triggers(plan, found)
        content = apex.metadata_zip(
            plan.objects,
            plan.gateway_url,
            plan.api_version,
            obsolete,
            run_as=plan.user,
            left_out=plan.left_out,
            relay_note=_has_note_after(found),
            reads_pushes=plan.is_stream or found.reads_pushes,  # what is published already is still read
        )
        async with AsyncExitStack() as undo:
            await abort_jobs(self._client, found, undo, self._report)
            try:
                deployed = await check_and_deploy(
                    self._client,
                    content,
                    self._tests,
                    purge=not plan.is_production,
                    report=self._report,
                    on_progress=self._on_progress,
                )
            except DeployFailed as error:
                raise _with_way_out(error, plan) from error
            undo.pop_all()
        self._outcome.warnings += deployed.warnings
        tests = f" after {plural(deployed.tests, 'test')}" if deployed.tests else ""
        self._done(f"deployed {plural(deployed.components, 'component')}{tests}, version {apex.VERSION}")
        if found.relay is not None and found.relay.is_stopped:
            self._done("saved the relay again, so that Salesforce resumes it")
        if obsolete:
            self._done(f"removed the triggers {', '.join(obsolete)}")
        found.jobs.clear()

    async def _assign(self, found: Inventory) -> None:
        """Assign the permission set: deployed fields are hidden from everybody until it grants them."""
        plan = self._plan
        permission_set = found.permission_sets.get(package.PERMISSION_SET)
        if found.is_assigned(plan.user_id) or permission_set is None:
            return
        body = {"AssigneeId": plan.user_id, "PermissionSetId": permission_set}
        path = "sobjects/PermissionSetAssignment"
        try:
            await self._client.command("POST", path, purpose=PURPOSE, body=body, repeatable=False)
        except (AuthenticationFailed, OrgUnreachable, QuotaExhausted):
            raise
        except SalesforceError as error:
            do = "Assign it in Setup → Permission Sets → RTS Sync → Manage Assignments."
            self._outcome.warnings.append(f"RTS_Sync was not assigned to {plan.user}: {error.message} {do}")
        else:
            self._done(f"assigned permission set RTS_Sync to {plan.user}")

    async def _write_settings(self, found: Inventory) -> None:
        """Write the org's settings, leaving the switches for pushes and error logging to administrators."""
        plan = self._plan
        row = await package.org_settings(self._client, plan.org.id, with_token=True, with_channel=True)
        found.settings = [row] if row is not None else []
        if not any(difference.part == "settings" for difference in differences(plan, found)):
            return
        values: dict[str, object] = {"Org_Id__c": plan.org.id, "Channel__c": plan.channel}
        values |= {"Sealed__c": plan.sealed} if plan.is_stream else {"Gateway_URL__c": plan.gateway_url}
        if row is None:
            values |= {"Disable_RTS__c": False, "Error_Logging__c": True}
        if row is None or row.token not in plan.tokens:
            values["Token__c"] = plan.tokens[-1]
        await package.write_settings(self._client, plan.org.id, values, row)
        target = f"publishes {PUSH_EVENT}" if plan.is_stream else f"pushes to {plan.gateway_url}"
        self._done(f"wrote the settings: the package {target}")

    async def _write_conditions(self, found: Inventory) -> None:
        plan = self._plan
        found.synced = await package.read_synced_fields(self._client, plan.objects) or []
        suitable = []
        for name in without_conditions(plan, found):
            described = await objects.describe(self._client, name, purpose=PURPOSE)
            reasons = unsuitable(plan.conditions[name], described.compounds if described else {})
            self._outcome.warnings += [f"Condition of {name}: {reason}." for reason in reasons]
            if not reasons:
                suitable.append(name)
        if suitable:
            await package.write_synced_fields(self._client, rows_of_conditions(plan, suitable))
            self._done(f"wrote the sync conditions of {', '.join(suitable)}")

    async def _schedule(self, found: Inventory) -> None:
        if not any(difference.part == "jobs" for difference in differences(self._plan, found)):
            return
        try:
            await deploy.run_anonymous(self._client, apex.schedule_script())
        except DeployFailed:
            if self._plan.org.edition != "Developer Edition":
                raise
            await deploy.run_anonymous(self._client, apex.schedule_script(FEW_MINUTES))
        self._done("scheduled the heartbeat")

    async def _retire(self) -> None:
        """Remove what only the other channel needs, once jobs that began before the change have sent."""
        plan = self._plan
        self._report("Waiting for pushes that are under way by the other channel.")
        await self._client.exchange.retrier.sleep(SETTLE_S)
        await deploy.deploy(
            self._client,
            apex.retirement_zip(plan.channel, plan.api_version),
            plan.removal_tests(),
            check_only=False,
            purge=not plan.is_production,
            on_progress=self._on_progress,
        )
        self._done("removed what only the other channel needs")

    async def _ping(self) -> None:
        """Send a test push, so that rtsd need not wait for the first heartbeat."""
        try:
            await deploy.run_anonymous(self._client, apex.test_script())
        except (AuthenticationFailed, OrgUnreachable, QuotaExhausted):
            raise
        except SalesforceError as error:
            why = "; ".join(error.details) if isinstance(error, DeployFailed) else error.message
            self._outcome.warnings.append(f"No test push could be sent: {why}")
        else:
            self._done("had the org send a test push: rtsd events shows it when it arrives")

    def _done(self, what: str) -> None:
        self._outcome.done.append(what)
        self._report(what[0].upper() + what[1:] + ".")


def _with_way_out(error: DeployFailed, plan: Plan) -> DeployFailed:
    """Return the error, and what to do if the org keeps the test of a trigger from reaching it."""
    object_of = {name: obj for obj, name in apex.trigger_names(plan.objects).items()}
    names = {name.rpartition(".")[2] for name in error.untested}
    untested = sorted(object_of[name] for name in names & object_of.keys())
    if not untested:
        return error
    options = " ".join(f"--without {name}" for name in untested)
    reason = (
        f"No test can save {', '.join(untested)}: rules, flows or triggers of the org stop the save first."
    )
    do = f"Deploy without them: rtsd package deploy {options}. Interval Sync then reads them."
    return DeployFailed(error.message, do, (reason, *error.details), error.untested)


def _has_note_after(found: Inventory) -> bool:
    """Return whether the relay's source gets the note: the other way if it is stopped, which modifies it."""
    source = found.code.get(("ApexTrigger", APEX_TRIGGER))
    has_note = source is not None and apex.RELAY_NOTE in (source.body or "")
    is_stopped = found.relay is not None and found.relay.is_stopped
    return has_note != is_stopped


def _not_resumed(relay: Difference) -> str:
    """Return what to do: it may take minutes (Platform Events Guide, Manage an Event's Subscribers)."""
    return (
        f"The relay has not resumed yet ({relay.what}). Compare `rtsd package status` in a few minutes;"
        " else resume it: Setup → Platform Events → RTS Change → Manage."
    )


async def read_inventory(client: Client, plan: Plan) -> Inventory:
    """Read the current state of everything in the plan."""
    return await read_parts(client, tuple(object_fields(plan.files)), plan.objects)


async def check_and_deploy(
    client: Client,
    content: bytes,
    tests: ApexTests,
    *,
    purge: bool,
    report: Report,
    on_progress: OnProgress,
    end_jobs: Callable[[], Awaitable[None]] | None = None,
) -> Deployed:
    """Check the deployment, then deploy it, without repeating tests where a quick deployment is possible.

    Both are retried while jobs of the package are finishing, each time after `end_jobs`.
    """

    async def deploy_when_idle(*, check_only: bool) -> Deployed:
        return await _retried_while_busy(
            lambda: deploy.deploy(
                client, content, tests, check_only=check_only, purge=purge, on_progress=on_progress
            ),
            client.exchange.retrier.sleep,
            report,
            end_jobs,
        )

    report("Checking the deployment; nothing changes yet.")
    checked = await deploy_when_idle(check_only=True)
    report("Deploying.")
    if tests != NO_TESTS:
        try:
            return await deploy.deploy_validated(client, checked.id, on_progress)
        except DeployFailed as error:
            if not _is_busy(error):
                raise
        except SalesforceError:  # a quick deployment is not always available
            report("A quick deployment is not available; the tests run again.")
    return await deploy_when_idle(check_only=False)


async def _retried_while_busy(
    attempt: Callable[[], Awaitable[Deployed]],
    pause: Callable[[float], Awaitable[None]],
    report: Report,
    end_jobs: Callable[[], Awaitable[None]] | None,
) -> Deployed:
    """Deploy, and retry while jobs of the package are finishing. Raises DeployFailed with what to do then."""
    for _ in range(BUSY_ATTEMPTS - 1):
        try:
            return await attempt()
        except DeployFailed as error:
            if not _is_busy(error):
                raise
        report("Jobs of the package are under way; waiting for them to end.")
        await pause(BUSY_PAUSE_S)
        if end_jobs is not None:
            await end_jobs()
    try:
        return await attempt()
    except DeployFailed as error:
        if not _is_busy(error):
            raise
        raise DeployFailed(error.message, BUSY_DO, error.details, error.untested) from error


def _is_busy(error: DeployFailed) -> bool:
    return any(part in reason for reason in error.details for part in BUSY)


async def abort_jobs(client: Client, found: Inventory, undo: AsyncExitStack, report: Report) -> None:
    """Abort the scheduled jobs, which would block a deployment; `undo` schedules them again."""
    if not found.jobs:
        return
    report("Aborting the scheduled heartbeats: a class with a job cannot be replaced or deleted.")
    await deploy.run_anonymous(client, apex.unschedule_script())
    minutes = [
        minute for minute in HEARTBEAT_MINUTES if any(name.endswith(f" {minute:02d}") for name in found.jobs)
    ]
    undo.push_async_callback(deploy.run_anonymous, client, apex.schedule_script(minutes))
