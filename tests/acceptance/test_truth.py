"""The mirror proves that it is right: what went past it is found, named, repaired, and said so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.inprocess.channels import connect, on_every_channel_in_time
from tests.support.inprocess.stand import Stand, Standing
from tests.support.stream.following import following, taken

DAY_S = 86_400


@dataclass
class Drifted:
    """What was done to an object behind the daemon's back, as ids."""

    created: list[str]
    updated: list[str]
    deleted: list[str]

    def found_by(self, result: dict[str, Any]) -> None:
        """Assert that an audit found exactly this, and repaired it."""
        assert sorted(result["missing"]) == sorted(self.created)
        assert sorted(result["stale"]) == sorted(self.updated)
        assert sorted(result["orphaned"]) == sorted(self.deleted)
        assert result["repaired"] == len(self.created) + len(self.updated) + len(self.deleted)


def drift(org: Stand, name: str = "Lead") -> Drifted:
    """3 rows hard-deleted, 4 updated, 3 created: spread over the object, each in its own commit."""
    ids = org.ids(name)
    step = len(ids) // 8
    deleted, updated = ids[: 3 * step : step], ids[3 * step : 7 * step : step]
    for record_id in deleted:
        for result in org.org.hard_delete(org.org.admin, name, [record_id]):
            result.unwrap()
        org.advance(7)
    for number, record_id in enumerate(updated):
        org.update(name, [record_id], Title=f"changed {number}")
        org.advance(7)
    created = [org.create(name, 1, Title=f"new {number}")[0] for number in range(3)]
    org.advance(300)
    return Drifted(created, updated, deleted)


@pytest.mark.parametrize("logged", [True, False], ids=["in the delete log", "in no log"])
async def test_ten_changes_are_found_exactly(stand: Standing, logged: bool) -> None:  # noqa: FBT001
    """3 hard-deleted, 4 updated, 3 created: found in one pass and at most 20 calls, repaired, said."""
    org = await (await stand({"Lead": 5_000})).loaded()
    org.org.switches.hard_deletes_in_deleted_log = logged
    org.advance(3_600)
    drifted = drift(org)
    result, calls = await org.audited("Lead")
    drifted.found_by(result)
    assert calls <= 20
    assert result["api_calls"] == calls
    assert await org.equal("Lead") == 5_000
    for record_id in (*drifted.created, *drifted.updated, *drifted.deleted):
        assert (await org.sources("Lead", record_id))[-1] == "repair"
    org.advance(3_600)
    await org.audit("Lead")  # looks at the ten once more: they changed around the time of the proof
    result, calls = await org.audited("Lead")
    assert (result["repaired"], calls) == (0, 1)


async def test_nothing_wrong_costs_one_call(stand: Standing) -> None:
    """The proof of an object in which nothing changed is one aggregate query, and reads no rows."""
    org = await (await stand({"Lead": 3_000, "Account": 200})).loaded()
    org.advance(3_600)
    for name in ("Lead", "Account"):
        read = await org.rows_read()
        result, calls = await org.audited(name)
        assert (result["repaired"], calls) == (0, 1)
        assert await org.rows_read() - read <= 2_000  # groups, not rows
    assert await org.journal("drift") == []


async def test_the_delete_log_explains_many_days(stand: Standing) -> None:
    """30 hard deletions on as many days: named by one call, so that no day has to be read row by row."""
    org = await stand({"Lead": 400})
    _spread(org, "Lead")
    await org.loaded()
    org.advance(3_600)
    gone = org.ids("Lead")[:300:10]
    org.org.hard_delete(org.org.admin, "Lead", gone)
    org.advance(300)
    read = await org.rows_read()
    result, calls = await org.audited("Lead")
    assert sorted(result["orphaned"]) == sorted(gone)
    assert calls < 10  # 6, or one more if a minute, by which the log goes, ends meanwhile
    assert await org.rows_read() - read <= 400  # the days' counts, no rows
    assert await org.equal("Lead") == 370


async def test_nothing_is_proven_before_it_is_repaired(stand: Standing) -> None:
    """What was found could not be fetched: the proof stays where it was until it could."""
    org = await (await stand({"Lead": 100})).loaded()
    org.advance(3_600)
    (mirrored,) = org.parts.base.catalog
    proven = mirrored.stored.proven_at
    org.update("Lead", org.ids("Lead")[:3], Title="cannot be fetched yet")
    org.advance(300)
    await org.simulated.fault("query_timeout", path="composite")
    from rtsd.errors import SalesforceError

    with pytest.raises(SalesforceError):
        await org.audit("Lead")
    assert mirrored.stored.proven_at == proven
    await org.simulated.control("faults", method="DELETE")
    await org.audit("Lead")
    assert mirrored.stored.proven_at > proven
    assert await org.equal("Lead") == 100


# -- how the stamps lie ------------------------------------------------------------------------------
@pytest.mark.parametrize(("step_s", "rows"), [(0, 400), (5, 400), (150, 400)], ids=["second", "hour", "day"])
async def test_however_close_the_stamps_are(stand: Standing, step_s: int, rows: int) -> None:
    """Everything stamped in one second, one hour, one day: what differs is found all the same."""
    org = await stand({"Lead": 0})
    org.org.clock.freeze()
    org.org.switches.hard_deletes_in_deleted_log = False
    if step_s:
        for _ in range(rows):
            org.create("Lead", 1)
            org.advance(step_s)
    else:
        org.create("Lead", rows)
    org.advance(2 * DAY_S)
    await org.loaded()
    drifted = drift(org)
    result, calls = await org.audited("Lead")
    drifted.found_by(result)
    shown = (await org.state("Lead")).drift
    assert shown is not None
    assert (shown.missing, shown.stale, shown.orphaned) == (3, 4, 3)
    assert calls <= 20
    assert await org.equal("Lead") == rows


async def test_more_days_than_one_answer_holds(stand: Standing) -> None:
    """2,600 days take two queries; rows that differ on the first, last and middle days are found."""
    org = await stand({"Lead": 2_600})
    _spread(org, "Lead")
    await org.loaded()
    org.advance(3_600)
    result, calls = await org.audited("Lead")
    assert (result["repaired"], calls) == (0, 2)
    drifted = drift(org)
    result, calls = await org.audited("Lead")
    drifted.found_by(result)
    assert calls <= 20
    assert await org.equal("Lead") == 2_600


async def test_many_days_that_the_mirror_does_not_have(stand: Standing) -> None:
    """A mirror that lost hundreds of days asks for fewer groups than the org has: it is told, and splits."""
    org = await stand({"Lead": 2_600})
    _spread(org, "Lead")
    await org.loaded()
    org.advance(3_600)
    await org.sabotage(
        "DELETE FROM Lead WHERE SystemModstamp < (SELECT SystemModstamp FROM Lead"
        " ORDER BY SystemModstamp LIMIT 1 OFFSET 1000)"
    )
    result, calls = await org.audited("Lead")
    assert result["missing_count"] == 1_000
    assert calls <= 20
    assert await org.equal("Lead") == 2_600


def _spread(org: Stand, name: str) -> None:
    """Give every row a day of its own."""
    org.org.database.execute(
        f"UPDATE {name} SET SystemModstamp ="
        " strftime('%Y-%m-%dT12:00:00.000Z', 'now', '-' || rowid || ' days')"
    )


async def test_a_filter_is_part_of_the_proof(stand: Standing) -> None:
    """With `where`: rows that came in or left through an edit are found; those outside are nobody's drift."""
    options = {"Lead": {"where": "Company = 'Inside'"}}
    org = await stand({"Lead": 300}, objects=options)
    inside = org.create("Lead", 50, Company="Inside")
    await org.loaded()
    org.advance(3_600)
    await org.audit("Lead")  # the rows were made just before they were loaded: they are looked at again
    result, calls = await org.audited("Lead")
    assert (result["repaired"], calls) == (0, 1)
    outside = [record_id for record_id in org.ids("Lead") if record_id not in set(inside)]
    org.update("Lead", outside[:5], Title="still outside")
    org.update("Lead", outside[5:8], Company="Inside")
    org.update("Lead", inside[:2], Company="Outside")
    org.update("Lead", inside[2:6], Title="still inside")
    org.advance(300)
    result, calls = await org.audited("Lead")
    assert sorted(result["missing"]) == sorted(outside[5:8])
    assert sorted(result["stale"]) == sorted(inside[2:6])
    assert sorted(result["orphaned"]) == sorted(inside[:2])
    assert calls <= 20
    assert await org.equal("Lead", keep=lambda row: row["Company"] == "Inside") == 51


async def test_without_a_stamp_there_is_no_fingerprint(stand: Standing) -> None:
    """An object that nothing orders says so in one clear sentence, with what to do instead."""
    org = await stand({"Invoice__c": 20})
    org.org.schema["Invoice__c"].fields.pop("SystemModstamp")
    org.org.schema["Invoice__c"].fields.pop("LastModifiedDate")
    org.org.schema["Invoice__c"].fields.pop("CreatedDate")
    await org.start()
    await org.load()
    from rtsd.errors import Conflict

    with pytest.raises(Conflict, match=r"no field that orders its versions.*--full"):
        await org.audit("Invoice__c")


# -- while others work ---------------------------------------------------------------------------------
@on_every_channel_in_time
async def test_changes_while_it_runs_are_no_drift(stand: Standing, channel: str) -> None:
    """People save, pushes arrive, checks run, all at once: no check calls what is on its way drift."""
    org = await (await stand({"Lead": 600}, channel=channel)).loaded()
    await connect(org, "Lead")
    parts = org.parts
    loops = [
        asyncio.create_task(parts.runner.run(service))
        for service in (parts.services.inbox, parts.services.realtime)
    ]
    stop, at_work = asyncio.Event(), asyncio.Event()
    ids = org.ids("Lead")

    async def people() -> int:
        done = 0
        while not stop.is_set():
            await at_work.wait()
            org.update("Lead", ids[done % 400 : done % 400 + 3], Title=f"edit {done}")
            if done % 5 == 0:
                org.create("Lead", 1)
            if done % 11 == 0:
                org.org.delete(org.org.admin, "Lead", [ids[500 + done // 11 % 100]], all_or_none=False)
            done += 1
            await asyncio.sleep(0.003)
        return done

    async def grace(_seconds: float) -> None:
        """As long as it takes until what is on its way has arrived: people make a pause."""
        at_work.clear()
        await org.simulated.control("package/drain", {})
        await taken(parts, org.bus)
        await until_applied()
        at_work.set()

    async def until_applied() -> None:
        if org.parts.base.inbox.pending:
            await asyncio.sleep(0.001)
            await until_applied()

    org.sleep = grace
    at_work.set()
    working = asyncio.create_task(people())
    try:
        async with following(parts, org.bus):
            for _ in range(6 if channel == "gateway" else 2):
                org.advance(20)
                await parts.services.checks.check(org.parts.base.catalog["Lead"])
    finally:
        stop.set()
        at_work.set()
        done = await working
        await org.simulated.control("package/drain", {})
        for loop in loops:
            loop.cancel()
    await org.pushed()
    assert done > 20
    assert await org.journal("drift") == []
    await org.repair()
    await org.equal("Lead")


async def test_a_late_commit_before_the_proof_is_found_however_much_is_recent(stand: Standing) -> None:
    """2,600 rows are edited around the proof; an edit stamped before it is committed after it."""
    org = await (await stand({"Lead": 3_000})).loaded()
    ids = org.ids("Lead")
    org.advance(1_000)
    org.update("Lead", ids[:2_600], Title="recent")
    await org.read()
    with org.org.transaction(org.org.admin, commit_after=120):
        org.org.update(org.org.admin, "Lead", [{"Id": ids[0], "Title": "late"}])[0].unwrap()
    org.advance(30)
    assert (await org.audit("Lead"))["stale"] == []
    org.advance(300)
    result = await org.audit("Lead")
    assert (result["stale"], result["repaired"]) == ([ids[0]], 1)
    assert await org.equal("Lead") == 3_000


async def test_what_the_org_denies_is_repaired_in_a_busy_org_too(stand: Standing) -> None:
    """Rows with a stamp that was never in the org, while others are edited at the same time."""
    org = await (await stand({"Lead": 60})).loaded()
    ids = org.ids("Lead")
    org.advance(3_600)
    forged = org.org.clock.now().strftime("%Y-%m-%dT%H:%M:%S.000Z")
    holders = ", ".join("?" * 5)
    await org.sabotage(
        f"UPDATE Lead SET SystemModstamp=?, Title='never' WHERE Id IN ({holders})", forged, *ids[:5]
    )
    org.advance(120)

    async def people(_seconds: float) -> None:
        org.update("Lead", ids[50:55], Title="busy")

    org.sleep = people
    org.update("Lead", ids[40:45], Title="busy")
    result = await org.parts.services.checks.check(org.parts.base.catalog["Lead"])
    assert result.found.ids >= {*ids[:5]}
    await org.read()
    assert await org.equal("Lead") == 60


async def test_ac_32_an_object_taken_out_of_sight(stand: Standing) -> None:
    """The object cannot be read any more: nothing is deleted, and the error names the permission."""
    org = await (await stand({"Lead": 200})).loaded()
    await org.simulated.control("visibility", {"hidden_objects": ["Lead"]})
    from rtsd.errors import SalesforceError

    with pytest.raises(SalesforceError, match="Lead"):
        await org.audit("Lead")
    assert len(org.sql("SELECT Id FROM Lead")) == 200
    assert org.sql("SELECT * FROM _rts_tombstone") == []
    await org.simulated.control("visibility", {"hidden_objects": []})
    result = await org.audit("Lead")
    assert result["repaired"] == 0
    assert await org.equal("Lead") == 200


async def test_ac_32_rows_taken_out_of_sight_mid_run(stand: Standing) -> None:
    """Between finding and fetching the rows vanish: none is taken for deleted, and the state says why."""
    org = await (await stand({"Lead": 400})).loaded()
    org.advance(3_600)
    ids = org.ids("Lead")
    org.update("Lead", ids[:100], Title="seen by nobody soon")
    org.advance(300)
    (mirrored,) = org.parts.base.catalog
    result = await org.parts.readers.fingerprinter.step(mirrored)
    assert len(result.found.stale) == 100
    await org.simulated.control("visibility", {"hidden_records": ids[:100]})
    await org.parts.readers.repair.step()
    shown = await org.state("Lead")
    assert (shown.state, shown.rows) == ("incomplete", 400)
    assert "no longer visible" in (shown.error or "")
    assert "permissions" in (shown.error or "")
    assert org.sql("SELECT * FROM _rts_tombstone") == []
    await org.simulated.control("visibility", {"hidden_records": []})
    await org.parts.readers.repair.step()
    await org.load()
    assert (await org.state("Lead")).state == "live"
    assert await org.equal("Lead") == 400


@pytest.mark.slow
async def test_a_million_rows(stand: Standing, measured: Callable[[str], None]) -> None:
    """The ten changes among a million rows: one pass, at most 20 calls; nothing wrong: one call."""
    org = await (await stand({"Lead": 1_000_000})).loaded()
    org.advance(3_600)
    result, calls = await org.audited("Lead")
    assert (result["repaired"], calls) == (0, 1)
    measured(f"fingerprint of 1,000,000 rows, nothing wrong: {calls} call, {result['seconds']:.2f} s")
    drifted = drift(org)
    result, calls = await org.audited("Lead")
    drifted.found_by(result)
    assert calls <= 20
    assert result["bulk_jobs"] == 0
    measured(f"ten of 1,000,000 found and repaired: {calls} calls, {result['seconds']:.2f} s")
