"""A life of a mirror, the same on every engine: changes of all sources, loads, describes, and what waits."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from rtsd.core.change import Change, Operation, Source, Version
from rtsd.core.instant import from_iso, to_iso
from rtsd.core.privacy import MaskedPush, MaskedRows, MaskedValues
from rtsd.core.schema import Field, Kind, ObjectConfig, ObjectSchema
from rtsd.rules.match import Matcher
from rtsd.store import objects, past, row_checksums
from rtsd.store import schema as tables
from rtsd.store.database import Database
from rtsd.store.dialect import quoted
from rtsd.store.engine import Engine
from rtsd.store.inbox import Arrival, Inbox
from rtsd.store.journal import Journal
from rtsd.store.schema import Table
from rtsd.sync.apply import Applier
from rtsd.sync.catalog import Catalog
from rtsd.sync.mirrored_object import MirroredObject
from tests.support.csv_text import csv_text

START = from_iso("2026-03-01T10:00:00.000Z")
RECORDS = 6
HOSTILE = [
    '"',
    "\\",
    "\\.",
    "\\N",
    "\t\r\n",
    "\ufeff",
    "'; DROP TABLE x; --",
    "é😀",
    "\x01\x1f\x7f",
    "NULL",
    " ",
]

Values = Mapping[str, Any]
FIELDS = {f"{kind.name.title()}__c": kind for kind in Kind} | {"Order": Kind.TEXT, "a\"b'c": Kind.TEXT}
"""The fields besides Id and the stamp."""
LATER = "Later__c"
"""A field that a describe adds."""


def schema(name: str, *, widened: bool = False) -> ObjectSchema:
    """An object with a field of each kind."""
    fields = [Field("Id", "id", Kind.TEXT)]
    fields += [
        Field(field, "reference" if kind is Kind.TEXT else kind.value, kind) for field, kind in FIELDS.items()
    ]
    fields.append(Field("SystemModstamp", "datetime", Kind.DATETIME))
    fields += [Field(LATER, "boolean", Kind.BOOLEAN)] if widened else []
    return ObjectSchema(name, tuple(fields), cursor="SystemModstamp")


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)
MOMENTS = st.integers(0, 4_102_444_800_000).map(to_iso)
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: TEXTS | st.sampled_from(HOSTILE),
    Kind.BOOLEAN: st.sampled_from([0, 1]),
    Kind.INT: st.integers(-(2**31), 2**31 - 1),
    Kind.REAL: st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value or 0.0),
    Kind.DATE: st.dates().map(str),
    Kind.DATETIME: MOMENTS,
    Kind.TIME: MOMENTS.map(lambda text: text[11:]),
}
FILLED = st.fixed_dictionaries({name: st.none() | VALUES[kind] for name, kind in FIELDS.items()})


@dataclass(frozen=True)
class Step:
    """One thing that happens."""

    kind: str
    record: int
    at: int
    """Milliseconds since the start."""
    values: Values


STEPS = st.builds(
    Step,
    st.sampled_from(
        [
            "push",
            "push",
            "read",
            "interval",
            "event",
            "delete",
            "undelete",
            "load",
            "describe",
            "wait",
            "checksum",
        ]
    ),
    st.integers(0, RECORDS - 1),
    st.integers(0, 40).map(lambda tenths: tenths * 100),
    FILLED,
)
LIVES = st.lists(STEPS, min_size=1, max_size=14)


def record_id(place: int) -> str:
    """An id; not in the order of the numbers."""
    return f"00{7 - place % 5}{place:012d}{'AAA' if place % 2 else 'AAB'}"


class Life:
    """A mirror with one object at a time, and its writer."""

    def __init__(self, database: Database, inbox: Inbox) -> None:
        self.database = database
        self.inbox = inbox
        self.behind = 0
        """How far the journal's clock was set back, in ms."""
        self._names = 0

    async def begin(self, name: str) -> None:
        """Begin a life with a new object."""
        self.name = name
        self._table = Table(schema(name), self.database.dialect)
        self._catalog = await Catalog.open(self.database, [ObjectConfig(name)], bytes(32))
        journal = await Journal.open(self.database)
        self._applier = Applier(self._catalog, journal, Matcher(journal, str, bytes))
        await self._describe(widened=False)

    async def _describe(self, *, widened: bool) -> None:
        mirrored = self._catalog[self.name]
        self._table = Table(schema(self.name, widened=widened), self.database.dialect)
        async with self.database.transaction() as tx:
            await tables.ensure(tx, self._table)
            after = dataclasses.replace(mirrored.stored, table=self._table)
            await objects.save(tx, mirrored.stored, after)
        mirrored.committed(after)

    async def play(self, steps: Sequence[Step]) -> None:
        """Live."""
        for step in steps:
            if step.kind == "describe":
                await self._describe(widened=True)
            elif step.kind == "load":
                await self._load(step)
            elif step.kind == "wait":
                body = repr(sorted(step.values.items())).encode()
                await received(
                    self.inbox, Arrival(f"{self.name}-{step.record}", START + step.at, MaskedPush(body))
                )
            elif step.kind == "checksum":
                await row_checksums.check(self.database, self._table, self._table.columns)
            else:
                await self._change(step)

    async def _change(self, step: Step) -> None:
        stamp = to_iso((START + step.at) // 1000 * 1000)
        operation = {"delete": Operation.DELETE, "undelete": Operation.UNDELETE, "event": Operation.UPDATE}
        source = {"read": Source.AUDIT, "interval": Source.INTERVAL}.get(step.kind, Source.PUSH)
        default = Operation.UPDATE if source is Source.PUSH else Operation.READ
        values = dict(step.values)
        if step.kind == "event":
            values = {name: value for name, value in values.items() if value is not None}
        fields = MaskedValues({"Id": record_id(step.record), **values, "SystemModstamp": stamp})
        if LATER in self._table.columns:
            fields = MaskedValues({**fields, LATER: step.record % 2})
        change = Change(
            self.name,
            record_id(step.record),
            operation.get(step.kind, default),
            source,
            Version(stamp, START + step.at, START + step.at),
            None if step.kind == "delete" else fields,
            partial=step.kind == "event",
        )
        async with self.database.transaction() as tx:
            at = START + step.at
            await self._applier.apply(tx, [change], at=at - self.behind, salesforce_now=at)

    async def _load(self, step: Step) -> None:
        columns = [name for name in self._table.columns if name != LATER]
        rows = []
        for place in range(RECORDS, RECORDS + 3):
            cells = {name: cell(FIELDS[name], value) for name, value in step.values.items()}
            stamp = to_iso(START // 1000 * 1000)
            row = {"Id": record_id(place), "SystemModstamp": stamp, **cells}
            rows.append([row[name] for name in columns])
        mirrored = self._catalog[self.name]
        text: Any = csv_text(columns, rows) if step.record % 2 else MaskedRows(columns, rows)
        async with self.database.transaction() as tx:
            await self._applier.load(tx, mirrored, text, Version("", START, START + 1))

    async def journal(self) -> list[tuple[Any, ...]]:
        """The journal of the life, without its numbers."""
        return await self.database.fetch(
            "SELECT at, type, object, id, op, source, outcome, changed, latency_ms, message, detail, before"
            " FROM _rts_journal WHERE object=? ORDER BY seq",
            (self.name,),
        )

    async def rows(self) -> list[tuple[Any, ...]]:
        """The rows of the life's object."""
        return await self.database.fetch(f"{self._table.select} ORDER BY Id")

    async def present(self) -> dict[str, dict[str, Any]]:
        """The rows by id, each by column."""
        columns = (*self._table.columns, *tables.OWN_COLUMNS)
        rows = await self.database.fetch(self._table.select)
        return {row[0]: dict(zip(columns, row, strict=True)) for row in rows}

    async def fill(self, at: str) -> None:
        """Have a describe add the later field, and a read of every row fill it, by a moment."""
        await self._describe(widened=True)
        rows = [[name, row["SystemModstamp"], "true"] for name, row in (await self.present()).items()]
        async with self.database.transaction() as tx:
            filled = MaskedRows(("Id", "SystemModstamp", LATER), rows)
            await self._applier.refresh(tx, self.mirrored, filled)
            await past.learned(tx, self.name, [LATER], at)

    @property
    def mirrored(self) -> MirroredObject:
        """The object."""
        return self._catalog[self.name]

    async def kept(self) -> dict[str, list[tuple[Any, ...]]]:
        """What rtsd keeps beside the rows."""
        wanted = {
            "_rts_tombstone": 'object, id, deleted_at, stamp, seen, until, master, "values"',
            "_rts_fetch": "object, id, reason, asked_at, completes",
            "_rts_object": "name, state, rows, cursor, as_of, schema, to_fill",
        }
        found = {}
        for table, columns in wanted.items():
            named = "name" if table == "_rts_object" else "object"
            sql = f"SELECT {columns} FROM {table} WHERE {named}=? ORDER BY 1, 2"
            found[table] = await self.database.fetch(sql, (self.name,))
        return found


def cell(kind: Kind, value: Any) -> str:
    """A value as Salesforce writes it in CSV."""
    if value is None:
        return ""
    if kind is Kind.BOOLEAN:
        return "true" if value else "false"
    return repr(value) if kind is Kind.REAL else str(value)


async def received(inbox: Inbox, *arrivals: Arrival) -> None:
    """Take pushes into the inbox, as a gateway does."""
    tasks = [asyncio.create_task(inbox.append(arrival)) for arrival in arrivals]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        await inbox.commit()
    for task in tasks:
        await task


@asynccontextmanager
async def living(engine: Engine) -> AsyncIterator[Life]:
    """A mirror that lives."""
    async with await engine.open() as database:
        inbox = await engine.open_inbox(database)
        await inbox.restore()
        async with inbox.file:
            yield Life(database, inbox)


OWN_ROWS: dict[str, list[dict[str, Any]]] = {
    "_rts_held": [{"webhook_id": 'h"1', "received_at": START, "body": b'\x00\xff{"v":1}', "object": "Thing"}],
    "_rts_dead_letter": [
        {
            "at": to_iso(START),
            "reason": "BadValue",
            "message": text,
            "object": "Thing",
            "record": f"{place}",
            "body": b"\\x00" + bytes(range(256)),
        }
        for place, text in enumerate(HOSTILE)
    ],
    "_rts_error": [{"at": to_iso(START), "error": "OrgUnreachable", "message": "\t\\.", "count": 3}],
    "_rts_ledger": [
        {"at": START + place, "purpose": "audit", "resource": "x", "calls": place} for place in range(70)
    ],
    "_rts_usage": [{"at": START, "name": "DailyApiRequests", "max": 2**40, "used": 7, "ours": 1}],
    "_rts_audit": [
        {"object": "Thing", "started_at": to_iso(START), "job": "750", "locator": "", "rows_read": 3}
    ],
    "_rts_sweep": [{"object": "Thing", "id": record_id(place)} for place in range(3)],
    "_rts_outbox": [
        {
            "webhook_id": "w1",
            "rule": "r",
            "destination": "d",
            "object": "Thing",
            "record": "003",
            "event": 1,
            "created_at": START,
            "due_at": START,
            "body": b"{}",
        }
    ],
    "_rts_view": [
        {
            "layout": "fivetran",
            "place": "f",
            "object": "x",
            "name": "x",
            "columns": '{"id":"Id"}',
            "definition": "",
        }
    ],
    "_rts_meta": [
        {"key": "org_id", "value": "00Dxx0000001gERMAA"},
        {"key": "mode", "value": "real_time \\N"},
    ],
}
"""Rows for rtsd's own tables, as hostile as their columns allow."""


async def fill_own_tables(database: Database) -> None:
    """Put rows into the tables that a life does not reach; the last number of each is gone again."""
    async with database.transaction() as tx:
        for table, rows in OWN_ROWS.items():
            for row in rows:
                names, marks = ", ".join(map(quoted, row)), ", ".join("?" * len(row))
                await tx.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))
        await tx.execute("DELETE FROM _rts_ledger WHERE calls=69")
