"""rtsd against a Pub/Sub API that somebody else wrote: the package's events, and Change Data Capture."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest
import pytest_asyncio

from tests.support.second_org import package
from tests.support.second_org.change_events import OVERFLOWN, TOPIC, Capture
from tests.support.second_org.data import ORG_ID
from tests.support.second_org.equality import columns
from tests.support.second_org.messages import CUSTOM, LATEST
from tests.support.second_org.mirroring import equal, reached
from tests.support.second_org.package import events, publish
from tests.support.second_org.pubsub import broken, unauthenticated
from tests.support.second_org.push import document
from tests.support.second_org.records import Field
from tests.support.second_org.subscribed import (
    CAPTURED,
    Subscribed,
    newest,
    presets,
    settled,
    sources,
    told_by_capture,
    told_by_package,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both() -> AsyncIterator[tuple[Subscribed, Subscribed]]:
    """The daemons of both channels, which start at the same time."""
    describe = {"describe_every": "4s"}
    async with told_by_package() as streamed, told_by_capture("CaseStatus", sync=describe) as captured:
        await asyncio.gather(streamed.begin(), captured.begin())
        yield streamed, captured


@pytest.fixture(scope="module")
def streamed(both: tuple[Subscribed, Subscribed]) -> Subscribed:
    """A mirror without a listening port, that the package's events tell of."""
    return both[0]


@pytest.fixture(scope="module")
def captured(both: tuple[Subscribed, Subscribed]) -> Subscribed:
    """A mirror that change events tell of, but for one object that is not selected."""
    return both[1]


async def whole(mine: Subscribed) -> None:
    """Wait until the mirror equals the org, and no row is partial."""
    await equal(mine.place, *CAPTURED)

    def partial() -> list[str]:
        return [
            row["Id"]
            for name in CAPTURED
            for row in mine.place.read(f'SELECT Id FROM "{name}" WHERE _rts_partial')
        ]

    await eventually(lambda: not partial(), "no row is partial", 12)


async def test_open_cut_and_sealed_documents_arrive(streamed: Subscribed) -> None:
    """Whole, in parts from the last to the first, twice, sealed, and long after the signature."""
    streamed.publish({"v": 1, "kind": "test", "org": ORG_ID, "sent": "2026-03-01T10:00:00Z"})
    await streamed.until(lambda status: status["mode"] == "real_time", "a push is evidence")
    await settled(streamed)
    since, before = newest(streamed), (await streamed.status())["push"]
    ways: tuple[dict[str, Any], ...] = ({}, {"cut": 173}, {"seal": True}, {"seal": True, "cut": 501})
    for number, how in enumerate(ways):
        told = document(streamed.place.org, streamed.edit(number, f"stream.{number}@example.com"))
        streamed.publish(told, **how)
    late = events(document(streamed.place.org, streamed.edit(5, "late@example.com")), cut=400, late_s=200_000)
    publish(streamed.pubsub.bus, late[:2] + late[:1] + late[1:])
    await equal(streamed.place, "Contact")
    assert sources(streamed, "Contact", since) == {"push"}
    status = await streamed.status()
    assert status["push"]["channel"] == "stream"
    assert status["push"]["received_24h"] == before["received_24h"] + 5
    assert status["push"]["rejected_24h"] == before["rejected_24h"]
    stream = status["push"]["stream"]
    assert (stream["topic"], stream["connected"], stream["error"]) == (package.TOPIC, True, None)
    assert len(streamed.pubsub.schemas_read) == 1


async def test_a_heartbeat_travels_the_same_way(streamed: Subscribed) -> None:
    """It is a heartbeat, and no change."""
    before = (await streamed.status())["push"]["last_at"]
    beat = {"v": 1, "kind": "heartbeat", "org": ORG_ID, "sent": "2026-03-01T10:00:00Z", "pkg": "1.0.0"}
    beat |= {"settings": {"disabled": False, "error_logging": True}, "triggers": ["Contact"]}
    streamed.publish(beat | {"async": {"used": 1, "max": 250_000}, "errors_24h": 0})
    await streamed.until(lambda status: status["push"]["last_heartbeat_at"], "a heartbeat")
    assert (await streamed.status())["push"]["last_at"] == before


async def test_what_is_no_push_is_refused_and_counted(streamed: Subscribed) -> None:
    """A wrong signature, another org, no document; what follows is applied."""
    org = streamed.place.org
    before = (await streamed.status())["push"]["rejected_24h"]
    forged = {"object": "Contact", "op": "delete", "id": streamed.capture.keys("Contact")[9]}
    streamed.publish(document(org, forged), token="another-token-0123456789abcdef")
    streamed.publish(document(org, forged) | {"org": "00D7Q000000Xyz9"})
    streamed.publish({"v": 1, "kind": "changes"}, seal=True)
    streamed.publish(document(org, streamed.edit(10, "after@example.com")))
    await equal(streamed.place, "Contact")
    await streamed.until(lambda status: status["push"]["rejected_24h"] == before + 3, "three are refused")


async def test_more_events_than_credit_arrive(streamed: Subscribed) -> None:
    """250 documents in little batches: the credit is refilled, and asked for in few requests."""
    for number in range(250):
        told = document(streamed.place.org, streamed.edit(number % 60, f"many.{number}@example.com"))
        streamed.publish(told)
    await equal(streamed.place, "Contact")
    await eventually(lambda: [stream.credit > 0 for stream in streamed.pubsub.streams] == [True], "credit")


async def test_streams_that_end_resume_where_they_were(streamed: Subscribed) -> None:
    """After a lost connection by position; after a session's end with a new login, and nobody is alarmed."""
    await settled(streamed)
    opened, logins = len(streamed.pubsub.opened), streamed.place.org.logins
    errors = (await streamed.status())["errors_24h"]
    streamed.pubsub.end_streams(broken())
    streamed.publish(document(streamed.place.org, streamed.edit(20, "lost@example.com")))
    await equal(streamed.place, "Contact")
    streamed.place.org.expire_sessions()
    streamed.pubsub.end_streams(unauthenticated("error"))
    streamed.publish(document(streamed.place.org, streamed.edit(21, "session@example.com")))
    await equal(streamed.place, "Contact")
    assert streamed.place.org.logins == logins + 1
    assert set(presets(streamed, opened)) == {CUSTOM}
    assert (await streamed.status())["errors_24h"] == errors


async def test_a_position_that_the_bus_forgot_costs_no_data(streamed: Subscribed) -> None:
    """LATEST, then Interval Sync over the gap, deletions included; the journal tells."""
    await settled(streamed)
    records, opened = streamed.place.org.records, len(streamed.pubsub.opened)
    streamed.pubsub.end_streams(broken())
    streamed.publish(document(streamed.place.org, streamed.edit(30, "forgotten@example.com")))
    records.delete("Contact", streamed.capture.keys("Contact")[31])
    records.create("Contact", LastName="Missed", Name="Missed")
    streamed.pubsub.bus.topics[package.TOPIC].forget()
    await equal(streamed.place, "Contact")
    await eventually(lambda: presets(streamed, opened) == [CUSTOM, LATEST], "the end of the bus")
    told = streamed.place.read("SELECT message FROM _rts_journal WHERE type = 'package'")
    assert any("position" in row["message"] for row in told), [row["message"] for row in told]
    streamed.publish(document(streamed.place.org, streamed.edit(32, "again@example.com")))
    await equal(streamed.place, "Contact")


async def test_a_restart_resumes_by_position(streamed: Subscribed) -> None:
    """The stream opens behind the last event that was stored before, and what came meanwhile is applied."""
    assert await streamed.place.end() == 0
    for number in range(12):
        told = document(streamed.place.org, streamed.edit(number, f"down.{number}@example.com"))
        streamed.publish(told, cut=700)
    opened = len(streamed.pubsub.opened)
    received = streamed.pubsub.bus.topics[package.TOPIC].end
    await streamed.place.start()
    await equal(streamed.place, "Contact")
    await eventually(
        lambda: [stream.position for stream in streamed.pubsub.streams] == [received], "all is received"
    )
    (again,) = streamed.pubsub.opened[opened:]
    assert again.replay_preset == CUSTOM


async def test_a_right_that_is_missing_is_named(streamed: Subscribed) -> None:
    """The subscription is refused: the advice fits the package, and an edit made while down is read."""
    assert await streamed.place.end() == 0
    streamed.pubsub.unreadable.add(package.TOPIC)
    streamed.edit(40, "unsubscribed@example.com")
    await streamed.place.start()
    await reached(streamed.place)
    await streamed.until(lambda status: status["push"]["stream"]["error"], "a reason")
    assert "Give the user Read on the event" in (await streamed.status())["push"]["stream"]["error"]
    await equal(streamed.place, "Contact")
    streamed.pubsub.unreadable.clear()
    assert await streamed.place.end() == 0  # a right is asked for again after 20 s, and at once by a start
    await streamed.place.start()
    await reached(streamed.place)
    await streamed.until(lambda status: status["push"]["stream"]["connected"], "a subscription")


async def test_what_is_selected_arrives_by_push(captured: Subscribed) -> None:
    """Without a heartbeat; the other object says that it is read by Interval Sync."""
    await captured.until(lambda status: status["mode"] == "real_time", "the stream is evidence")
    status = await captured.status()
    arrives = {mirrored["name"]: mirrored["arrives_by"] for mirrored in status["objects"]}
    assert arrives == {**dict.fromkeys(CAPTURED, "push"), "CaseStatus": "interval"}
    assert (status["push"]["channel"], status["push"]["stream"]["topic"]) == ("cdc", TOPIC)


async def test_every_kind_of_change_event(captured: Subscribed) -> None:
    """The mirror equals the org, no row stays partial, and updates are applied as their bitmaps say."""
    await settled(captured)
    since = newest(captured)
    _completely(captured.capture)
    _by_bitmaps(captured.capture)
    _as_difference(captured.capture)
    _without_values(captured.capture)
    await whole(captured)
    assert sources(captured, "Contact", since) | sources(captured, "Account", since) == {"push", "repair"}
    pushed = captured.place.read(
        "SELECT object, changed FROM _rts_journal"
        " WHERE op = 'update' AND source = 'push' AND outcome = 'applied'"
    )
    assert {(row["object"], row["changed"]) for row in pushed} >= {
        ("Contact", '["Birthdate","Email","FirstName"]'),
        ("Contact", '["HasOptedOutOfEmail","Phone"]'),
        ("Contact", '["MailingCity","MailingStreet"]'),
        ("Account", '["Industry","Name"]'),
        ("Account", '["BillingCity","NumberOfEmployees","ShippingCity"]'),
    }


def _completely(capture: Capture) -> None:
    """Complete events of every type of field, and deletions."""
    account = capture.create(
        "Account", Name="Żółw", BillingCity="Łódź", ShippingStreet="a\r\nb", AnnualRevenue=0.1
    )
    capture.create("Contact", LastName="Only", Name="Only", Birthdate=date(1899, 12, 31))
    device = {"Name": "D-new", "Tags__c": "a;c d", "Opens__c": "23:59:59.999Z", "About__c": account}
    capture.create("Device__c", **device, Score__c=1e18, Geo__Latitude__s=-0.5, Geo__Longitude__s=0.0)
    capture.delete("Contact", capture.keys("Contact")[0])
    capture.delete("Contact", capture.keys("Contact")[1])
    capture.undelete("Contact", capture.keys("Contact")[1])


def _by_bitmaps(capture: Capture) -> None:
    """Fields, components alone, nulls, a whole compound, an account's name, many ids, plain booleans."""
    people, accounts, devices = (capture.keys(name) for name in ("Contact", "Account", "Device__c"))
    named = {"FirstName": "Ünï", "Name": "Ünï O'Neil 2"}
    capture.update("Contact", people[2], Email=None, Birthdate=date(1970, 1, 1), **named)  # 0xd0
    capture.update("Contact", *people[3:6], HasOptedOutOfEmail=False, Phone="+48 1")
    capture.update("Contact", people[6], MailingStreet="1 Way", MailingCity=None)
    capture.update("Account", accounts[0], Name="Renamed", Industry=None)
    nulls = {f"Billing{part}": None for part in ("Street", "City", "Country", "Latitude", "Longitude")}
    capture.update("Account", accounts[1], **nulls)
    capture.update("Account", accounts[2], ShippingCity="Ship", BillingCity="Bill", NumberOfEmployees=0)
    capture.update("Device__c", devices[1], Geo__Latitude__s=None, Geo__Longitude__s=None)
    capture.update("Device__c", devices[2], Opens__c="00:00:00.000Z", Tags__c=None, Reading__c=None)


def _as_difference(capture: Capture) -> None:
    """A long text, of which the second event has what differs."""
    text = "\n".join(f"line {number} of a long text" for number in range(200))
    capture.update("Device__c", capture.keys("Device__c")[3], Notes__c=text)
    text = text.replace("line 77 ", "line 77, changed, ")
    capture.update("Device__c", capture.keys("Device__c")[3], Notes__c=text)


def _without_values(capture: Capture) -> None:
    """Gaps, a record of which no event told before, and an overflow."""
    records, people, devices = capture.records, capture.keys("Contact"), capture.keys("Device__c")
    records.update("Contact", people[10], Email="gap@example.com")
    records.delete("Contact", people[11])
    capture.gap("Contact", "UPDATE", people[10])
    capture.gap("Contact", "DELETE", people[11])
    capture.gap("Contact", "CREATE", records.create("Contact", LastName="Gap", Name="Gap"))
    stranger = records.create("Contact", LastName="Stranger", Name="Stranger", Phone="1")
    capture.update("Contact", stranger, Email="stranger@example.com")
    for device in devices[10:20]:
        records.update("Device__c", device, Name="overflow")
    records.delete("Device__c", devices[20])
    capture.gap("Device__c", "OVERFLOW", OVERFLOWN)


async def test_a_conversion_is_read_in_full(captured: Subscribed) -> None:
    """An event for every id at once: no stamp has moved, and no event has the values."""
    records = captured.capture.records.objects["Contact"].rows
    for row in records.values():
        row["Phone"] = "converted"
    captured.capture.convert("Contact")
    await whole(captured)


async def test_a_new_field_changes_the_schema_in_mid_stream(captured: Subscribed) -> None:
    """Events of the new schema are decoded with it; the field becomes a column with its values."""
    capture = captured.capture
    contact = capture.records.objects["Contact"]
    contact.fields["Level__c"] = Field("Level__c", "double", 0)
    for row in contact.rows.values():
        row["Level__c"] = None
    capture.update("Contact", capture.keys("Contact")[12], Level__c=2.5, Email="level@example.com")
    capture.update("Contact", capture.keys("Contact")[13], LastName="After", Name="After")
    await eventually(lambda: not columns(captured.place, "Contact"), "the column is there", 15)
    await whole(captured)


async def test_capture_resumes_where_its_stream_broke(captured: Subscribed) -> None:
    """The stream opens behind the last event; what was captured meanwhile is applied."""
    await settled(captured)
    capture, opened = captured.capture, len(captured.pubsub.opened)
    captured.pubsub.end_streams(broken())
    capture.update("Contact", capture.keys("Contact")[14], Email="resumed@example.com", MailingCity="Oslo")
    capture.delete("Contact", capture.keys("Contact")[15])
    await whole(captured)
    assert presets(captured, opened) == [CUSTOM]
