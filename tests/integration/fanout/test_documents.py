"""What is published: CloudEvents documents with the record before and after each change."""

from __future__ import annotations

import random
from typing import Any

import pytest
from cloudevents.core.formats.json import JSONFormat

from rtsd.fanout import checkpoints, outlet
from rtsd.store import mirror
from tests.integration.fanout.conftest import Publish, Publishing
from tests.support import nats

pytestmark = nats.needed
PRIVATE = (
    '[[objects]]\nname = "Contact"\n[objects.privacy]\nPhone = "hash"\nEmail = "last4"\nTitle = "drop"\n'
)
CANARY = {"Phone": "PRIVATE-PHONE-1", "Email": "PRIVATE-2@canary.example", "Title": "PRIVATE-TITLE-3"}
ACTIONS = ("create", "update", "update", "update", "delete", "undelete")


async def test_a_document_is_what_the_contract_says(publishing: Publish) -> None:
    """Section 9: its attributes, its data, and the subject and the headers on the wire."""
    made = await publishing()
    rig, org_id = made.rig, made.rig.org.org_id
    (record_id,) = await rig.dml("create", "Contact", rows=[{"LastName": "Ada", "Email": "a@b.co"}])
    (message,) = await made.settle()
    assert message.subject == f"rts.{org_id}.Contact.create"
    assert message.headers["Nats-Msg-Id"] == f"{org_id}.{message.seq}"
    assert message.headers["Content-Type"] == "application/cloudevents+json"
    document = message.document
    ((at,),) = await rig.rows("SELECT at FROM _rts_journal WHERE seq=?", message.seq)
    data = document.pop("data")
    assert document == {
        "specversion": "1.0",
        "id": str(message.seq),
        "source": f"rtsd/{org_id}",
        "type": "rts.change.create",
        "subject": f"Contact/{record_id}",
        "time": at,
        "datacontenttype": "application/json",
    }
    assert len(org_id) == 18
    after = data.pop("after")
    assert (after["Id"], after["LastName"], after["Email"], after["Phone"]) == (
        record_id,
        "Ada",
        "a@b.co",
        None,
    )
    assert data == {
        "object": "Contact",
        "id": record_id,
        "op": "create",
        "source": "push",
        "changed": None,
        "before": None,
    }


async def test_the_sdk_of_cloudevents_reads_them(publishing: Publish) -> None:
    """A document of every operation, and one without values; it raises for what the specification forbids."""
    made = await publishing(max_msg_size=12_000)
    (record_id,) = await made.rig.dml("create", "Contact", rows=[{"LastName": 'Žižka \U0001f600 "q"'}])
    await made.rig.settle()
    await made.rename(record_id, "x" * 80)
    await made.rig.dml("update", "Contact", rows=[{"Id": record_id, "Description": "z" * 15_000}])
    await made.rig.settle()
    for operation in ("delete", "undelete"):
        await made.rig.dml(operation, "Contact", ids=[record_id])
        await made.rig.settle()
    messages = await made.settle()
    kinds = [message.document["type"].removeprefix("rts.change.") for message in messages]
    assert kinds == ["create", "update", "update", "delete", "undelete"]
    for message in messages:
        event = JSONFormat().read(None, message.body)
        assert (event.get_specversion(), event.get_id()) == ("1.0", str(message.seq))
        assert event.get_source() == f"rtsd/{made.rig.org.org_id}"
        assert event.get_type() == message.document["type"]
        assert event.get_subject() == message.record
        assert event.get_datacontenttype() == "application/json"
        assert event.get_data() == message.document["data"]
        time = event.get_time()
        assert time is not None
        assert time.tzinfo is not None
        assert event.get_extension("master") is None


async def test_changes_have_the_values_of_their_time(
    publishing: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However late they are published: `after` is the row as it was then, `before` the one before."""
    monkeypatch.setattr(checkpoints, "SHORTEST", 7)
    monkeypatch.setattr(checkpoints, "WORTH", 2)
    monkeypatch.setattr(outlet, "LARGEST_PAGE", 10)
    made = await publishing()
    made.outlet.page = 10
    rig, rng = made.rig, random.Random(7)
    truth: list[tuple[Any, Any]] = []
    state: dict[str, dict[str, Any] | None] = {}
    for number in range(60):
        rig.advance(2)
        live = [name for name, values in state.items() if values]
        gone = [name for name, values in state.items() if not values]
        action = rng.choice(ACTIONS)
        if action == "undelete" and gone:
            record_id = rng.choice(gone)
            await rig.dml("undelete", "Contact", ids=[record_id])
        elif action == "delete" and live:
            record_id = rng.choice(live)
            await rig.dml("delete", "Contact", ids=[record_id])
        elif action == "update" and live:
            record_id = rng.choice(live)
            values = {rng.choice(("LastName", "Email", "Phone")): f"v{number}@x.co"}
            await rig.dml("update", "Contact", rows=[{"Id": record_id, **values}])
        else:
            (record_id,) = await rig.dml("create", "Contact", rows=[{"LastName": f"n{number}"}])
        await rig.settle()
        now = await row(made, record_id)
        truth.append((state.get(record_id), now))
        state[record_id] = now
    messages = await made.settle()
    assert [message.values for message in sorted(messages, key=lambda each: each.seq)] == truth
    assert nats.disorder(messages) == []
    assert nats.breaks(messages) == []
    assert {message.document["data"]["op"] for message in messages} == set(ACTIONS)


async def row(made: Publishing, record_id: str) -> dict[str, Any] | None:
    """A record as it is in the mirror; None if it is deleted."""
    mirrored = made.rig["Contact"]
    found = await mirror.record(made.rig.parts.base.database, mirrored.described, record_id)
    assert found is not None
    return dict(found["values"]) if found["state"] == "live" else None


async def test_a_row_that_changes_while_it_is_traced_back_is_read_again(
    publishing: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row and the journal are read one after the other; a commit in between would mix two versions."""
    made = await publishing()
    record_id = await made.rig.a_record("Contact")
    await made.rename(record_id, "First")
    read, renamed = mirror.rows_of, list[str]()

    async def renames() -> None:
        renamed.append(f"Name {len(renamed)}")
        await made.rename(record_id, renamed[-1])

    async def interrupted(*arguments: Any) -> Any:
        if not renamed:  # the row is newer than what is known of the journal
            await renames()
        found = await read(*arguments)
        if len(renamed) < 2:  # and older
            await renames()
        return found

    monkeypatch.setattr(mirror, "rows_of", interrupted)
    messages = await made.settle()
    assert [after["LastName"] for _, after in (message.values for message in messages)] == ["First", *renamed]
    assert nats.breaks(messages) == []


async def test_the_winner_of_a_merge_is_told(publishing: Publish) -> None:
    """A deletion by a merge says who has its data now."""
    made = await publishing()
    winner, loser = await made.rig.dml("create", "Contact", rows=[{"LastName": "A"}, {"LastName": "B"}])
    await made.rig.dml("merge", "Contact", master=winner, ids=[loser])
    messages = await made.settle()
    (deletion,) = [message for message in messages if message.document["data"]["op"] == "delete"]
    assert deletion.document["data"]["master"] == winner
    assert deletion.document["data"]["id"] == loser


async def test_only_what_was_applied_is_published(publishing: Publish) -> None:
    """What the mirror had already is in the journal, and is no change."""
    made = await publishing()
    record_id = await made.rig.a_record("Contact")
    await made.rename(record_id, "Once")
    (fields,) = [each async for each in made.rig.sim.rows("Contact") if each["Id"] == record_id]
    change = {"object": "Contact", "op": "update", "id": record_id, "fields": fields}
    change["modstamp"] = fields["SystemModstamp"]
    assert (await made.rig.push(made.rig.changes(change), name="again"))[0] == 200
    messages = await made.settle()
    outcomes = [note.outcome for note in await made.rig.notes("change")]
    assert outcomes == ["applied", "duplicate"]
    assert len(messages) == 1


async def test_values_are_as_privacy_leaves_them(publishing: Publish) -> None:
    """What never reaches the disk does not reach the stream."""
    made = await publishing(f'begin = "journal"\n{PRIVATE}', objects=("Lead",))
    record_id = await made.rig.a_record("Contact")
    await made.rig.dml("update", "Contact", rows=[{"Id": record_id, **CANARY}])
    (message,) = await made.settle()
    assert not [value for value in CANARY.values() if value in str(message)]
    before, after = message.values
    assert after["Phone"] != before["Phone"]
    assert after["Email"].endswith("mple")
    assert "Title" not in after


async def test_a_document_that_is_too_large_goes_without_values(publishing: Publish) -> None:
    """It says so, keeps its place, and the next one is whole again."""
    made = await publishing(max_msg_size=12_000)
    record_id = await made.rig.a_record("Contact")
    await made.rename(record_id, "Small")
    await made.rig.dml("update", "Contact", rows=[{"Id": record_id, "Description": "x" * 2_500}])
    await made.rig.settle()
    await made.rig.dml("update", "Contact", rows=[{"Id": record_id, "Description": "y" * 7_000}])
    await made.rig.settle()
    await made.rig.dml("update", "Contact", rows=[{"Id": record_id, "Description": "z" * 15_000}])
    await made.rig.settle()
    await made.rig.dml("update", "Contact", rows=[{"Id": record_id, "Description": None}])
    messages = await made.settle()
    omitted = [message.document["data"].get("omitted") for message in messages]
    assert omitted == [None, None, ["before"], ["before", "after"], ["before"]]
    assert made.outlet.numbers.cut == 3
    assert messages[2].values[1]["Description"] == "y" * 7_000
    assert messages[3].values == (None, None)
    assert messages[4].values[1]["LastName"] == "Small"
