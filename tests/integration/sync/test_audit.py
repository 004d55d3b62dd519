"""The state audit against the simulated org: exact, resumable, and proven before it says live."""

from __future__ import annotations

import asyncio

import pytest

from rtsd.core.object_state import ObjectState
from rtsd.sync import audit
from rtssim.sample_data.generator import DEFAULT_RECORDS
from tests.support.inprocess.rig import Rig, Start


async def bulk_served(rig: Rig) -> tuple[int, int]:
    """Bulk jobs created, and rows of their results that were sent."""
    stats = await rig.sim.stats()
    return stats["bulk_jobs"], stats["rows_served"]["bulk"]


async def test_every_object_is_exact_in_every_field(start: Start) -> None:
    """The first audit of a CRM: rows, nulls, numbers, moments and texts in many scripts."""
    rig = await start(dict.fromkeys(DEFAULT_RECORDS, 15), objects=(*DEFAULT_RECORDS, "User"))
    await rig.load()
    assert await rig.differences() == []
    assert {mirrored.state for mirrored in rig.parts.base.catalog} == {ObjectState.LIVE}
    assert all(mirrored.stored.expected_rows for mirrored in rig.parts.base.catalog)


async def interrupted(rig: Rig) -> None:
    """Begin to load contacts, and stop as a kill would, just after the first page was stored."""
    with rig.parts.base.publisher.feed.follow() as follower:
        await rig.parts.readers.describer.step()
        running = asyncio.create_task(rig.parts.readers.audit.run(rig["Contact"]))
        async for batch in follower.batches():
            if any(" s left" in (event.message or "") for event in batch):
                break
        running.cancel()
        await asyncio.wait([running])


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of 40 rows."""
    monkeypatch.setattr(audit, "PAGE", 40)


async def test_a_killed_audit_goes_on_where_it_was(start: Start, small_pages: None) -> None:
    """Finished pages are not read again, no second job is paid for, and the end is exact."""
    rig = await start({"Contact": 200}, run=False)
    async with rig.running():
        await interrupted(rig)
        ((stored,),) = await rig.rows("SELECT COUNT(*) FROM Contact")
        assert 40 <= stored < 200
        _, before = await bulk_served(rig)
    async with rig.running():
        assert rig["Contact"].state is not ObjectState.LIVE
        await rig.load()
        assert await rig.differences() == []
        jobs, after = await bulk_served(rig)
    assert jobs == 1
    assert after - before <= 200 - 40


async def test_a_vanished_job_is_made_anew(start: Start, small_pages: None) -> None:
    """The job is gone when the daemon comes back: a new one, and exact all the same."""
    rig = await start({"Contact": 200}, run=False)
    async with rig.running():
        await interrupted(rig)
    assert rig.sim.server is not None
    rig.sim.server.bulk.jobs.clear()
    async with rig.running():
        await rig.load()
        assert rig["Contact"].state is ObjectState.LIVE
        assert await rig.differences() == []
    assert (await bulk_served(rig))[0] == 2


async def test_pushes_during_the_load_are_kept(start: Start) -> None:
    """Contract 3: taken and applied while the audit runs; the older Bulk rows do not undo them."""
    rig = await start({"Contact": 300})
    await rig.install_package()
    await rig.parts.readers.describer.step()
    record = await rig.a_record("Contact")
    loading = asyncio.create_task(rig.load())
    for number in range(5):
        await rig.dml("update", "Contact", rows=[{"Id": record, "LastName": f"while loading {number}"}])
        await rig.parts.services.realtime.apply_batch()
    await loading
    await rig.settle()
    assert rig["Contact"].state is ObjectState.LIVE
    assert await rig.differences() == []


async def test_a_count_that_differs_is_not_live(start: Start) -> None:
    """ac_09, ac_11: the object says incomplete and why, in state, journal and status."""
    rig = await start({"Contact": 30})
    await rig.load()
    rig.advance(3_600)
    async with rig.parts.base.database.transaction() as tx:
        await tx.execute("DELETE FROM Contact WHERE Id=(SELECT MIN(Id) FROM Contact)")
    assert not await rig.parts.readers.audit.prove(rig["Contact"])
    reason = "the org counts 30 rows, the mirror has 29"
    assert (rig["Contact"].state, rig["Contact"].stored.error) == (ObjectState.INCOMPLETE, reason)
    assert reason in str((await rig.notes("audit"))[-1].message)
    (shown,) = (await rig.parts.views.status()).objects
    assert (shown.state, shown.error) == ("incomplete", reason)


async def test_a_failed_job_is_told_and_not_live(start: Start) -> None:
    """What Salesforce says is what the object says; nothing is green while broken."""
    rig = await start({"Contact": 30})
    await rig.sim.fault("job_failed", message="InvalidBatch: no luck", count=1)
    await rig.load()
    assert rig["Contact"].state is ObjectState.INCOMPLETE
    assert "no luck" in str(rig["Contact"].stored.error)
    rig.advance(3_600)
    await rig.load()
    assert rig["Contact"].state is ObjectState.LIVE
    assert await rig.differences() == []


async def test_an_object_that_bulk_refuses_is_read_by_rest(start: Start) -> None:
    """Another way in, the same rows."""
    rig = await start({"Contact": 30, "Lead": 30})
    rig.org.switches.bulk_refuses = frozenset({"Contact"})
    await rig.load()
    assert await rig.differences() == []
    assert (await bulk_served(rig))[0] == 1
