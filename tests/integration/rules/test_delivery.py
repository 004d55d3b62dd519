"""Rules from the change in the org to the receiver: what is sent, in which order, how often."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from email.utils import format_datetime
from typing import Any

import pytest

from rtsd.control.client import ControlClient
from rtsd.errors import Conflict
from rtsd.store import dead_letters
from rtsd.sync.apply import Applier
from tests.support.inprocess.rules import Make, Receiver, Ruled

HOUR_S = 3_600


async def create(sender: Ruled, name: str, **values: Any) -> str:
    """Create a contact in the org; its push is on its way."""
    (record_id,) = await sender.rig.dml("create", "Contact", rows=[{"LastName": name, **values}])
    return record_id


async def update(sender: Ruled, record_id: str, **values: Any) -> None:
    """Update a contact, and apply the push."""
    await sender.rig.dml("update", "Contact", rows=[{"Id": record_id, **values}])
    await sender.rig.settle()


async def rename(sender: Ruled, record_id: str, name: str) -> None:
    """Give a contact another name, and apply the push."""
    await update(sender, record_id, LastName=name)


async def test_a_delivery_is_what_the_contract_says(ruled: Make, receiver: Receiver) -> None:
    """The document has the journal's entry, the record and no old values; its signature holds."""
    sender = await ruled()
    record_id = await create(sender, "Ada", Email="a@b.co")
    await sender.settle()
    headers, document = receiver.seen[0]
    assert receiver.forged == 0
    assert headers["Content-Type"] == "application/json"
    assert abs(int(headers["webhook-timestamp"]) - sender.rig.now() // 1000) <= 1
    assert (document["v"], document["rule"], document["old"]) == (1, "watch", None)
    assert (document["record"]["Id"], document["record"]["Email"]) == (record_id, "a@b.co")
    event = document["event"]
    assert (event["type"], event["object"], event["id"]) == ("change", "Contact", record_id)
    assert (event["op"], event["source"], event["outcome"]) == ("create", "push", "applied")
    assert await sender.outcomes() == ["fired", "delivered"]
    assert await sender.pending() == 0


async def test_updates_and_deletions_carry_the_previous_values(ruled: Make, receiver: Receiver) -> None:
    """`old` is the whole record before the change; of a deletion both are its last values."""
    sender = await ruled(receiver.rule(on='["update", "delete", "undelete"]'))
    record_id = await sender.rig.a_record("Contact")
    await rename(sender, record_id, "New")
    await sender.rig.dml("delete", "Contact", ids=[record_id])
    await sender.rig.settle()
    await sender.rig.dml("undelete", "Contact", ids=[record_id])
    await sender.settle()
    update, delete, undelete = receiver.documents
    assert update["record"]["LastName"] == "New" != update["old"]["LastName"]
    assert update["old"].keys() == update["record"].keys()
    assert delete["event"]["op"] == "delete"
    assert delete["record"]["LastName"] == delete["old"]["LastName"] == "New"
    assert undelete["record"]["LastName"] == undelete["old"]["LastName"] == "New"


async def test_the_initial_load_fires_nothing(ruled: Make, receiver: Receiver) -> None:
    """Rows that fill the mirror are no news."""
    sender = await ruled()
    await sender.deliver()
    assert receiver.seen == []
    assert await sender.outcomes() == []


async def test_when_is_judged_over_new_and_old_values(ruled: Make, receiver: Receiver) -> None:
    """Only the change that makes the condition true fires; what is not in `on` never does."""
    when = "when = \"Email IS NOT NULL AND old.Email IS NULL AND LastName LIKE 'a%'\""
    sender = await ruled(receiver.rule(on='["update"]', more=when))
    record_id = await create(sender, "Ada")
    await sender.settle()
    await create(sender, "Abe", Email="x@y.co")
    await sender.settle()
    assert receiver.seen == []
    await update(sender, record_id, Email="a@b.co")
    await update(sender, record_id, Phone="1")
    await sender.deliver()
    assert [document["record"]["Email"] for document in receiver.documents] == ["a@b.co"]


async def test_a_change_that_is_rolled_back_fires_nothing(
    ruled: Make, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The delivery is in the transaction of the change: both or neither."""
    sender = await ruled()
    await create(sender, "Ada")
    await sender.rig.sim.control("package/drain", {})
    original = Applier.apply

    async def apply_and_fail(*arguments: Any, **named: Any) -> Any:
        await original(*arguments, **named)
        raise RuntimeError("pulled the plug")

    with monkeypatch.context() as patched, contextlib.suppress(RuntimeError):
        patched.setattr(Applier, "apply", apply_and_fail)
        await sender.rig.parts.services.realtime.apply_batch()
    assert await sender.pending() == 0
    await sender.settle()
    assert receiver.names == ["Ada"]


async def test_an_hour_of_outage_loses_nothing_and_keeps_the_order(ruled: Make, receiver: Receiver) -> None:
    """What was fired while the receiver was down arrives once it is back, in order per record, once each."""
    sender = await ruled()
    ids = [await create(sender, f"r{number} 0") for number in range(8)]
    await sender.settle()
    receiver.seen.clear()
    receiver.status = 503
    for step in range(1, 61):
        for number in range(8) if step % 10 == 0 else ():
            await rename(sender, ids[number], f"r{number} {step}")
        sender.rig.advance(HOUR_S / 60)
        await sender.deliver()
    tries = len(receiver.seen)
    assert await sender.pending() == 48
    assert tries < 60, "an open circuit leaves the receiver alone"
    receiver.seen.clear()
    receiver.status = 200
    sender.rig.advance(300)
    await sender.deliver()
    assert await sender.pending() == 0, "the first that is taken lets the others through"
    assert len(receiver.seen) == len({headers["webhook-id"] for headers, _ in receiver.seen}) == 48
    for number in range(8):
        mine = [name for name in receiver.names if name.startswith(f"r{number} ")]
        assert mine == [f"r{number} {step}" for step in range(10, 70, 10)]
    assert sender.rig.parts.base.database.counts.dead_letters == 0


async def test_a_try_has_the_same_id_and_a_fresh_time(ruled: Make, receiver: Receiver) -> None:
    """webhook-id stays over the retries of one delivery, webhook-timestamp does not, the body is frozen."""
    sender = await ruled()
    receiver.status = 500
    await create(sender, "Ada")
    await sender.settle()
    sender.rig.advance(20)
    receiver.status = 200
    await sender.deliver()
    (first, before), (second, after) = receiver.seen
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) >= 20
    assert before == after
    assert receiver.forged == 0


async def test_one_record_that_is_refused_does_not_hold_up_others(ruled: Make, receiver: Receiver) -> None:
    """A record's later delivery waits for its earlier one; other records go on, however often it fails."""
    sender = await ruled()
    bad, good = await create(sender, "bad 1"), await create(sender, "good 1")
    receiver.status = lambda document: 500 if document["record"]["Id"] == bad else 200
    await sender.settle()
    for number in range(2, 10):
        await rename(sender, bad, f"bad {number}")
        await rename(sender, good, f"good {number}")
        sender.rig.advance(1)
        await sender.deliver()
    assert [name for name in receiver.names if name.startswith("good")] == [
        f"good {number}" for number in range(1, 10)
    ]
    assert {name for name in receiver.names if name.startswith("bad")} == {"bad 1"}
    receiver.status = 200
    sender.rig.advance(HOUR_S)
    await sender.deliver()
    assert receiver.names[-9:] == [f"bad {number}" for number in range(1, 10)]


async def test_refusals_do_not_make_an_outage(ruled: Make, receiver: Receiver) -> None:
    """However many records the receiver refuses with a 4xx, it is there: what comes next is tried at once."""
    sender = await ruled()
    receiver.status = lambda document: 200 if document["record"]["LastName"] == "good" else 422
    for number in range(10):
        await create(sender, f"bad {number}")
    await sender.settle()
    await create(sender, "good")
    await sender.settle()
    assert receiver.names[-1] == "good"
    assert await sender.pending() == 10


async def test_two_rules_that_send_to_one_place_keep_a_records_order(ruled: Make, receiver: Receiver) -> None:
    """Order per record is the receiver's order, whichever rule sends."""
    rules = receiver.rule("created", on='["create"]') + receiver.rule("updated", on='["update"]')
    sender = await ruled(rules)
    receiver.status = 500
    record_id = await create(sender, "first")
    await sender.settle()
    await rename(sender, record_id, "second")
    await sender.deliver()
    receiver.status = 200
    sender.rig.advance(30)
    await sender.deliver()
    assert receiver.names == ["first", "first", "second"]


async def test_410_drops_a_delivery_and_3xx_does_not(ruled: Make, receiver: Receiver) -> None:
    """410 ends it without a dead letter; a redirect is a failure like any other, and is not followed."""
    sender = await ruled()
    receiver.status, receiver.headers = 307, {"Location": receiver.url}
    record_id = await create(sender, "moved")
    await sender.settle()
    assert len(receiver.seen) == 1
    assert await sender.outcomes() == ["fired", "retrying"]
    receiver.status = 410
    sender.rig.advance(30)
    await sender.deliver()
    await rename(sender, record_id, "after")
    receiver.status = 204
    await sender.deliver()
    assert await sender.outcomes() == ["fired", "retrying", "dropped", "fired", "delivered"]
    assert sender.rig.parts.base.database.counts.dead_letters == 0


async def test_retry_after_is_honoured_in_both_forms(ruled: Make, receiver: Receiver) -> None:
    """Neither sooner than the receiver wants it again, nor later."""
    sender = await ruled()
    receiver.status = 429
    for form in ("seconds", "date"):
        at = sender.rig.org.clock.now().replace(microsecond=0)
        moment = at.fromtimestamp(at.timestamp() + 2_000, at.tzinfo)
        receiver.headers = {
            "Retry-After": "2000" if form == "seconds" else format_datetime(moment, usegmt=True)
        }
        receiver.status = 429
        await create(sender, form)
        await sender.settle()
        tries = len(receiver.seen)
        sender.rig.advance(1_990)
        await sender.deliver()
        assert len(receiver.seen) == tries
        sender.rig.advance(12)
        receiver.status = 200
        await sender.deliver()
        assert len(receiver.seen) == tries + 1


async def test_a_day_of_failures_ends_in_a_dead_letter_that_can_be_retried(
    ruled: Make, receiver: Receiver
) -> None:
    """Nothing is given up within hours; then it is kept whole, and can be sent again under its old id."""
    sender = await ruled()
    receiver.status = 400
    await create(sender, "Ada")
    await sender.settle()
    for _ in range(23 * 4):
        sender.rig.advance(HOUR_S / 4)
        await sender.deliver()
    assert sender.rig.parts.base.database.counts.dead_letters == 0
    for _ in range(6):
        sender.rig.advance(HOUR_S / 4)
        await sender.deliver()
    (letter,) = await dead_letters.newest(sender.rig.parts.base.database)
    assert (letter.kind, letter.rule, letter.reason) == ("delivery", "watch", "Undelivered")
    assert "HTTP 400" in letter.message
    assert await sender.pending() == 0
    receiver.status = 200
    await sender.rig.parts.rule_engine.send_again(letter)
    await sender.deliver()
    assert receiver.documents[-1] == receiver.documents[0]
    assert len({headers["webhook-id"] for headers, _ in receiver.seen}) == 1
    assert sender.rig.parts.base.database.counts.dead_letters == 0


async def test_a_dead_letter_that_fails_again_keeps_its_number_and_its_tries(
    ruled: Make, receiver: Receiver
) -> None:
    """It stays in the list while it is sent again, once; only what has arrived leaves it."""
    sender = await ruled()
    letters = sender.rig.parts.base.database
    receiver.status = 400
    await create(sender, "Ada")
    await sender.settle()
    await _a_day_passes(sender)
    (first,) = await dead_letters.newest(letters)
    tried = len(receiver.seen)
    assert first.attempts == tried
    async with ControlClient(sender.rig.place / "rtsd.sock") as client:
        await client.retry(first.id)
        await client.retry(first.id)
        assert (await sender.pending(), letters.counts.dead_letters) == (1, 1)
        with pytest.raises(Conflict, match=f"dead letter {first.id} is being sent again"):
            await client.drop(first.id)
        await _a_day_passes(sender)
        (again,) = await client.dead_letters()
        assert (again.id, again.attempts) == (first.id, len(receiver.seen))
        assert (len(receiver.seen) > tried, again.at, again.tried_at != first.at) == (True, first.at, True)
        assert "dead letter 1 is sent again" in await _said(sender)
        receiver.status = 200
        await client.retry(first.id)
        await sender.deliver()
        assert (await client.dead_letters(), letters.counts.dead_letters) == ([], 0)


async def _a_day_passes(sender: Ruled) -> None:
    for _ in range(25 * 4):
        sender.rig.advance(HOUR_S / 4)
        await sender.deliver()
    assert await sender.pending() == 0


async def _said(sender: Ruled) -> str:
    return "; ".join(note.message or "" for note in await sender.rig.notes("dead_letter"))


async def test_a_destination_that_is_gone_for_a_day_is_given_up(ruled: Make, receiver: Receiver) -> None:
    """Behind an open circuit, too, nothing waits for ever: each delivery becomes a dead letter of its own."""
    sender = await ruled()
    receiver.status = 503
    ids = [await create(sender, f"c{number}") for number in range(7)]
    await sender.settle()
    await rename(sender, ids[0], "again")
    for _ in range(26 * 4):
        sender.rig.advance(HOUR_S / 4)
        await sender.deliver()
    assert await sender.pending() == 0
    assert sender.rig.parts.base.database.counts.dead_letters == 8


async def test_a_slow_receiver_holds_up_nothing_else(
    ruled: Make, receiver: Receiver, until: Callable[[Callable[[], Any]], Awaitable[None]]
) -> None:
    """While answers are awaited, at most so many are under way, and pushes are applied."""
    sender = await ruled()
    receiver.held = asyncio.Event()
    for number in range(20):
        await create(sender, f"c{number}")
    await sender.rig.settle()
    deliverer = sender.rig.parts.rule_engine.deliverer
    await deliverer.turn()
    await until(lambda: len(receiver.seen) == 16)
    assert await deliverer.turn() == 0
    assert (len(receiver.seen), deliverer.under_way) == (16, 16)
    await create(sender, "meanwhile")
    await sender.rig.settle()
    assert len(await sender.rig.rows("SELECT Id FROM Contact WHERE LastName='meanwhile'")) == 1
    receiver.held.set()
    await sender.deliver()
    assert len(receiver.seen) == 21


async def test_a_restart_between_try_and_note_sends_again_under_the_same_id(
    ruled: Make, receiver: Receiver, until: Callable[[Callable[[], Any]], Awaitable[None]]
) -> None:
    """At least once: what was taken, and not written down, comes again, and can be told by its id."""
    sender = await ruled(run=False)
    rig = sender.rig
    async with rig.running():
        await sender.begin()
        await create(sender, "Ada")
        await rig.settle()
        await rig.parts.rule_engine.deliverer.turn()
        await until(lambda: len(receiver.seen) == 1)
        await rig.parts.rule_engine.deliverer.cancel_attempts()
    async with rig.running():
        await sender.deliver()
        await rig.parts.rule_engine.deliverer.close()
    assert len(receiver.seen) == 2
    assert receiver.seen[0][0]["webhook-id"] == receiver.seen[1][0]["webhook-id"]


async def test_a_reload_while_tries_are_under_way_breaks_nothing(
    ruled: Make, receiver: Receiver, until: Callable[[Callable[[], Any]], Awaitable[None]]
) -> None:
    """A rule goes while its delivery is on its way: what is taken is delivered, the rest a dead letter."""
    sender = await ruled()
    receiver.held = asyncio.Event()
    record_id = await create(sender, "first")
    await sender.rig.settle()
    await rename(sender, record_id, "second")
    book = sender.rig.parts.rule_engine
    rules = book.rules
    await book.deliverer.turn()
    await until(lambda: len(receiver.seen) == 1)
    book.replace([], [])
    await book.deliverer.turn()
    receiver.held.set()
    await sender.deliver()
    letters = await dead_letters.newest(sender.rig.parts.base.database)
    assert await sender.outcomes() == ["fired", "fired", "dead_letter", "delivered"]
    assert [letter.message for letter in letters] == ["watch: the rule is no longer configured"]
    book.replace(rules, [])
    await book.send_again(letters[0])
    await sender.deliver()
    assert receiver.names == ["first", "second"]
