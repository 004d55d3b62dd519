"""Disable RTS, off and on, in the org itself."""

from __future__ import annotations

from rtsd.errors import Conflict
from rtsd.salesforce import package
from rtsd.salesforce.client import Client
from rtsd.workflows.installation.plan import Plan


async def switch(client: Client, plan: Plan, *, disabled: bool) -> bool:
    """Set the org's `Disable_RTS__c`; return whether that changed it. Raises Conflict without the package."""
    rows = await package.read_settings(client)
    if rows is None:
        raise Conflict("The package is not in the org.", "`rtsd package deploy` puts it there.")
    row = package.org_row(rows, plan.org.id)
    if (row is not None and row.disabled) is disabled:
        return False
    await package.write_settings(client, plan.org.id, {"Disable_RTS__c": disabled}, row)
    return True
