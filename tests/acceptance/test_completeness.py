"""A. Silent incompleteness: nothing is lost, and what is not proven is not called complete."""

from __future__ import annotations

import random

import pytest

from rtsd.store.database import AMONG
from tests.support.inprocess.stand import Standing


async def test_ac_01_rows_that_commit_late(stand: Standing) -> None:
    """Rows that become visible 1 to 300 s after their stamp are all found, without another full load."""
    org = await (await stand({"Lead": 2_000}, lookback="1m")).loaded()
    rng = random.Random(1)
    ids = org.ids("Lead")
    jobs = (await org.calls())["bulk_jobs"]
    for turn in range(12):
        for record_id in rng.sample(ids, 20):
            with org.org.transaction(org.org.admin, commit_after=rng.uniform(1, 300)):
                org.org.create(
                    org.org.admin, "Lead", [{"LastName": f"late {turn} {record_id}", "Company": "L"}]
                )
        org.update("Lead", rng.sample(ids, 100), Title=f"on time {turn}")
        org.advance(60)
        await org.read()
    org.advance(300)
    await org.read()
    assert await org.equal("Lead") == 2_240
    assert (await org.calls())["bulk_jobs"] == jobs


async def test_ac_01_the_look_back_follows_how_late_rows_come(stand: Standing) -> None:
    """Where no delete log tells of open transactions, rows that came late widen the next look-back."""
    org = await stand({"Lead": 100}, lookback="2m")
    org.org.schema["Lead"].replicateable = False
    await org.loaded()
    for seconds in (100, 170, 280, 500, 900):
        org.advance(1)
        with org.org.transaction(org.org.admin, commit_after=seconds):
            org.org.create(org.org.admin, "Lead", [{"LastName": f"{seconds}", "Company": "late"}])
        for _ in range(seconds // 30 + 1):
            org.advance(30)
            await org.parts.services.interval_sync.read()
    assert await org.equal("Lead") == 105
    assert (await org.calls())["bulk_jobs"] == 1


async def test_ac_02_a_transaction_of_twenty_minutes(stand: Standing) -> None:
    """Rows with stamps of 20 minutes ago appear after three windows have gone by; the cursor waited."""
    org = await (await stand({"Lead": 500}, lookback="5m")).loaded()
    org.advance(120)
    with org.org.transaction(org.org.admin, commit_after=1_200):
        org.org.create(org.org.admin, "Lead", [{"LastName": f"{n}", "Company": "L"} for n in range(30)])
    for _ in range(5):
        org.advance(300)
        await org.read()
    org.advance(120)
    await org.read()
    assert await org.equal("Lead") == 530


async def test_ac_03_a_hole_is_never_called_complete(stand: Standing) -> None:
    """Rows that a load lost keep the object incomplete, with both counts, until they are there."""
    org = await (await stand({"Lead": 3_000})).loaded()
    await org.sabotage(f"DELETE FROM Lead WHERE Id {AMONG}", org.ids("Lead")[::3])
    await org.stop()
    await org.start()
    (mirrored,) = org.parts.base.catalog
    assert await org.parts.readers.audit.prove(mirrored) is False
    shown = await org.state("Lead")
    assert shown.state == "incomplete"
    assert shown.error is not None
    assert "3,000" in shown.error
    assert "2,000" in shown.error
    for _ in range(3):
        await org.load()
    assert (await org.state("Lead")).state == "live"
    assert await org.equal("Lead") == 3_000


async def test_ac_03_after_a_schema_update_and_a_new_load(stand: Standing) -> None:
    """A result that ends without saying so is not the end: the object says why it is not complete."""
    org = await stand({"Account": 900})
    await org.start()
    await org.simulated.control("schema", {"op": "add_field", "object": "Account", "field": _TEXT})
    fault = await org.simulated.fault("no_locator", path="results")
    await org.load()
    shown = await org.state("Account")
    assert shown.state == "incomplete"
    assert shown.error
    await org.simulated.control(f"faults?id={fault}", method="DELETE")
    await org.load()
    assert (await org.state("Account")).state == "live"
    assert await org.equal("Account") == 900


_TEXT = {"name": "Region__c", "type": "string", "length": 40}


async def test_ac_04_one_record_is_explained_and_healed_by_one_call(stand: Standing) -> None:
    """A record that no window will ever bring is repaired by its id, for one call."""
    org = await (await stand({"Account": 50})).loaded()
    account = org.ids("Account")[7]
    org.org.switches.untriggered_edit_moves_stamp = False
    org.org.update_untriggered(org.org.admin, "Account", [{"Id": account, "Site": "moved without a stamp"}])
    org.advance(900)
    await org.read()
    assert org.sql("SELECT Site FROM Account WHERE Id = ?", account)[0][0] != "moved without a stamp"
    before = await org.calls()
    async with org.client() as client:
        done = await client.repair("Account", [account])
    assert done.repaired == 1
    assert await org.cost(before) == done.api_calls == 1
    assert await org.equal("Account") == 50


@pytest.mark.parametrize("page_rows", [2_000, 700])
async def test_ac_05_ties_at_the_page_boundary(stand: Standing, page_rows: int) -> None:
    """Stamps shared across page boundaries lose and repeat nothing, also on pages the server shrinks."""
    org = await (await stand({"Lead": 100})).loaded()
    await org.simulated.control("switches", {"page_rows": page_rows})
    org.advance(60)
    for count in (1_999, 3, 2_500):
        org.create("Lead", count)
        org.advance(1)
    before = await org.calls()
    await org.read()
    assert await org.equal("Lead") == 4_602
    spent = await org.calls() - before
    assert spent["query"] <= 4_502 // page_rows + 2
    assert spent["query_more"] == 0, "a locator dies with its session"


@pytest.mark.parametrize("rows", [4_500, pytest.param(50_000, marks=pytest.mark.slow)])
async def test_ac_06_more_rows_of_one_stamp_than_a_page_holds(stand: Standing, rows: int) -> None:
    """Thousands of rows of one identical stamp arrive once, exactly, in as many pages as they fill."""
    org = await (await stand({"Lead": 10})).loaded()
    org.advance(60)
    org.create("Lead", rows)
    before, read = await org.calls(), await org.rows_read()
    await org.read()
    assert await org.equal("Lead") == rows + 10
    assert await org.rows_read() - read <= rows + 10
    assert await org.cost(before) <= min(rows // 2_000 + 3, 30)
    created = [event for event in await org.journal("change") if event.op == "create"]
    assert len(created) == min(rows, len(created))


async def test_ac_07_everything_is_the_default_and_the_range_is_said(stand: Standing) -> None:
    """Without a filter every row of every age is loaded; with one, what is left out is said."""
    rows = {"Lead": 400, "Account": 300}
    objects = {"Lead": {}, "Account": {"where": "Rating = 'Hot'"}}
    org = await (await stand(rows, objects=objects)).loaded()
    assert await org.equal("Lead") == 400
    oldest = org.sql("SELECT CAST(MIN(CreatedDate) AS text) FROM Lead")[0][0]
    assert int(oldest[:4]) <= org.org.clock.now().year - 4
    hot = await org.equal("Account", lambda row: row["Rating"] == "Hot")
    assert 0 < hot < 300
    shown = await org.states()
    assert shown["Lead"].where is None
    assert shown["Account"].where == "Rating = 'Hot'"
    begun = {
        event.object: event.message
        for event in await org.journal("audit")
        if "begins" in (event.message or "")
    }
    assert begun["Lead"] == "state audit begins: 400 rows to read, no filter"
    assert f"{hot} rows to read" in (begun["Account"] or "")
    assert f"{300 - hot} excluded by: Rating = 'Hot'" in (begun["Account"] or "")


@pytest.mark.parametrize(
    "rows",
    [10_001, pytest.param(50_001, marks=pytest.mark.slow), pytest.param(1_000_001, marks=pytest.mark.slow)],
)
async def test_ac_08_no_cap(stand: Standing, rows: int) -> None:
    """Loads are not cut at 10,000 rows, nor at any page's end."""
    org = await (await stand({"Lead": rows})).loaded()
    shown = await org.state("Lead")
    assert (shown.rows, shown.expected_rows) == (rows, rows)
    assert await org.equal("Lead") == rows
    assert (await org.calls())["bulk_jobs"] == 1


async def test_ac_09_a_slice_that_was_not_read(stand: Standing) -> None:
    """A window that times out is read in halves; while any part is unread, the object says incomplete."""
    org = await (await stand({"Lead": 300})).loaded()
    org.advance(600)
    org.create("Lead", 5)
    org.advance(600)
    org.create("Lead", 5)
    await org.simulated.fault("query_timeout", count=1, path="queryAll")
    await org.read()
    assert await org.equal("Lead") == 310
    assert (await org.state("Lead")).state == "live"

    org.create("Lead", 5)
    fault = await org.simulated.fault("query_timeout", path="queryAll")
    await org.read()
    shown = await org.state("Lead")
    assert shown.state == "incomplete"
    assert shown.error is not None
    assert "QUERY_TIMEOUT" in shown.error
    await org.simulated.control(f"faults?id={fault}", method="DELETE")
    org.advance(5)  # a window ends before the second that is not over
    await org.load()
    assert (await org.state("Lead")).state == "live"
    assert await org.equal("Lead") == 315


async def test_ac_11_a_new_column_rewrites_no_row(stand: Standing) -> None:
    """A column that comes later changes no count and reads nothing but itself."""
    org = await (await stand({"Account": 1_500}, describe_every="1h")).loaded()
    stamps = org.sql("SELECT Id, SystemModstamp, _rts_seen FROM Account ORDER BY Id")
    await org.simulated.control("schema", {"op": "add_field", "object": "Account", "field": _TEXT})
    org.org.switches.untriggered_edit_moves_stamp = False
    ids = org.ids("Account")[::2]
    org.org.update_untriggered(
        org.org.admin, "Account", [{"Id": record_id, "Region__c": "Brno"} for record_id in ids]
    )
    org.advance(3_601)
    before = await org.calls()
    await org.parts.readers.describer.step()
    shown = await org.state("Account")
    assert (shown.state, shown.rows) == ("incomplete", 1_500)
    assert "Region__c" in (shown.error or "")
    await org.load()
    shown = await org.state("Account")
    assert (shown.state, shown.rows) == ("live", 1_500)
    assert (await org.calls() - before)["bulk_jobs"] == 1
    assert [
        tuple(row) for row in org.sql("SELECT Id, SystemModstamp, _rts_seen FROM Account ORDER BY Id")
    ] == [tuple(row) for row in stamps]
    assert await org.equal("Account") == 1_500


async def test_ac_12_the_comparison_is_built_in(stand: Standing) -> None:
    """`rtsd audit` names what is missing, stale and orphaned, and repairs it."""
    org = await (await stand({"Lead": 800})).loaded()
    org.advance(3_600)
    ids = org.ids("Lead")
    await org.sabotage("DELETE FROM Lead WHERE Id = ?", ids[3])
    await org.sabotage(
        "UPDATE Lead SET Company = 'x', SystemModstamp = '2020-01-01T00:00:00.000Z' WHERE Id = ?", ids[5]
    )
    stranger = ids[-1][:10] + "ZZZZZAAA"
    columns = ", ".join(f'"{name}"' for name in org.mirror.columns("Lead") if name != "id")
    await org.sabotage(
        f"INSERT INTO Lead (Id, {columns}) SELECT ?, {columns} FROM Lead WHERE Id = ?", stranger, ids[9]
    )
    result = await org.audit("Lead", full=True)
    assert result["missing"] == [ids[3]]
    assert result["stale"] == [ids[5]]
    assert len(result["orphaned"]) == 1
    assert result["repaired"] == 3
    assert result["api_calls"] <= 20
    assert await org.equal("Lead") == 800


async def test_ac_13_one_failed_object_alone_is_loaded_again(stand: Standing) -> None:
    """What failed is tried again by itself; what was loaded is not touched."""
    records = {"Account": 200, "Contact": 200, "Lead": 200, "Opportunity": 200, "Campaign": 20}
    org = await stand(records)
    await org.start()
    fault = await org.simulated.fault("job_failed", path="Opportunity")
    await org.load()
    states = {name: mirrored.state for name, mirrored in (await org.states()).items()}
    assert states.pop("Opportunity") == "incomplete"
    assert set(states.values()) == {"live"}
    await org.simulated.control(f"faults?id={fault}", method="DELETE")
    before, read = await org.calls(), await org.rows_read()
    await org.load()
    assert (await org.calls() - before)["bulk_jobs"] == 1
    assert await org.rows_read() - read <= 200
    for name, rows in records.items():
        assert await org.equal(name) == rows


async def test_ac_50_never_fresher_than_proven(stand: Standing) -> None:
    """`as_of` is a moment before the read began, and stays there while windows fail."""
    org = await (await stand({"Lead": 50})).loaded()
    org.advance(300)
    began = org.now()
    await org.read()
    as_of = (await org.state("Lead")).as_of
    assert as_of is not None
    from rtsd.core.instant import from_iso

    assert from_iso(as_of) <= began
    await org.simulated.fault("query_timeout", path="queryAll")
    org.advance(300)
    await org.read()
    assert (await org.state("Lead")).as_of == as_of
    await org.simulated.control("faults", method="DELETE")
    await org.read()
    await org.load()
    assert await org.equal("Lead") == 50
