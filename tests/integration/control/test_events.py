"""The feed: pages, followers who resume, readers who are too slow, and frames for a screen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from rtsd.control import feed, stream
from rtsd.control.feed import Feed
from rtsd.control.protocol import Event
from rtsd.errors import StorageFailed
from rtsd.store import journal
from rtsd.store.journal import Note
from tests.support.inprocess.control import Followed, Socket
from tests.support.inprocess.rig import Rig


async def note(rig: Rig, text: str, name: str | None = None) -> None:
    """Put an entry into the journal."""
    await rig.parts.base.work.note(Note("error", name, message=text))


async def line(content: Followed) -> dict[str, Any]:
    """The next line of a feed."""
    return dict(json.loads(await asyncio.wait_for(content.readline(), 5)))


async def test_pages_go_on_after_a_number(socket: Socket) -> None:
    """`after`, `limit` and `object` together; numbers only grow."""
    for number in range(5):
        await note(socket.rig, f"n{number}", "Contact" if number % 2 else None)
    everything = await socket.lines("/v1/events")
    numbers = [event["seq"] for event in everything]
    assert numbers == sorted(set(numbers))
    assert await socket.lines(f"/v1/events?after={numbers[2]}&limit=2") == everything[3:5]
    assert await socket.lines(f"/v1/events?after={numbers[-1]}") == []
    own = await socket.lines(f"/v1/events?object=contact&after={numbers[-6]}")
    assert [event["message"] for event in own if event["type"] == "error"] == ["n1", "n3"]
    assert await socket.lines("/v1/events?limit=0") == []


@pytest.mark.parametrize("more", ["", "&follow=1"])
async def test_documents_of_an_org_that_is_not_known_are_refused(socket: Socket, more: str) -> None:
    """Before the first login: the status tells it, as the answer has not begun."""
    async with socket.rig.parts.base.database.transaction() as tx:
        await tx.execute("DELETE FROM _rts_meta WHERE key='org_id'")
    status, answer = await socket.ask("GET", f"/v1/events?format=cloudevents{more}")
    assert (status, answer["error"]) == (409, "Conflict")
    assert "the org is not known yet" in answer["message"]


async def test_an_error_within_an_answer_breaks_it_off(
    socket: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No second status comes into the middle of it: the reader sees that it has no end."""

    async def fail(*_: object, **__: object) -> list[Any]:
        raise StorageFailed("the disk is away", "wait")

    monkeypatch.setattr(journal, "after", fail)
    async with socket.http.get("http://rtsd/v1/events?follow=1&after=0") as answer:
        assert answer.status == 200
        assert json.loads(await answer.content.readline())["type"] == "snapshot"
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_a_change_has_the_contracts_keys(socket: Socket) -> None:
    """As in contract section 5."""
    rig = socket.rig
    await rig.install_package()
    record = await rig.a_record("Contact")
    rig.advance(30)
    await rig.dml("update", "Contact", rows=[{"Id": record, "Email": "a@b.co"}])
    await rig.settle()
    (change,) = [event for event in await socket.lines("/v1/events") if event["type"] == "change"]
    wanted = {"object": "Contact", "id": record, "op": "update", "source": "push", "outcome": "applied"}
    assert {key: change[key] for key in wanted} == wanted
    assert change["changed"] == ["Email"]
    assert isinstance(change["latency_ms"], int)
    for last in range(2):
        assert len(await socket.lines(f"/v1/events?format=cloudevents&last={last}")) == last


async def test_following_begins_with_the_status(socket: Socket) -> None:
    """Then every entry as it is committed, and nothing that was before."""
    async with socket.following("/v1/events?follow=1") as content:
        first = await line(content)
        assert (first["type"], first["status"]["mode"]) == ("snapshot", "awaiting_package")
        await note(socket.rig, "one")
        await note(socket.rig, "two")
        assert [(await line(content))["message"] for _ in range(2)] == ["one", "two"]


async def test_a_follower_misses_nothing_that_was_being_written(socket: Socket) -> None:
    """An entry has its number before its commit: who comes in between hears of it all the same."""
    async with socket.rig.parts.base.work.begin() as unit:
        await unit.note(Note("error", message="in between"))
        async with asyncio.timeout(5):
            following = socket.following("/v1/events?follow=1")
            content = await following.__aenter__()
            first = await line(content)
    assert (await line(content))["message"] == "in between"
    assert first["status"]["last_seq"] < socket.rig.parts.base.journal.last_seq
    await following.__aexit__(None, None, None)


async def test_a_follower_resumes_where_it_was(socket: Socket) -> None:
    """With `after`: what was missed first, then what comes; of one object, if so asked."""
    await note(socket.rig, "before")
    seen = (await socket.lines("/v1/events"))[-1]["seq"]
    for number in range(3):
        await note(socket.rig, f"missed {number}", "Contact")
    await note(socket.rig, "of nobody")
    async with socket.following(f"/v1/events?follow=1&after={seen}&object=Contact") as content:
        assert (await line(content))["type"] == "snapshot"
        assert [(await line(content))["message"] for _ in range(3)] == [f"missed {n}" for n in range(3)]
        await note(socket.rig, "of nobody either")
        await note(socket.rig, "live", "Contact")
        assert (await line(content))["message"] == "live"


async def test_a_slow_reader_lags_is_told_and_loses_nothing(
    socket: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is closed with the number of what it got; `after` brings the rest, without a hole."""
    monkeypatch.setattr(feed, "QUEUE", 20)
    got: list[int] = []
    async with socket.following("/v1/events?follow=1") as content:
        await line(content)
        async with socket.rig.parts.base.work.begin() as unit:
            for number in range(15):
                await unit.note(Note("error", message=f"first {number}"))
        entries = [*unit.entries]
        async with socket.rig.parts.base.work.begin() as unit:
            for number in range(25):
                await unit.note(Note("error", message=f"second {number}"))
        entries += unit.entries
        while True:
            found = await line(content)
            if found["type"] == "lagged":
                break
            got.append(found["seq"])
        assert await content.readline() == b""
    assert found["after"] == max(got, default=entries[0].seq - 1)
    got += [event["seq"] for event in await socket.lines(f"/v1/events?after={found['after']}")]
    assert got == [entry.seq for entry in entries]


def events(first: int, count: int) -> list[Event]:
    """Some entries."""
    return [Event(seq=first + place, at="now", type="error") for place in range(count)]


async def test_a_reader_that_lagged_is_offered_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small batch after the one that did not fit would leave a hole in what it was sent."""
    monkeypatch.setattr(feed, "QUEUE", 10)
    source = Feed()
    with source.follow() as follower:
        source.publish(events(1, 8))
        source.publish(events(9, 5))
        source.publish(events(14, 1))
        found = [event.seq async for batch in follower.batches() for event in batch]
    assert found == list(range(1, 9))
    assert follower.lagged


async def test_a_reader_who_reads_nothing_holds_nobody_up(socket: Socket) -> None:
    """Publishing never waits: megabytes go past a reader that has stopped reading."""
    async with socket.following("/v1/events?follow=1") as content, asyncio.timeout(5):
        await line(content)
        for number in range(40):
            await note(socket.rig, f"{number}" + "x" * 100_000)
        assert (await socket.ask("GET", "/v1/status"))[0] == 200
    assert socket.rig.parts.base.publisher.feed.total >= 40


async def test_a_reader_who_reads_nothing_is_closed(
    socket: Socket, monkeypatch: pytest.MonkeyPatch, until: Callable[[Callable[[], Any]], Awaitable[None]]
) -> None:
    """After the write deadline; its place in the feed is given back."""
    monkeypatch.setattr(stream, "WRITE_DEADLINE_S", 0.05)
    async with socket.following("/v1/events?follow=1") as content:
        await line(content)
        assert socket.rig.parts.base.publisher.feed.followers == 1
        for number in range(60):
            await note(socket.rig, f"{number}" + "x" * 100_000)
        await until(lambda: socket.rig.parts.base.publisher.feed.followers == 0)


async def test_frames_show_the_newest_and_count_the_rest(socket: Socket) -> None:
    """`hz` and `rows`: absolute counters, the rows that fit, and how many did not."""
    async with socket.following("/v1/events?follow=1&hz=50&rows=3") as content:
        snapshot = await line(content)
        assert snapshot["type"] == "snapshot"
        async with socket.rig.parts.base.work.begin() as unit:
            for number in range(10):
                await unit.note(Note("error", message=f"n{number}"))
        frame = await line(content)
        assert (frame["type"], frame["seq"]) == ("frame", snapshot["status"]["last_seq"] + 10)
        assert [row["message"] for row in frame["rows"]] == ["n7", "n8", "n9"]
        assert frame["skipped"] == 7
        assert frame["counters"]["error"] >= 10
        await note(socket.rig, "next")
        frame = await line(content)
        assert [row["message"] for row in frame["rows"]] == ["next"]
        assert frame.get("skipped", 0) == 0


async def test_frames_without_rows_have_none(socket: Socket) -> None:
    """`rows=0` wants the counters alone."""
    async with socket.following("/v1/events?follow=1&hz=50&rows=0") as content:
        await line(content)
        await note(socket.rig, "x")
        frame = await line(content)
        assert frame.get("rows", []) == []
        assert frame["skipped"] == 1


async def test_frames_carry_the_status_when_it_changed(socket: Socket) -> None:
    """Not with every frame: only when something but the time is new."""
    async with socket.following("/v1/events?follow=1&hz=20") as content, asyncio.timeout(5):
        await line(content)
        await socket.rig.push({"v": 1, "kind": "test", "org": socket.rig.org.org_id})
        found: dict[str, Any] = {}
        while not found.get("status"):
            found = await line(content)
        assert found["status"]["mode"] == "real_time"


def test_counters_are_by_type_source_and_outcome() -> None:
    """What a dashboard adds up."""
    source = Feed()
    change = Event(seq=1, at="now", type="change", source="push", outcome="applied")
    source.publish([change, *events(2, 2)])
    assert source.counters == {"change": 1, "change.push": 1, "outcome.applied": 1, "error": 2}
    assert [event.seq for event in source.recent] == [1, 2, 3]
