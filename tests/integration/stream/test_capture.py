"""The channel `cdc` in a daemon: change events reach the mirror, without a package, a port or a token."""

from __future__ import annotations

import pytest

from rtsd.control.client import ControlClient
from rtsd.core.completion_pace import MOST_SAVED
from tests.support.inprocess.rig import Rig
from tests.support.stream.captured import apply, arrived, settled
from tests.support.stream.subscription import subscribed
from tests.support.waiting import eventually

PARTIAL = "SELECT Id, Title, _rts_partial FROM Contact WHERE _rts_partial=1"


async def test_an_update_shows_at_once_and_is_completed(rig: Rig) -> None:
    """Right in its fields without a call, partial until one call has read the rest of all of them."""
    async with subscribed(rig):
        await rig.load()
        calls = (await rig.sim.stats())["api_calls"]
        ids = [row["Id"] async for row in rig.sim.rows("Contact")][:5]
        for record_id in ids:
            await rig.dml("update", "Contact", rows=[{"Id": record_id, "Title": f"new {record_id}"}])
        await arrived(rig, f"new {ids[-1]}")
        assert [row[2] for row in await rig.rows(PARTIAL)] == [1] * 5
        assert (await rig.sim.stats())["api_calls"] == calls
        await settled(rig)
        assert await rig.rows(PARTIAL) == []
        assert (await rig.sim.stats())["api_calls"] == calls + 1
        notes = [note for note in await rig.notes("change") if note.id in ids]
        assert {(note.source, note.outcome, *(note.changed or ())) for note in notes} == {
            ("push", "applied", "Title")
        }


async def test_creates_and_deletes(rig: Rig) -> None:
    """A create is a whole row but for what no event has; a delete leaves its tombstone."""
    async with subscribed(rig):
        await rig.load()
        (made,) = await rig.dml("create", "Contact", rows=[{"LastName": "Ünal", "Title": "made"}])
        await arrived(rig, "made")
        assert await rig.rows("SELECT LastName, _rts_partial FROM Contact WHERE Id=?", made) == [("Ünal", 1)]
        assert rig["Contact"].state == "live"
        await settled(rig)
        rig.advance(2)
        await rig.dml("delete", "Contact", ids=[made])
        await eventually(lambda: is_gone(rig, made), "a tombstone")
        calls = (await rig.sim.stats())["api_calls"]
        await settled(rig)
        assert (await rig.sim.stats())["api_calls"] == calls


async def test_an_undelete_brings_the_row_back(rig: Rig) -> None:
    """Its event is complete: the row shows at once without a call, partial until its stamp was read.

    Unless it has a time, whose unit is not documented.
    """
    async with subscribed(rig):
        await rig.load()
        back = await rig.a_record("Contact")
        await rig.dml("update", "Contact", rows=[{"Id": back, "Title": "comes back", "Best_Time__c": None}])
        await arrived(rig, "comes back")
        rig.advance(2)
        await rig.dml("delete", "Contact", ids=[back])
        await eventually(lambda: is_gone(rig, back), "a tombstone")
        rig.advance(2)
        calls = (await rig.sim.stats())["api_calls"]
        await rig.dml("undelete", "Contact", ids=[back])
        await arrived(rig, "comes back")
        assert (await rig.sim.stats())["api_calls"] == calls
        assert await rig.rows(PARTIAL) == [(back, "comes back", 1)]
        assert await rig.rows("SELECT 1 FROM _rts_tombstone") == []
        (note,) = [note for note in await rig.notes("change") if note.op == "undelete"]
        assert (note.source, note.outcome) == ("push", "applied")
        await settled(rig)
        assert await rig.rows(PARTIAL) == []


@pytest.mark.parametrize("storm", ["gap", "unknown"])
async def test_a_storm_of_bare_events_is_fetched_at_a_pace(rig: Rig, storm: str) -> None:
    """Gaps, or updates of rows that the mirror does not have: as few calls as to complete partial rows."""
    async with subscribed(rig):
        await rig.load()
        ids = [row["Id"] async for row in rig.sim.rows("Contact")]
        if storm == "unknown":
            async with rig.parts.base.database.transaction() as tx:
                await tx.execute("DELETE FROM Contact")
        else:
            await rig.sim.fault("event_gap")
        calls = (await rig.sim.stats())["api_calls"]

        async def came(events: int) -> bool:
            return (await rig.parts.views.status()).push.received_24h == events

        for number in range(3 * MOST_SAVED):
            rig.advance(1)
            record_id = ids[number % len(ids)]
            await rig.dml("update", "Contact", rows=[{"Id": record_id, "Title": f"storm {number}"}])
            if storm == "unknown":
                async with rig.parts.base.database.transaction() as tx:
                    await tx.execute("DELETE FROM Contact WHERE Id=?", (record_id,))
            await eventually(lambda events=number + 1: came(events), "the event")
            await apply(rig)
            await rig.parts.readers.repair.step(patiently=True)
        taken = (await rig.sim.stats())["api_calls"] - calls
        assert 1 < taken <= MOST_SAVED + 2
        await rig.sim.control("faults", method="DELETE")
        rig.advance(600)
        await rig.parts.readers.repair.step(patiently=True)
        await settled(rig)


async def is_gone(rig: Rig, record_id: str) -> bool:
    """Whether the mirror has the record's tombstone."""
    await apply(rig)
    return await rig.rows("SELECT 1 FROM _rts_tombstone WHERE id=?", record_id) != []


async def test_a_deleted_partial_row_is_not_asked_for(rig: Rig) -> None:
    """Its deletion came by the stream: no call looks for it in the recycle bin."""
    async with subscribed(rig):
        await rig.load()
        gone = await rig.a_record("Contact")
        await rig.dml("update", "Contact", rows=[{"Id": gone, "Title": "soon gone"}])
        await arrived(rig, "soon gone")
        rig.advance(2)
        await rig.dml("delete", "Contact", ids=[gone])
        await eventually(lambda: is_gone(rig, gone), "a tombstone")
        assert await rig.rows("SELECT 1 FROM _rts_fetch") == []


@pytest.mark.parametrize(
    "switches",
    [
        {"same_changes_merge": True},
        {"sends_diffs": True, "bitmaps_lower_case": True},
        {"compound_by_parent_bit": True, "name_may_be_text": True},
        {"modified_date_listed": False, "commit_ms": False},
    ],
)
async def test_whatever_events_look_like(rig: Rig, switches: dict[str, object]) -> None:
    """Several ids in one, diffs, parents' bits, no LastModifiedDate, whole seconds: the mirror ends equal."""
    await rig.sim.control("switches", switches)
    ids = [row["Id"] async for row in rig.sim.rows("Contact")]
    await rig.dml("update", "Contact", rows=[{"Id": ids[0], "Description": "line\n" * 400}])
    async with subscribed(rig):
        await rig.load()
        rig.advance(2)
        await rig.dml(
            "update", "Contact", rows=[{"Id": record_id, "Title": "alike"} for record_id in ids[:4]]
        )
        await rig.dml("update", "Contact", rows=[{"Id": ids[5], "MailingCity": "Brno", "FirstName": None}])
        await rig.dml("update", "Contact", rows=[{"Id": ids[0], "Description": "line\n" * 400 + "end"}])
        await arrived(rig, "alike")
        await settled(rig)


async def test_lost_doubled_and_bare_events(rig: Rig) -> None:
    """Gaps are fetched; a doubled event is taken once; a lost one is found by the fingerprint."""
    async with subscribed(rig):
        await rig.load()
        ids = [row["Id"] async for row in rig.sim.rows("Contact")]
        await rig.sim.fault("event_gap", count=3)
        await rig.dml(
            "update",
            "Contact",
            rows=[{"Id": record_id, "Title": f"gap {record_id}"} for record_id in ids[:2]],
        )
        await rig.dml("delete", "Contact", ids=[ids[2]])
        await settled(rig)
        await rig.sim.fault("event_doubled", count=1)
        await rig.dml("update", "Contact", rows=[{"Id": ids[3], "Title": "twice"}])
        await arrived(rig, "twice")
        await settled(rig)
        taken = [note for note in await rig.notes("change") if note.id == ids[3]]
        assert [(note.source, note.outcome) for note in taken] == [("push", "applied")]
        await rig.sim.fault("event_lost", count=1)
        await rig.dml("update", "Contact", rows=[{"Id": ids[4], "Title": "lost"}])
        rig.advance(60)
        assert await rig.differences() != []
        await rig.parts.services.checks.check(rig["Contact"])
        assert await rig.differences() == []


async def test_an_overflow_is_read_from_the_cursor(rig: Rig) -> None:
    """Deletions included, the journal says why, and nothing but that object is read."""
    await rig.sim.control("switches", {"overflow_changes": 4})
    async with subscribed(rig):
        await rig.load()
        await rig.parts.services.interval_sync.step()
        rig.advance(600)
        ids = [row["Id"] async for row in rig.sim.rows("Contact")]
        for number in range(3):
            rows = [{"Id": record_id, "Title": f"storm {number}"} for record_id in ids]
            await rig.dml("update", "Contact", rows=rows)

        async def is_told() -> bool:
            return any("left out" in str(note.message) for note in await rig.notes("package"))

        await eventually(is_told, "the reason")
        calls = (await rig.sim.stats())["api_calls"]

        async def equal() -> bool:
            await rig.parts.services.evidence.step()
            await rig.parts.services.interval_sync.step()
            return await rig.differences() == []

        await eventually(equal, "mirror and org are equal")
        assert (await rig.sim.stats())["api_calls"] - calls <= 20


async def test_a_conversion_is_read_in_full(rig: Rig) -> None:
    """An event for all ids at once: the object is incomplete until every row was read again, kill or not."""
    async with subscribed(rig):
        await rig.load()
        assert rig.sim.server is not None
        rig.sim.server.change_events.announce_conversion("Contact")

        async def is_incomplete() -> bool:
            return rig["Contact"].state == "incomplete"

        await eventually(is_incomplete, "the object is in doubt")
        async with rig.parts.base.database.transaction() as tx:
            await tx.execute("UPDATE Contact SET Title='before the conversion'")  # no stamp has moved
    async with subscribed(rig):
        assert rig["Contact"].state == "incomplete"
        assert "all records at once" in str(rig["Contact"].stored.error)
        await rig.load()
        assert rig["Contact"].state == "live"
        assert await rig.differences() == []
    async with rig.running():
        assert rig["Contact"].state == "live"


async def test_a_new_field_in_mid_stream(rig: Rig) -> None:
    """Events have a new schema: the object is described, and the column is there with its values."""
    async with subscribed(rig):
        await rig.load()
        rig.advance(61)  # a describe because of an unknown field is due at most once a minute
        field = {"name": "Tier__c", "type": "string", "length": 20}
        await rig.sim.control("schema", {"op": "add_field", "object": "Contact", "field": field})
        record_id = await rig.a_record("Contact")
        await rig.dml("update", "Contact", rows=[{"Id": record_id, "Tier__c": "gold", "Title": "with tier"}])
        await eventually(lambda: has_tier(rig, record_id), "the new column")
        await rig.load()
        await settled(rig)


async def has_tier(rig: Rig, record_id: str) -> bool:
    """Whether the new field of a record is in the mirror."""
    await rig.settle()
    if "tier__c" not in rig.mirror.columns("Contact"):
        return False
    return await rig.rows("SELECT Tier__c FROM Contact WHERE Id=?", record_id) == [("gold",)]


async def test_what_came_while_down_needs_no_call_but_one(rig: Rig) -> None:
    """The bus kept it: a restart resumes after the position, and completes the rows with one call."""
    async with subscribed(rig):
        await rig.load()
        await rig.dml("update", "Contact", rows=[{"Id": await rig.a_record("Contact"), "Title": "before"}])
        await arrived(rig, "before")
    ids = [row["Id"] async for row in rig.sim.rows("Contact")]
    rig.advance(3_600)
    await rig.dml("update", "Contact", rows=[{"Id": record_id, "Title": "while down"} for record_id in ids])
    rig.advance(2)
    await rig.dml("delete", "Contact", ids=[ids[0]])
    async with subscribed(rig):
        calls = (await rig.sim.stats())["api_calls"]
        await arrived(rig, "while down")
        await settled(rig)
        assert (await rig.sim.stats())["api_calls"] == calls + 1


async def test_a_masked_field_is_masked_before_the_disk(rig: Rig) -> None:
    """In the inbox, the journal and the mirror, as by every other way."""
    rig.more += '[[objects]]\nname = "Contact"\n[objects.privacy]\nTitle = "hash"\n'
    rig.objects = ("Account",)
    async with subscribed(rig):
        await rig.load()
        await rig.dml("update", "Contact", rows=[{"Id": await rig.a_record("Contact"), "Title": "secret!"}])

        async def is_stored() -> bool:
            return await rig.received("SELECT 1 FROM _rts_push_id") != []

        await eventually(is_stored, "the event is stored")
        await rig.settle()
        assert b"secret!" not in rig.mirror.content()
        assert await rig.rows("SELECT 1 FROM Contact WHERE length(Title) = 32") != []


async def test_a_partial_row_is_no_proof(rig: Rig) -> None:
    """A fingerprint that meets one does not become the new proof; a check completes it first, and does."""
    async with subscribed(rig):
        await rig.load()
        rig.advance(2)
        await rig.dml("update", "Contact", rows=[{"Id": await rig.a_record("Contact"), "Title": "unproven"}])
        await arrived(rig, "unproven")
        rig.advance(60)
        before = rig["Contact"].stored.proven_at
        async with rig.parts.base.database.transaction() as tx:  # as of a commit long after its edit
            await tx.execute("UPDATE Contact SET _rts_seen=_rts_seen+9000, _rts_until=_rts_until+9000")
        await rig.parts.readers.fingerprinter.step(rig["Contact"])
        assert rig["Contact"].stored.proven_at == before
        found = await rig.parts.services.checks.check(rig["Contact"])
        assert not found.found
        assert rig["Contact"].stored.proven_at > before
        assert await rig.rows(PARTIAL) == []


async def test_a_record_says_that_it_is_partial(rig: Rig) -> None:
    """In `why`, with what it waits for."""
    async with subscribed(rig):
        await rig.load()
        record_id = await rig.a_record("Contact")
        await rig.dml("update", "Contact", rows=[{"Id": record_id, "Title": "why"}])
        await arrived(rig, "why")
        async with ControlClient(rig.place / "rtsd.sock") as client:
            why = await client.why("Contact", record_id)
        assert why.mirror is not None
        assert why.mirror.partial
        assert "the row is partial" in str(why.to_be_fetched)
