"""Rules from the change in the org to the receiver: what is sent, in which order, how often."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from email.utils import format_datetime
from typing import Any

import pytest

from rtsd.store import dead_letters
from rtsd.sync.apply import Applier
from tests.support.inprocess.rules import Make, Receiver, Ruled

HOUR_S = 3_600


async def create(one: Ruled, name: str, **values: Any) -> str:
    """Create a contact in the org; its push is on its way."""
    (record_id,) = await one.rig.dml("create", "Contact", rows=[{"LastName": name, **values}])
    return record_id


async def update(one: Ruled, record_id: str, **values: Any) -> None:
    """Update a contact, and apply the push."""
    await one.rig.dml("update", "Contact", rows=[{"Id": record_id, **values}])
    await one.rig.settle()


async def rename(one: Ruled, record_id: str, name: str) -> None:
    """Give a contact another name, and apply the push."""
    await update(one, record_id, LastName=name)


async def test_a_delivery_is_what_the_contract_says(ruled: Make, receiver: Receiver) -> None:
    """The document has the journal's entry, the record and no old values; its signature holds."""
    one = await ruled()
    record_id = await create(one, "Ada", Email="a@b.co")
    await one.settle()
    headers, document = receiver.seen[0]
    assert receiver.forged == 0
    assert headers["Content-Type"] == "application/json"
    assert abs(int(headers["webhook-timestamp"]) - one.rig.now() // 1000) <= 1
    assert (document["v"], document["rule"], document["old"]) == (1, "watch", None)
    assert (document["record"]["Id"], document["record"]["Email"]) == (record_id, "a@b.co")
    event = document["event"]
    assert (event["type"], event["object"], event["id"]) == ("change", "Contact", record_id)
    assert (event["op"], event["source"], event["outcome"]) == ("create", "push", "applied")
    assert await one.outcomes() == ["fired", "delivered"]
    assert await one.pending() == 0


async def test_updates_and_deletions_carry_the_previous_values(ruled: Make, receiver: Receiver) -> None:
    """`old` is the whole record before the change; of a deletion both are its last values."""
    one = await ruled(receiver.rule(on='["update", "delete", "undelete"]'))
    record_id = await one.rig.a_record("Contact")
    await rename(one, record_id, "New")
    await one.rig.dml("delete", "Contact", ids=[record_id])
    await one.rig.settle()
    await one.rig.dml("undelete", "Contact", ids=[record_id])
    await one.settle()
    update, delete, undelete = receiver.documents
    assert update["record"]["LastName"] == "New" != update["old"]["LastName"]
    assert update["old"].keys() == update["record"].keys()
    assert delete["event"]["op"] == "delete"
    assert delete["record"]["LastName"] == delete["old"]["LastName"] == "New"
    assert undelete["record"]["LastName"] == undelete["old"]["LastName"] == "New"


async def test_the_initial_load_fires_nothing(ruled: Make, receiver: Receiver) -> None:
    """Rows that fill the mirror are no news."""
    one = await ruled()
    await one.deliver()
    assert receiver.seen == []
    assert await one.outcomes() == []


async def test_when_is_judged_over_new_and_old_values(ruled: Make, receiver: Receiver) -> None:
    """Only the change that makes the condition true fires; what is not in `on` never does."""
    when = "when = \"Email IS NOT NULL AND old.Email IS NULL AND LastName LIKE 'a%'\""
    one = await ruled(receiver.rule(on='["update"]', more=when))
    record_id = await create(one, "Ada")
    await one.settle()
    await create(one, "Abe", Email="x@y.co")
    await one.settle()
    assert receiver.seen == []
    await update(one, record_id, Email="a@b.co")
    await update(one, record_id, Phone="1")
    await one.deliver()
    assert [document["record"]["Email"] for document in receiver.documents] == ["a@b.co"]


async def test_a_change_that_is_rolled_back_fires_nothing(
    ruled: Make, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The delivery is in the transaction of the change: both or neither."""
    one = await ruled()
    await create(one, "Ada")
    await one.rig.sim.control("package/drain", {})
    original = Applier.apply

    async def apply_and_fail(*arguments: Any, **named: Any) -> Any:
        await original(*arguments, **named)
        raise RuntimeError("pulled the plug")

    with monkeypatch.context() as patched, contextlib.suppress(RuntimeError):
        patched.setattr(Applier, "apply", apply_and_fail)
        await one.rig.parts.services.realtime.apply_batch()
    assert await one.pending() == 0
    await one.settle()
    assert receiver.names == ["Ada"]


async def test_an_hour_of_outage_loses_nothing_and_keeps_the_order(ruled: Make, receiver: Receiver) -> None:
    """What was fired while the receiver was down arrives once it is back, in order per record, once each."""
    one = await ruled()
    ids = [await create(one, f"r{number} 0") for number in range(8)]
    await one.settle()
    receiver.seen.clear()
    receiver.status = 503
    for step in range(1, 61):
        for number in range(8) if step % 10 == 0 else ():
            await rename(one, ids[number], f"r{number} {step}")
        one.rig.advance(HOUR_S / 60)
        await one.deliver()
    tries = len(receiver.seen)
    assert await one.pending() == 48
    assert tries < 60, "an open circuit leaves the receiver alone"
    receiver.seen.clear()
    receiver.status = 200
    one.rig.advance(300)
    await one.deliver()
    assert await one.pending() == 0, "the first that is taken lets the others through"
    assert len(receiver.seen) == len({headers["webhook-id"] for headers, _ in receiver.seen}) == 48
    for number in range(8):
        mine = [name for name in receiver.names if name.startswith(f"r{number} ")]
        assert mine == [f"r{number} {step}" for step in range(10, 70, 10)]
    assert one.rig.parts.base.database.counts.dead_letters == 0


async def test_a_try_has_the_same_id_and_a_fresh_time(ruled: Make, receiver: Receiver) -> None:
    """webhook-id stays over the retries of one delivery, webhook-timestamp does not, the body is frozen."""
    one = await ruled()
    receiver.status = 500
    await create(one, "Ada")
    await one.settle()
    one.rig.advance(20)
    receiver.status = 200
    await one.deliver()
    (first, before), (second, after) = receiver.seen
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) >= 20
    assert before == after
    assert receiver.forged == 0


async def test_one_record_that_is_refused_does_not_hold_up_others(ruled: Make, receiver: Receiver) -> None:
    """A record's later delivery waits for its earlier one; other records go on, however often it fails."""
    one = await ruled()
    bad, good = await create(one, "bad 1"), await create(one, "good 1")
    receiver.status = lambda document: 500 if document["record"]["Id"] == bad else 200
    await one.settle()
    for number in range(2, 10):
        await rename(one, bad, f"bad {number}")
        await rename(one, good, f"good {number}")
        one.rig.advance(1)
        await one.deliver()
    assert [name for name in receiver.names if name.startswith("good")] == [
        f"good {number}" for number in range(1, 10)
    ]
    assert {name for name in receiver.names if name.startswith("bad")} == {"bad 1"}
    receiver.status = 200
    one.rig.advance(HOUR_S)
    await one.deliver()
    assert receiver.names[-9:] == [f"bad {number}" for number in range(1, 10)]


async def test_refusals_do_not_make_an_outage(ruled: Make, receiver: Receiver) -> None:
    """However many records the receiver refuses with a 4xx, it is there: what comes next is tried at once."""
    one = await ruled()
    receiver.status = lambda document: 200 if document["record"]["LastName"] == "good" else 422
    for number in range(10):
        await create(one, f"bad {number}")
    await one.settle()
    await create(one, "good")
    await one.settle()
    assert receiver.names[-1] == "good"
    assert await one.pending() == 10


async def test_two_rules_that_send_to_one_place_keep_a_records_order(ruled: Make, receiver: Receiver) -> None:
    """Order per record is the receiver's order, whichever rule sends."""
    rules = receiver.rule("created", on='["create"]') + receiver.rule("updated", on='["update"]')
    one = await ruled(rules)
    receiver.status = 500
    record_id = await create(one, "first")
    await one.settle()
    await rename(one, record_id, "second")
    await one.deliver()
    receiver.status = 200
    one.rig.advance(30)
    await one.deliver()
    assert receiver.names == ["first", "first", "second"]


async def test_410_drops_a_delivery_and_3xx_does_not(ruled: Make, receiver: Receiver) -> None:
    """410 ends it without a dead letter; a redirect is a failure like any other, and is not followed."""
    one = await ruled()
    receiver.status, receiver.headers = 307, {"Location": receiver.url}
    record_id = await create(one, "moved")
    await one.settle()
    assert len(receiver.seen) == 1
    assert await one.outcomes() == ["fired", "retrying"]
    receiver.status = 410
    one.rig.advance(30)
    await one.deliver()
    await rename(one, record_id, "after")
    receiver.status = 204
    await one.deliver()
    assert await one.outcomes() == ["fired", "retrying", "dropped", "fired", "delivered"]
    assert one.rig.parts.base.database.counts.dead_letters == 0


async def test_retry_after_is_honoured_in_both_forms(ruled: Make, receiver: Receiver) -> None:
    """Neither sooner than the receiver wants it again, nor later."""
    one = await ruled()
    receiver.status = 429
    for form in ("seconds", "date"):
        at = one.rig.org.clock.now().replace(microsecond=0)
        moment = at.fromtimestamp(at.timestamp() + 2_000, at.tzinfo)
        receiver.headers = {
            "Retry-After": "2000" if form == "seconds" else format_datetime(moment, usegmt=True)
        }
        receiver.status = 429
        await create(one, form)
        await one.settle()
        tries = len(receiver.seen)
        one.rig.advance(1_990)
        await one.deliver()
        assert len(receiver.seen) == tries
        one.rig.advance(12)
        receiver.status = 200
        await one.deliver()
        assert len(receiver.seen) == tries + 1


async def test_a_day_of_failures_ends_in_a_dead_letter_that_can_be_retried(
    ruled: Make, receiver: Receiver
) -> None:
    """Nothing is given up within hours; then it is kept whole, and can be sent again under its old id."""
    one = await ruled()
    receiver.status = 400
    await create(one, "Ada")
    await one.settle()
    for _ in range(23 * 4):
        one.rig.advance(HOUR_S / 4)
        await one.deliver()
    assert one.rig.parts.base.database.counts.dead_letters == 0
    for _ in range(6):
        one.rig.advance(HOUR_S / 4)
        await one.deliver()
    (letter,) = await dead_letters.newest(one.rig.parts.base.database)
    assert (letter.kind, letter.rule, letter.reason) == ("delivery", "watch", "Undelivered")
    assert "HTTP 400" in letter.message
    assert await one.pending() == 0
    receiver.status = 200
    await one.rig.parts.rule_engine.send_again(letter)
    await one.deliver()
    assert receiver.documents[-1] == receiver.documents[0]
    assert len({headers["webhook-id"] for headers, _ in receiver.seen}) == 1
    assert one.rig.parts.base.database.counts.dead_letters == 0


async def test_a_destination_that_is_gone_for_a_day_is_given_up(ruled: Make, receiver: Receiver) -> None:
    """Behind an open circuit, too, nothing waits for ever: each delivery becomes a dead letter of its own."""
    one = await ruled()
    receiver.status = 503
    ids = [await create(one, f"c{number}") for number in range(7)]
    await one.settle()
    await rename(one, ids[0], "again")
    for _ in range(26 * 4):
        one.rig.advance(HOUR_S / 4)
        await one.deliver()
    assert await one.pending() == 0
    assert one.rig.parts.base.database.counts.dead_letters == 8


async def test_a_slow_receiver_holds_up_nothing_else(
    ruled: Make, receiver: Receiver, until: Callable[[Callable[[], Any]], Awaitable[None]]
) -> None:
    """While answers are awaited, at most so many are under way, and pushes are applied."""
    one = await ruled()
    receiver.held = asyncio.Event()
    for number in range(20):
        await create(one, f"c{number}")
    await one.rig.settle()
    deliverer = one.rig.parts.rule_engine.deliverer
    await deliverer.turn()
    await until(lambda: len(receiver.seen) == 16)
    assert await deliverer.turn() == 0
    assert (len(receiver.seen), deliverer.under_way) == (16, 16)
    await create(one, "meanwhile")
    await one.rig.settle()
    assert len(await one.rig.rows("SELECT Id FROM Contact WHERE LastName='meanwhile'")) == 1
    receiver.held.set()
    await one.deliver()
    assert len(receiver.seen) == 21


async def test_a_restart_between_try_and_note_sends_again_under_the_same_id(
    ruled: Make, receiver: Receiver, until: Callable[[Callable[[], Any]], Awaitable[None]]
) -> None:
    """At least once: what was taken, and not written down, comes again, and can be told by its id."""
    one = await ruled(run=False)
    rig = one.rig
    async with rig.running():
        await one.begin()
        await create(one, "Ada")
        await rig.settle()
        await rig.parts.rule_engine.deliverer.turn()
        await until(lambda: len(receiver.seen) == 1)
        await rig.parts.rule_engine.deliverer.cancel_attempts()
    async with rig.running():
        await one.deliver()
        await rig.parts.rule_engine.deliverer.close()
    assert len(receiver.seen) == 2
    assert receiver.seen[0][0]["webhook-id"] == receiver.seen[1][0]["webhook-id"]


async def test_a_reload_while_tries_are_under_way_breaks_nothing(
    ruled: Make, receiver: Receiver, until: Callable[[Callable[[], Any]], Awaitable[None]]
) -> None:
    """A rule goes while its delivery is on its way: what is taken is delivered, the rest a dead letter."""
    one = await ruled()
    receiver.held = asyncio.Event()
    record_id = await create(one, "first")
    await one.rig.settle()
    await rename(one, record_id, "second")
    book = one.rig.parts.rule_engine
    rules = book.rules
    await book.deliverer.turn()
    await until(lambda: len(receiver.seen) == 1)
    book.replace([], [])
    await book.deliverer.turn()
    receiver.held.set()
    await one.deliver()
    letters = await dead_letters.newest(one.rig.parts.base.database)
    assert await one.outcomes() == ["fired", "fired", "dead_letter", "delivered"]
    assert [letter.message for letter in letters] == ["watch: the rule is no longer configured"]
    book.replace(rules, [])
    await book.send_again(letters[0])
    await one.deliver()
    assert receiver.names == ["first", "second"]
