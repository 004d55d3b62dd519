"""Mirrors to be moved, and what a mirror's files contain."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from rtsd.core.position import Position
from rtsd.core.privacy import MaskedPush
from rtsd.store import schema as tables
from rtsd.store.engine import Engine
from rtsd.store.inbox import Arrival
from rtsd.store.moving.mover import Moved, Mover, Tell
from rtsd.store.moving.sides import ENGINES_OWN, Begin
from rtsd.store.sqlite.inbox_file import APPLIED
from tests.support.life import START, Step, fill_own_tables, living, received, record_id, schema

ROW = {
    "Text__c": "tab\there", "Boolean__c": 1, "Int__c": -(2**31), "Real__c": 1e-300, "Date__c": "1700-01-01",
    "Datetime__c": "2026-03-01T10:00:00.007Z", "Time__c": "23:59:59.999Z", "Order": "\\N", "a\"b'c": "é😀",
}  # fmt: skip
KINDS = ["push", "push", "read", "event", "delete", "load", "describe", "push", "wait", "checksum"]
LIVE = record_id(6)
"""A record that a life leaves alone once it is loaded."""
LIFE = [Step(kind, place % 6, place * 1_000, ROW) for place, kind in enumerate(KINDS * 3)]
POSITION = Position(b"\x00\x01\xff", START)

Content = dict[str, tuple[list[Any], list[tuple[Any, ...]]]]


def _silent(*_said: object) -> None:
    """Say nothing."""


async def moved(
    origin: Engine, destination: Engine, begin: Begin = Begin.REFUSE, tell: Tell = _silent
) -> Moved:
    """Move a mirror."""
    async with origin.as_source() as source, destination.as_target(origin.name, begin) as target:
        return await Mover(source, target, tell).run()


def digests(path: Path) -> dict[str, str]:
    """What the bytes of a mirror's files are, but for the lock, what readers share and an empty log."""
    return {
        file.name: sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.parent.glob(f"{path.name}*"))
        if not file.name.endswith((".lock", "-shm")) and file.stat().st_size
    }


def content(path: Path) -> Content:
    """The tables of a mirror and its inbox: columns with their types, rows in the order of their keys."""
    found: Content = {}
    for file in (path, path.with_name(f"{path.name}.inbox")):
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall():
                key = f"{file.suffix} {name}"
                quoted = '"' + name.replace('"', '""') + '"'
                columns = database.execute("SELECT name, type FROM pragma_table_info(?)", (name,)).fetchall()
                rows = database.execute(f"SELECT * FROM {quoted}").fetchall()
                found[key] = (columns, _plain(name, rows))
    meta: dict[str, str] = dict(found[".db _rts_meta"][1])
    applied = int(meta.pop(APPLIED, 0))  # those stay for a while
    columns, pushes = found[".inbox _rts_inbox"]
    found[".inbox _rts_inbox"] = (columns, [push for push in pushes if push[0] > applied])
    found[".db _rts_meta"] = (found[".db _rts_meta"][0], sorted(meta.items()))
    return found


def _plain(name: str, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    if name == "_rts_meta":
        rows = [row for row in rows if row[0] not in ENGINES_OWN - {APPLIED}]
    if name == "_rts_row_checksum":  # each row keeps its own, whatever its block
        rows = [
            (row[0], row[2], *checksum)
            for row in rows
            for checksum in msgspec.msgpack.decode(row[3], type=dict[int, tuple[str, bytes, bytes]]).values()
        ]
    if name == "_rts_push_id":
        return rows
    return sorted(rows, key=repr)


async def make(engine: Engine, *, applied: int = 0) -> None:
    """A mirror with everything in it, and a field that is gone."""
    async with living(engine) as life:
        await fill_own_tables(life.database)
        for number in range(2):
            await life.begin(f"Thing{number}__c")
            await life.play(LIFE)
        await life.begin("Empty__c")
        await life.inbox.append_from_stream([], "/event/x", POSITION, unbroken=lambda: "yes")
        arrivals = [Arrival(f"w{place}", START + place, MaskedPush(b"{}" * place)) for place in range(5)]
        await received(life.inbox, *arrivals)
        if applied:
            entries = (await life.inbox.oldest())[:applied]
            async with life.database.transaction() as tx:
                await life.inbox.mark_applied(tx, entries)
        async with life.database.transaction() as tx:
            gone = tables.encode_schema(schema("Thing0__c"))  # without the field of the last describe
            await tx.execute("UPDATE _rts_object SET schema=? WHERE name='Thing0__c'", (gone,))


async def opened(engine: Engine) -> None:
    """Open a mirror and its inbox, and close them."""
    async with living(engine):
        pass
