"""Object states at work: what a pause holds back, what a resume has to prove, what a doubt undoes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rtsd.control.client import ControlClient
from rtsd.core.object_state import ObjectState
from rtsd.errors import Conflict, QuotaExhausted
from rtsd.sync import object_states
from tests.support.inprocess.rig import Rig, Start


def operator(rig: Rig) -> ControlClient:
    """The control API, as an operator's verbs use it."""
    return ControlClient(rig.place / "rtsd.sock")


LOG_LAG_S = 62


async def stored_state(rig: Rig, name: str = "Contact") -> tuple[str, str | None]:
    """State and reason as they are on disk."""
    ((state, error),) = await rig.rows("SELECT state, error FROM _rts_object WHERE name=?", name)
    return state, error


async def states_told(rig: Rig) -> list[object]:
    """The states that the journal tells of, in order."""
    notes = [*await rig.notes("audit"), *await rig.notes("quota")]
    return [(note.detail or {}).get("state") for note in notes if (note.detail or {}).get("state")]


async def test_a_doubt_ends_a_proof_that_waits_for_quota(contacts: Rig) -> None:
    """The window that is read later does not make the object live again: the doubt is to be settled first."""
    work, contact = contacts.parts.base.work, contacts["Contact"]
    await object_states.defer(work, contact, QuotaExhausted("no quota"))
    assert contact.state is ObjectState.DEFERRED
    await object_states.doubt(work, contact, "rows have newer stamps than the org shows")
    await object_states.defer(work, contact, QuotaExhausted("no quota still"))
    await object_states.caught_up(work, contact)
    assert contact.state is ObjectState.DEFERRED
    contacts.advance(3_600)
    await contacts.load()
    assert contact.state is ObjectState.LIVE


async def test_a_window_that_waited_brings_the_proof_back(contacts: Rig) -> None:
    """Nothing has contradicted the rows meanwhile, so they need no proof."""
    work, contact = contacts.parts.base.work, contacts["Contact"]
    await object_states.defer(work, contact, QuotaExhausted("no quota"))
    assert contact.deferred is not None
    await object_states.caught_up(work, contact)
    assert (contact.state, contact.deferred) == (ObjectState.LIVE, None)
    assert (await states_told(contacts))[-2:] == ["deferred", "live"]


async def test_a_paused_object_stays_paused(contacts: Rig) -> None:
    """Whatever is found, fails or is refused meanwhile; and nothing of it is told."""
    work, contact = contacts.parts.base.work, contacts["Contact"]
    await object_states.pause(work, contact)
    told = await states_told(contacts)
    await object_states.doubt(work, contact, "a window could not be read")
    await object_states.disprove(work, contact, "the org counts more")
    await object_states.defer(work, contact, QuotaExhausted("no quota"))
    await object_states.unusable(work, contact, "hidden")
    await object_states.load_started(work, contact)
    assert await object_states.proven(work, contact, until=contacts.now())
    assert contact.state is ObjectState.PAUSED
    assert await stored_state(contacts) == ("paused", None)
    assert await states_told(contacts) == told


async def test_a_resumed_object_is_live_after_a_window_and_a_count(contacts: Rig) -> None:
    """Its pushes were not applied meanwhile: until what they said was read, it does not say live."""
    contact = contacts["Contact"]
    async with operator(contacts) as client:
        await client.pause(["Contact"])
        await contacts.dml("create", "Contact", rows=[{"LastName": "while paused"}])
        await contacts.settle()
        await client.resume(["Contact"])
    assert await stored_state(contacts) == ("pending", None)
    contacts.advance(LOG_LAG_S)
    await contacts.load()
    assert contact.state is ObjectState.LIVE
    assert await contacts.differences() == []


async def test_pushes_of_a_pause_are_applied_at_the_resume(contacts: Rig) -> None:
    """Edits, and hard deletions that no delete log names: kept in the inbox, whatever else is in the push."""
    contacts.org.switches.hard_deletes_in_deleted_log = False
    ids = [row["Id"] async for row in contacts.sim.rows("Contact")]
    async with operator(contacts) as client:
        await client.pause(["Contact"])
        await contacts.dml("update", "Contact", rows=[{"Id": ids[0], "Title": "while paused"}])
        contacts.org.hard_delete(contacts.org.admin, "Contact", ids[1:4])
        await contacts.settle()
        assert len(await contacts.rows("SELECT Id FROM Contact WHERE Title = 'while paused'")) == 0
        shown = await contacts.parts.views.status()
        assert shown.inbox.pending == 2
        calls = await contacts.calls()
        await client.resume(["Contact"])
    await contacts.settle()
    assert await contacts.differences() == []
    assert await contacts.calls() == calls, "what was pushed is not read again"
    assert (await contacts.parts.views.status()).inbox.pending == 0


async def test_a_push_is_divided_between_objects(start: Start) -> None:
    """The changes of the paused object wait, over a restart too; the others are applied."""
    rig = await start({"Contact": 5, "Account": 5}, objects=("Contact", "Account"))
    await rig.load()
    contact, account = await rig.a_record("Contact"), await rig.a_record("Account")
    async with operator(rig) as client:
        await client.pause(["Contact"])
    stamp = rig.org.clock.now().strftime("%Y-%m-%dT%H:%M:%S.000Z")
    rows = [
        {
            "object": name,
            "op": "update",
            "id": record,
            "modstamp": stamp,
            "fields": {"Id": record, field: "x"},
        }
        for name, record, field in (("Contact", contact, "Title"), ("Account", account, "Name"))
    ]
    assert (await rig.push(rig.changes(*rows)))[0] == 200
    await rig.settle()
    held = "SELECT object FROM _rts_held"
    assert await rig.rows("SELECT Name FROM Account WHERE Id = ?", account) == [("x",)]
    assert await rig.rows(held) == [("Contact",)]
    assert await rig.rows("SELECT Title FROM Contact WHERE Id = ?", contact) != [("x",)]
    async with operator(rig) as client:
        await client.resume(["Contact"])
    await rig.settle()
    assert await rig.rows("SELECT Title FROM Contact WHERE Id = ?", contact) == [("x",)]
    assert await rig.rows(held) == []


async def test_pushes_before_the_first_describe_wait_for_it(start: Start) -> None:
    """A record that is pushed and gone before the initial audit is in the mirror's history."""
    rig = await start({"Contact": 5})
    record = await rig.a_record("Contact")
    await rig.push(rig.changes({"object": "Contact", "op": "update", "id": record, "modstamp": None}))
    await rig.settle()
    assert await rig.rows("SELECT object FROM _rts_held") == [("Contact",)]
    await rig.load()
    await rig.settle()
    assert await rig.rows("SELECT object FROM _rts_held") == []
    assert await rig.differences() == []


async def test_live_waits_for_the_delete_log(contacts: Rig) -> None:
    """The log stops where a transaction runs: a deletion of the pause may still come."""
    contact, record = contacts["Contact"], await contacts.a_record("Contact")
    async with operator(contacts) as client:
        await client.pause(["Contact"])
        contacts.advance(60)
        with contacts.org.transaction(contacts.org.admin, commit_after=100):
            contacts.org.update(contacts.org.admin, "Contact", [{"Id": record, "Title": "late"}])
        contacts.advance(1)
        await client.resume(["Contact"])
    for seconds, state in (
        (1, ObjectState.PENDING),
        (LOG_LAG_S, ObjectState.PENDING),
        (120, ObjectState.LIVE),
    ):
        contacts.advance(seconds)
        await contacts.load()
        assert contact.state is state
    assert await contacts.differences() == []


async def test_a_proof_that_began_before_a_resume_is_none(contacts: Rig) -> None:
    """Its window does not reach what was pushed during the pause."""
    work, contact = contacts.parts.base.work, contacts["Contact"]
    await object_states.pause(work, contact)
    await object_states.resume(work, contact, contacts.now())
    assert not await object_states.proven(work, contact, until=contacts.now() - 1)
    assert contact.state is ObjectState.PENDING


async def test_a_resumed_object_is_proven_as_soon_as_the_delete_log_can_tell(contacts: Rig) -> None:
    """Whatever it waited for before the pause: described, as its schema may have changed, and proven."""
    contact = contacts["Contact"]
    refusal = QuotaExhausted("no quota")
    refusal.try_at = contacts.now() + 3_600_000
    await object_states.defer(contacts.parts.base.work, contact, refusal)
    async with operator(contacts) as client:
        await client.pause(["Contact"])
        await client.resume(["Contact"])
    before = await contacts.calls()
    contacts.advance(LOG_LAG_S)
    await contacts.load()
    assert (await contacts.calls())["describe"] == before["describe"] + 1
    assert contact.state is ObjectState.LIVE


async def test_a_paused_object_that_cannot_be_described_says_so_when_resumed(contacts: Rig) -> None:
    """The resume has it described first, so what is broken is never green."""
    contact = contacts["Contact"]
    async with operator(contacts) as client:
        await client.pause(["Contact"])
        await contacts.sim.control("visibility", {"hidden_objects": ["Contact"]})
        await contacts.parts.readers.describer.describe(contact)
        assert contact.state is ObjectState.PAUSED
        await client.resume(["Contact"])
    await contacts.load()
    assert contact.state is ObjectState.ERROR


async def test_an_audit_of_what_cannot_be_described_says_so(start: Start) -> None:
    """An operator is told the reason, also for a price; once the object is visible, the audit reads it."""
    rig = await start({"Contact": 3})
    await rig.sim.control("visibility", {"hidden_objects": ["Contact"]})
    async with operator(rig) as client:
        for ask in (client.audit, client.price_audit, client.audit):
            with pytest.raises(Conflict, match="Contact cannot be described"):
                await ask("Contact", full=True)
        await rig.sim.control("visibility", {"hidden_objects": []})
        await client.audit("Contact", full=True)
    assert rig["Contact"].state is ObjectState.LIVE


@pytest.mark.parametrize(
    ("left", "taken_up"), [("loading", "pending"), ("paused", "paused"), ("incomplete", "incomplete")]
)
async def test_a_restart_takes_up_the_state(start: Start, left: str, taken_up: str) -> None:
    """A load that a kill interrupted is due again, a pause outlasts it; the row says what memory says."""
    rig = await start({"Contact": 3}, run=False)
    async with rig.running():
        await rig.load()
        work, contact = rig.parts.base.work, rig["Contact"]
        async with work.begin() as unit:
            await unit.store(contact, replace(contact.stored, state=ObjectState(left)))
    async with rig.running():
        assert (rig["Contact"].state, await stored_state(rig)) == (taken_up, (taken_up, None))


async def test_another_filter_is_on_disk_too(start: Start) -> None:
    """Rows that the old filter let in prove nothing, and the row says so from the start on."""
    rig = await start({"Contact": 3}, run=False)
    async with rig.running():
        await rig.load()
    rig.objects = ()
    rig.more = '[[objects]]\nname = "Contact"\nwhere = "LastName != \'x\'"\n'
    async with rig.running():
        assert await stored_state(rig) == ("incomplete", "its filter has changed; it is read again")
        await rig.load()
        assert await stored_state(rig) == ("live", None)


async def test_drift_is_called_repaired_once_it_is(start: Start) -> None:
    """What a check found stays on record; whether it still differs is another fact."""
    rig = await start({"Contact": 6})
    await rig.load()
    await rig.sim.fault("push_lost", count=1)
    rig.advance(600)
    await rig.dml("create", "Contact", rows=[{"LastName": "unseen"}])
    await rig.settle()
    rig.advance(600)
    await rig.parts.readers.fingerprinter.step(rig["Contact"])
    found = (await rig.parts.views.status()).objects[0]
    assert found.drift is not None
    assert (found.drift.missing, found.drift.repaired) == (1, False)
    await rig.parts.services.checks.check(rig["Contact"])
    assert rig["Contact"].suspicions.drift is not None
    rig.advance(60)
    found = (await rig.parts.views.status()).objects[0]
    assert found.drift is not None
    assert (found.drift.missing, found.drift.repaired) == (1, True)
    assert found.counted_at == found.drift.checked_at
