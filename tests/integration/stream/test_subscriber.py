"""The subscriber against the simulated bus over real gRPC: whatever happens to a stream, no event is lost."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from rtsd.services import UNTIL_WOKEN
from rtsd.stream.pubsub_client import connected
from rtsd.stream.subscriber import Subscriber
from rtssim.process import SimulatedOrg
from tests.support.certificates import self_signed
from tests.support.rtssim.pubsub import TOPIC, contacts, edit
from tests.support.stream.keeper import QUICK, Allowance, Keeper, running, session_of, subscriber_of
from tests.support.stream.wire import Wire, wire_to
from tests.support.waiting import eventually


@pytest.fixture
async def wire(org: SimulatedOrg) -> AsyncIterator[Wire]:
    """A network between subscriber and bus."""
    async with wire_to(int(org.info["pubsub"].rpartition(":")[2])) as running_wire:
        yield running_wire


async def edits(org: SimulatedOrg, *titles: str) -> None:
    """A change of a contact for each title."""
    record_id = (await contacts(org))[0]
    for title in titles:
        await edit(org, record_id, Title=title)


async def is_open(subscriber: Subscriber) -> None:
    """Wait until a stream is proven."""
    await eventually(lambda: subscriber.state.connected, "the stream is open")


async def has(keeper: Keeper, *titles: str) -> None:
    """Wait until every title was stored, each at least once, in order."""

    def found() -> bool:
        return list(dict.fromkeys(keeper.titles)) == list(titles)

    await eventually(found, f"the events {titles}, not {keeper.titles}")


async def test_events_are_stored_with_their_position(org: SimulatedOrg, keeper: Keeper) -> None:
    """The first stream asks for a catch-up before it stores; a later one resumes after what was stored."""
    subscriber = subscriber_of(org, keeper)
    assert subscriber.state.connected is None
    async with running(subscriber):
        await is_open(subscriber)
        await edits(org, "a", "b")
        await has(keeper, "a", "b")
        assert keeper.log[0] == "catch up: the stream has no position yet"
    assert subscriber.state.connected is False
    await edits(org, "while down")
    async with running(subscriber_of(org, keeper)):
        await has(keeper, "a", "b", "while down")
    assert keeper.titles == ["a", "b", "while down"]
    assert sum(entry.startswith("catch up") for entry in keeper.log) == 1


async def test_a_response_may_be_as_large_as_the_credit_lets_it(org: SimulatedOrg, keeper: Keeper) -> None:
    """What the bus kept comes as one response: 100 events, of up to a megabyte each."""
    async with running(subscriber_of(org, keeper)) as task:
        await eventually(lambda: keeper.at, "a position")
        assert not task.done()
    titles = [f"{number}" for number in range(80)]
    rows = [{"LastName": "Ž", "Title": title, "Description": "ž" * 32_000} for title in titles]
    await org.dml("create", "Contact", rows=rows)
    async with running(subscriber_of(org, keeper)):
        await has(keeper, *titles)
    assert keeper.largest == 80


async def test_a_keepalive_moves_the_position(org: SimulatedOrg, keeper: Keeper) -> None:
    """So an idle topic's position never grows too old."""
    async with running(subscriber_of(org, keeper)):
        await eventually(lambda: keeper.log.count("store 0") >= 2, "two keepalives")
        position = keeper.at
        await eventually(lambda: keeper.at != position, "a younger position")
    assert keeper.events == []


async def test_a_thousand_events_at_full_credit(org: SimulatedOrg, keeper: Keeper) -> None:
    """Requests keep up with the events without one per event."""
    await org.control("switches", {"fetches_per_s": 25})
    subscriber = subscriber_of(org, keeper)
    async with running(subscriber):
        await is_open(subscriber)
        ids = await contacts(org)
        for number in range(40):
            rows = [{"Id": record_id, "Title": f"{number}"} for record_id in ids]
            await org.dml("update", "Contact", rows=rows)
        await eventually(lambda: len(keeper.events) == 40 * len(ids), "1,200 events")
    assert [event.values["Title"] for event in keeper.events[:: len(ids)]] == [f"{n}" for n in range(40)]
    assert keeper.endings == []


async def test_the_bus_is_killed(org: SimulatedOrg, keeper: Keeper) -> None:
    """And comes back at the same address: the stream is reopened where it stopped."""
    assert org.server is not None
    subscriber = subscriber_of(org, keeper)
    async with running(subscriber):
        await is_open(subscriber)
        await edits(org, "before")
        await has(keeper, "before")
        assert org.server.pubsub is not None
        await org.server.pubsub.stop()
        await eventually(lambda: subscriber.state.connected is False, "the end is noticed")
        await edits(org, "meanwhile")
        await org.server.pubsub.start(int(org.info["pubsub"].rpartition(":")[2]))
        await edits(org, "after")
        await has(keeper, "before", "meanwhile", "after")
    assert {ending.remedy.name for ending in keeper.endings} == {"REOPEN"}


async def test_a_silent_bus_is_left(org: SimulatedOrg, keeper: Keeper, wire: Wire) -> None:
    """A connection that is open and brings nothing, not even keepalives, is replaced."""
    subscriber = subscriber_of(
        org, keeper, address=f"http://127.0.0.1:{wire.port}", patience=replace(QUICK, silence_s=1.0)
    )
    async with running(subscriber):
        await is_open(subscriber)
        wire.freeze()
        await edits(org, "frozen")
        await eventually(lambda: subscriber.state.connected is False, "silence is noticed")
        wire.thaw()
        await has(keeper, "frozen")
    assert "no response for 1 s" in keeper.endings[0].message


async def test_resets_amid_events(org: SimulatedOrg, keeper: Keeper, wire: Wire) -> None:
    """TCP resets while events flow: some may come twice, none is missing."""
    subscriber = subscriber_of(org, keeper, address=f"http://127.0.0.1:{wire.port}")
    titles = [f"{number}" for number in range(60)]
    resets = 0

    def is_flowing() -> bool:
        return wire.connections > resets and subscriber.state.connected is True

    async with running(subscriber):
        await eventually(is_flowing, "the stream is open")
        for number, title in enumerate(titles):
            await edits(org, title)
            if number % 20 == 10:
                await eventually(is_flowing, "the stream is open again")
                wire.reset()
                resets += 1
        await has(keeper, *titles)
    assert wire.connections > resets == 3


async def test_a_full_inbox_is_asked_one_event_at_a_time(org: SimulatedOrg, keeper: Keeper) -> None:
    """The stream stays open without credit for less than Salesforce allows, and nothing is dropped."""
    await org.control("switches", {"credit_timeout_s": 1.0, "keepalive_s": 30})
    subscriber = subscriber_of(org, keeper)
    keeper.room = False
    async with running(subscriber):
        await eventually(lambda: keeper.log, "a catch-up")
        ids = (await contacts(org))[:8]
        titles = [f"{number}" for number in range(len(ids))]
        rows = [{"Id": found, "Title": title} for found, title in zip(ids, titles, strict=True)]
        await org.dml("update", "Contact", rows=rows)  # together, so that one response could bring them
        await eventually(lambda: len(keeper.events) >= 3, "some events in spite of it")
        assert keeper.largest == 1
        keeper.room = True
        await has(keeper, *titles)
    assert keeper.endings == []


async def test_what_cannot_be_stored_comes_again(org: SimulatedOrg, keeper: Keeper) -> None:
    """The position does not move with events that were not stored."""
    subscriber = subscriber_of(org, keeper)
    async with running(subscriber):
        await is_open(subscriber)
        await eventually(lambda: keeper.at, "a position")
        keeper.failures = 2
        await edits(org, "stored in the end")
        await has(keeper, "stored in the end")
    assert keeper.failures == 0
    assert "could not be stored" in keeper.endings[0].message


async def test_sessions_expire_in_a_loop(org: SimulatedOrg, keeper: Keeper) -> None:
    """Each time with a new login, where the stream stopped; nobody is told."""
    session = session_of(org)
    subscriber = subscriber_of(org, keeper, session=session)
    titles = [f"{number}" for number in range(5)]
    async with running(subscriber):
        for title in titles:
            await is_open(subscriber)
            await org.control("sessions/expire")
            await edits(org, title)
            await eventually(lambda: title in keeper.titles, f"event {title}")  # noqa: B023 - awaited here
        await has(keeper, *titles)
    assert set(keeper.codes) == {"service.auth.error"}
    assert not any(ending.alarming for ending in keeper.endings)
    await session.close()


@pytest.mark.parametrize("lost_by", ["time", "move"])
async def test_a_lost_position(org: SimulatedOrg, keeper: Keeper, lost_by: str) -> None:
    """The end of the bus first, then the catch-up, then what is stored: nothing falls between."""
    subscriber = subscriber_of(org, keeper)
    async with running(subscriber):
        await is_open(subscriber)
        await edits(org, "known")
        await has(keeper, "known")
    await edits(org, "lost")
    if lost_by == "move":
        await org.control("bus/move")
    else:
        await org.control("clock", {"advance": 80 * 3_600})
    keeper.log.clear()
    subscriber = subscriber_of(org, keeper)
    async with running(subscriber):
        await is_open(subscriber)
        await edits(org, "new")
        await has(keeper, "known", "new")
    assert keeper.codes == ["subscription.fetch.replayid.corrupted"]
    assert keeper.log[0] == "catch up: Salesforce no longer knows the stream's position"


async def test_deliveries_decide_whether_to_subscribe(org: SimulatedOrg, keeper: Keeper) -> None:
    """Not before they are known, not beyond the allowance, and then from the end of the bus on."""
    allowance = Allowance(is_known=False)
    subscriber = subscriber_of(org, keeper, allowance=allowance)
    assert await subscriber.step() == UNTIL_WOKEN
    async with running(subscriber):
        allowance.tell()
        await is_open(subscriber)
        await edits(org, "known")
        await has(keeper, "known")
        allowance.tell(refused="8 of 10 are used")
        await eventually(lambda: keeper.codes == ["deliveries"], "the end of an idle stream")
        assert keeper.endings[0].alarming
        await edits(org, "not fetched")
        keeper.log.clear()
        allowance.tell()
        await is_open(subscriber)
        await edits(org, "new")
        await has(keeper, "known", "new")
    assert keeper.log[0].startswith("catch up: the event deliveries were used up")


async def test_an_idle_stream_is_in_effect_after_a_while(org: SimulatedOrg, keeper: Keeper) -> None:
    """Without any response, the catch-up waits for the time that LATEST takes, not for the first event."""
    await org.control("switches", {"keepalive_s": 30, "latest_after_s": 0.1})
    async with running(subscriber_of(org, keeper)):
        await eventually(lambda: keeper.log, "the catch-up")
        assert keeper.at is None
        await edits(org, "first")
        await has(keeper, "first")
    assert [entry[:8] for entry in keeper.log] == ["catch up", "store 1"]


async def test_an_event_that_cannot_be_read_is_not_skipped(org: SimulatedOrg, keeper: Keeper) -> None:
    """Its schema is refused: the stream stops, the operator is told, the event comes when it can be read."""
    subscriber = subscriber_of(org, keeper)
    async with running(subscriber):
        await eventually(lambda: keeper.at, "a position")
        await org.fault("rpc_error", count=1, path="/GetSchema", code="schema.meta.permission")
        await edits(org, "unreadable", "behind it")
        await eventually(lambda: keeper.endings, "the end")
        assert (keeper.codes, keeper.events) == (["schema.meta.permission"], [])
        subscriber.wake.set()  # an hour later
        await has(keeper, "unreadable", "behind it")
    assert keeper.endings[0].alarming
    assert "Give the user View All Records" in keeper.endings[0].do


@pytest.mark.parametrize(
    ("code", "pause"),
    [
        ("subscription.limit.exceeded", 1_800),
        ("topic.not.found", 20),
        ("concurrent.client.limit.exceeded", 3_600),
        ("subscription.fetch.request.invalid", 3_600),
        ("subscription.internal.error", 0.5),
        ("service.auth.error", 0),
    ],
)
async def test_each_code_has_its_pause(org: SimulatedOrg, keeper: Keeper, code: str, pause: float) -> None:
    """And keeps the position, as every code does but those of replay ids."""
    async with running(subscriber_of(org, keeper)):
        await eventually(lambda: keeper.at, "a position")
    position = keeper.at
    await org.fault("rpc_error", count=1, path="/Subscribe", code=code)
    subscriber = subscriber_of(org, keeper)
    assert await asyncio.wait_for(subscriber.step(), 10) == pause
    assert (keeper.codes, keeper.at) == ([code], position)
    assert subscriber.state.ending is keeper.endings[0]


async def test_pauses_grow_until_something_was_stored(org: SimulatedOrg, keeper: Keeper) -> None:
    """A stream that opens and fails again is no success."""
    subscriber = subscriber_of(org, keeper)
    await org.fault("rpc_broken", path="/Subscribe")
    assert [await subscriber.step() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    await org.control("faults", None, "DELETE")
    task = asyncio.create_task(subscriber.step())
    await eventually(lambda: keeper.at, "a position")
    await org.fault("rpc_broken", count=1, path="/Subscribe")
    assert await asyncio.wait_for(task, 10) == 0.5


async def test_the_pause_is_spread(org: SimulatedOrg, keeper: Keeper) -> None:
    """Up to twice as long, so that many clients do not come back at once."""
    await org.fault("rpc_broken", path="/Subscribe")
    subscriber = subscriber_of(org, keeper, jitter=1.0)
    assert [await subscriber.step() for _ in range(2)] == [1, 2]


async def test_a_stop_is_not_lost_while_a_stream_closes(org: SimulatedOrg) -> None:
    """Cancelled at that moment, the subscriber ends, too, and does not open the next stream."""
    token = await session_of(org).token()
    async with (
        connected(org.info["pubsub"], "", token) as client,
        client.subscription(TOPIC, None) as subscription,
    ):
        await subscription.ask(1)
        closing = asyncio.create_task(subscription.close())
        await asyncio.sleep(0)  # it waits for the reader now
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing


async def test_tls(org: SimulatedOrg, keeper: Keeper, tmp_path: Path) -> None:
    """With a trust root of one's own; without it the connection is refused."""
    certificate = self_signed(tmp_path / "bus.pem")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    tls.set_alpn_protocols(["h2"])
    async with wire_to(int(org.info["pubsub"].rpartition(":")[2]), tls) as wire:
        address = f"127.0.0.1:{wire.port}"
        assert await subscriber_of(org, keeper, address=address).step() == 0.5
        assert (keeper.codes, keeper.at) == ([""], None)
        subscriber = subscriber_of(org, keeper, address=address, ca_file=str(certificate))
        async with running(subscriber):
            await is_open(subscriber)
            await edits(org, "by TLS")
            await has(keeper, "by TLS")
