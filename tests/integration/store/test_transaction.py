"""Transactions: all or nothing, whatever interrupts them, and the next one always works."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from rtsd.errors import StorageFull, StoreError
from rtsd.store import meta
from rtsd.store.database import Database
from rtsd.store.journal import Journal, Note
from rtsd.store.journal import after as entries_after
from rtsd.store.sqlite.library import aiosqlite
from tests.support.full_disk import fill_disk, free_disk
from tests.support.mirror import ENGINE


async def write(database: Database, first: str, second: str) -> None:
    """Two statements that belong together."""
    async with database.transaction() as tx:
        await meta.put(tx, "first", first)
        await meta.put(tx, "second", second)


async def pair(database: Database) -> tuple[str | None, str | None]:
    """What is committed."""
    return await meta.get(database, "first"), await meta.get(database, "second")


async def test_an_exception_rolls_everything_back(database: Database) -> None:
    """Nothing of it is kept, and the exception comes out as it is."""
    await write(database, "a", "a")

    async def fail() -> None:
        async with database.transaction() as tx:
            await meta.put(tx, "first", "b")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await pair(database) == ("a", "a")
    await write(database, "c", "c")
    assert await pair(database) == ("c", "c")


async def test_a_refused_statement_rolls_everything_back(database: Database) -> None:
    """The engine's refusal is told as a StoreError; the statement before it is gone too."""

    async def fail() -> None:
        async with database.transaction() as tx:
            await meta.put(tx, "first", "b")
            await tx.execute("INSERT INTO _rts_meta VALUES ('second', NULL)")

    with pytest.raises(StoreError):
        await fail()
    assert await pair(database) == (None, None)
    assert database.failure is not None
    await write(database, "c", "c")
    assert database.failure is None


@pytest.mark.parametrize("steps", range(14))
async def test_a_cancellation_at_any_await_leaves_no_half(database: Database, steps: int) -> None:
    """Cancelled after so many turns of the loop: both statements or neither, and the next one works."""
    await write(database, "old", "old")
    task = asyncio.create_task(write(database, "new", "new"))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await asyncio.wait_for(write(database, "next", "next"), 5)
    assert await pair(database) == ("next", "next")


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT", "COMMIT", "ROLLBACK"])
async def test_a_cancellation_during_a_statement_leaves_no_half(
    database: Database, statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement goes on, in SQLite's thread or on the server, although nobody waits for it any more."""
    await write(database, "old", "old")
    started = asyncio.Event()
    driver: Any = psycopg.AsyncRawCursor if ENGINE == "postgres" else aiosqlite.Connection
    execute = driver.execute

    def noticing(on: object, sql: str | bytes, *more: object, **options: object) -> object:
        if (sql.decode() if isinstance(sql, bytes) else sql).startswith(statement):
            started.set()
        return execute(on, sql, *more, **options)

    monkeypatch.setattr(driver, "execute", noticing)

    async def work() -> None:
        async with database.transaction() as tx:
            await meta.put(tx, "first", "new")
            await meta.put(tx, "second", "new")
            if statement == "ROLLBACK":
                raise LookupError

    task = asyncio.create_task(work())
    async with asyncio.timeout(5):
        await started.wait()
    task.cancel()
    await asyncio.wait([task])
    found = await pair(database)
    assert found in {("old", "old"), ("new", "new")}
    await asyncio.wait_for(write(database, "next", "next"), 5)
    assert await pair(database) == ("next", "next")


async def test_a_cancelled_waiter_leaves_the_one_before_it_alone(database: Database) -> None:
    """Who waits for the lock has begun nothing."""
    async with database.transaction() as tx:
        await meta.put(tx, "first", "a")
        waiting = asyncio.create_task(write(database, "b", "b"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        await meta.put(tx, "second", "a")
    assert await pair(database) == ("a", "a")


async def test_transactions_take_turns(database: Database) -> None:
    """A shared connection would let one task commit another's half."""

    async def add_one() -> None:
        async with database.transaction() as tx:
            found = await tx.fetch("SELECT value FROM _rts_meta WHERE key='n'")
            await asyncio.sleep(0)
            await meta.put(tx, "n", str(int(found[0][0] if found else 0) + 1))

    await asyncio.gather(*(add_one() for _ in range(20)))
    assert await meta.get(database, "n") == "20"


async def test_readers_see_only_what_is_committed(database: Database) -> None:
    """And do not wait for it."""
    async with database.transaction() as tx:
        await meta.put(tx, "first", "a")
        assert await pair(database) == (None, None)
    assert (await pair(database))[0] == "a"


async def test_a_full_disk_is_told_and_over_when_it_is_over(database: Database) -> None:
    """Charter 5: nothing kept, the reason shown, and no restart needed."""
    await fill_disk(database, "_rts_meta")
    with pytest.raises(StorageFull) as caught:
        await write(database, "x" * 100_000, "x")
    assert "free some space" in caught.value.do
    assert database.failure
    assert await pair(database) == (None, None)
    await free_disk(database, "_rts_meta")
    await write(database, "a", "a")
    assert database.failure is None


async def test_the_journal_never_gives_a_number_twice(database: Database) -> None:
    """Followers resume by number: what was rolled back leaves a gap."""
    journal = await Journal.open(database)

    async def append(*, fail: bool) -> list[int]:
        async with database.transaction() as tx:
            entries = await journal.append(tx, 0, [Note("error", message="x"), Note("mode", message="y")])
            if fail:
                raise LookupError
        return [entry.seq for entry in entries]

    first = await append(fail=False)
    with pytest.raises(LookupError):
        await append(fail=True)
    third = await append(fail=False)
    assert (first, third) == ([1, 2], [5, 6])
    assert [entry.seq for entry in await entries_after(database, 0)] == [1, 2, 5, 6]
    again = await Journal.open(database)
    assert again.last_seq == 6


async def test_the_journal_reads_back_what_was_written(database: Database) -> None:
    """Every column, filters and limits."""
    journal = await Journal.open(database)
    note = Note(
        "change",
        "Contact",
        "003000000000001AAA",
        "update",
        "push",
        "applied",
        ["Email"],
        412,
        "message",
        {"master": "x"},
        {"Email": "before"},
    )
    async with database.transaction() as tx:
        await journal.append(tx, 1_772_359_200_123, [note, Note("change", "Lead", "00Q000000000001AAA")])
    (entry,) = await entries_after(database, 0, object_name="Contact")
    assert (entry.seq, entry.at) == (1, "2026-03-01T10:00:00.123Z")
    assert entry.note == replace(note, before=None)  # what it replaced is read for a history only
    assert [event.seq for event in await entries_after(database, 1)] == [2]
    assert [event.seq for event in await entries_after(database, 0, limit=1)] == [1]
