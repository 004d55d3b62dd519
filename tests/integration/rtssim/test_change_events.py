"""Change events and pushes on the simulated bus: what each kind of change looks like to a subscriber."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from rtssim.process import SimulatedOrg
from tests.support.rtssim.api import Api
from tests.support.rtssim.pubsub import BusClient, Stream, contacts, edit, listed, listening, select

TOKEN = "token-ü"  # a key is the token's UTF-8 bytes

Seen = Callable[[int], Awaitable[list[dict[str, Any]]]]


@pytest.fixture
async def stream(streaming: SimulatedOrg, bus: BusClient) -> Stream:
    """A stream of Contact's changes."""
    return await listening(streaming, bus)


@pytest.fixture
async def names(bus: BusClient) -> Callable[[list[str]], set[str]]:
    """The fields of Contact's event that bitmaps list."""
    info = await bus.topic("/data/ContactChangeEvent")
    schema = json.loads((await bus.schema(info.schema_id)).schema_json)
    return lambda bitmaps: listed(schema, bitmaps)


def header(event: dict[str, Any]) -> dict[str, Any]:
    """The header of a change event."""
    found = event["ChangeEventHeader"]
    assert isinstance(found, dict)
    return found


async def test_a_create_is_complete(streaming: SimulatedOrg, stream: Stream) -> None:
    """All fields, dates as milliseconds, compounds as records, formulas too; no system fields."""
    row = {
        "LastName": "Ünal",
        "FirstName": "Ayşe",
        "MailingCity": "Bonn",
        "Birthdate": "1970-01-02",
        "AccountId": (await ids_of(streaming, "Account"))[0],
    }
    (record_id,) = await streaming.dml("create", "Contact", rows=[row])
    (event,) = await stream.events(1)
    head = header(event)
    assert (head["entityName"], head["changeType"], head["recordIds"]) == ("Contact", "CREATE", [record_id])
    assert (head["sequenceNumber"], head["changedFields"]) == (1, [])
    assert event["Name"] == {"LastName": "Ünal", "FirstName": "Ayşe", "Salutation": None}
    assert (event["MailingAddress"]["City"], event["MailingAddress"]["Street"]) == ("Bonn", None)
    assert event["Birthdate"] == 86_400_000
    assert abs(event["CreatedDate"] - head["commitTimestamp"]) < 2_000
    assert not {"Id", "SystemModstamp", "IsDeleted", "LastActivityDate"} & event.keys()


async def ids_of(org: SimulatedOrg, name: str) -> list[str]:
    """The ids of an object's rows."""
    return [row["Id"] async for row in org.rows(name)]


async def test_an_update_has_what_changed(
    streaming: SimulatedOrg, stream: Stream, names: Callable[[list[str]], set[str]]
) -> None:
    """Everything else is null; bitmaps say which nulls are meant, parts of compounds included."""
    record_id = (await contacts(streaming))[0]
    await edit(streaming, record_id, Title="a", MailingCity="Bonn", MailingState="NRW")
    await edit(streaming, record_id, Title=None, MailingCity=None)
    first, second = await stream.events(2)
    expected = {"Title", "MailingAddress.City", "MailingAddress.State", "LastModifiedDate"}
    changed = names(header(first)["changedFields"])
    assert changed >= expected
    assert changed <= expected | {"LastModifiedById"}
    assert (first["Title"], first["MailingAddress"]["City"], first["Name"]) == ("a", "Bonn", None)
    assert names(header(second)["nulledFields"]) == {"Title", "MailingAddress.City"}
    assert second["Title"] is None


async def test_bitmaps_vary(
    streaming: SimulatedOrg, stream: Stream, names: Callable[[list[str]], set[str]]
) -> None:
    """Nested ones alone, lower-case digits, and a compound by its own bit."""
    switches = {"modified_date_listed": False, "bitmaps_lower_case": True, "compound_by_parent_bit": True}
    await streaming.control("switches", switches)
    first, second = (await contacts(streaming))[:2]
    parts = ("Street", "City", "State", "PostalCode", "Country", "Latitude", "Longitude", "GeocodeAccuracy")
    await edit(streaming, first, MailingCity="Oslo", LastName="Olsen")
    (event,) = await stream.events(1)
    changed = header(event)["changedFields"]
    assert names(changed) - {"LastModifiedDate", "LastModifiedById"} == {
        "MailingAddress.City",
        "Name.LastName",
    }
    full = dict.fromkeys((f"Mailing{part}" for part in parts), "x") | {"MailingGeocodeAccuracy": "City"}
    await edit(streaming, second, **{**full, "MailingLatitude": 1.5, "MailingLongitude": 2.5})
    await stream.events(1)
    await edit(streaming, second, **dict.fromkeys(f"Mailing{part}" for part in parts))
    (event,) = await stream.events(1)
    nulled = header(event)["nulledFields"]
    assert names(nulled) == {"MailingAddress"}
    assert nulled == [text.lower() for text in nulled]


async def test_deletes_and_undeletes(streaming: SimulatedOrg, stream: Stream) -> None:
    """A delete has the id alone, an undelete the whole record; a purge says nothing."""
    record_id = (await contacts(streaming))[0]
    await streaming.dml("delete", "Contact", ids=[record_id])
    await streaming.dml("undelete", "Contact", ids=[record_id])
    await streaming.dml("delete", "Contact", ids=[record_id])
    await streaming.dml("empty_bin", "Contact", ids=[record_id])
    await edit(streaming, (await contacts(streaming))[0], Title="z")
    events = await stream.events(4)
    kinds = [header(event)["changeType"] for event in events]
    assert kinds == ["DELETE", "UNDELETE", "DELETE", "UPDATE"]
    assert (events[0]["Name"], events[1]["Name"] is not None) == (None, True)


async def test_one_transaction(streaming: SimulatedOrg, stream: Stream) -> None:
    """One event per record, in order, with one key and commit number; two edits of a record are one."""
    await streaming.control("switches", {"same_changes_merge": False})
    first, second = (await contacts(streaming))[:2]
    await streaming.dml("update", "Contact", rows=[{"Id": i, "Title": "t"} for i in (first, second)])
    heads = [header(event) for event in await stream.events(2)]
    assert heads[0]["transactionKey"] == heads[1]["transactionKey"]
    assert heads[0]["commitNumber"] == heads[1]["commitNumber"]
    assert [head["sequenceNumber"] for head in heads] == [1, 2]
    await edit(streaming, first, Title="u")
    (later,) = await stream.events(1)
    assert header(later)["commitNumber"] > heads[0]["commitNumber"]


async def test_the_same_change_of_several_records(streaming: SimulatedOrg, stream: Stream) -> None:
    """One event with all their ids."""
    both = (await contacts(streaming))[:2]
    await streaming.dml("update", "Contact", rows=[{"Id": record_id, "Title": "t"} for record_id in both])
    (event,) = await stream.events(1)
    assert header(event)["recordIds"] == both
    assert event["Title"] == "t"


async def test_gaps_overflows_and_wildcards(streaming: SimulatedOrg, stream: Stream) -> None:
    """Ids alone, no id at all, and a pattern of ids."""
    first, second = (await contacts(streaming))[:2]
    await streaming.fault("event_gap", count=1, path="Contact")
    await edit(streaming, first, Title="t")
    await streaming.control("switches", {"overflow_changes": 5, "same_changes_merge": False})
    rows = [{"Id": i, "Title": "v", "Phone": "1"} for i in (first, second)]
    await streaming.dml("update", "Contact", rows=rows)
    field = {"name": "Level__c", "type": "string", "length": 30}
    await streaming.control("schema", {"op": "change_field_type", "object": "Contact", "field": field})
    found = [(header(e)["changeType"], header(e)["recordIds"], e["Title"]) for e in await stream.events(3)]
    assert found == [
        ("GAP_UPDATE", [first], None),
        ("GAP_OVERFLOW", ["000000000000000AAA"], None),
        ("GAP_UPDATE", ["003*"], None),
    ]


async def test_a_late_event_is_overtaken(streaming: SimulatedOrg, stream: Stream) -> None:
    """It comes when the org's clock has gone on, and with the time of its commit."""
    record_id = (await contacts(streaming))[0]
    await streaming.fault("event_late", count=1, seconds=30)
    await edit(streaming, record_id, Title="late")
    await edit(streaming, record_id, Title="in time")
    (first,) = await stream.events(1)
    await streaming.control("clock", {"advance": 31})
    (second,) = await stream.events(1)
    assert (first["Title"], second["Title"]) == ("in time", "late")
    assert header(second)["commitTimestamp"] <= header(first)["commitTimestamp"]


async def test_lost_and_doubled(streaming: SimulatedOrg, stream: Stream) -> None:
    """As faults say."""
    record_id = (await contacts(streaming))[0]
    await streaming.fault("event_lost", count=1)
    await edit(streaming, record_id, Title="lost")
    await streaming.fault("event_doubled", count=1)
    await edit(streaming, record_id, Title="twice")
    assert [event["Title"] for event in await stream.events(2)] == ["twice", "twice"]


async def test_long_text_is_sent_as_a_diff(
    streaming: SimulatedOrg, stream: Stream, names: Callable[[list[str]], set[str]]
) -> None:
    """If little of it changed: with the hash of the new text, and named in diffFields."""
    record_id = (await contacts(streaming))[0]
    lines = [f"line {number} of a long description" for number in range(60)]
    await edit(streaming, record_id, Description="\n".join(lines))
    lines[30] = "another line"
    new = "\n".join(lines)
    await edit(streaming, record_id, Description=new)
    whole, diff = await stream.events(2)
    assert whole["Description"].startswith("line 0")
    assert diff["Description"].startswith(f"--- \n+++ {hashlib.sha256(new.encode()).hexdigest()}\n@@")
    assert names(header(diff)["diffFields"]) == {"Description"}


async def test_a_new_field_makes_a_new_schema(
    streaming: SimulatedOrg, bus: BusClient, stream: Stream
) -> None:
    """Events before and after it decode by the schemas that they name."""
    first, second = (await contacts(streaming))[:2]
    await edit(streaming, first, Title="before")
    field = {"name": "New__c", "type": "string", "length": 20}
    await streaming.control("schema", {"op": "add_field", "object": "Contact", "field": field})
    await edit(streaming, second, New__c="there")
    before, after = await stream.events(2)
    assert ("New__c" in before, after["New__c"]) == (False, "there")


async def test_hidden_fields_are_null_and_not_listed(
    streaming: SimulatedOrg, stream: Stream, names: Callable[[list[str]], set[str]]
) -> None:
    """By field-level security, plain fields and parts of compounds."""
    await streaming.control("visibility", {"hidden_fields": ["Contact.Title", "Contact.MailingCity"]})
    await edit(streaming, (await contacts(streaming))[0], Title="a", MailingCity="b", MailingState="c")
    (event,) = await stream.events(1)
    assert (event["Title"], event["MailingAddress"]["City"]) == (None, None)
    listed_now = names(header(event)["changedFields"])
    assert "MailingAddress.State" in listed_now
    assert not {"Title", "MailingAddress.City"} & listed_now


async def test_a_name_may_be_the_third_of_its_union(
    streaming: SimulatedOrg, streaming_api: Api, bus: BusClient
) -> None:
    """As in orgs with person accounts; a custom object's event has its own form of name."""
    await streaming.control("switches", {"name_may_be_text": True})
    await select(streaming_api, "Invoice__c")
    stream = await listening(streaming, bus)
    await edit(streaming, (await contacts(streaming))[0], LastName="Third")
    (invoice,) = await streaming.dml("create", "Invoice__c", rows=[{"Name": "I-1", "Total__c": 2.5}])
    contact, created = await stream.events(2)
    assert contact["Name"]["LastName"] == "Third"
    assert (created["Name"], created["Total__c"]) == ("I-1", 2.5)
    assert header(created)["recordIds"] == [invoice]
    assert (await bus.topic("/data/Invoice__ChangeEvent")).schema_id


async def test_a_custom_channel(streaming: SimulatedOrg, streaming_api: Api, bus: BusClient) -> None:
    """Carries its own members."""
    await select(streaming_api, "Lead", "Sales__chn")
    stream = await listening(streaming, bus, "/data/Sales__chn")
    await edit(streaming, (await contacts(streaming))[0], Title="no member")
    lead = (await ids_of(streaming, "Lead"))[0]
    await streaming.dml("update", "Lead", rows=[{"Id": lead, "Company": "Yes"}])
    (event,) = await stream.events(1)
    assert (header(event)["entityName"], event["Company"]) == ("Lead", "Yes")


@pytest.mark.parametrize("is_sealed", [False, True])
async def test_the_package_publishes_its_pushes(
    streaming: SimulatedOrg, bus: BusClient, *, is_sealed: bool
) -> None:
    """Signed documents in parts, sealed or not; no callout, and no address."""
    await streaming.control("switches", {"push_sealed": is_sealed, "push_part_chars": 500})
    settings = {"Token__c": TOKEN}
    await streaming.control(
        "package/install", {"channel": "stream", "objects": ["Contact"], "settings": settings}
    )
    stream = await listening(streaming, bus, "/event/RTS_Push__e")
    await edit(streaming, (await contacts(streaming))[0], Title="pushed")
    parts = await stream.events(1)
    first = parts[0]
    parts += await stream.events(int(first["Parts__c"]) - len(parts))
    assert [part["Part__c"] for part in parts] == list(range(1, len(parts) + 1))
    assert len(parts) > 1
    payload = base64.b64decode("".join(part["Body__c"] for part in parts))
    signed = f"{first['Id__c']}.{first['Timestamp__c']}.".encode() + payload
    digest = hmac.digest(TOKEN.encode(), signed, "sha256")
    assert {part["Signature__c"] for part in parts} == {"v1," + base64.b64encode(digest).decode()}
    assert first["Sealed__c"] is is_sealed
    if is_sealed:
        key = hmac.digest(TOKEN.encode(), b"rts.seal.v1", "sha256")
        decryptor = Cipher(algorithms.AES(key), modes.CBC(payload[:16])).decryptor()
        plain = decryptor.update(payload[16:]) + decryptor.finalize()
        payload = plain[: -plain[-1]]
    document = json.loads(payload)
    assert document["changes"][0]["fields"]["Title"] == "pushed"
    assert (await streaming.stats())["pushes"]["attempts"] == 0
