"""Removal of the package from an org, in the order that Salesforce requires.

1. Set Disable RTS, so that no new job starts.
2. Abort the scheduled heartbeats and the jobs that wait, as a class with a job cannot be deleted.
3. Delete the assignments of the permission sets.
4. Delete app, reports and permission sets, then triggers, classes, objects with their rows, tabs and remote
   site, in one deployment of destructive changes. If that fails, undo steps 3 to 1, except for aborted jobs:
   rtsd reads the changes that they would have pushed.
5. In production, delete the test that this deployment ran (`rtsd.apex.removal`).
"""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial

from rtsd import apex
from rtsd.errors import DeployFailed, SalesforceError
from rtsd.salesforce import deploy, package
from rtsd.salesforce.client import Client
from rtsd.salesforce.deploy import ApexTests, OnProgress
from rtsd.salesforce.package import PURPOSE
from rtsd.workflows.installation.deploying import Report, abort_jobs, check_and_deploy, read_inventory
from rtsd.workflows.installation.differences import obsolete_triggers, own_code
from rtsd.workflows.installation.inventory import Inventory
from rtsd.workflows.installation.plan import REMOVAL_TEST, Plan

LOCAL = "RunLocalTests"
NO_LOCAL = (
    "Tests of the org fail, not of the package. Repeat it without --local-tests: then only"
    f" {apex.REMOVAL_TEST} runs."
)


@dataclass
class Removed:
    """The result of a removal; `done` is empty if there was nothing to remove."""

    done: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """The components that could not be removed; normally none."""


async def remove(
    client: Client, plan: Plan, tests: ApexTests, *, report: Report, on_progress: OnProgress
) -> Removed:
    """Remove the package with all its data; a second run finds nothing to do.

    Raises DeployFailed, which leaves the package working as before, and the client's errors.
    """
    removed = Removed()
    found = await read_inventory(client, plan)
    removed.done = _names(plan, found)
    if not removed.done:
        return removed
    async with AsyncExitStack() as undo:
        await _disable(client, plan, found, undo, report)
        await abort_jobs(client, found, undo, report)
        await _abort_waiting(client, found)
        await _unassign(client, found, undo, report)
        await _delete(client, plan, found, tests, report=report, on_progress=on_progress)
        undo.pop_all()
    if tests == REMOVAL_TEST:
        await _delete_test(client, plan, report=report, on_progress=on_progress)
    left = await read_inventory(client, plan)
    await _delete_folder(client, left)
    removed.left = _names(plan, left)
    return removed


async def _delete(
    client: Client, plan: Plan, found: Inventory, tests: ApexTests, *, report: Report, on_progress: OnProgress
) -> None:
    content = apex.destructive_zip(
        plan.objects,
        plan.api_version,
        obsolete_triggers(plan, found),
        keep_test=tests == REMOVAL_TEST,
    )
    try:
        await check_and_deploy(
            client,
            content,
            tests,
            purge=not plan.is_production,
            report=report,
            on_progress=on_progress,
            end_jobs=partial(_abort_waiting, client, found),
        )
    except DeployFailed as error:
        if error.untested and tests.level == LOCAL:
            raise DeployFailed(error.message, NO_LOCAL, error.details, error.untested) from error
        raise


async def _delete_test(client: Client, plan: Plan, *, report: Report, on_progress: OnProgress) -> None:
    """Delete the test that production demanded, which again has to run one.

    Whether a test runs that the same deployment deletes is not documented. If not, the org's own tests run;
    if these fail, the class stays, and does nothing.
    """
    report(f"Deleting {apex.REMOVAL_TEST}, which that deployment ran.")
    content = apex.last_zip(plan.api_version)
    for tests in (REMOVAL_TEST, ApexTests(LOCAL)):
        with suppress(DeployFailed):
            await deploy.deploy(
                client, content, tests, check_only=False, purge=False, on_progress=on_progress
            )
            return
        if tests == REMOVAL_TEST:
            report("Salesforce runs no test that goes with the deployment; running the org's own tests.")


async def _abort_waiting(client: Client, found: Inventory) -> None:
    """Abort the jobs that wait, such as a retry in ten minutes; without the classes there are none."""
    if any(kind == "ApexClass" for kind, _ in found.code):
        await deploy.run_anonymous(client, apex.abort_script())


async def _delete_folder(client: Client, left: Inventory) -> None:
    """Delete the folder of the reports if it is still there.

    Whether destructive changes may name one is not documented; that the folder can be deleted as a row, is
    (Object Reference, Folder).
    """
    if left.report_folder is None:
        return
    with suppress(SalesforceError):
        await client.command("DELETE", f"sobjects/Folder/{left.report_folder}", purpose=PURPOSE)
        left.report_folder = None


async def _disable(
    client: Client, plan: Plan, found: Inventory, undo: AsyncExitStack, report: Report
) -> None:
    row = package.org_row(found.settings, plan.org.id)
    if row is None or row.disabled:
        return
    report("Disabling the package, so that no new job starts.")
    await package.write_settings(client, plan.org.id, {"Disable_RTS__c": True}, row)
    undo.push_async_callback(package.write_settings, client, plan.org.id, {"Disable_RTS__c": False}, row)


async def _unassign(client: Client, found: Inventory, undo: AsyncExitStack, report: Report) -> None:
    """Delete the assignments, with which a permission set cannot be deleted."""
    if found.assignments:
        report("Deleting the permission sets' assignments.")
    for given in found.assignments:
        path = f"sobjects/PermissionSetAssignment/{given.id}"
        await client.command("DELETE", path, purpose=PURPOSE)
        body = {"AssigneeId": given.user, "PermissionSetId": given.permission_set}
        again = "sobjects/PermissionSetAssignment"
        undo.push_async_callback(client.command, "POST", again, purpose=PURPOSE, body=body)


def _names(plan: Plan, found: Inventory) -> list[str]:
    names = [f"{kind} {name}" for kind, name in own_code(plan, found)]
    names += [f"object {name}" for name in sorted(found.fields)]
    names += [f"job {name}" for name in sorted(found.jobs)]
    names += ["remote site RTS_Gateway"] if found.remote_site else []
    names += [f"permission set {name}" for name in sorted(found.permission_sets)]
    names += [f"custom permission {package.BYPASS}"] if found.bypass else []
    return names + (["report folder RTS_Reports"] if found.report_folder else [])
