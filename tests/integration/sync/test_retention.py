"""The past is kept for as long and as large as configured, and goes a little at a time."""

from __future__ import annotations

import asyncio
import time
from statistics import median

from rtsd.core.instant import to_iso
from rtsd.store import retention
from rtsd.store.journal import Note
from rtsd.sync.retention import Keep, Retention
from tests.support.inprocess.rig import Rig, Start
from tests.support.mirror import ENGINE

DAY_S = 86_400


async def forget(rig: Rig, keep: Keep | None = None) -> int:
    """Forget what is due; how many steps it took."""
    base = rig.parts.base
    forgetting = Retention(base.database, base.inbox, rig.now, keep) if keep else rig.parts.services.retention
    steps = 0
    while await forgetting.prune():
        steps += 1
    return steps


async def fill(rig: Rig, count: int, message: str = "x") -> None:
    """Write so many entries into the journal."""
    async with rig.parts.base.work.begin() as unit:
        notes = [Note("change", "Contact", f"{number:018}", message=message) for number in range(count)]
        await rig.parts.base.journal.append(unit.tx, rig.now(), notes)


async def test_the_journal_goes_by_age(start: Start) -> None:
    """What is older than journal_keep goes, in steps; what is younger stays, and numbers are not reused."""
    rig = await start({"Contact": 1})
    keep = Keep(30 * DAY_S * 1_000, 0)
    await fill(rig, 5_000)
    rig.advance(29 * DAY_S)
    await fill(rig, 10)
    assert await forget(rig, keep) == 0
    rig.advance(2 * DAY_S)
    assert await forget(rig, keep) == 5_000 // retention.AT_ONCE
    ((first, count),) = await rig.rows("SELECT MIN(seq), COUNT(*) FROM _rts_journal")
    assert count == 10
    await fill(rig, 1)
    ((last,),) = await rig.rows("SELECT MAX(seq) FROM _rts_journal")
    assert last == first + 10


async def test_the_journal_goes_by_size(start: Start) -> None:
    """Above journal_max the oldest entries go until it fits."""
    rig = await start({"Contact": 1})
    await fill(rig, 9_000, "x" * 200)
    assert await forget(rig, Keep(0, 1_000_000)) > 1
    entries, size = await retention.journal_size(rig.parts.base.database)
    assert 800_000 < size <= 1_000_000
    ((newest, count),) = await rig.rows("SELECT MAX(seq), COUNT(*) FROM _rts_journal")
    assert (count, newest) == (entries, rig.parts.base.journal.last_seq)


async def test_ids_of_pushes_and_errors_go_too(start: Start) -> None:
    """An id is known for a week; an error that does not come again is forgotten with the journal."""
    rig = await start({"Contact": 1})
    await rig.load()
    await rig.push(rig.changes({"object": "Contact", "op": "delete", "id": "003000000000001AAA"}))
    while await rig.parts.services.realtime.apply_batch():
        pass
    from rtsd.errors import SalesforceError

    await rig.parts.base.work.report(SalesforceError("once"))
    rig.advance(6 * DAY_S)
    await forget(rig)
    assert await rig.received("SELECT COUNT(*) FROM _rts_push_id") == [(1,)]
    rig.advance(2 * DAY_S)
    await forget(rig)
    assert await rig.received("SELECT COUNT(*) FROM _rts_push_id") == [(0,)]
    assert await rig.rows("SELECT COUNT(*) FROM _rts_error") == [(1,)]
    rig.advance(90 * DAY_S)
    await forget(rig)
    assert await rig.rows("SELECT COUNT(*) FROM _rts_error") == [(0,)]


async def live_through(rig: Rig, days: int) -> None:
    """Put the changes of some days into the journal, up to now."""
    async with rig.parts.base.work.begin() as unit:
        for day in range(days):
            notes = [
                Note("change", "Contact", f"003{(day * 7919 + number) % 997:012}AAA", message="x" * 60)
                for number in range(20)
            ]
            at = rig.now() - (days - day) * DAY_S * 1_000
            await rig.parts.base.journal.append(unit.tx, at, notes)


async def pages(rig: Rig) -> int:
    """How large the file is."""
    ((count,),) = await rig.rows("PRAGMA page_count")
    return int(count)


async def push_times(rig: Rig, name: str) -> list[float]:
    """Send ten pushes, one after the other; return how long each took."""
    found: list[float] = []
    for number in range(10):
        began = time.perf_counter()
        push = rig.changes({"object": "Contact", "op": "update", "id": await rig.a_record("Contact")})
        assert (await rig.push(push, name=f"{name}-{number}"))[0] == 200
        found.append(time.perf_counter() - began)
    return found


async def test_a_year_of_journal_ages_away_beside_pushes(start: Start) -> None:
    """By what the daemon runs, in small steps: pushes stay quick; then SQLite's file does not grow."""
    rig = await start({"Contact": 3})
    await rig.load()
    await live_through(rig, 365)
    before = await push_times(rig, "before")
    oldest = to_iso(rig.now() - 90 * DAY_S * 1_000)
    services, stop = rig.parts.services, asyncio.Event()
    running = asyncio.create_task(
        rig.parts.runner.run_all(
            [service for service in services if service is not services.inbox], stop, _nothing
        )
    )

    async def left() -> int:
        ((count,),) = await rig.rows("SELECT COUNT(*) FROM _rts_journal WHERE at < ?", oldest)
        return int(count)

    during: list[float] = []
    async with asyncio.timeout(60):
        while await left():
            during += await push_times(rig, f"during-{len(during)}")
    stop.set()
    await running
    assert len(during) >= 10
    assert median(during) < 4 * median(before) + 0.1
    if ENGINE == "postgres":  # autovacuum decides when space is used again
        return
    size = await pages(rig)
    for _ in range(20):
        rig.advance(20 * DAY_S)
        await live_through(rig, 20)
        await forget(rig)
    assert await pages(rig) <= size


async def _nothing() -> None:
    """Nothing is to be drained."""


async def test_ids_of_pushes_go_a_few_at_a_time(start: Start) -> None:
    """However many there are: a step looks at the oldest pushes only."""
    rig = await start({"Contact": 1})
    await rig.load()
    async with rig.parts.base.inbox.file.transaction() as tx:
        rows = [(f"msg_{number}", rig.now()) for number in range(1_000)]
        await tx.executemany("INSERT INTO _rts_push_id (webhook_id, received_at) VALUES (?, ?)", rows)
    assert await rig.parts.services.retention.prune() == 0
    rig.advance(8 * DAY_S)
    steps = 0
    while gone := await rig.parts.services.retention.prune():
        assert gone <= retention.AT_ONCE
        steps += 1
    assert steps >= 1_000 // retention.AT_ONCE
    assert await rig.received("SELECT webhook_id FROM _rts_push_id") == []
