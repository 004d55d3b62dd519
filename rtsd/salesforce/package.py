"""The package's rows in the org: settings, synced fields, triggers (contract section 6).

Settings are a hierarchy custom setting: one row for the org, and perhaps rows for profiles and users,
told apart by `SetupOwnerId` (Apex Developer Guide, Custom Settings). Sync conditions are
rows of `RTS_Synced_Field__c` with `Condition__c`; no such row of an object, and every update is pushed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtsd.core.ids import full_id
from rtsd.core.instant import Millis
from rtsd.errors import ObjectUnavailable, SalesforceError
from rtsd.salesforce import soql
from rtsd.salesforce.client import Client

PURPOSE = "package"
"""Under which the ledger counts every call of this module."""
SETTINGS = "RTS_Settings__c"
SYNCED_FIELD = "RTS_Synced_Field__c"
PERMISSION_SET = "RTS_Sync"
ERROR = "RTS_Error__c"
MOST_ERROR_IDS = 32_000
"""Characters of `Record_Ids__c`, 32,768 at most, from which on it may have been cut."""
KEY = "Key__c"
"""The external id of a synced field: `Object.Field`."""
MOST_UPSERTED = 200
"""Records of one collections call (REST API guide, sObject Collections)."""
_FIELDS = ("Id", "SetupOwnerId", "Disable_RTS__c", "Error_Logging__c", "Gateway_URL__c", "Org_Id__c")
_ABSENT = ("INVALID_TYPE", "NOT_FOUND")
_TRIGGER = re.compile(r"\s*trigger\s+\w+\s+on\s+(\w+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Settings:
    """One row of RTS_Settings__c; the token stays where it is unless it is asked for."""

    id: str
    owner: str
    """The org, a profile or a user."""
    disabled: bool
    error_logging: bool
    gateway_url: str
    org_id: str
    token: str | None = None
    """None where it was not asked for."""


@dataclass(frozen=True, slots=True)
class SyncedField:
    """One row of RTS_Synced_Field__c."""

    object: str
    field: str
    condition: bool


def is_absent(error: SalesforceError) -> bool:
    """Whether the error says that there is no such object, or that it is hidden from the sync user."""
    return error.reason in _ABSENT or (isinstance(error, ObjectUnavailable) and error.status == 404)


async def read_settings(client: Client, *, with_token: bool = False) -> list[Settings] | None:
    """Return every row of the settings, the org's among them; None where the package is not in the org."""
    fields = (*_FIELDS, "Token__c") if with_token else _FIELDS
    try:
        page = await client.query(soql.select(fields, SETTINGS), purpose=PURPOSE)
    except SalesforceError as error:
        if is_absent(error):
            return None
        raise
    return [_settings(row) for row in page.records]


async def org_settings(client: Client, org_id: str, *, with_token: bool = False) -> Settings | None:
    """Return the org's row; None where there is none. Raises ObjectUnavailable without the package."""
    rows = await read_settings(client, with_token=with_token)
    if rows is None:
        raise not_installed()
    return row_of(rows, org_id)


def row_of(rows: Iterable[Settings], org_id: str) -> Settings | None:
    """The org's own row: those of profiles and users say nothing of the org as a whole."""
    return next((row for row in rows if row.owner in (org_id, "")), None)


def not_installed() -> ObjectUnavailable:
    """The error of every step that needs the package in the org."""
    return ObjectUnavailable(
        "The package is not in the org, or hidden from the sync user.",
        "`rtsd package deploy` puts it there; permission set RTS_Sync lets the sync user see it.",
        reason="INVALID_TYPE",
    )


async def write_settings(
    client: Client, org_id: str, values: Mapping[str, Any], row: Settings | None
) -> None:
    """Set fields of the org's default row: of `row`, or of a new one."""
    if row is None:
        body = {"SetupOwnerId": org_id, **values}
        await client.post(f"sobjects/{SETTINGS}", purpose=PURPOSE, body=body, repeatable=False)
    else:
        path = f"sobjects/{SETTINGS}/{row.id}"
        await client.request("PATCH", path, purpose=PURPOSE, body=dict(values))


async def read_synced_fields(client: Client, objects: Sequence[str]) -> list[SyncedField] | None:
    """Return the synced fields of these objects; None where the package is not in the org."""
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
        found += [_synced(row) for row in page.records if row["Object__c"] and row["Field__c"]]
        if page.done:
            return found
        last_id = page.records[-1]["Id"]


async def write_synced_fields(client: Client, fields: Sequence[SyncedField]) -> None:
    """Upsert synced fields by their key, all of a call or none (sObject Collections, Upsert)."""
    for start in range(0, len(fields), MOST_UPSERTED):
        records = [_record(one) for one in fields[start : start + MOST_UPSERTED]]
        path, body = f"composite/sobjects/{SYNCED_FIELD}/{KEY}", {"allOrNone": True, "records": records}
        try:
            answer = await client.request("PATCH", path, purpose=PURPOSE, body=body)
        except SalesforceError as error:
            if error.status not in (404, 405):
                raise
            await _write_singly(client, records)  # before API version 46 collections knew no upsert
        else:
            _insist(answer.data)


def changed_rows(name: str, rows: Sequence[SyncedField], wanted: Sequence[str]) -> list[SyncedField]:
    """Return the rows to write so that exactly `wanted` are conditions; others are switched off, and stay."""
    lower = {field.lower() for field in wanted}
    have = {row.field.lower() for row in rows if row.condition}
    on = [SyncedField(name, field, condition=True) for field in wanted if field.lower() not in have]
    off = [
        SyncedField(row.object, row.field, condition=False)
        for row in rows
        if row.condition and row.field.lower() not in lower
    ]
    return on + off


async def read_errors(client: Client, since: Millis) -> list[dict[str, Any]]:
    """Return the rows of the package's error log created since then, oldest first, without payloads."""
    columns = (
        "Id",
        "CreatedDate",
        "Object__c",
        "Record_Ids__c",
        "HTTP_Status__c",
        "Message__c",
        "Attempt__c",
    )
    found: list[dict[str, Any]] = []
    where = soql.since("CreatedDate", since)
    while True:
        statement = soql.select(columns, ERROR, where, order_by=soql.keyset_order("CreatedDate"))
        page = await client.query(statement, purpose=PURPOSE)
        found += page.records
        if page.done:
            return found
        last = page.records[-1]
        where = soql.after_stamp("CreatedDate", last["CreatedDate"], last["Id"])


async def delete_errors(client: Client, before: Millis) -> int:
    """Delete the rows of the package's error log created before then; return how many.

    (sObject Collections, Delete: 200 ids a call.)
    """
    gone = 0
    while True:
        old = soql.before("CreatedDate", before)
        statement = soql.select(("Id",), ERROR, old, order_by="CreatedDate", limit=MOST_UPSERTED)
        ids = [str(row["Id"]) for row in (await client.query(statement, purpose=PURPOSE)).records]
        if not ids:
            return gone
        path, params = "composite/sobjects", {"ids": ",".join(ids), "allOrNone": "false"}
        answer = await client.request("DELETE", path, purpose=PURPOSE, params=params)
        deleted = sum(1 for one in answer.data if one.get("success"))
        gone += deleted
        if deleted < len(ids):
            return gone  # what may not be deleted is no reason to try for ever


async def read_triggers(client: Client) -> dict[str, str]:
    """Return the package's active triggers: object -> name.

    TableEnumOrId is an object's name, but for a custom object its id (Tooling API, ApexTrigger): then the
    source tells the name.
    """
    page = await client.tooling_query(soql.active_apex_triggers("RTS%"), purpose=PURPOSE)
    found = {}
    for row in page.records:
        head = _TRIGGER.match(row.get("Body") or "")
        found[head[1] if head else str(row["TableEnumOrId"])] = str(row["Name"])
    return found


async def _write_singly(client: Client, records: Iterable[Mapping[str, Any]]) -> None:
    """Upsert records one by one, those switched on first: broken off, too much is pushed, not too little."""
    for record in records:
        body = {name: value for name, value in record.items() if name not in ("attributes", KEY)}
        path = f"sobjects/{SYNCED_FIELD}/{KEY}/{record[KEY]}"
        await client.request("PATCH", path, purpose=PURPOSE, body=body)


def _settings(row: Mapping[str, Any]) -> Settings:
    return Settings(
        id=row["Id"],
        owner=full_id(row["SetupOwnerId"]) if row.get("SetupOwnerId") else "",
        disabled=row.get("Disable_RTS__c") is True,
        error_logging=row.get("Error_Logging__c") is True,
        gateway_url=row.get("Gateway_URL__c") or "",
        org_id=row.get("Org_Id__c") or "",
        token=(row["Token__c"] or "") if "Token__c" in row else None,
    )


def _synced(row: Mapping[str, Any]) -> SyncedField:
    return SyncedField(row["Object__c"], row["Field__c"], row.get("Condition__c") is True)


def _record(one: SyncedField) -> dict[str, Any]:
    return {
        "attributes": {"type": SYNCED_FIELD},
        KEY: f"{one.object}.{one.field}",
        "Object__c": one.object,
        "Field__c": one.field,
        "Condition__c": one.condition,
    }


def _insist(results: Iterable[Mapping[str, Any]]) -> None:
    """A collections call answers 200 although rows were refused: raise the reason that counts."""
    errors = [error for result in results if not result.get("success") for error in result.get("errors", [])]
    rolled_back = "ALL_OR_NONE_OPERATION_ROLLED_BACK"
    telling = next((one for one in errors if one.get("statusCode") != rolled_back), None)
    if telling is not None:
        code, message = telling.get("statusCode", ""), telling.get("message", "")
        raise SalesforceError(
            f"Salesforce refused the synced fields: {code}: {message}",
            "Give the sync user permission set RTS_Sync, and look at the fields' names.",
            reason=str(code),
        )
