"""The channel `cdc` in a daemon: what its events and their absence say of the channel."""

from __future__ import annotations

import pytest

from rtsd.core.mode import Mode
from rtsd.core.silence import Quiet
from tests.support.inprocess.rig import Rig
from tests.support.stream.captured import arrived, choose, settled
from tests.support.stream.subscription import subscribed


async def test_the_stream_makes_it_real_time(rig: Rig) -> None:
    """From its first response on, without a heartbeat; what is not selected is read, and says so."""
    async with subscribed(rig):
        await rig.load()
        await rig.parts.services.evidence.step()
        status = await rig.parts.views.status()
        assert (status.mode, status.push.channel, status.gateway.listen) == ("real_time", "cdc", None)
        assert {shown.name: shown.arrives_by for shown in status.objects} == {
            "Account": "interval",
            "Contact": "push",
        }
        account = await rig.a_record("Account")
        await rig.dml("update", "Account", rows=[{"Id": account, "Phone": "1"}])
        rig.advance(300)
        await rig.parts.services.interval_sync.step()
        await rig.parts.services.interval_sync.step()
        assert await rig.differences() == []
        await choose(rig, "Account")
        await rig.parts.services.capture.step() if rig.parts.services.capture else None
        assert {shown.arrives_by for shown in (await rig.parts.views.status()).objects} == {"push"}


async def test_a_silent_bus_is_no_real_time(rig: Rig) -> None:
    """No response for silence_after: Interval Sync reads, until one comes."""
    async with subscribed(rig):
        await rig.load()
        await rig.parts.services.evidence.step()
        assert rig.mode is Mode.REAL_TIME
        await rig.sim.fault("rpc_silent", seconds=3_600)
        rig.advance(31 * 60)
        rig.parts.channel.push.beat_at = None  # the last response was before
        await rig.parts.services.silence_watch.step()
        assert rig.mode is Mode.INTERVAL
        assert await rig.differences() == []


async def test_the_newest_event_of_a_response_is_the_sign_of_life(rig: Rig) -> None:
    """Of what the bus kept, events from long ago prove nothing about now; those of this minute do."""
    async with subscribed(rig):
        await rig.load()
    record = await rig.a_record("Contact")
    await rig.dml("update", "Contact", rows=[{"Id": record, "Title": "long ago"}])
    rig.advance(2 * 3_600)
    async with subscribed(rig):
        await arrived(rig, "long ago")
        assert rig.parts.channel.push.quiet is Quiet.UNKNOWN
    await rig.dml("update", "Contact", rows=[{"Id": record, "Title": "again, long ago"}])
    rig.advance(2 * 3_600)
    await rig.dml("update", "Contact", rows=[{"Id": record, "Title": "now"}])
    async with subscribed(rig):
        await arrived(rig, "now")
        assert rig.parts.channel.push.quiet is Quiet.LIVE


@pytest.mark.parametrize(("column", "quiet"), [("Name", Quiet.FILTERED), ("Title", Quiet.SILENT)])
async def test_what_no_event_tells_is_no_silence(rig: Rig, column: str, quiet: Quiet) -> None:
    """A window finds it, and no event had to bring it; of any other field one had to."""
    async with subscribed(rig):
        await rig.load()
        await rig.parts.services.evidence.step()
        rig.advance(2)
        await rig.dml("update", "Contact", rows=[{"Id": await rig.a_record("Contact"), "Title": "seen"}])
        await arrived(rig, "seen")
        await settled(rig)
        rig.advance(120)
        async with rig.parts.base.database.transaction() as tx:
            older = "SystemModstamp='2026-03-01T09:00:00.000Z', _rts_seen=0, _rts_until=0"
            await tx.execute(f"UPDATE Contact SET {column}='before', {older} WHERE Title='seen'")
            await tx.execute("DELETE FROM _rts_journal WHERE type='change'")
        await rig.parts.services.interval_sync.read()
        await rig.parts.channel.missed_pushes.judge()
        assert rig.parts.channel.push.quiet is quiet
