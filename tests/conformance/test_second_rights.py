"""A right that is missing on a channel of several entities: events are left out, and nothing says so.

What the status claims meanwhile has to be true: of an object that is live as of a time, each row is right
that the org stamped before that time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

from tests.support.second_org.equality import differences
from tests.support.second_org.mirroring import equal
from tests.support.second_org.subscribed import Subscribed, newest, sources, told_by_capture
from tests.support.waiting import LOOK_EVERY_S, eventually

PEOPLE = "ContactChangeEvent"


async def test_fingerprints_find_what_a_channel_leaves_out() -> None:
    """While events of other objects arrive; the drift is noted and repaired, until there is the right."""
    async with told_by_capture(sync={"fingerprint_every": "1s"}) as mine, claims(mine) as false:
        mine.pubsub.omitted.add(PEOPLE)
        await mine.begin()
        since = newest(mine)
        missed = untold(mine)
        mine.capture.update("Account", mine.capture.keys("Account")[0], Industry="told")
        await equal(mine.place, "Account", "Contact")
        assert (await mine.status())["push"]["quiet"] == "live"
        assert sources(mine, "Account", since) == {"push"}
        assert sources(mine, "Contact", since) == {"repair"}
        assert drift(mine, since) == missed
        mine.pubsub.omitted.clear()
        since = newest(mine)
        mine.capture.update("Contact", mine.capture.keys("Contact")[4], Email="granted@example.com")
        await equal(mine.place, "Contact")
        assert sources(mine, "Contact", since) == {"push"}
    assert false == []


async def test_quiet_reads_find_what_a_channel_leaves_out() -> None:
    """Keepalives prove the bus alone: every object is read, and what no event told ends real time."""
    async with told_by_capture(sync={"silence_after": "6s"}) as mine, claims(mine) as false:
        mine.pubsub.omitted.add(PEOPLE)
        await mine.begin()
        await seconds_later(mine)  # a change of the second in which pushes began to be expected is not missed
        await told(mine, "before")
        since = newest(mine)
        untold(mine)
        await seconds_later(mine)  # by then its event would have come
        await told(mine, "after")
        await eventually(lambda: silence(mine, since), "silence", 120)
        await equal(mine.place, "Contact")
        assert sources(mine, "Contact", since) == {"interval"}
        assert all("no push delivered 3 changes" in message for message in silence(mine, since))
        await mine.until(lambda status: status["push"]["missed_24h"] == 3, "each is counted")
        mine.pubsub.omitted.clear()
        mine.capture.update("Contact", mine.capture.keys("Contact")[4], Email="granted@example.com")
        await mine.until(lambda status: status["mode"] == "real_time", "an event ends the silence")
        await equal(mine.place, "Contact")
    assert false == []


def untold(mine: Subscribed) -> dict[str, set[str]]:
    """Edit, create and delete people, which nothing tells of; how the mirror differs then."""
    edited, deleted = mine.capture.keys("Contact")[:2]
    mine.capture.update("Contact", edited, Email="untold@example.com")
    created = mine.capture.create("Contact", LastName="Untold", Name="Untold")
    mine.capture.delete("Contact", deleted)
    return {"missing": {created}, "stale": {edited}, "orphaned": {deleted}}


async def told(mine: Subscribed, industry: str) -> None:
    """Edit an account, and wait until the event of it is applied."""
    mine.capture.update("Account", mine.capture.keys("Account")[0], Industry=industry)
    await equal(mine.place, "Account")


async def seconds_later(mine: Subscribed) -> None:
    """Wait for later stamps; they have whole seconds."""
    records = mine.place.org.records
    begun = records.now()
    await eventually(lambda: records.now() > begun + timedelta(seconds=2), "the org's clock goes on")


def silence(mine: Subscribed, since: int) -> list[str]:
    """Why real time ended, after this entry of the journal."""
    rows = mine.place.read("SELECT message FROM _rts_journal WHERE type = 'mode' AND seq > ?", since)
    return [row["message"] for row in rows if row["message"].startswith("interval")]


def drift(mine: Subscribed, since: int) -> dict[str, set[str]]:
    """What fingerprints found, after this entry of the journal."""
    rows = mine.place.read("SELECT detail FROM _rts_journal WHERE type = 'drift' AND seq > ?", since)
    details = [json.loads(row["detail"]) for row in rows]
    return {
        kind: {key for detail in details for key in detail[kind]} for kind in ("missing", "stale", "orphaned")
    }


@asynccontextmanager
async def claims(mine: Subscribed) -> AsyncIterator[list[str]]:
    """Compare all the time what the status claims with the org; what was false."""
    false: list[str] = []

    async def look() -> None:
        while True:
            with suppress(OSError):  # it has not started yet
                false.extend(disproven(mine, await mine.status()))
            await asyncio.sleep(LOOK_EVERY_S)

    looking = asyncio.create_task(look())
    try:
        yield false
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking


def disproven(mine: Subscribed, status: dict[str, Any]) -> list[str]:
    """Rows that are wrong, although their object is live as of a later second."""
    found = []
    for shown in status["objects"]:
        if shown["state"] == "live":
            rows = mine.place.org.records.objects[shown["name"]].rows
            for wrong in differences(mine.place, shown["name"]):
                stamp = rows[wrong.split()[1].rstrip(":")]["SystemModstamp"]
                if isinstance(stamp, datetime) and f"{stamp:%Y-%m-%dT%H:%M:%S}" < shown["as_of"][:19]:
                    found.append(f"{wrong}, as of {shown['as_of']}")
    return found
