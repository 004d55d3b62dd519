"""The state of the package in an org: code, objects, remote site, permission set, jobs, rows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import msgspec

from rtsd.core.channel import PUSH_EVENT
from rtsd.core.ids import full_id
from rtsd.core.relay import Relay
from rtsd.errors import AuthenticationFailed, OrgUnreachable, QuotaExhausted, SalesforceError
from rtsd.machine import wall_ms
from rtsd.salesforce import package, soql
from rtsd.salesforce.client import Client
from rtsd.salesforce.package import (
    ADMIN_PERMISSION_SET,
    BYPASS,
    PERMISSION_SET,
    PURPOSE,
    REPORT_FOLDER,
    Settings,
    SyncedField,
)
from rtsd.salesforce.relay import read_relay
from rtsd.salesforce.shapes import DescribeShape, RecordId

REMOTE_SITE = "RTS_Gateway"
PERMISSION_SETS = (ADMIN_PERMISSION_SET, PERMISSION_SET)
JOBS = "RTS Heartbeat %"
HANDLER_CALL = "RTS_Handler.run("
"""The call in every trigger of the package, which distinguishes them from others with similar names."""
APEX = {"classes": "ApexClass", "triggers": "ApexTrigger"}
"""Folder of the metadata format -> Tooling object."""


class _CodeShape(msgspec.Struct):
    Name: str
    Body: str | None = None
    Status: str | None = None


class _SiteShape(msgspec.Struct):
    EndpointUrl: str | None = None
    IsActive: bool = False


class _IdShape(msgspec.Struct):
    Id: RecordId


class _PermissionSetShape(msgspec.Struct):
    Id: RecordId
    Name: str


class _AssignmentShape(msgspec.Struct):
    Id: RecordId
    AssigneeId: RecordId
    PermissionSetId: RecordId


class _ReadShape(msgspec.Struct):
    Id: RecordId
    ParentId: RecordId


class _JobDetailShape(msgspec.Struct):
    Name: str | None = None


class _JobShape(msgspec.Struct):
    State: str | None = None
    CronJobDetail: _JobDetailShape | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A class or trigger in the org."""

    body: str | None
    """None if the org does not reveal it."""
    active: bool


@dataclass(frozen=True, slots=True)
class Assignment:
    """An assignment of one of the package's permission sets to a user; all ids."""

    id: str
    user: str
    permission_set: str


@dataclass
class Inventory:
    """The state of the org. Parts that the sync user may not read are listed in `unknown` and empty."""

    code: dict[tuple[str, str], Source] = field(default_factory=dict)
    """By (ApexClass or ApexTrigger, name)."""
    fields: dict[str, frozenset[str]] = field(default_factory=dict)
    """Fields of the package's objects that the sync user sees; without missing objects."""
    remote_site: str | None = None
    """The active remote site's URL."""
    permission_sets: dict[str, str] = field(default_factory=dict)
    """Name of a permission set of the package -> id."""
    assignments: list[Assignment] = field(default_factory=list)
    reads_pushes: bool = False
    """Whether the permission set for rtsd's user grants Read on the event with the pushes."""
    bypass: str | None = None
    """The id of the package's custom permission."""
    report_folder: str | None = None
    """The id of the folder of the package's reports."""
    relay: Relay | None = None
    """None if Salesforce does not say how it is."""
    jobs: dict[str, str] = field(default_factory=dict)
    """Name of a scheduled job -> state."""
    settings: list[Settings] = field(default_factory=list)
    synced: list[SyncedField] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def is_assigned(self, user: str) -> bool:
        """Whether a user has the permission set for rtsd's user."""
        wanted = self.permission_sets.get(PERMISSION_SET)
        return any(given.user == user and given.permission_set == wanted for given in self.assignments)

    @property
    def triggers(self) -> dict[str, Source]:
        """The package's triggers by name."""
        return {name: source for (kind, name), source in self.code.items() if kind == "ApexTrigger"}


async def read_parts(client: Client, objects: tuple[str, ...], mirrored: tuple[str, ...]) -> Inventory:
    """Read all parts, each in one call, relay and permission sets in three; `objects` are the package's own.

    Raises the client's errors, except if Salesforce refuses a single part.
    """
    found = Inventory()
    parts: dict[str, Callable[[], Awaitable[None]]] = {
        "classes": partial(_code, client, found, "ApexClass"),
        "triggers": partial(_code, client, found, "ApexTrigger"),
        "remote site": partial(_remote_site, client, found),
        "permission set": partial(_permission_sets, client, found),
        "custom permission": partial(_bypass, client, found),
        "report folder": partial(_report_folder, client, found),
        "relay": partial(_relay, client, found),
        "jobs": partial(_jobs, client, found),
        "settings": partial(_settings, client, found),
        "conditions": partial(_synced, client, found, mirrored),
    }
    parts |= {f"object {name}": partial(_fields, client, found, name) for name in objects}
    await asyncio.gather(*(_part(found, name, read) for name, read in parts.items()))
    found.unknown.sort()
    return found


async def _part(found: Inventory, name: str, read: Callable[[], Awaitable[None]]) -> None:
    try:
        await read()
    except (AuthenticationFailed, OrgUnreachable, QuotaExhausted):
        raise
    except SalesforceError:
        found.unknown.append(name)


async def _code(client: Client, found: Inventory, kind: str) -> None:
    page = await client.tooling_query(soql.apex_code(kind, "RTS%"), purpose=PURPOSE)
    for row in page.rows(_CodeShape):
        if row.Name.startswith("RTS_"):
            found.code[kind, row.Name] = Source(row.Body, active=row.Status in ("Active", None))


async def _fields(client: Client, found: Inventory, name: str) -> None:
    try:
        answer = await client.get(f"sobjects/{name}/describe", DescribeShape, purpose=PURPOSE)
    except SalesforceError as error:
        if package.is_absent(error):
            return
        raise
    found.fields[name] = frozenset(field.name for field in answer.data.fields)


async def _remote_site(client: Client, found: Inventory) -> None:
    """Read the remote site (Tooling API guide, RemoteProxy)."""
    page = await client.tooling_query(soql.remote_site(REMOTE_SITE), purpose=PURPOSE)
    for row in page.rows(_SiteShape):
        if row.IsActive:
            found.remote_site = row.EndpointUrl


async def _permission_sets(client: Client, found: Inventory) -> None:
    page = await client.query(soql.permission_sets(PERMISSION_SETS), purpose=PURPOSE)
    found.permission_sets = {row.Name: full_id(row.Id) for row in page.rows(_PermissionSetShape)}
    if not found.permission_sets:
        return
    ids = sorted(found.permission_sets.values())
    page = await client.query(soql.assignments(ids), purpose=PURPOSE)
    found.assignments = [
        Assignment(row.Id, full_id(row.AssigneeId), full_id(row.PermissionSetId))
        for row in page.rows(_AssignmentShape)
    ]
    await _part(found, "permissions of objects", partial(_reads, client, found, ids))


async def _reads(client: Client, found: Inventory, permission_sets: list[str]) -> None:
    """Read who may read the event with the pushes (Object Reference, ObjectPermissions)."""
    page = await client.query(soql.object_reads(permission_sets, PUSH_EVENT), purpose=PURPOSE)
    granting = {full_id(row.ParentId) for row in page.rows(_ReadShape)}
    found.reads_pushes = found.permission_sets.get(PERMISSION_SET) in granting


async def _bypass(client: Client, found: Inventory) -> None:
    """Read the custom permission (Object Reference, CustomPermission)."""
    rows = (await client.query(soql.custom_permission(BYPASS), purpose=PURPOSE)).rows(_IdShape)
    found.bypass = rows[0].Id if rows else None


async def _report_folder(client: Client, found: Inventory) -> None:
    """Read the folder of the package's reports (Object Reference, Folder)."""
    rows = (await client.query(soql.report_folder(REPORT_FOLDER), purpose=PURPOSE)).rows(_IdShape)
    found.report_folder = rows[0].Id if rows else None


async def _relay(client: Client, found: Inventory) -> None:
    relay = await read_relay(client, wall_ms())
    if relay.status is None:
        found.unknown.append("relay")
    else:
        found.relay = relay


async def _jobs(client: Client, found: Inventory) -> None:
    """Read the scheduled jobs (Object Reference, CronTrigger and CronJobDetail)."""
    page = await client.query(soql.scheduled_jobs(JOBS), purpose=PURPOSE)
    for row in page.rows(_JobShape):
        found.jobs[str(row.CronJobDetail and row.CronJobDetail.Name)] = str(row.State)


async def _settings(client: Client, found: Inventory) -> None:
    found.settings = await package.read_settings(client, with_token=True, with_channel=True) or []


async def _synced(client: Client, found: Inventory, mirrored: tuple[str, ...]) -> None:
    found.synced = await package.read_synced_fields(client, mirrored) or []
