"""The past is kept for as long and as large as configured, and goes a little at a time."""

from __future__ import annotations

from rtsd.store import retention
from rtsd.store.journal import Note
from rtsd.sync.retention import Keep, Retention
from tests.support.inprocess.rig import Rig, Start

DAY_S = 86_400


async def forget(rig: Rig, keep: Keep | None = None) -> int:
    """Forget what is due; how many steps it took."""
    forgetting = Retention(rig.parts.engine, keep) if keep else rig.parts.services.retention
    steps = 0
    while await forgetting.forget():
        steps += 1
    return steps


async def fill(rig: Rig, count: int, message: str = "x") -> None:
    """Write so many entries into the journal."""
    async with rig.parts.engine.unit_of_work() as unit:
        notes = [Note("change", "Contact", f"{number:018}", message=message) for number in range(count)]
        await rig.parts.engine.journal.append(unit.tx, rig.now(), notes)


async def test_the_journal_goes_by_age(start: Start) -> None:
    """What is older than journal_keep goes, in steps; what is younger stays, and numbers are not reused."""
    rig = await start({"Contact": 1})
    keep = Keep(30 * DAY_S * 1_000, 0)
    await fill(rig, 5_000)
    rig.advance(29 * DAY_S)
    await fill(rig, 10)
    assert await forget(rig, keep) == 0
    rig.advance(2 * DAY_S)
    assert await forget(rig, keep) == 3
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
    entries, size = await retention.journal_size(rig.parts.database)
    assert 800_000 < size <= 1_000_000
    ((newest, count),) = await rig.rows("SELECT MAX(seq), COUNT(*) FROM _rts_journal")
    assert (count, newest) == (entries, rig.parts.engine.journal.last_seq)


async def test_ids_of_pushes_and_errors_go_too(start: Start) -> None:
    """An id is known for a week; an error that does not come again is forgotten with the journal."""
    rig = await start({"Contact": 1})
    await rig.load()
    await rig.push(rig.changes({"object": "Contact", "op": "delete", "id": "003000000000001AAA"}))
    while await rig.parts.services.realtime.apply_batch():
        pass
    from rtsd.errors import SalesforceError

    await rig.parts.engine.report(SalesforceError("once"))
    rig.advance(6 * DAY_S)
    await forget(rig)
    assert await rig.rows("SELECT COUNT(*) FROM _rts_inbox") == [(1,)]
    rig.advance(2 * DAY_S)
    await forget(rig)
    assert await rig.rows("SELECT COUNT(*) FROM _rts_inbox") == [(0,)]
    assert await rig.rows("SELECT COUNT(*) FROM _rts_error") == [(1,)]
    rig.advance(90 * DAY_S)
    await forget(rig)
    assert await rig.rows("SELECT COUNT(*) FROM _rts_error") == [(0,)]
