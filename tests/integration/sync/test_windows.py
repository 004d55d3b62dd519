"""Interval Sync against the simulated org: whatever changed, nothing pushed it."""

from __future__ import annotations

import random

import pytest

from rtsd.core.instant import from_iso
from rtsd.core.object_state import ObjectState
from rtsd.errors import SalesforceError
from rtsd.sync import reading, windows
from rtsd.sync.windows import WindowRead
from tests.support.inprocess.rig import Rig, Start


@pytest.fixture
async def rig(start: Start) -> Rig:
    """Contacts and accounts, loaded; no package."""
    made = await start({"Account": 8, "Contact": 12})
    await made.load()
    made.advance(60)
    return made


async def read(rig: Rig, name: str = "Contact") -> WindowRead:
    """One window, and what it asks to be fetched."""
    done = await rig.parts.readers.windows.step(rig[name])
    await rig.settle()
    return done


async def deleted(rig: Rig) -> set[str]:
    """The tombstones."""
    return {row[0] for row in await rig.rows("SELECT id FROM _rts_tombstone")}


async def test_edits_and_new_records_are_found(rig: Rig) -> None:
    """And a window in which nothing happened changes nothing."""
    record = await rig.a_record("Contact")
    await rig.dml("update", "Contact", rows=[{"Id": record, "LastName": "edited", "Phone": None}])
    await rig.dml("create", "Contact", rows=[{"LastName": "new 🚀\n"}, {"LastName": "newer"}])
    assert (await read(rig)).applied == 3
    assert await rig.differences() == []
    assert (await read(rig)).applied == 0


async def test_more_rows_of_one_stamp_than_a_page_holds(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """ac_05, ac_06: ties across page boundaries are read once, all of them."""
    monkeypatch.setattr(reading, "REST_PAGE", 5)
    await rig.dml("create", "Contact", rows=[{"LastName": f"n{number}"} for number in range(23)])
    done = await read(rig)
    assert done.applied == 23
    assert await rig.differences() == []


async def test_a_page_of_exactly_the_rest_is_the_last(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A multiple of the page size ends with an empty page, not with an error."""
    monkeypatch.setattr(reading, "REST_PAGE", 5)
    await rig.dml("create", "Contact", rows=[{"LastName": f"n{number}"} for number in range(20)])
    assert (await read(rig)).applied == 20


async def test_a_large_window_goes_over_to_bulk(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer calls for many rows, deleted ones included."""
    monkeypatch.setattr(reading, "REST_PAGE", 5)
    monkeypatch.setattr(windows, "BULK_ABOVE", 10)
    ids = await rig.dml("create", "Contact", rows=[{"LastName": f"n{number}"} for number in range(40)])
    await rig.dml("delete", "Contact", ids=ids[:4])
    await read(rig)
    assert await rig.differences() == []
    assert (await rig.sim.stats())["bulk_jobs"] == 3


async def test_soft_deletion_and_undeletion(rig: Rig) -> None:
    """The bin's rows are read as deleted; undeleted ones come back."""
    record = await rig.a_record("Contact")
    await rig.dml("delete", "Contact", ids=[record])
    await read(rig)
    assert await rig.differences() == []
    assert await deleted(rig) == {record}
    rig.advance(5)
    await rig.dml("undelete", "Contact", ids=[record])
    await read(rig)
    assert await rig.differences() == []
    assert await deleted(rig) == set()


async def test_a_hard_deletion_leaves_no_row_to_read(rig: Rig) -> None:
    """ac_28: the delete log names it; the log counts whole minutes."""
    record = await rig.a_record("Contact")
    await rig.dml("hard_delete", "Contact", ids=[record])
    rig.advance(120)
    await read(rig)
    assert await rig.differences() == []
    assert await deleted(rig) == {record}


async def test_a_merge_names_its_winner(rig: Rig) -> None:
    """The losers are gone with the winner's id; what hung on them moved."""
    ids = [row["Id"] async for row in rig.sim.rows("Contact")][:3]
    await rig.dml("merge", "Contact", master=ids[0], ids=ids[1:])
    rig.advance(120)
    await read(rig)
    assert await rig.differences() == []
    masters = await rig.rows("SELECT id, master FROM _rts_tombstone ORDER BY id")
    assert masters == [(loser, ids[0]) for loser in sorted(ids[1:])]


async def test_a_cascade_is_found(rig: Rig) -> None:
    """ac_49: children deleted with their parent fired no trigger."""
    account = await rig.a_record("Account")
    await rig.dml("delete", "Account", ids=[account])
    rig.advance(120)
    await read(rig, "Account")
    await read(rig, "Contact")
    assert await rig.differences() == []


async def test_a_commit_that_becomes_visible_late(rig: Rig) -> None:
    """ac_01, ac_02: stamped now, committed five minutes later, behind the cursor by then."""
    record = await rig.a_record("Contact")
    await rig.dml("update", "Contact", rows=[{"Id": record, "LastName": "late"}], commit_after=300)
    for _ in range(3):
        rig.advance(90)
        await read(rig)
    rig.advance(60)
    await read(rig)
    assert await rig.differences() == []


async def test_the_cursor_stays_when_a_page_fails(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Charter 17: it moves with the window's last rows only, and the next step reads the window again."""
    monkeypatch.setattr(reading, "REST_PAGE", 5)
    await rig.dml("create", "Contact", rows=[{"LastName": f"n{number}"} for number in range(12)])
    before = rig["Contact"].stored.cursor
    seed = next(number for number in range(999) if _all_but_the_first(number))
    fault = await rig.sim.fault("query_timeout", path="queryAll", probability=0.8, seed=seed)
    with pytest.raises(SalesforceError):
        await rig.parts.readers.windows.step(rig["Contact"])
    assert rig["Contact"].stored.cursor == before
    ((stored,),) = await rig.rows("SELECT COUNT(*) FROM Contact")
    assert stored == 12 + 5
    await rig.sim.control(f"faults?id={fault}", method="DELETE")
    await read(rig)
    assert await rig.differences() == []
    assert (rig["Contact"].stored.cursor or 0) > (before or 0)


def _all_but_the_first(seed: int) -> bool:
    """Whether a fault of this seed spares the first call and hits the second with all its retries."""
    rng = random.Random(seed)
    return rng.random() >= 0.8 and all(rng.random() < 0.8 for _ in range(12))


async def test_the_cursor_is_kept_with_the_rows(rig: Rig) -> None:
    """A restart reads on where it was, and what happened meanwhile is found."""
    await read(rig)
    ((kept,),) = await rig.rows("SELECT cursor FROM _rts_object WHERE name='Contact'")
    assert kept == rig["Contact"].stored.as_of
    assert rig["Contact"].state is ObjectState.LIVE


async def test_two_steps_at_once_read_one_after_the_other(rig: Rig) -> None:
    """Proof and loop may both want a window: no row twice in the journal, the cursor never back."""
    import asyncio

    await rig.dml("create", "Contact", rows=[{"LastName": "one"}])
    done = await asyncio.gather(*(rig.parts.readers.windows.step(rig["Contact"]) for _ in range(3)))
    assert sorted(result.applied for result in done) == [0, 0, 1]


@pytest.mark.parametrize("ahead_s", [-7.0, 7.0])
async def test_the_first_read_after_a_restart_goes_by_the_orgs_clock(start: Start, ahead_s: float) -> None:
    """A window that ends by our clock ends too early, and misses edits, or skips those to come."""
    rig = await start({"Contact": 5}, run=False)
    rig.skew_ms = int(ahead_s * 1000)
    async with rig.running():
        await rig.load()
    rig.advance(60)
    async with rig.running():
        record = await rig.a_record("Contact")
        await rig.dml("update", "Contact", rows=[{"Id": record, "LastName": "while down"}])
        assert (await read(rig)).applied == 1
        assert await rig.differences() == []
        as_of = from_iso(rig["Contact"].stored.as_of or "")
        assert abs(as_of - (rig.now() - rig.skew_ms)) <= 1_000


@pytest.mark.parametrize("ahead_s", [-7.0, 7.0])
async def test_the_first_proof_after_a_restart_goes_by_the_orgs_clock(start: Start, ahead_s: float) -> None:
    """What happens after the count is not proven by it."""
    rig = await start({"Contact": 5}, run=False)
    rig.skew_ms = int(ahead_s * 1000)
    async with rig.running():
        await rig.load()
    rig.advance(60)
    async with rig.running() as parts:
        await parts.readers.fingerprinter.step(rig["Contact"])
        assert abs(rig["Contact"].stored.proven_at - (rig.now() - rig.skew_ms)) <= 1_500
