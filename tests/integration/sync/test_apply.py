"""The ordering rule through the only writer, on a real database."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rtsd.core.change import Change, Operation, Source, Version
from rtsd.core.instant import from_iso, to_iso
from rtsd.core.privacy import MaskedRows, MaskedValues
from rtsd.core.schema import Field, Kind, ObjectConfig, ObjectSchema
from rtsd.rules.match import Matcher
from rtsd.store import mirror
from rtsd.store import schema as tables
from rtsd.store.database import Database
from rtsd.store.journal import Journal, Note
from rtsd.store.schema import Table
from rtsd.sync.apply import Applied, Applier
from rtsd.sync.catalog import Catalog
from tests.support.mirror import mirror_at

START = from_iso("2026-03-01T10:00:00.000Z")
COLUMNS = ("Id", "Name", "SystemModstamp")
SCHEMA = ObjectSchema(
    "Contact",
    (
        Field("Id", "id", Kind.TEXT),
        Field("Name", "string", Kind.TEXT),
        Field("SystemModstamp", "datetime", Kind.DATETIME),
    ),
    cursor="SystemModstamp",
)


@dataclass
class Bench:
    """A mirror of one object, and its writer."""

    database: Database
    catalog: Catalog
    applier: Applier
    records: int = 0
    seen: list[Note] = field(default_factory=list)

    async def apply(self, *changes: Change) -> Applied:
        """Apply changes in one transaction."""
        async with self.database.transaction() as tx:
            applied = await self.applier.apply(tx, changes, at=START, salesforce_now=START)
        self.seen += [entry.note for entry in applied.entries]
        return applied

    async def state(self, record_id: str) -> str | None:
        """The record's Name; None while it is not in its table."""
        rows = await self.database.fetch("SELECT Name FROM Contact WHERE Id=?", (record_id,))
        return str(rows[0][0]) if rows else None

    async def tombstone(self, record_id: str) -> tuple[Any, ...] | None:
        """The record's tombstone: deleted_at, master, last values."""
        rows = await self.database.fetch(
            'SELECT deleted_at, master, "values" FROM _rts_tombstone WHERE id=?', (record_id,)
        )
        return rows[0] if rows else None

    async def fetches(self) -> set[str]:
        """What is on the list of records to fetch."""
        return {row[0] for row in await self.database.fetch("SELECT id FROM _rts_fetch")}

    async def counted(self) -> tuple[int, int]:
        """Rows as counted in `_rts_object`, and as they are."""
        ((kept,),) = await self.database.fetch("SELECT rows FROM _rts_object WHERE name='Contact'")
        ((real,),) = await self.database.fetch("SELECT COUNT(*) FROM Contact")
        return kept, real

    def fresh_id(self) -> str:
        """An id that no example has used."""
        self.records += 1
        return f"003{self.records:012d}AAA"


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Bench]:
    """A bench in a directory of its own."""
    async with await mirror_at(directory / "mirror.db").engine().open() as database:
        table = Table(SCHEMA, database.dialect)
        catalog = await Catalog.open(database, [ObjectConfig("Contact")], bytes(32))
        async with database.transaction() as tx:
            await tables.ensure(tx, table)
        contact = catalog["Contact"]
        contact.committed(dataclasses.replace(contact.stored, table=table))
        journal = await Journal.open(database)
        yield Bench(database, catalog, Applier(catalog, journal, Matcher(journal, str, bytes)))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A bench of one's own."""
    async with opened(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Bench]]:
    """One bench for all examples of a property, each with records of its own."""
    with asyncio.Runner() as runner:
        context = opened(tmp_path_factory.mktemp("shared"))
        bench = runner.run(context.__aenter__())
        yield runner, bench
        runner.run(context.__aexit__(None, None, None))


def edit(at: int, name: str, *, source: Source = Source.PUSH, seen: tuple[int, int] | None = None) -> Change:
    """A whole image, `at` ms after the start; reads may know their moment less well."""
    stamp = to_iso((START + at) // 1000 * 1000)
    low, high = seen or (at, at)
    operation = Operation.UPDATE if source is Source.PUSH else Operation.READ
    fields = MaskedValues({"Id": "", "Name": name, "SystemModstamp": stamp})
    return Change("Contact", "", operation, source, Version(stamp, START + low, START + high), fields)


def gone(at: int, **more: Any) -> Change:
    """A deletion."""
    stamp = to_iso((START + at) // 1000 * 1000)
    version = Version(stamp, START + at, START + at)
    return replace(Change("Contact", "", Operation.DELETE, Source.PUSH, version), **more)


def of(record_id: str, change: Change) -> Change:
    """The same for a record."""
    fields = MaskedValues({**change.fields, "Id": record_id}) if change.fields is not None else None
    return replace(change, id=record_id, fields=fields)


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[str | None, list[list[Change]]]:
    """A history's end, and its changes from all sources in some order, cut into transactions."""
    moments = sorted(draw(st.sets(st.integers(0, 25), min_size=1, max_size=5)))
    found: list[Change] = []
    name: str | None = None
    for place, moment in enumerate(moments):
        at = moment * 100
        was_gone = place > 0 and name is None
        if place and not was_gone and draw(st.integers(0, 3)) == 0:
            name = None
            found.append(gone(at))
        else:
            name = draw(st.sampled_from(["a", "b", "c"]))
            push = edit(at, name)
            found.append(replace(push, operation=Operation.UNDELETE) if was_gone else push)
        if name is not None and draw(st.booleans()):
            source = draw(st.sampled_from([Source.INTERVAL, Source.AUDIT]))
            found.append(edit(at, name, source=source, seen=(at - draw(st.integers(0, 900)), at + 40)))
    found += draw(st.lists(st.sampled_from(found), max_size=3))
    order = draw(st.permutations(found))
    cuts = sorted(draw(st.sets(st.integers(1, max(len(order) - 1, 1)), max_size=2)))
    return name, [order[start:end] for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True)]


@settings(max_examples=300)
@given(case=arrivals())
def test_any_order_in_any_transactions_ends_at_the_newest(
    shared: tuple[asyncio.Runner, Bench], case: tuple[str | None, list[list[Change]]]
) -> None:
    """Charter 13 and 14 end to end: rows, tombstone and counts, one repair at the end if it was asked for."""
    runner, bench = shared
    name, batches = case
    record_id = bench.fresh_id()

    async def play() -> None:
        for batch in batches:
            await bench.apply(*(of(record_id, change) for change in batch))
        if record_id in await bench.fetches():
            last = edit(2_500, name, source=Source.REPAIR, seen=(9_000, 9_900)) if name else gone(2_500)
            stamp = max(change.version.stamp for batch in batches for change in batch)
            version = Version(stamp, START + 9_000, START + 9_900)
            fields = MaskedValues({**last.fields, "SystemModstamp": stamp}) if last.fields else None
            await bench.apply(of(record_id, replace(last, version=version, fields=fields)))
        assert await bench.state(record_id) == name
        assert (await bench.tombstone(record_id) is None) == (name is not None)
        kept, real = await bench.counted()
        assert kept == real

    runner.run(play())


async def test_a_deleted_record_leaves_its_last_values(bench: Bench) -> None:
    """Contract 4: out of its table, into the tombstone, with the winner of a merge."""
    record_id, winner = bench.fresh_id(), bench.fresh_id()
    await bench.apply(of(record_id, edit(0, "last")))
    await bench.apply(of(record_id, gone(5_000, master=winner)))
    assert await bench.state(record_id) is None
    deleted_at, master, values = await bench.tombstone(record_id) or (None, None, None)
    assert (deleted_at, master) == ("2026-03-01T10:00:05.000Z", winner)
    assert '"Name":"last"' in str(values)


async def test_a_later_sighting_of_a_deletion_takes_nothing_from_its_tombstone(bench: Bench) -> None:
    """The delete log confirms it with a newer stamp and no master: winner and values stay."""
    record_id, winner = bench.fresh_id(), bench.fresh_id()
    await bench.apply(of(record_id, edit(0, "last")))
    await bench.apply(of(record_id, gone(5_000, master=winner)))
    await bench.apply(of(record_id, gone(7_000, source=Source.INTERVAL)))
    _, master, values = await bench.tombstone(record_id) or (None, None, None)
    assert master == winner
    assert '"Name":"last"' in str(values)


async def test_an_earlier_sighting_of_a_merge_adds_the_winner(bench: Bench) -> None:
    """The delete log came first and knows no winner; the row of the bin names it, with an older version."""
    record_id, winner = bench.fresh_id(), bench.fresh_id()
    logged = Version(to_iso(START + 5_000), START + 6_000, START + 8_000)
    row = Version(to_iso(START + 5_000), START + 5_900, START + 8_000)
    await bench.apply(of(record_id, edit(0, "last")))
    await bench.apply(of(record_id, gone(5_000, version=logged)))
    await bench.apply(of(record_id, gone(5_000, version=row, master=winner)))
    _, master, _ = await bench.tombstone(record_id) or (None, None, None)
    assert master == winner
    ((seen,),) = await bench.database.fetch("SELECT seen FROM _rts_tombstone")
    assert seen == START + 6_000


async def test_an_undeleted_record_has_no_tombstone(bench: Bench) -> None:
    """And counts once."""
    record_id = bench.fresh_id()
    back = replace(edit(9_000, "back"), operation=Operation.UNDELETE)
    for change in (edit(0, "a"), gone(5_000), back):
        await bench.apply(of(record_id, change))
    assert await bench.state(record_id) == "back"
    assert await bench.tombstone(record_id) is None
    assert await bench.counted() == (1, 1)


async def test_several_changes_of_a_record_in_one_transaction(bench: Bench) -> None:
    """Each is judged after the one before it, and each is in the journal."""
    record_id = bench.fresh_id()
    back = replace(edit(9_000, "back"), operation=Operation.UNDELETE)
    changes = (edit(0, "a"), edit(1_000, "b"), edit(500, "late"), gone(5_000), back, edit(9_500, "c"))
    await bench.apply(*(of(record_id, change) for change in changes))
    assert await bench.state(record_id) == "c"
    outcomes = [note.outcome for note in bench.seen]
    assert outcomes == ["applied", "applied", "stale", "applied", "applied", "applied"]
    assert [note.before for note in bench.seen][1] == {
        "Name": "a",
        "SystemModstamp": "2026-03-01T10:00:00.000Z",
    }
    assert await bench.counted() == (1, 1)


async def test_the_journal_names_what_was_edited_and_how_late(bench: Bench) -> None:
    """Bookkeeping fields are not edits; the latency is against Salesforce's clock."""
    record_id = bench.fresh_id()
    await bench.apply(of(record_id, edit(0, "a")))
    async with bench.database.transaction() as tx:
        change = of(record_id, edit(3_000, "b"))
        applied = await bench.applier.apply(tx, [change], at=START, salesforce_now=START + 3_412)
    (note,) = (entry.note for entry in applied.entries)
    assert (note.op, note.source, note.changed, note.latency_ms) == ("update", "push", ["Name"], 412)


async def test_a_rollback_takes_rows_journal_and_counts_back(bench: Bench) -> None:
    """All of a transaction or nothing of it."""
    record_id = bench.fresh_id()

    async def fail() -> None:
        async with bench.database.transaction() as tx:
            await bench.applier.apply(tx, [of(record_id, edit(0, "a"))], at=START, salesforce_now=START)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await bench.state(record_id) is None
    assert await bench.counted() == (0, 0)
    assert await bench.database.fetch("SELECT * FROM _rts_journal") == []


async def test_audit_rows_that_are_known_are_judged(bench: Bench) -> None:
    """A full read never overwrites what is newer, nor what is deleted; it inserts only what nobody knew."""
    newer, buried, fresh = bench.fresh_id(), bench.fresh_id(), bench.fresh_id()
    await bench.apply(of(newer, edit(9_000, "newer")), of(buried, edit(0, "x")), of(buried, gone(9_000)))
    stamp = "2026-03-01T10:00:01.000Z"
    rows = [[record_id, "old", stamp] for record_id in (newer, buried, fresh)]
    async with bench.database.transaction() as tx:
        version = Version("", START, START + 20_000)
        met = await bench.applier.load(tx, bench.catalog["Contact"], MaskedRows(COLUMNS, rows), version)
    assert met.ids == [newer, buried]
    assert await bench.state(fresh) == "old"
    assert await bench.state(newer) == "newer"
    assert await bench.state(buried) is None
    assert await bench.counted() == (2, 2)
    found = await mirror.record(bench.database, bench.catalog["Contact"].described, fresh)
    assert found is not None
    assert found["source"] == "audit"
