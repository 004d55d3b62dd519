"""Removal of the package from an org, in the order that Salesforce requires.

1. Abort the scheduled heartbeats, as a class with a job cannot be deleted.
2. Set Disable RTS, so that no new job starts.
3. Delete the assignments of the permission sets.
4. Delete app, reports and permission sets, then triggers, classes, objects with their rows, tabs and remote
   site, in one deployment of destructive changes. If that fails, undo steps 3 to 1.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field

from rtsd import apex
from rtsd.errors import SalesforceError
from rtsd.salesforce import package
from rtsd.salesforce.client import Client
from rtsd.salesforce.deploy import ApexTests, OnProgress
from rtsd.salesforce.package import PURPOSE
from rtsd.workflows.installation.deploying import Report, abort_jobs, check_and_deploy, read_inventory
from rtsd.workflows.installation.differences import obsolete_triggers, own_code
from rtsd.workflows.installation.inventory import Inventory
from rtsd.workflows.installation.plan import Plan


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
        await abort_jobs(client, found, undo, report)
        await _disable(client, plan, found, undo, report)
        await _unassign(client, found, undo, report)
        content = apex.destructive_zip(plan.objects, plan.api_version, obsolete_triggers(plan, found))
        await check_and_deploy(
            client, content, tests, purge=not plan.is_production, report=report, on_progress=on_progress
        )
        undo.pop_all()
    left = await read_inventory(client, plan)
    await _delete_folder(client, left)
    removed.left = _names(plan, left)
    return removed


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
    return names + (["report folder RTS_Reports"] if found.report_folder else [])
