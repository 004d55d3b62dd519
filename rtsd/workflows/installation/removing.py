"""Taking the package out of an org, in the order in which Salesforce lets it go.

1. the scheduled heartbeats, as a class with a job cannot be deleted; 2. Disable RTS, so that no new job
begins; 3. the assignments of the permission set; 4. triggers, classes, objects with their rows, remote site
and permission set, in one deployment of destructive changes. If that fails, 3 to 1 are undone.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from rtsd import apex
from rtsd.salesforce import package
from rtsd.salesforce.client import Client
from rtsd.salesforce.deploy import ApexTests, OnProgress
from rtsd.salesforce.package import PURPOSE
from rtsd.workflows.installation.deploying import Say, check_and_deploy, end_jobs, look
from rtsd.workflows.installation.differences import obsolete_triggers, ours
from rtsd.workflows.installation.inventory import Inventory
from rtsd.workflows.installation.plan import Plan


@dataclass
class Removed:
    """What a removal did; `done` is empty when there was nothing."""

    done: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """What is still there, by name: nothing, unless it could not be removed."""


async def remove(client: Client, plan: Plan, tests: ApexTests, *, say: Say, tell: OnProgress) -> Removed:
    """Remove the package with everything it holds; a second time there is nothing to do.

    Raises DeployFailed, after which the package works as before, and what the client raises.
    """
    removed = Removed()
    found = await look(client, plan)
    removed.done = _names(plan, found)
    if not removed.done:
        return removed
    async with AsyncExitStack() as undo:
        await end_jobs(client, found, undo, say)
        await _disable(client, plan, found, undo, say)
        await _unassign(client, found, undo, say)
        content = apex.destructive_zip(plan.objects, plan.api_version, obsolete_triggers(plan, found))
        await check_and_deploy(client, content, tests, purge=not plan.is_production, say=say, tell=tell)
        undo.pop_all()
    removed.left = _names(plan, await look(client, plan))
    return removed


async def _disable(client: Client, plan: Plan, found: Inventory, undo: AsyncExitStack, say: Say) -> None:
    row = package.org_row(found.settings, plan.org.id)
    if row is None or row.disabled:
        return
    say("Switching the package off, so that no new job begins.")
    await package.write_settings(client, plan.org.id, {"Disable_RTS__c": True}, row)
    undo.push_async_callback(package.write_settings, client, plan.org.id, {"Disable_RTS__c": False}, row)


async def _unassign(client: Client, found: Inventory, undo: AsyncExitStack, say: Say) -> None:
    """A permission set that somebody has cannot be deleted."""
    if found.assignments:
        say("Taking the permission set from those who have it.")
    for user_id, assignment in found.assignments.items():
        path = f"sobjects/PermissionSetAssignment/{assignment}"
        await client.request("DELETE", path, purpose=PURPOSE)
        body = {"AssigneeId": user_id, "PermissionSetId": found.permission_set}
        undo.push_async_callback(client.post, "sobjects/PermissionSetAssignment", purpose=PURPOSE, body=body)


def _names(plan: Plan, found: Inventory) -> list[str]:
    names = [f"{kind} {name}" for kind, name in ours(plan, found)]
    names += [f"object {name}" for name in sorted(found.fields)]
    names += [f"job {name}" for name in sorted(found.jobs)]
    names += ["remote site RTS_Gateway"] if found.remote_site else []
    return names + (["permission set RTS_Sync"] if found.permission_set else [])
