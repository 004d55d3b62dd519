"""What of the package is in an org: code, objects, remote site, permission set, jobs, rows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rtsd.core.ids import full_id
from rtsd.errors import AuthenticationFailed, OrgUnreachable, QuotaExhausted, SalesforceError
from rtsd.salesforce import package, soql
from rtsd.salesforce.client import Client
from rtsd.salesforce.package import PERMISSION_SET, PURPOSE, Settings, SyncedField

REMOTE_SITE = "RTS_Gateway"
JOBS = "RTS Heartbeat %"
OURS = "RTS_Handler.run("
"""What every trigger of ours calls: another's that only has a similar name is left alone."""
APEX = {"classes": "ApexClass", "triggers": "ApexTrigger"}
"""Folder of the metadata format -> Tooling object."""


@dataclass(frozen=True, slots=True)
class Source:
    """A class or trigger as the org has it."""

    body: str | None
    """None where the org does not tell."""
    active: bool


@dataclass
class Inventory:
    """What is there. A part that the sync user may not ask for is among `unknown`, and empty here."""

    code: dict[tuple[str, str], Source] = field(default_factory=dict)
    """By (ApexClass or ApexTrigger, name)."""
    fields: dict[str, frozenset[str]] = field(default_factory=dict)
    """Fields of the package's objects, as the sync user sees them; only of objects that are there."""
    remote_site: str | None = None
    """The active remote site's URL."""
    permission_set: str | None = None
    """Its id."""
    assignments: dict[str, str] = field(default_factory=dict)
    """User id -> id of the assignment of RTS_Sync."""
    jobs: dict[str, str] = field(default_factory=dict)
    """Name of a scheduled job -> its state."""
    settings: list[Settings] = field(default_factory=list)
    synced: list[SyncedField] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def triggers(self) -> dict[str, Source]:
        """Our triggers, by name."""
        return {name: one for (kind, name), one in self.code.items() if kind == "ApexTrigger"}


async def take(client: Client, objects: tuple[str, ...], mirrored: tuple[str, ...]) -> Inventory:
    """Ask the org for all of it, each part for one call; `objects` are the package's own.

    Raises what the client raises, but where a single part is refused to the sync user.
    """
    found = Inventory()
    parts: dict[str, Callable[[], Awaitable[None]]] = {
        "classes": partial(_code, client, found, "ApexClass"),
        "triggers": partial(_code, client, found, "ApexTrigger"),
        "remote site": partial(_remote_site, client, found),
        "permission set": partial(_permission_set, client, found),
        "jobs": partial(_jobs, client, found),
        "settings": partial(_settings, client, found),
        "conditions": partial(_synced, client, found, mirrored),
    }
    parts |= {f"object {name}": partial(_fields, client, found, name) for name in objects}
    await asyncio.gather(*(_part(found, name, ask) for name, ask in parts.items()))
    found.unknown.sort()
    return found


async def _part(found: Inventory, name: str, ask: Callable[[], Awaitable[None]]) -> None:
    try:
        await ask()
    except (AuthenticationFailed, OrgUnreachable, QuotaExhausted):
        raise
    except SalesforceError:
        found.unknown.append(name)


async def _code(client: Client, found: Inventory, kind: str) -> None:
    for row in (await client.tooling_query(soql.apex_code(kind, "RTS%"), purpose=PURPOSE)).records:
        if str(row["Name"]).startswith("RTS_"):
            active = row.get("Status") in ("Active", None)
            found.code[kind, str(row["Name"])] = Source(row.get("Body"), active)


async def _fields(client: Client, found: Inventory, name: str) -> None:
    try:
        answer = await client.get(f"sobjects/{name}/describe", purpose=PURPOSE)
    except SalesforceError as error:
        if package.is_absent(error):
            return
        raise
    found.fields[name] = frozenset(str(one["name"]) for one in answer.data["fields"])


async def _remote_site(client: Client, found: Inventory) -> None:
    """Read the remote site (Tooling API guide, RemoteProxy)."""
    for row in (await client.tooling_query(soql.remote_site(REMOTE_SITE), purpose=PURPOSE)).records:
        if row.get("IsActive"):
            found.remote_site = str(row["EndpointUrl"])


async def _permission_set(client: Client, found: Inventory) -> None:
    rows = (await client.query(soql.permission_set(PERMISSION_SET), purpose=PURPOSE)).records
    if not rows:
        return
    found.permission_set = str(rows[0]["Id"])
    for row in (await client.query(soql.assignments(found.permission_set), purpose=PURPOSE)).records:
        found.assignments[full_id(row["AssigneeId"])] = str(row["Id"])


async def _jobs(client: Client, found: Inventory) -> None:
    """Read the scheduled jobs (Object Reference, CronTrigger and CronJobDetail)."""
    for row in (await client.query(soql.scheduled_jobs(JOBS), purpose=PURPOSE)).records:
        detail: dict[str, Any] = row.get("CronJobDetail") or {}
        found.jobs[str(detail.get("Name"))] = str(row.get("State"))


async def _settings(client: Client, found: Inventory) -> None:
    found.settings = await package.read_settings(client, with_token=True) or []


async def _synced(client: Client, found: Inventory, mirrored: tuple[str, ...]) -> None:
    found.synced = await package.read_synced_fields(client, mirrored) or []
