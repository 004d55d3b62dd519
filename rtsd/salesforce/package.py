"""The package's rows in the org: settings, synced fields, error log, triggers (contract section 6).

The settings are a hierarchy custom setting: a row for the org and optional rows for profiles and users,
distinguished by `SetupOwnerId` (Apex Developer Guide, Custom Settings). Sync conditions are the rows of
`RTS_Synced_Field__c` with `Condition__c`; for an object without any, the package pushes every update.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from msgspec import UNSET, Struct, UnsetType

from rtsd.core import channel
from rtsd.core.ids import full_id
from rtsd.core.instant import Millis, from_iso
from rtsd.errors import Conflict, ObjectUnavailable, SalesforceError
from rtsd.salesforce import soql
from rtsd.salesforce.client import Client
from rtsd.salesforce.shapes import RecordId, ResultShape, odd

PURPOSE = "package"
"""The ledger's purpose for every call of this module."""
SETTINGS = "RTS_Settings__c"
SYNCED_FIELD = "RTS_Synced_Field__c"
PERMISSION_SET = "RTS_Sync"
"""For rtsd's user."""
ADMIN_PERMISSION_SET = "RTS_Admin"
"""For people: the app in Salesforce."""
BYPASS = "RTS_Bypass"
"""The custom permission of people whose saves are not pushed."""
REPORT_FOLDER = "RTS_Reports"
ERROR = "RTS_Error__c"
MAX_ERROR_IDS = 32_000
"""Characters of `Record_Ids__c` (32,768 at most) beyond which it may have been truncated."""
KEY = "Key__c"
"""The external id of a synced field: `Object.Field`."""
COLLECTION_SIZE = 200
"""Records per collections call (REST API guide, sObject Collections)."""
_FIELDS = ("Id", "SetupOwnerId", "Disable_RTS__c", "Error_Logging__c", "Gateway_URL__c", "Org_Id__c")
_CHANNEL_FIELDS = ("Channel__c", "Sealed__c")
"""Fields that packages before the channel stream do not have."""
_OWN = frozenset({SYNCED_FIELD, "RTS_Change__e"})
"""The package's own objects that have an Apex trigger."""
_OWNERS = {"005": "User", "00e": "Profile"}
"""Key prefix -> object of the owners of settings besides the org."""
_ABSENT = ("INVALID_TYPE", "NOT_FOUND")
_Row = TypeVar("_Row")
VERSION_CLASS = "RTS_Version"
"""The Apex class that states the package's version."""
_VERSION = re.compile(r"\bVALUE\s*=\s*'([^']+)'")
_TRIGGER = re.compile(r"\s*trigger\s+\w+\s+on\s+(\w+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Settings:
    """A row of RTS_Settings__c."""

    id: str
    owner: str
    """The id of the org, profile or user; empty for none."""
    disabled: bool
    error_logging: bool
    gateway_url: str
    org_id: str
    token: str | None = None
    """None unless requested."""
    channel: str | None = None
    """gateway or stream; None unless requested, or if the package has no choice."""
    sealed: bool = False


class _SettingsShape(Struct):
    Id: RecordId
    SetupOwnerId: RecordId | None = None
    Disable_RTS__c: bool | None = None
    Error_Logging__c: bool | None = None
    Gateway_URL__c: str | None = None
    Org_Id__c: str | None = None
    Token__c: str | UnsetType | None = UNSET
    Channel__c: str | UnsetType | None = UNSET
    Sealed__c: bool | None = None


class _SyncedShape(Struct):
    Id: RecordId
    Object__c: str | None
    Field__c: str | None
    Condition__c: bool | None = None


class _TriggerShape(Struct):
    Name: str
    TableEnumOrId: str | None = None
    Body: str | None = None


class _BodyShape(Struct):
    Body: str | None = None


class _NamedShape(Struct):
    Id: RecordId
    Name: str | None = None


class _IdShape(Struct):
    Id: RecordId


class ErrorRow(Struct):
    """A row of the package's error log, without its payload."""

    Id: RecordId
    CreatedDate: str
    Object__c: str | None = None
    Record_Ids__c: str | None = None
    HTTP_Status__c: float | None = None
    Message__c: str | None = None
    Attempt__c: float | None = None

    def __post_init__(self) -> None:
        from_iso(self.CreatedDate)


@dataclass(frozen=True, slots=True)
class SyncedField:
    """A row of RTS_Synced_Field__c."""

    object: str
    field: str
    condition: bool


def is_absent(error: SalesforceError) -> bool:
    """Whether the error means that the object is missing, or hidden from the sync user."""
    return error.reason in _ABSENT or (isinstance(error, ObjectUnavailable) and error.status == 404)


async def read_settings(
    client: Client, *, with_token: bool = False, with_channel: bool = False
) -> list[Settings] | None:
    """Return all rows of the settings; None if the package is not in the org.

    `with_channel` costs a second call if the package is too old to have a choice.
    """
    fields = (*_FIELDS, *(("Token__c",) if with_token else ()), *(_CHANNEL_FIELDS if with_channel else ()))
    try:
        page = await client.query(soql.select(fields, SETTINGS), purpose=PURPOSE)
    except SalesforceError as error:
        if is_absent(error):
            return None
        if with_channel and error.reason == "INVALID_FIELD":
            return await read_settings(client, with_token=with_token)
        raise
    return [_settings(row) for row in page.rows(_SettingsShape)]


async def org_settings(
    client: Client, org_id: str, *, with_token: bool = False, with_channel: bool = False
) -> Settings | None:
    """Return the org's row, if any. Raises ObjectUnavailable without the package."""
    rows = await read_settings(client, with_token=with_token, with_channel=with_channel)
    if rows is None:
        raise not_installed()
    return org_row(rows, org_id)


def org_row(rows: Iterable[Settings], org_id: str) -> Settings | None:
    """The org's row, ignoring those of profiles and users."""
    return next((row for row in rows if row.owner in (org_id, "")), None)


async def disabled_owners(client: Client, rows: Iterable[Settings], org_id: str) -> list[str]:
    """Return the users and profiles whose row of settings disables pushes, as `user Ann` or `profile Sales`.

    One call per kind of owner, and none if there are no such rows. A row of the org is not among them.
    """
    owners = [row.owner for row in rows if row.disabled and row.owner not in (org_id, "")]
    found = []
    for prefix, kind in _OWNERS.items():
        ids = [owner for owner in owners if owner.startswith(prefix)]
        if ids:
            statement = soql.select(("Id", "Name"), kind, soql.one_of("Id", ids))
            page = await client.query(statement, purpose=PURPOSE)
            names = {full_id(row.Id): row.Name or "" for row in page.rows(_NamedShape)}
            found += [f"{kind.lower()} {names.get(owner) or owner}" for owner in ids]
    return sorted(found)


def not_installed() -> ObjectUnavailable:
    """The error of steps that need the package in the org."""
    return ObjectUnavailable(
        "The package is not in the org, or hidden from the sync user.",
        "Run `rtsd package deploy`, or give the sync user the permission set RTS_Sync.",
        reason="INVALID_TYPE",
    )


async def write_settings(
    client: Client, org_id: str, values: Mapping[str, Any], row: Settings | None
) -> None:
    """Set fields of the org's row, or of a new one if `row` is None."""
    if row is None:
        body = {"SetupOwnerId": org_id, **values}
        await client.command("POST", f"sobjects/{SETTINGS}", purpose=PURPOSE, body=body, repeatable=False)
    else:
        path = f"sobjects/{SETTINGS}/{row.id}"
        await client.command("PATCH", path, purpose=PURPOSE, body=dict(values))


async def set_disabled(client: Client, org_id: str, *, disabled: bool) -> bool:
    """Set the org's `Disable_RTS__c`; return whether it changed. Raises Conflict without the package."""
    rows = await read_settings(client)
    if rows is None:
        raise Conflict("The package is not in the org.", "Run `rtsd package deploy`.")
    row = org_row(rows, org_id)
    if (row is not None and row.disabled) is disabled:
        return False
    await write_settings(client, org_id, {"Disable_RTS__c": disabled}, row)
    return True


async def read_synced_fields(client: Client, objects: Sequence[str]) -> list[SyncedField] | None:
    """Return the synced fields of these objects; None if the package is not in the org."""
    columns = ("Id", "Object__c", "Field__c", "Condition__c")
    last_id, found = "", []
    while True:
        where = soql.all_of(soql.one_of("Object__c", objects), soql.after_id(last_id))
        try:
            statement = soql.select(columns, SYNCED_FIELD, where, order_by=soql.keyset_order())
            page = await client.query(statement, purpose=PURPOSE)
        except SalesforceError as error:
            if is_absent(error):
                return None
            raise
        rows = page.rows(_SyncedShape)
        found += [
            SyncedField(row.Object__c, row.Field__c, row.Condition__c is True)
            for row in rows
            if row.Object__c and row.Field__c
        ]
        if page.done:
            return found
        last_id = _last(rows).Id


async def write_synced_fields(client: Client, fields: Sequence[SyncedField]) -> None:
    """Upsert synced fields by key; each call is all-or-none (sObject Collections, Upsert)."""
    for start in range(0, len(fields), COLLECTION_SIZE):
        records = [_record(field) for field in fields[start : start + COLLECTION_SIZE]]
        path, body = f"composite/sobjects/{SYNCED_FIELD}/{KEY}", {"allOrNone": True, "records": records}
        try:
            answer = await client.request("PATCH", path, list[ResultShape], purpose=PURPOSE, body=body)
        except SalesforceError as error:
            if error.status not in (404, 405):
                raise
            await _write_singly(client, records)  # API versions before 46 have no collection upsert
        else:
            _require_success(answer.data)


def changed_rows(name: str, rows: Sequence[SyncedField], wanted: Sequence[str]) -> list[SyncedField]:
    """Return the rows to write so that exactly `wanted` are conditions; other rows are kept but disabled."""
    lower = {field.lower() for field in wanted}
    have = {row.field.lower() for row in rows if row.condition}
    on = [SyncedField(name, field, condition=True) for field in wanted if field.lower() not in have]
    off = [
        SyncedField(row.object, row.field, condition=False)
        for row in rows
        if row.condition and row.field.lower() not in lower
    ]
    return on + off


async def read_errors(client: Client, since: Millis) -> list[ErrorRow]:
    """Return the package's error log since `since` (ms), oldest first, without payloads."""
    found: list[ErrorRow] = []
    where = soql.since("CreatedDate", since)
    while True:
        statement = soql.select(
            ErrorRow.__struct_fields__, ERROR, where, order_by=soql.keyset_order("CreatedDate")
        )
        page = await client.query(statement, purpose=PURPOSE)
        rows = page.rows(ErrorRow)
        found += rows
        if page.done:
            return found
        last = _last(rows)
        where = soql.after_stamp("CreatedDate", last.CreatedDate, last.Id)


async def delete_errors(client: Client, before: Millis) -> int:
    """Delete the package's error log from before `before` (ms); return the number of rows.

    (sObject Collections, Delete: 200 ids per call.)
    """
    total = 0
    asked: set[str] = set()
    while True:
        old = soql.before("CreatedDate", before)
        statement = soql.select(("Id",), ERROR, old, order_by="CreatedDate", limit=COLLECTION_SIZE)
        ids = [row.Id for row in (await client.query(statement, purpose=PURPOSE)).rows(_IdShape)]
        if not asked.isdisjoint(ids):
            raise odd("a deletion", "rows that were deleted are still there")
        asked.update(ids)
        if not ids:
            return total
        path, params = "composite/sobjects", {"ids": ",".join(ids), "allOrNone": "false"}
        answer = await client.request("DELETE", path, list[ResultShape], purpose=PURPOSE, params=params)
        deleted = sum(1 for result in answer.data if result.success)
        total += deleted
        if deleted < len(ids):
            return total  # rows that cannot be deleted must not keep this loop running


async def read_triggers(client: Client) -> dict[str, str]:
    """Return the package's active Apex triggers: object -> trigger name, without those of its own objects.

    TableEnumOrId is the object's name, or the id of a custom object (Tooling API, ApexTrigger), whose name is
    then taken from the source.
    """
    page = await client.tooling_query(soql.active_apex_triggers("RTS%"), purpose=PURPOSE)
    found = {}
    for row in page.rows(_TriggerShape):
        head = _TRIGGER.match(row.Body or "")
        found[head[1] if head else str(row.TableEnumOrId)] = row.Name
    return {name: trigger for name, trigger in found.items() if name not in _OWN}


async def read_version(client: Client) -> str | None:
    """Return the version of the installed code (Tooling API, ApexClass); None if it cannot be read."""
    page = await client.tooling_query(soql.apex_class_body(VERSION_CLASS), purpose=PURPOSE)
    return next((version_in(row.Body) for row in page.rows(_BodyShape)), None)


def version_in(body: str | None) -> str | None:
    """Return the version that the source of `RTS_Version` states, if any."""
    match = _VERSION.search(body or "")
    return match[1] if match else None


async def _write_singly(client: Client, records: Iterable[Mapping[str, Any]]) -> None:
    """Upsert records singly, enabled ones first: an interruption then pushes too much, not too little."""
    for record in records:
        body = {name: value for name, value in record.items() if name not in ("attributes", KEY)}
        path = f"sobjects/{SYNCED_FIELD}/{KEY}/{record[KEY]}"
        await client.command("PATCH", path, purpose=PURPOSE, body=body)


def _settings(row: _SettingsShape) -> Settings:
    return Settings(
        id=row.Id,
        owner=full_id(row.SetupOwnerId) if row.SetupOwnerId else "",
        disabled=row.Disable_RTS__c is True,
        error_logging=row.Error_Logging__c is True,
        gateway_url=row.Gateway_URL__c or "",
        org_id=row.Org_Id__c or "",
        token=None if row.Token__c is UNSET else row.Token__c or "",
        channel=None if row.Channel__c is UNSET else channel.chosen(row.Channel__c),
        sealed=row.Sealed__c is True,
    )


def _last(rows: Sequence[_Row]) -> _Row:
    """The row behind which the next page begins. Raises SalesforceError for a page without any."""
    if not rows:
        raise odd("a query", "a page is empty, but not the last one")
    return rows[-1]


def _record(synced: SyncedField) -> dict[str, Any]:
    return {
        "attributes": {"type": SYNCED_FIELD},
        KEY: f"{synced.object}.{synced.field}",
        "Object__c": synced.object,
        "Field__c": synced.field,
        "Condition__c": synced.condition,
    }


def _require_success(results: Iterable[ResultShape]) -> None:
    """Raise SalesforceError if any row was refused; the call itself answers 200 nevertheless."""
    errors = [error for result in results if not result.success for error in result.errors]
    rolled_back = "ALL_OR_NONE_OPERATION_ROLLED_BACK"
    cause = next((error for error in errors if error.get("statusCode") != rolled_back), None)
    if cause is not None:
        code, message = cause.get("statusCode", ""), cause.get("message", "")
        raise SalesforceError(
            f"Salesforce refused the synced fields: {code}: {message}",
            "Give the sync user the permission set RTS_Sync, and check the field names.",
            reason=str(code),
        )
