"""Repairs that an operator asks for: of records, of a stretch of time, of columns; priced first if asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from rtsd.control.operations import Operations
from rtsd.core.cost import fetching, narrow_read
from rtsd.core.ids import full_id
from rtsd.core.instant import Millis, from_iso, normal_iso, to_iso
from rtsd.core.quota import API_REQUESTS, BULK_JOBS
from rtsd.errors import Conflict, UsageError
from rtsd.salesforce import soql
from rtsd.store import mirror
from rtsd.store.journal import Note
from rtsd.sync.catalog import MirroredObject
from rtsd.sync.controller import Controller
from rtsd.sync.engine import Engine
from rtsd.sync.estimate import measure
from rtsd.sync.repair import ids_at_once

MOST_RECORDS = 50_000
"""Above this a full audit takes fewer calls than fetching by id."""
ASKED = "asked for by an operator"


class RepairBody(msgspec.Struct):
    """`{"ids": […]}`, `{"since": TIME, "until": TIME}` or `{"fields": […]}`; `dry_run` only prices."""

    ids: list[str] = []
    since: str | None = None
    until: str | None = None
    fields: list[str] = []
    dry_run: bool = False


class Repairs:
    """Answers `POST /v1/objects/{o}/repair`."""

    def __init__(self, engine: Engine, controller: Controller, operations: Operations) -> None:
        self._engine = engine
        self._controller = controller
        self._operations = operations

    async def run(self, mirrored: MirroredObject, body: RepairBody) -> dict[str, Any]:
        """Repair, or say what that would cost.

        Raises UsageError for what can't be meant, Conflict for what can't be done now, and what the
        client raises.
        """
        if mirrored.table is None:
            raise Conflict(f"{mirrored.name} has not been described yet", "wait until it is loading")
        if sum((bool(body.ids), body.since is not None, bool(body.fields))) != 1:
            raise UsageError("A repair is of ids, or of fields, or of a stretch since a time.", "Name one.")
        if body.fields:
            return await self._columns(mirrored, _known(mirrored, body.fields), dry_run=body.dry_run)
        if body.since is None:
            return await self._records(mirrored, list(map(_id, body.ids)), dry_run=body.dry_run)
        since, until = _moment(body.since), _moment(body.until or to_iso(self._engine.salesforce_now()))
        if until <= since:
            raise UsageError(f"{body.until} is not after {body.since}.", "Give an earlier --since.")
        return await self._window(mirrored, since, until, dry_run=body.dry_run)

    async def _records(
        self, mirrored: MirroredObject, ids: Sequence[str], *, dry_run: bool
    ) -> dict[str, Any]:
        if dry_run:
            return await self._operations.priced(fetching(len(ids), ids_at_once(mirrored)))
        began = self._engine.now()
        before = await self._operations.spent(began)
        done = await self._controller.repair.records(mirrored, ids, ASKED)
        spent = await self._operations.spent(began) - before
        return {"fetched": done.fetched, "repaired": done.changed, "api_calls": spent[API_REQUESTS]}

    async def _window(
        self, mirrored: MirroredObject, since: Millis, until: Millis, *, dry_run: bool
    ) -> dict[str, Any]:
        """Fetch every record that either side has stamped in the stretch; counting costs a call."""
        cursor = mirrored.described.schema.cursor
        if cursor is None:
            raise Conflict(f"{mirrored.name} has no stamps to go by", "name ids, or audit it with --full")
        began = self._engine.now()
        before = await self._operations.spent(began)
        rows = await self._count(mirrored, since, until)
        if dry_run:
            return await self._operations.priced(fetching(rows, ids_at_once(mirrored), listed=True))
        if rows > MOST_RECORDS:
            raise Conflict(
                f"{rows:,} records of {mirrored.name} are stamped then: an audit takes fewer calls",
                f"run `rtsd audit {mirrored.name} --full`, or name a shorter time",
            )
        ids = await self._controller.fingerprinter.stamped(mirrored, to_iso(since), to_iso(until))
        result = await self._records(mirrored, sorted(ids), dry_run=False)
        spent = await self._operations.spent(began) - before
        return {**result, "api_calls": spent[API_REQUESTS]}

    async def _count(self, mirrored: MirroredObject, since: Millis, until: Millis) -> int:
        cursor = mirrored.described.schema.cursor or ""
        where = soql.all_of(
            f"{cursor} >= {soql.moment(since)}", f"{cursor} < {soql.moment(until)}", mirrored.config.where
        )
        statement = soql.select(("COUNT()",), mirrored.name, where)
        theirs = await self._engine.client.count(statement, purpose="repair")
        table = mirrored.described
        ours = await mirror.count_since(self._engine.database, table, to_iso(since), to_iso(until))
        return max(theirs, ours)

    async def _columns(
        self, mirrored: MirroredObject, columns: Sequence[str], *, dry_run: bool
    ) -> dict[str, Any]:
        """Read the columns of every row again."""
        engine, schema = self._engine, mirrored.described.schema
        if dry_run:
            wanted = ("Id", schema.cursor, *columns)
            narrow = replace(schema, fields=tuple(one for one in schema.fields if one.name in wanted))
            size = await measure(engine.client, narrow, mirrored.config.where, purpose="estimate")
            return await self._operations.priced(narrow_read(size))
        began = engine.now()
        before = await self._operations.spent(began)
        changed = await self._controller.columns.reread(mirrored, columns)
        message = f"{', '.join(columns)} read again for every row: {changed} rows differed"
        await engine.note(Note("repair", mirrored.name, source="repair", message=message))
        spent = await self._operations.spent(began) - before
        return {
            "fetched": await mirror.count(engine.database, mirrored.described),
            "repaired": changed,
            "api_calls": spent[API_REQUESTS],
            "bulk_jobs": spent[BULK_JOBS],
        }


def _id(text: str) -> str:
    try:
        return full_id(text)
    except ValueError as error:
        raise UsageError(f"{error}.", "Copy it from the record's address in Salesforce.") from None


def _moment(text: str) -> Millis:
    try:
        return from_iso(normal_iso(text))
    except ValueError:
        raise UsageError(f"{text!r} is no time.", "Write it like 2026-03-01T10:00:00Z.") from None


def _known(mirrored: MirroredObject, names: Sequence[str]) -> list[str]:
    """The fields in their own spelling."""
    schema = mirrored.described.schema
    unknown = [name for name in names if name.lower() not in schema.by_lower_name]
    if unknown:
        raise UsageError(
            f"{mirrored.name} has no mirrored field {', '.join(unknown)}.",
            f"There are {', '.join(schema.names)}."[:1_000],
        )
    return list(dict.fromkeys(schema.by_lower_name[name.lower()].name for name in names))
