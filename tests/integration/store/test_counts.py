"""The counts that status shows: at any moment they equal what SQL counts, and no rollback moves them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from rtsd.core.instant import DAY_MS, Millis, to_iso
from rtsd.core.privacy import MaskedPush
from rtsd.store import dead_letters, error_log, held, quota
from rtsd.store.counts import Counts
from rtsd.store.database import Database, Tx
from rtsd.store.dead_letters import DeadLetter
from rtsd.store.inbox import Arrival, Inbox
from rtsd.store.pushes import Entry
from tests.support.mirror import mirror_at
from tests.support.store import restored

NOW: Millis = 1_772_359_200_000


async def counted(database: Database) -> dict[str, Any]:
    """What SQL counts: the truth, by a full scan of each table."""
    day = NOW - DAY_MS
    ((held_parts,),) = await database.fetch("SELECT COUNT(*) FROM _rts_held")
    ((letters,),) = await database.fetch("SELECT COUNT(*) FROM _rts_dead_letter")
    ((errors,),) = await database.fetch(
        "SELECT COALESCE(SUM(count), 0) FROM _rts_error WHERE at >= ?", (to_iso(day),)
    )
    calls = await database.fetch(
        "SELECT purpose, SUM(calls) FROM _rts_ledger WHERE at >= ? AND resource='DailyApiRequests'"
        " GROUP BY purpose",
        (day,),
    )
    return {
        "held": held_parts,
        "dead_letters": letters,
        "errors": errors,
        "calls": dict(calls),
    }


def shown(counts: Counts) -> dict[str, Any]:
    """The same as status shows it."""
    return {
        "held": counts.held,
        "dead_letters": counts.dead_letters,
        "errors": counts.errors.last_day(NOW),
        "calls": counts.calls_by_purpose("DailyApiRequests", NOW),
    }


@asynccontextmanager
async def agreeing(database: Database) -> AsyncIterator[Tx]:
    """A transaction, after which both agree."""
    async with database.transaction() as tx:
        yield tx
    assert shown(database.counts) == await counted(database)


async def append(box: Inbox, *names: str, at: Millis = NOW) -> None:
    """Put pushes into the inbox, in one group."""
    tasks = [asyncio.create_task(box.append(Arrival(name, at, MaskedPush(b"{}")))) for name in names]
    await asyncio.sleep(0)
    while not all(task.done() for task in tasks):
        await box.step()
        await asyncio.sleep(0)


async def bury(tx: Tx, record: str | None, reason: str = "BadValue") -> None:
    """Keep a change that cannot be applied."""
    await dead_letters.add(
        tx, to_iso(NOW), reason, "m", MaskedPush(b"{}"), object_name="Contact", record=record
    )


async def fill(database: Database) -> None:
    """Let everything happen that moves a count."""
    async with agreeing(database) as tx:
        parts = {"Contact": MaskedPush(b"{}"), "Lead": MaskedPush(b"{}")}
        await held.hold(tx, Entry(1, "a", NOW, MaskedPush(b"{}")), parts)
    async with agreeing(database) as tx:
        await held.release(tx, "Lead")
    entries = await held.released(database)
    for _ in range(2):
        async with agreeing(database) as tx:
            await held.settle(tx, entries, ())
    async with agreeing(database) as tx:
        for record in ("r1", "r1", "r2", None, None):
            await bury(tx, record)
        await bury(tx, "r3", dead_letters.UNKNOWN_FIELD)
        letter = DeadLetter(0, to_iso(NOW), "Undelivered", "m", "Contact", "r1", 9, b"{}", rule="crm")
        await dead_letters.add_delivery(tx, letter)
    async with agreeing(database) as tx:
        await dead_letters.drop(tx, 1)
        await dead_letters.drop(tx, 1)
        await dead_letters.drop(tx, 1_000)
    async with agreeing(database) as tx:
        letters = await dead_letters.take(tx, "Contact", dead_letters.UNKNOWN_FIELD)
        await held.requeue(tx, NOW, [(str(letter_id), body) for letter_id, body in letters])
    for minutes_ago, error in ((2_000, "A"), (1_000, "A"), (30, "A"), (20, "B"), (10, "B"), (0, "A")):
        async with agreeing(database) as tx:
            await error_log.add(tx, to_iso(NOW - minutes_ago * 60_000), error, "m", None)
    for at in (NOW - 2 * DAY_MS, NOW - DAY_MS // 2, NOW):
        async with agreeing(database) as tx:
            await quota.spend(tx, at, "audit", "DailyApiRequests", 5)
            await quota.spend(tx, at, "audit", "DailyBulkV2QueryJobs", 1)
            await quota.spend(tx, at, "repair", "DailyApiRequests", 1)


async def test_counts_equal_what_sql_counts(tmp_path: Path) -> None:
    """After every kind of write, duplicates and misses included; and again after a restart."""
    async with await mirror_at(tmp_path / "mirror.db").engine().open() as database:
        await fill(database)
        before = shown(database.counts)
        assert (before["held"], before["dead_letters"]) == (2, 4)
        assert (before["errors"], before["calls"]) == (6, {"audit": 10, "repair": 2})
    async with await mirror_at(tmp_path / "mirror.db").engine().open() as database:
        assert shown(database.counts) == before == await counted(database)


async def test_the_inbox_counts_what_sql_counts(database: Database, box: Inbox, tmp_path: Path) -> None:
    """Pushes that wait and those of the last day, duplicates included; and again after a restart."""
    await append(box, "a", "b", "c", "a")
    await append(box, "b", "d", at=NOW - 2 * DAY_MS)
    async with database.transaction() as tx:
        await box.mark_applied(tx, (await box.oldest())[:1])
    assert (box.pending, box.received.last_day(NOW)) == (3, 3)
    again = await restored(database, tmp_path / "mirror.db")
    await again.file.close()
    assert (again.pending, again.received.last_day(NOW)) == (3, 3)


async def test_a_rollback_moves_no_count(database: Database) -> None:
    """What a transaction noted goes with it."""
    await fill(database)
    before = shown(database.counts)
    with suppress(ZeroDivisionError):
        async with database.transaction() as tx:
            await held.settle(tx, await held.released(database), ())
            await bury(tx, "r9")
            await dead_letters.drop(tx, 2)
            await error_log.add(tx, to_iso(NOW), "C", "m", None)
            await quota.spend(tx, NOW, "audit", "DailyApiRequests", 5)
            raise ZeroDivisionError
    assert shown(database.counts) == before == await counted(database)


async def test_a_commit_that_is_cancelled_counts_as_it_ends(database: Database) -> None:
    """The commit goes on all the same, and then it is counted."""

    async def work() -> None:
        async with database.transaction() as tx:
            await bury(tx, "r1")
            asyncio.get_running_loop().call_soon(task.cancel)

    task = asyncio.create_task(work())
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database.transaction():  # the one before is done with the connection
        pass
    assert shown(database.counts) == await counted(database)
    assert database.counts.dead_letters == 1
