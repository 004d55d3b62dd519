"""The channel `stream` in a daemon: the package's events reach the mirror, with no port open."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rtsd import config
from rtsd.core.mode import Mode
from rtsd.core.quota import DELIVERIES
from rtsd.core.seal import CHANGE_OVER_S
from rtsd.core.silence import Quiet
from rtsd.errors import ConfigError
from rtsd.services import UNTIL_WOKEN
from rtsd.store import inbox
from rtsd.stream.subscriber import Patience
from tests.support.inprocess.rig import TOKEN, Rig, Start
from tests.support.stream.subscription import connected, subscribed
from tests.support.waiting import eventually

PUSH = '[push]\nchannel = "stream"\nendpoint = "{pubsub}"\n'
HOURS = 3_600


@pytest.fixture
async def rig(start: Start) -> Rig:
    """A few contacts, and a package that publishes; the daemon does not run yet and has no gateway."""
    found = await start({"Contact": 12}, more=PUSH, run=False, pubsub=True)
    found.listen = ""
    await found.sim.control(
        "package/install",
        {"channel": "stream", "objects": ["Contact"], "settings": {"Token__c": TOKEN}},
    )
    await found.sim.control("switches", {"keepalive_s": 0.2, "session_minutes": 100 * 60.0})
    return found


async def edit(rig: Rig, title: str) -> str:
    """Change a contact; return its id."""
    record_id = await rig.a_record("Contact")
    await rig.dml("update", "Contact", rows=[{"Id": record_id, "Title": title}])
    return record_id


async def arrived(rig: Rig, title: str) -> None:
    """Wait until a push with that title was applied."""

    async def shows() -> bool:
        await rig.settle()
        return await rig.rows("SELECT 1 FROM Contact WHERE Title = ?", title) != []

    await eventually(shows, f"{title} in the mirror")


@pytest.mark.parametrize("switches", [{}, {"push_sealed": True}, {"push_part_chars": 400}])
async def test_pushes_reach_the_mirror(rig: Rig, switches: dict[str, object]) -> None:
    """Open, sealed, and in parts: through the same inbox, mode and journal as by the gateway."""
    await rig.sim.control("switches", switches)
    async with subscribed(rig):
        await rig.load()
        calls = (await rig.sim.stats())["api_calls"]
        await edit(rig, "by stream")
        await arrived(rig, "by stream")
        status = await rig.parts.views.status()
        assert (status.gateway.listen, status.push.channel) == (None, "stream")
        assert status.push.stream is not None
        assert status.push.stream.deliveries_ours_24h >= 1
        assert status.push.received_24h == 1
        assert await rig.differences() == []
        assert (await rig.sim.stats())["api_calls"] == calls
        await is_real_time(rig)


async def test_what_came_while_down_needs_no_call(rig: Rig) -> None:
    """The bus kept it: a restart resumes after the position that was stored with the last push."""
    async with subscribed(rig):
        await rig.load()
        await edit(rig, "before")
        await arrived(rig, "before")
    await edit(rig, "while down")
    rig.advance(70 * HOURS)
    async with subscribed(rig):
        calls = (await rig.sim.stats())["api_calls"]
        await arrived(rig, "while down")
        assert (await rig.sim.stats())["api_calls"] == calls
        assert await rig.differences() == []


async def test_the_age_of_the_position_outlives_a_restart(rig: Rig) -> None:
    """It is known before the first response, and grows while rtsd is down; an old event is an old one."""
    async with subscribed(rig):
        await rig.load()
        await edit(rig, "before")
        await arrived(rig, "before")
        assert await age(rig) < 60
    rig.advance(2 * HOURS)
    async with rig.running():
        assert 2 * HOURS <= await age(rig) < 3 * HOURS
    await edit(rig, "while down")
    await rig.sim.control("switches", {"keepalive_s": 3_600})
    rig.advance(60 * HOURS)
    async with subscribed(rig):
        await arrived(rig, "while down")
        assert 60 * HOURS <= await age(rig) < 61 * HOURS
    async with rig.running():
        assert 60 * HOURS <= await age(rig) < 61 * HOURS


async def age(rig: Rig) -> int:
    """The age of the position in status (s)."""
    stream = (await rig.parts.views.status()).push.stream
    assert stream is not None
    assert stream.replay_age_s is not None
    return stream.replay_age_s


async def test_what_the_bus_no_longer_has_is_read(rig: Rig) -> None:
    """After 72 hours: the journal says it, every object is read, deletions included."""
    async with subscribed(rig):
        await rig.load()
        await edit(rig, "before")
        await arrived(rig, "before")
    gone = await edit(rig, "lost")
    await rig.dml("delete", "Contact", ids=[gone])
    rig.advance(80 * HOURS)
    async with subscribed(rig):
        notes = [note.message for note in await rig.notes("package")]
        assert "every object is being read: Salesforce no longer knows the stream's position" in notes
        await rig.parts.services.interval_sync.step()
        await rig.settle()
        assert await rig.differences() == []


async def test_forged_events_are_refused_and_counted(rig: Rig) -> None:
    """Another token: nothing is applied, the rejection is shown, and the stream goes on."""
    async with subscribed(rig):
        await rig.load()
        await rig.sim.control("package/settings", {"Token__c": "a token of somebody else"})
        await edit(rig, "forged")
        await eventually(lambda: rejected(rig), "a rejection")
        await rig.sim.control("package/settings", {"Token__c": TOKEN})
        await edit(rig, "genuine")
        await arrived(rig, "genuine")
        assert await rig.rows("SELECT 1 FROM _rts_journal WHERE detail LIKE '%forged%'") == []


async def test_a_restart_remembers_that_events_are_sealed(rig: Rig) -> None:
    """Open ones are refused at once; a start that does not demand seals forgets, as the package may stop."""
    rig.more = PUSH + "sealed = true\n"
    await rig.sim.control("switches", {"push_sealed": True, "push_timestamp_by_org_clock": True})
    async with subscribed(rig):
        await rig.load()
        await edit(rig, "sealed")
        await arrived(rig, "sealed")
    rig.advance(CHANGE_OVER_S + 60)
    await rig.sim.control("switches", {"push_sealed": False})
    await edit(rig, "open")
    async with subscribed(rig):
        await eventually(lambda: rejected(rig), "a rejection")
        assert await rig.rows("SELECT 1 FROM _rts_journal WHERE detail LIKE '%open%'") == []
    rig.more = PUSH
    async with subscribed(rig):
        await edit(rig, "open again")
        await arrived(rig, "open again")
    rig.more = PUSH + "sealed = true\n"
    async with subscribed(rig):
        await edit(rig, "not sealed yet")
        await arrived(rig, "not sealed yet")


async def rejected(rig: Rig) -> int:
    """Rejections in status."""
    return (await rig.parts.views.status()).push.rejected_24h


async def test_a_heartbeat_travels_the_same_way(rig: Rig) -> None:
    """And keeps the mode."""
    async with subscribed(rig):
        await rig.load()
        await rig.sim.control("package/heartbeat")
        await is_real_time(rig)


async def test_a_restart_takes_only_fresh_signs_for_proof(rig: Rig) -> None:
    """A heartbeat that the bus kept for minutes brings real time back; none of hours ago does."""
    await rig.sim.control("switches", {"push_timestamp_by_org_clock": True})
    async with subscribed(rig):
        await rig.load()
        await rig.sim.control("package/heartbeat")
        await is_real_time(rig)
    rig.advance(5 * 60)
    await rig.sim.control("package/heartbeat")
    rig.advance(10 * 60)
    async with subscribed(rig):
        assert rig.mode is Mode.AWAITING_PACKAGE
        await is_real_time(rig)
    await rig.sim.control("package/heartbeat")
    await edit(rig, "long ago")
    rig.advance(2 * HOURS)
    async with subscribed(rig):
        await arrived(rig, "long ago")
        assert rig.mode is Mode.AWAITING_PACKAGE
        push = rig.parts.channel.push
        assert (push.quiet, push.beat_at) == (Quiet.UNKNOWN, None)
        assert await rig.differences() == []


async def is_real_time(rig: Rig) -> None:
    """Wait until the mode is."""

    async def shows() -> bool:
        await rig.parts.services.evidence.step()
        return rig.mode is Mode.REAL_TIME

    await eventually(shows, "real time")


async def test_a_refusal_is_reported_once(rig: Rig) -> None:
    """With what to do, in the error log and in status, until the subscription works."""
    await rig.sim.control("package/uninstall")
    async with rig.running() as parts:
        assert parts.services.subscriber is not None
        assert parts.services.deliveries is not None
        await parts.services.deliveries.step()
        assert [await parts.services.subscriber.step() for _ in range(2)] == [20, 20]
        status = await parts.views.status()
        assert status.push.stream is not None
        assert "rtsd package deploy" in str(status.push.stream.error)
        errors = [note for note in await rig.notes("error") if "No such topic" in str(note.message)]
        assert len(errors) == 1


async def test_the_last_deliveries_are_left_to_others(rig: Rig) -> None:
    """At 80 % of the org's deliveries rtsd unsubscribes, reads, and returns once enough have expired."""
    await rig.sim.control("limits", {DELIVERIES: 10})
    async with subscribed(rig):
        await rig.load()
        deliveries = rig.parts.services.deliveries
        assert deliveries is not None
        for number in range(8):
            await edit(rig, f"{number}")
            await arrived(rig, f"{number}")
        await eventually(lambda: unsubscribed(rig), "no subscription")
        stream = (await rig.parts.views.status()).push.stream
        assert stream is not None
        assert (stream.deliveries_24h, stream.deliveries_ours_24h, stream.deliveries_max) == (8, 8, 10)
        assert "8 of the org's 10 event deliveries of 24 hours are used" in str(stream.error)
        await rig.parts.services.evidence.step()
        assert rig.mode is Mode.INTERVAL
        await edit(rig, "read instead")
        await deliveries.step()
        assert not await connected(rig)
        rig.advance(25 * HOURS)
        await deliveries.step()
        await eventually(lambda: connected(rig), "a new subscription")
        await rig.parts.services.interval_sync.step()
        await rig.settle()
        assert await rig.differences() == []
        assert deliveries.ours() == 0, "what the bus kept is not fetched from it"


async def unsubscribed(rig: Rig) -> bool:
    """Whether status says so."""
    stream = (await rig.parts.views.status()).push.stream
    return stream is not None and stream.connected is False


async def test_events_count_while_their_number_is_stored(rig: Rig) -> None:
    """However long the store is busy: what has used the share up stays counted, once."""
    await rig.sim.control("limits", {DELIVERIES: 10})
    async with rig.running() as parts:
        deliveries = parts.services.deliveries
        assert deliveries is not None
        await deliveries.step()
        deliveries.received(8)
        async with parts.base.database.transaction():
            storing = asyncio.create_task(deliveries.step())
            assert await asyncio.wait({storing}, timeout=0.1) == (set(), {storing})
            assert not deliveries.may_subscribe()
            assert deliveries.ours() == 8
        await storing
        assert not deliveries.may_subscribe()
        assert deliveries.ours() == 8


async def test_an_org_at_its_limit_is_left_alone(rig: Rig) -> None:
    """At the start rtsd asks before it subscribes; others have used what there is."""
    await rig.sim.control("limits", {"use": {DELIVERIES: 9_000}})
    async with rig.running() as parts:
        subscriber, deliveries = parts.services.subscriber, parts.services.deliveries
        assert subscriber is not None
        assert deliveries is not None
        assert await subscriber.step() == UNTIL_WOKEN
        assert await deliveries.step() == pytest.approx(60, abs=1)
        assert await subscriber.step() == 30 * 60
        stream = (await parts.views.status()).push.stream
        assert stream is not None
        assert (stream.connected, stream.deliveries_24h, stream.deliveries_ours_24h) == (None, 9_000, 0)


async def test_the_last_runs_figure_allows_no_subscription(rig: Rig) -> None:
    """However young it is: others have used what there was, and rtsd asks once more."""
    async with rig.running() as parts:
        assert parts.services.deliveries is not None
        await parts.services.deliveries.step()
        await rig.load()
    await rig.sim.control("limits", {"use": {DELIVERIES: 9_000}})
    async with rig.running() as parts:
        subscriber, deliveries = parts.services.subscriber, parts.services.deliveries
        assert subscriber is not None
        assert deliveries is not None
        await deliveries.step()
        assert not deliveries.may_subscribe()
        assert await subscriber.step() == 30 * 60
        before = (await rig.calls())["limits"]
        await deliveries.step()
        assert (await rig.calls())["limits"] == before, "once a start"


async def test_the_stream_waits_while_the_inbox_is_full(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks for single events, and for all that it may once there is room."""
    monkeypatch.setattr(inbox, "ROOM", 1)
    async with subscribed(rig):
        await rig.load()
        for number in range(3):
            await edit(rig, f"{number}")
        await eventually(lambda: rig.parts.base.inbox.pending >= 1, "a push in the inbox")
        await arrived(rig, "2")
        assert await rig.differences() == []


def test_the_token_may_be_in_either_table(tmp_path: Path) -> None:
    """And is needed for a stream even without a gateway."""
    path = tmp_path / "rtsd.toml"
    head = '[org]\nlogin_url = "https://a.my.salesforce.com"\nclient_id = "x"\nclient_secret = "y"\n'
    tail = '[gateway]\nlisten = ""\n[push]\nchannel = "stream"\n{}[[objects]]\nname = "Contact"\n'
    path.write_text(head + tail.format('token = "0123456789abcdef"\n'))
    path.chmod(0o600)
    assert config.load(path).hmac_keys == (b"0123456789abcdef",)
    path.write_text(head + tail.format(""))
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert [mistake for mistake in caught.value.mistakes if mistake.startswith("push.token")]


def test_the_patience_fits_what_salesforce_documents() -> None:
    """Keepalives come within 270 s; a stream without credit is closed after 60 s."""
    patience = Patience()
    assert patience.silence_s > 270
    assert patience.idle_s + patience.room_s < 60
