"""What people do in the demo's org: edits, imports, changes without an Apex trigger; and lost pushes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager

from rtsd.workflows.demo.environment import Environment

IMPORT = 200
"""Records per import: the maximum that Salesforce passes to an Apex trigger, and thus one push."""
UNTRIGGERED = 40
"""Records of a change that fires no Apex trigger."""


@asynccontextmanager
async def edits(demo: Environment, records: Mapping[str, int], rate: float) -> AsyncIterator[None]:
    """Have people create, edit and delete records, at `rate` commits a second, while the block runs."""
    edited = [name for name in records if name not in {"CampaignMember", "User"}]
    await demo.org.control("activity", {"rate": rate, "objects": edited})
    try:
        yield
    finally:
        await demo.org.control("activity", method="DELETE")


@asynccontextmanager
async def lost_pushes(demo: Environment) -> AsyncIterator[None]:
    """Lose every push while the block runs."""
    fault = await demo.org.fault("event_lost" if demo.channel == "cdc" else "push_lost")
    try:
        yield
    finally:
        await demo.org.control(f"faults?id={fault}", method="DELETE")


async def import_people(demo: Environment, records: Mapping[str, int]) -> str:
    """Import people in one commit; return the object's name, or nothing if no object has people."""
    name = next((name for name in ("Contact", "Lead") if name in records), "")
    if name:
        company = {} if name == "Contact" else {"Company": "Import"}
        rows = [{"LastName": f"Import {number}", **company} for number in range(IMPORT)]
        await demo.org.dml("create", name, rows=rows)
    return name


async def change_untriggered(demo: Environment, records: Mapping[str, int]) -> tuple[str, int]:
    """Change records as Salesforce's own mass edits do, without an Apex trigger.

    Return the object and how many.
    """
    name = next((name for name in ("Contact", "Lead", "Account") if name in records), "")
    if not name:
        return "", 0
    ids: list[str] = []
    async with aclosing(demo.org.rows(name)) as rows:
        async for row in rows:
            ids.append(row["Id"])
            if len(ids) == UNTRIGGERED:
                break
    changed = [{"Id": record, "Description": "Changed by a mass edit"} for record in ids]
    await demo.org.dml("update", name, rows=changed, untriggered=True)
    return name, len(changed)
