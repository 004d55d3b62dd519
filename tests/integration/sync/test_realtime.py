"""From a push in the inbox to the mirror, and what is done with pushes that say too little or too much."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from rtsd.control.client import ControlClient
from rtsd.core.ids import full_id
from rtsd.core.mode import Mode
from rtsd.errors import OrgUnreachable
from rtsd.sync.realtime import MAX_UNKNOWN
from rtssim.schema.model import Field
from tests.support.inprocess.rig import Rig
from tests.support.mirror import sqlite_only


async def letters(rig: Rig) -> list[tuple[Any, ...]]:
    """The dead letters: reason, object, record."""
    return await rig.rows("SELECT reason, object, record FROM _rts_dead_letter ORDER BY id")


async def test_two_hundred_records_are_one_push(contacts: Rig) -> None:
    """What the issue asks for: one signed POST, one transaction here, equal after it, no API call."""
    before = await contacts.calls()
    await contacts.dml("create", "Contact", rows=[{"LastName": f"n{number}"} for number in range(200)])
    await contacts.settle()
    assert await contacts.differences() == []
    assert (await contacts.sim.stats())["pushes"]["acked"] == 1
    assert await contacts.calls() == before


async def test_whatever_is_done_in_the_org_arrives(contacts: Rig) -> None:
    """Create, edit, delete, undelete and merge, pushed; nothing else is read."""
    ids = [row["Id"] async for row in contacts.sim.rows("Contact")]
    await contacts.dml("update", "Contact", rows=[{"Id": ids[0], "LastName": "É\n'"}])
    await contacts.dml("delete", "Contact", ids=ids[1:3])
    await contacts.settle()
    contacts.advance(2)
    await contacts.dml("undelete", "Contact", ids=ids[1:2])
    await contacts.dml("merge", "Contact", master=ids[5], ids=ids[6:8])
    await contacts.settle()
    assert await contacts.differences() == []
    masters = await contacts.rows("SELECT master FROM _rts_tombstone WHERE master IS NOT NULL")
    assert masters == [(ids[5],)] * 2


async def test_a_push_that_changes_nothing_but_the_stamp_moves_it(contacts: Rig) -> None:
    """The stamp stands outside `fields`, and all the fields that came are known already."""
    record = await contacts.a_record("Contact")
    contacts.advance(5)
    stamp = contacts.org.clock.now().strftime("%Y-%m-%dT%H:%M:%S.000Z")
    push = {"object": "Contact", "op": "update", "id": record, "modstamp": stamp, "fields": {"Id": record}}
    await contacts.push(contacts.changes(push))
    await contacts.settle()
    assert await contacts.rows("SELECT SystemModstamp FROM Contact WHERE Id = ?", record) == [(stamp,)]


async def forge(
    rig: Rig, record: str, *, ahead_s: float, op: str = "update", stamp_ahead_s: float = 0
) -> None:
    """Push a value that was never in the org, with the right token, as if read some time from now."""
    now = rig.org.clock.now()
    moments = [now + timedelta(seconds=seconds) for seconds in (ahead_s, stamp_ahead_s)]
    read_at, stamp = (f"{moment:%Y-%m-%dT%H:%M:%S}.000Z" for moment in moments)
    change: dict[str, Any] = {"object": "Contact", "op": op, "id": record, "modstamp": stamp}
    if op != "delete":
        change["fields"] = {"Id": record, "LastName": "never", "SystemModstamp": stamp}
    push = rig.changes(change, read_at=read_at)
    assert (await rig.push(push, name=f"forged-{record}-{op}-{ahead_s}"))[0] == 200
    await rig.settle()


@pytest.mark.parametrize(
    ("op", "ahead_s", "stamp_ahead_s"),
    [
        ("update", 0, 0),
        ("update", 3_600, 0),
        ("update", 3_600, 7_200),
        ("delete", 0, 0),
        ("delete", 3_600, 7_200),
    ],
)
@pytest.mark.parametrize("by", ["repair", "full audit", "verify"])
async def test_what_an_operator_orders_ends_as_the_org_says(
    contacts: Rig, op: str, ahead_s: float, stamp_ahead_s: float, by: str
) -> None:
    """Whatever was pushed, and however far its times lie ahead."""
    record = await contacts.a_record("Contact")
    contacts.advance(120)
    await forge(contacts, record, ahead_s=ahead_s, op=op, stamp_ahead_s=stamp_ahead_s)
    assert await contacts.differences() != []
    contacts.advance(2)
    async with ControlClient(contacts.place / "rtsd.sock") as client:
        if by == "repair":
            await client.repair("Contact", ids=[record])
        elif by == "full audit":
            await client.audit("Contact", full=True)
        else:
            assert (await client.verify(certify=False)).ok
    assert await contacts.differences() == []


async def test_a_push_read_after_its_arrival_is_dated_by_its_arrival(contacts: Rig) -> None:
    """Clocks differ by seconds; a push of 2099 would outrank everything until then."""
    record = await contacts.a_record("Contact")
    await forge(contacts, record, ahead_s=30_000_000)
    ((seen,),) = await contacts.rows("SELECT _rts_seen FROM Contact WHERE Id = ?", record)
    assert abs(seen - contacts.now()) < 60_000


@pytest.mark.parametrize("fault", ["push_late", "push_doubled", "push_reordered"])
async def test_pushes_out_of_order_end_equal(contacts: Rig, fault: str) -> None:
    """Edits of one record in one second, delivered late, twice or the wrong way round."""
    record = await contacts.a_record("Contact")
    extra = {} if fault == "push_doubled" else {"seconds": 0.05}
    await contacts.sim.fault(fault, count=2, **extra)
    for number in range(5):
        await contacts.dml("update", "Contact", rows=[{"Id": record, "LastName": f"edit {number}"}])
    await contacts.settle()
    assert await contacts.differences() == []


async def test_bare_pushes_are_fetched_in_one_call(contacts: Rig) -> None:
    """Ids of several pushes, some named twice: one request for all of them."""
    ids = [row["Id"] async for row in contacts.sim.rows("Contact")]
    await contacts.sim.dml(
        "update", "Contact", untriggered=True, rows=[{"Id": record_id, "Title": "new"} for record_id in ids]
    )
    before = await contacts.calls()
    for number in range(3):
        bare = [
            {"object": "Contact", "op": "update", "id": record_id} for record_id in (ids[number::3] + ids[:2])
        ]
        await contacts.push(contacts.changes(*bare), name=f"bare_{number}")
    await contacts.settle()
    after = await contacts.calls()
    assert await contacts.differences() == []
    assert sum(after.values()) - sum(before.values()) == 1


async def test_a_bare_push_of_a_record_that_is_gone(contacts: Rig) -> None:
    """The fetch finds nothing: the bin says why."""
    record = await contacts.a_record("Contact")
    await contacts.sim.control("package/settings", {"Disable_RTS__c": True})
    contacts.advance(5)
    await contacts.dml("delete", "Contact", ids=[record])
    await contacts.push(contacts.changes({"object": "Contact", "op": "update", "id": record}))
    await contacts.settle()
    assert await contacts.differences() == []
    assert await contacts.rows("SELECT id FROM _rts_tombstone") == [(record,)]


async def test_an_unknown_object_is_a_dead_letter(contacts: Rig) -> None:
    """It never costs the push: the rest of it is applied."""
    record = await contacts.a_record("Contact")
    known = {"object": "contact", "op": "update", "id": record, "fields": {"LastName": "known"}}
    odd = {"object": "Spaceship__c", "op": "create", "id": "a00000000000001AAA", "fields": {"Name": "x"}}
    stamp = contacts.changes()["read_at"]
    await contacts.push(contacts.changes(odd, {**known, "modstamp": stamp}))
    await contacts.parts.services.realtime.apply_batch()
    assert await letters(contacts) == [("UnknownObject", "Spaceship__c", "a00000000000001AAA")]
    assert await contacts.rows("SELECT LastName FROM Contact WHERE Id=?", record) == [("known",)]
    ((body,),) = await contacts.rows("SELECT body FROM _rts_dead_letter")
    assert b"Spaceship__c" in body
    assert record.encode() not in body


async def test_a_new_field_is_learnt_from_a_push(contacts: Rig) -> None:
    """ac_41: an unknown field leads to a describe, and the value is kept at once."""
    contacts.org.add_field("Contact", Field("Shoe_Size__c", "Shoe size", "string", length=10))
    contacts.advance(120)
    await contacts.dml("create", "Contact", rows=[{"LastName": "new", "Shoe_Size__c": "43"}])
    await contacts.settle()
    assert await contacts.rows("SELECT Shoe_Size__c FROM Contact WHERE LastName='new'") == [("43",)]
    assert await letters(contacts) == []


async def test_a_field_nobody_knows_is_a_dead_letter(contacts: Rig) -> None:
    """After a describe that does not know it either; the known fields are applied."""
    record = await contacts.a_record("Contact")
    contacts.advance(120)
    odd = {"LastName": "known", "Nonsense__c": 1}
    stamp = contacts.changes()["read_at"]
    change = {"object": "Contact", "op": "update", "id": record, "modstamp": stamp, "fields": odd}
    await contacts.push(contacts.changes(change))
    await contacts.settle()
    assert await letters(contacts) == [("UnknownField", "Contact", record)]
    assert await contacts.rows("SELECT LastName FROM Contact WHERE Id=?", record) == [("known",)]


async def test_a_field_that_stays_hidden(contacts: Rig) -> None:
    """It comes with every change, as the package reads as the system: one describe, few dead letters."""
    before, spent = (await contacts.calls()).get("describe", 0), []
    for number in range(3):
        contacts.advance(120)
        ids = [full_id(f"003{number:04d}{row:08d}") for row in range(50)]
        changes = [
            {"object": "Contact", "op": "update", "id": record_id, "fields": {"Secret__c": number}}
            for record_id in ids
        ]
        await contacts.push(contacts.changes(*changes), name=f"msg_{number}")
        await contacts.parts.services.realtime.apply_batch()
        spent.append((await contacts.calls()).get("describe", 0) - before)
    assert spent == [1, 1, 1]
    assert len(await letters(contacts)) == MAX_UNKNOWN


async def test_a_field_that_comes_right_after_a_describe(contacts: Rig) -> None:
    """It is described a minute after, with no further push; later fields of that time together with it."""
    contacts.advance(120)
    await contacts.parts.readers.describer.describe(contacts["Contact"])
    before = (await contacts.calls())["describe"]
    contacts.advance(5)
    for name in ("Shoe_Size__c", "Hat_Size__c"):
        contacts.org.add_field("Contact", Field(name, name, "string", length=10))
        contacts.advance(5)
        await contacts.dml("create", "Contact", rows=[{"LastName": name, name: "43"}])
        await contacts.settle()
    await contacts.load()
    assert (await contacts.calls())["describe"] == before
    contacts.advance(60)
    await contacts.load()
    assert (await contacts.calls())["describe"] == before + 1
    assert {"Shoe_Size__c", "Hat_Size__c"} <= set(contacts["Contact"].described.columns)
    contacts.advance(60)
    await contacts.load()
    assert (await contacts.calls())["describe"] == before + 1


async def test_an_unknown_field_while_the_org_is_away(contacts: Rig) -> None:
    """The describe fails: the push is applied all the same, and the loop lives."""
    record = await contacts.a_record("Contact")
    contacts.advance(120)
    await contacts.sim.fault("html_503", path="/services/")
    with pytest.raises(OrgUnreachable):
        await contacts.parts.readers.describer.describe(contacts["Contact"])
    contacts.advance(120)
    stamp = contacts.changes()["read_at"]
    fields = {"LastName": "known", "Nonsense__c": 1}
    change = {"object": "Contact", "op": "update", "id": record, "modstamp": stamp, "fields": fields}
    await contacts.push(contacts.changes(change))
    assert await contacts.parts.services.realtime.apply_batch() == 1
    assert await letters(contacts) == [("UnknownField", "Contact", record)]
    assert await contacts.rows("SELECT LastName FROM Contact WHERE Id=?", record) == [("known",)]


async def test_dead_letters_of_a_field_are_judged_again_when_its_column_comes(contacts: Rig) -> None:
    """A push may be ahead of the describe; once the column is filled nothing is left to retry by hand."""
    record = await contacts.a_record("Contact")
    stamp = contacts.changes()["read_at"]
    fields = {"LastName": "early", "Shoe_Size__c": "44"}
    change = {"object": "Contact", "op": "update", "id": record, "modstamp": stamp, "fields": fields}
    await contacts.push(contacts.changes(change))
    await contacts.settle()
    assert await letters(contacts) == [("UnknownField", "Contact", record)]

    contacts.org.add_field("Contact", Field("Shoe_Size__c", "Shoe size", "string", length=10))
    contacts.advance(120)
    parts = contacts.parts
    await parts.readers.describer.describe(contacts["Contact"])
    await parts.readers.columns.fill(contacts["Contact"])
    assert await parts.services.realtime.apply_batch() == 1
    assert await letters(contacts) == []


async def test_a_stamp_far_in_the_future_is_a_dead_letter(contacts: Rig) -> None:
    """It would outrank every real change of the record for good."""
    record = await contacts.a_record("Contact")
    fields = {"LastName": "from the future"}
    change = {"object": "Contact", "op": "update", "id": record, "modstamp": "9999-01-01T00:00:00.000Z"}
    await contacts.push(contacts.changes({**change, "fields": fields}))
    await contacts.settle()
    assert await letters(contacts) == [("BadValue", "Contact", record)]
    assert await contacts.rows("SELECT 1 FROM Contact WHERE LastName='from the future'") == []


BAD: dict[str, dict[str, Any]] = {
    "a boolean that is none": {"HasOptedOutOfEmail": "perhaps"},
    "an integer beyond 64 bits": {"NumberOfEmployees": 2**70, "HasOptedOutOfEmail": 2**70},
    "a date-time of the right length": {"SystemModstamp": "zzzzzzzzzzzzzzzzzzzzzzzZ"},
    "a date-time as a number": {"CreatedDate": 5},
    "a list": {"CreatedDate": []},
}


@pytest.mark.parametrize("fields", [*BAD.values()], ids=[*BAD])
async def test_a_value_that_does_not_fit_is_a_dead_letter(contacts: Rig, fields: dict[str, Any]) -> None:
    """One bad change costs neither its push nor the daemon."""
    record = await contacts.a_record("Contact")
    stamp = contacts.changes()["read_at"]
    head = {"object": "Contact", "op": "update", "modstamp": stamp}
    bad = {**head, "id": "003000000000001AAA", "fields": fields}
    good = {**head, "id": record, "fields": {"LastName": "good"}}
    await contacts.push(contacts.changes(bad, good))
    await contacts.parts.services.realtime.apply_batch()
    assert ("BadValue", "Contact", "003000000000001AAA") in await letters(contacts)
    assert await contacts.rows("SELECT LastName FROM Contact WHERE Id=?", record) == [("good",)]


async def test_another_orgs_push_that_was_taken_is_a_dead_letter(contacts: Rig) -> None:
    """Taken while our own org was not known: judged when it is."""
    record = await contacts.a_record("Contact")
    org = contacts.parts.base.org
    own, org.id = org.id, None
    change = {"object": "Contact", "op": "delete", "id": record, "modstamp": "2027-01-01T00:00:00Z"}
    assert (await contacts.push(contacts.changes(change, org="00D000000000001EAA")))[0] == 200
    org.id = own
    await contacts.parts.services.realtime.apply_batch()
    assert [reason for reason, _, _ in await letters(contacts)] == ["WrongOrg"]
    assert await contacts.differences() == []


async def test_a_paused_object_catches_up(contacts: Rig) -> None:
    """Pushes meanwhile are taken and not applied; resumed, what they said is read, also in real time."""
    services = contacts.parts.services
    await contacts.push({"v": 1, "kind": "test", "org": contacts.org.org_id})
    await services.interval_sync.step()
    async with ControlClient(contacts.place / "rtsd.sock") as client:
        await client.pause(["Contact"])
    await contacts.dml("create", "Contact", rows=[{"LastName": "while paused"}])
    await contacts.settle()
    assert len(await contacts.differences()) == 1
    (shown,) = (await contacts.parts.views.status()).objects
    assert shown.state == "paused"
    async with ControlClient(contacts.place / "rtsd.sock") as client:
        await client.resume(["Contact"])
    assert contacts.mode is Mode.REAL_TIME
    await services.interval_sync.step()
    assert await contacts.differences() == []


async def edited(rig: Rig, record: str, title: str) -> float:
    """Edit a record and, once it is pushed, let real-time sync have one step; return its pause."""
    rig.advance(2)
    await rig.dml("update", "Contact", rows=[{"Id": record, "Title": title}])
    await rig.sim.control("package/drain", {})
    return await rig.parts.services.realtime.step()


@sqlite_only("the log is the WAL, which a reader keeps from being reused")
async def test_pushes_share_transactions_while_a_reader_lets_the_log_grow(
    contacts: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite can't reuse the log then: every transaction adds whole pages, which several pushes can share."""
    monkeypatch.setattr("rtsd.store.sqlite.files.WAL_KEPT", 0)
    monkeypatch.setattr("rtsd.sync.realtime.TOGETHER_S", 3_600)
    monkeypatch.setattr("rtsd.sync.realtime.MANY", 2)
    record = await contacts.a_record("Contact")
    assert await edited(contacts, record, "first") == 0
    assert 0 < await edited(contacts, record, "second") <= 3_600
    assert await contacts.rows("SELECT Title FROM Contact WHERE Id = ?", record) == [("first",)]
    assert await edited(contacts, record, "third") == 0
    assert await contacts.rows("SELECT Title FROM Contact WHERE Id = ?", record) == [("third",)]


async def test_pushes_wait_for_nothing_while_the_log_is_reused(
    contacts: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pause is only for the log's sake."""
    monkeypatch.setattr("rtsd.sync.realtime.TOGETHER_S", 3_600)
    record = await contacts.a_record("Contact")
    for title in ("first", "second"):
        assert await edited(contacts, record, title) == 0
    assert await contacts.differences() == []
