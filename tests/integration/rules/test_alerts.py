"""Alerts: told when a condition begins, once, and when it ends if that is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rtsd.control.client import ControlClient
from rtsd.core.object_state import ObjectState
from rtsd.core.privacy import MaskedPush
from rtsd.store import dead_letters
from tests.support.inprocess.rules import Make, Receiver, Ruled

KINDS = '["silent", "unreachable", "quota", "dead_letter", "drift", "incomplete"]'


def alert(receiver: Receiver, *, on: str = KINDS, more: str = "") -> str:
    """TOML of an alert that posts to the receiver."""
    hook = receiver.rule().partition("[rules.webhook]")[2]
    return f"[[alerts]]\non = {on}\n{more}\n[alerts.webhook]{hook}"


async def look(sender: Ruled) -> list[str]:
    """Look at the conditions twice, then deliver; return what has been told so far."""
    watch = sender.rig.parts.rule_engine.watch
    await watch.check()
    sender.rig.advance(6)
    await watch.check()
    await sender.deliver()
    return [document["alert"] for document in sender.receiver.documents]


async def set_state(sender: Ruled, state: ObjectState, error: str | None) -> None:
    """Let the object stand so."""
    work = sender.rig.parts.base.work
    async with work.begin() as unit:
        contact = sender.rig["Contact"]
        await unit.store(contact, replace(unit.stored(contact), state=state, error=error))


async def test_an_alert_is_what_the_contract_says(ruled: Make, receiver: Receiver) -> None:
    """v, alert, at, message and status, signed as a rule's delivery."""
    sender = await ruled(alert(receiver))
    sender.rig.parts.channel.reachability.error = "the org is away"
    await look(sender)
    (document,) = receiver.documents
    assert (document["v"], document["alert"], document["message"]) == (1, "unreachable", "the org is away")
    assert document["status"]["org"]["error"] == "the org is away"
    assert document["status"]["objects"][0]["name"] == "Contact"
    assert document["at"].endswith("Z")
    assert receiver.forged == 0
    assert await sender.outcomes() == ["fired", "delivered"]


async def test_it_is_told_once_while_it_lasts_and_again_when_it_comes_back(
    ruled: Make, receiver: Receiver
) -> None:
    """On the transition, not on every look; by default its end is not told."""
    sender = await ruled(alert(receiver))
    reachability = sender.rig.parts.channel.reachability
    for expected in (1, 2):
        reachability.error = "the org is away"
        for _ in range(3):
            await look(sender)
        reachability.error = None
        assert await look(sender) == ["unreachable"] * expected


async def test_the_end_is_told_if_that_is_asked(ruled: Make, receiver: Receiver) -> None:
    """`resolved` tells it apart."""
    sender = await ruled(alert(receiver, more="resolved = true"))
    sender.rig.parts.channel.reachability.error = "the org is away"
    await look(sender)
    sender.rig.parts.channel.reachability.error = None
    await look(sender)
    assert [(found["alert"], found["resolved"]) for found in receiver.documents] == [
        ("unreachable", False),
        ("unreachable", True),
    ]


async def test_a_restart_repeats_nothing(ruled: Make, receiver: Receiver) -> None:
    """What was told is remembered; what ended meanwhile is told as an end."""
    sender = await ruled(alert(receiver, more="resolved = true"), run=False)
    for _ in range(2):
        async with sender.rig.running():
            await sender.begin()
            await set_state(sender, ObjectState.INCOMPLETE, "two rows are missing")
            assert await look(sender) == ["incomplete"]
            await sender.rig.parts.rule_engine.deliverer.close()
    async with sender.rig.running():
        await set_state(sender, ObjectState.LIVE, None)
        assert await look(sender) == ["incomplete", "incomplete"]
        await sender.rig.parts.rule_engine.deliverer.close()


async def test_an_object_that_is_incomplete_for_a_moment_wakes_nobody(
    ruled: Make, receiver: Receiver
) -> None:
    """A proof is often on its way."""
    sender = await ruled(alert(receiver, more="resolved = true"))
    watch = sender.rig.parts.rule_engine.watch
    await set_state(sender, ObjectState.INCOMPLETE, "the org counts 4 rows, the mirror has 3")
    await watch.check()
    sender.rig.advance(2)
    await set_state(sender, ObjectState.LIVE, None)
    await watch.check()
    assert await look(sender) == []


async def test_silence_is_told_and_idleness_is_not(ruled: Make, receiver: Receiver) -> None:
    """An org in which nothing happens is no reason to wake anybody; pushes that get lost are."""
    sender = await ruled(alert(receiver, on='["silent"]'))
    rig, services, push = sender.rig, sender.rig.parts.services, sender.rig.parts.channel.push
    (record_id,) = await rig.dml("create", "Contact", rows=[{"LastName": "seen"}])
    await rig.settle()
    assert rig.mode == "real_time"

    async def fall_silent() -> None:
        rig.advance(1_900)
        await services.silence_watch.step()
        for _ in range(2):
            await services.interval_sync.step()
            rig.advance(300)
        await services.interval_sync.step()

    await fall_silent()
    assert push.quiet == "idle"
    assert await look(sender) == []
    await rig.sim.fault("push_lost", count=100)
    await rig.dml("update", "Contact", rows=[{"Id": record_id, "LastName": "unseen"}])
    await rig.sim.control("package/drain", {})
    await fall_silent()
    assert push.quiet == "silent"
    assert await look(sender) == ["silent"]


async def test_drift_that_a_fingerprint_found_is_told(ruled: Make, receiver: Receiver) -> None:
    """Although it was repaired in the same breath: something was not seen."""
    sender = await ruled(alert(receiver, on='["drift"]'))
    await sender.rig.sim.fault("push_lost", count=1)
    sender.rig.advance(600)
    await sender.rig.dml("create", "Contact", rows=[{"LastName": "unseen"}])
    await sender.rig.settle()
    sender.rig.advance(600)
    await sender.rig.parts.services.checks.check(sender.rig["Contact"])
    assert await look(sender) == ["drift"]
    assert receiver.documents[0]["object"] == "Contact"
    assert "1 row missing" in receiver.documents[0]["message"]


async def test_dead_letters_are_told_once_an_hour_and_not_of_alerts(ruled: Make, receiver: Receiver) -> None:
    """A flood of them is one alert; an alert that nobody takes makes no further ones."""
    sender = await ruled(alert(receiver, on='["dead_letter"]'))
    work = sender.rig.parts.base.work

    async def bury(reason: str) -> None:
        async with work.begin() as unit:
            await dead_letters.add(
                unit.tx, "t", reason, "m", MaskedPush(b"{}"), object_name=None, record=None
            )

    await bury("one")
    assert await look(sender) == ["dead_letter"]
    await bury("two")
    assert await look(sender) == ["dead_letter"]
    sender.rig.advance(3_600)
    assert await look(sender) == ["dead_letter"] * 2
    sender.rig.advance(3_600)
    assert await look(sender) == ["dead_letter"] * 2
    async with ControlClient(sender.rig.place / "rtsd.sock") as client:
        for letter in await client.dead_letters():
            await client.drop(letter.id)
    assert await look(sender) == ["dead_letter"] * 2
    own: Any = dead_letters.DeadLetter(0, "t", "Undelivered", "m", None, "x", 9, b"{}", rule="alerts[1]")
    async with work.begin() as unit:
        await dead_letters.add_delivery(unit.tx, own)
    assert await look(sender) == ["dead_letter"] * 2


async def test_waiting_for_quota_is_told(ruled: Make, receiver: Receiver) -> None:
    """One alert, whichever objects wait."""
    from rtsd.errors import QuotaExhausted
    from rtsd.sync.object_states import defer

    sender = await ruled(alert(receiver, on='["quota"]'))
    await defer(sender.rig.parts.base.work, sender.rig["Contact"], QuotaExhausted("the reserve is reached"))
    assert await look(sender) == ["quota"]
    assert receiver.documents[0]["message"] == "Contact: waiting for quota: the reserve is reached"
    sender.rig.advance(3_600)
    await sender.rig.load()
    assert sender.rig["Contact"].state is ObjectState.LIVE
    assert await look(sender) == ["quota"]
    await defer(sender.rig.parts.base.work, sender.rig["Contact"], QuotaExhausted("the reserve is reached"))
    assert await look(sender) == ["quota"] * 2, "it had ended with the wait"
