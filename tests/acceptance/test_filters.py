"""F. Row filters: rows that enter and leave, filters that change, pushes from outside."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rtsd.sync.filters import FILTERED_OUT
from rtssim.schema.fields import ident, text
from rtssim.schema.model import ObjectType
from tests.support.inprocess.channels import connect, on_every_channel
from tests.support.inprocess.stand import Stand, Standing

HOT = "Rating = 'Hot' AND Type != 'Partner'"


def _hot(row: dict[str, Any]) -> bool:
    return bool(row["Rating"] == "Hot" and row["Type"] != "Partner")


async def test_rows_enter_and_leave_a_filter(stand: Standing) -> None:
    """Edits that let a row in or out of the filter are followed by windows, with few calls."""
    org = await (await stand({"Account": 400}, objects={"Account": {"where": HOT}})).loaded()
    rows = await org.equal("Account", _hot)
    inside = [row[0] for row in org.sql("SELECT Id FROM Account")]
    outside = [record_id for record_id in org.ids("Account") if record_id not in set(inside)]
    org.advance(60)
    org.update("Account", inside[:10], Rating="Cold")
    org.update("Account", inside[10:12], Type="Partner")
    org.update("Account", outside[:20], Rating="Hot", Type="Prospect")
    org.update("Account", inside[12:20], Site="still hot")
    org.advance(60)
    before = await org.calls()
    await org.read()
    assert await org.cost(before) <= 5
    assert await org.equal("Account", _hot) == rows - 12 + 20
    org.update("Account", inside[:10], Rating="Hot")
    org.advance(60)
    await org.read()
    assert await org.equal("Account", _hot) == rows - 2 + 20
    result = await org.audit("Account")
    assert result["repaired"] == 0


@pytest.mark.parametrize("by_job", [False, True])
async def test_rows_that_leave_by_a_changed_filter_depart(
    stand: Standing, monkeypatch: pytest.MonkeyPatch, *, by_job: bool
) -> None:
    """A narrower filter is no mass disappearance: its rows leave, and the journal says why."""
    monkeypatch.setattr("rtsd.sync.departures.BULK_ABOVE", 10 if by_job else 20_000)
    org = await (await stand({"Account": 800})).loaded()
    org.advance(3_600)
    await org.restart({"Account": {"where": HOT}})
    assert (await org.state("Account")).state == "incomplete"
    await org.load()
    shown = await org.state("Account")
    assert (shown.state, shown.error) == ("live", None)
    rows = await org.equal("Account", _hot)
    assert 0 < rows < 400
    said = [event.message or "" for event in await org.journal("audit")]
    assert f"{800 - rows} rows left the mirror by the filter: {HOT}" in said
    removed = "SELECT COUNT(*) FROM _rts_journal WHERE op='delete' AND message=?"
    assert org.sql(removed, FILTERED_OUT)[0][0] == 800 - rows
    org.advance(3_600)
    await org.restart({"Account": {}})
    await org.load()
    assert (await org.state("Account")).state == "live"
    assert await org.equal("Account") == 800


async def test_rows_without_stamps_leave_by_a_filter_too(stand: Standing) -> None:
    """Only the time of the read orders their versions, and it orders their removal."""
    org = await stand({}, objects={"Plain__c": {}})
    columns = [ident(), text("Name", 80, name_field=True)]
    org.org.add_object(
        ObjectType("Plain__c", "Plain", "Plains", "a0P", {field.name: field for field in columns})
    )
    org.create("Plain__c", 60, Name="a")
    kept = org.create("Plain__c", 5, Name="b")
    await org.loaded()
    org.advance(60)
    await org.restart({"Plain__c": {"where": "Name = 'b'"}})
    await org.load()
    assert (await org.state("Plain__c")).state == "live"
    assert [row[0] for row in org.sql("SELECT Id FROM Plain__c ORDER BY Id")] == sorted(kept)
    assert await org.waiting() == 0


async def test_rows_that_vanish_while_the_filter_changes_are_guarded(stand: Standing) -> None:
    """Rows that the org shows no more did not leave by the filter: the deletion guard keeps them."""
    org = await (await stand({"Account": 800})).loaded()
    hidden = [row["Id"] for row in org.org.snapshot("Account") if _hot(row)]
    hidden += [row["Id"] for row in org.org.snapshot("Account") if not _hot(row)][:50]
    await org.simulated.control("visibility", {"hidden_records": hidden})
    org.advance(3_600)
    await org.restart({"Account": {"where": HOT}})
    await org.load()
    shown = await org.state("Account")
    assert shown.state == "incomplete"
    assert "no longer visible" in (shown.error or "")
    assert {row[0] for row in org.sql("SELECT Id FROM Account")} == set(hidden)
    await org.simulated.control("visibility", {"hidden_records": []})
    org.advance(3_600)
    await org.audit("Account", full=True)
    assert (await org.state("Account")).state == "live"
    await org.equal("Account", _hot)


@pytest.mark.parametrize("loaded", [False, True])
async def test_a_filter_that_changes_during_a_read_starts_it_over(
    stand: Standing, monkeypatch: pytest.MonkeyPatch, *, loaded: bool
) -> None:
    """The job of an interrupted read has the old filter; back at the first one, the rows of both are read."""
    monkeypatch.setattr("rtsd.sync.audit.PAGE", 500)
    org = await stand({"Account": 4_000}, objects={"Account": {"where": HOT}})
    await org.start()
    if loaded:
        await org.load()
    await org.restart({"Account": {}})
    await _interrupted_after(org, 1_500)
    await org.restart({"Account": {"where": HOT}})
    assert (await org.state("Account")).state != "live"
    await org.load()
    assert (await org.state("Account")).state == "live"
    assert 0 < await org.equal("Account", _hot) < 2_000


async def _interrupted_after(org: Stand, rows: int) -> None:
    before = await org.rows_read()
    loading = asyncio.create_task(org.load())
    while await org.rows_read() < before + rows:  # noqa: ASYNC110 - the org has no event
        await asyncio.sleep(0.002)
    org.cut_off += 1
    loading.cancel()
    await asyncio.gather(loading, return_exceptions=True)


@on_every_channel
async def test_pushes_of_rows_outside_the_filter_are_not_mirrored(stand: Standing, channel: str) -> None:
    """What was pushed of a filtered object is asked for by id: one question for all that came."""
    org = await stand({"Account": 200}, objects={"Account": {"where": HOT}}, channel=channel)
    await org.loaded()
    await connect(org, "Account")
    rows = await org.equal("Account", _hot)
    inside = [row[0] for row in org.sql("SELECT Id FROM Account")]
    outside = [record_id for record_id in org.ids("Account") if record_id not in set(inside)]
    org.advance(60)
    org.update("Account", inside[:3], Rating="Cold")
    org.update("Account", outside[:4], Site="still cold")
    org.update("Account", outside[4:6], Rating="Hot", Type="Prospect")
    await org.pushed()
    before = await org.calls()
    org.advance(20)
    await org.parts.readers.repair.step(patiently=True)
    assert await org.cost(before) <= 3
    assert await org.equal("Account", _hot) == rows - 3 + 2
