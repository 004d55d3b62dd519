"""What audits and repairs are said to cost before, and what the org counts for them: see `prices.fits`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest

from rtsd.core.instant import to_iso
from rtsd.store.database import AMONG
from tests.support.inprocess.prices import (
    DAY_S,
    EIGHT,
    FILTERED,
    HOUR_S,
    LEADS,
    Prepare,
    by_rest,
    drawn,
    fits,
    of,
    recent,
    stampless,
    told,
    wide,
    written,
)
from tests.support.inprocess.stand import Stand, Standing

Change = Callable[[Stand], Awaitable[None]]


# -- audits ------------------------------------------------------------------------------------------
async def nothing(org: Stand) -> None:
    """Leave all as it is."""
    org.advance(HOUR_S)


async def at_once(_org: Stand) -> None:
    """Let no time pass after the load."""


async def some_of_each(org: Stand) -> None:
    """4 rows are updated, 2 deleted, 3 created, and no push tells."""
    org.advance(HOUR_S)
    (name,) = org.objects
    ids = org.ids(name)
    org.update(name, ids[10:14], **changed(name))
    org.org.hard_delete(org.org.admin, name, ids[20:22])
    org.create(name, 3)
    org.advance(HOUR_S)


def changed(name: str) -> dict[str, str]:
    """A value for a row of the object."""
    return {"Title": "nobody hears this"} if name == "Lead" else {"Name": "changed"}


async def many_updated(org: Stand) -> None:
    """2,900 rows of 3,000 are updated, and no push tells."""
    org.advance(HOUR_S)
    ids = org.ids("Lead")
    for start in range(0, 2_900, 200):
        org.update("Lead", ids[start : min(start + 200, 2_900)], **changed("Lead"))
    org.advance(HOUR_S)


async def unlogged(org: Stand) -> None:
    """15 rows of as many days are gone, and no delete log tells."""
    org.advance(HOUR_S)
    org.org.switches.hard_deletes_in_deleted_log = False
    org.org.hard_delete(org.org.admin, "Lead", org.ids("Lead")[:3_000:200])
    org.advance(HOUR_S)


async def vanished(org: Stand) -> None:
    """A fifth of the rows is out of sight: too many to be deletions."""
    org.advance(HOUR_S)
    org.org.switches.hard_deletes_in_deleted_log = False
    org.org.hard_delete(org.org.admin, "Lead", org.ids("Lead")[::5])
    org.advance(HOUR_S)


async def lost_here(org: Stand) -> None:
    """10 old rows are lost in the mirror alone."""
    for record_id in org.ids("Lead")[:2_000:200]:
        await org.sabotage("DELETE FROM Lead WHERE Id = ?", record_id)
    org.advance(HOUR_S)


async def days_lost_here(org: Stand) -> None:
    """The rows of four days are lost in the mirror alone."""
    days = {row["Id"]: row["SystemModstamp"][:10] for row in org.sql("SELECT Id, SystemModstamp FROM Lead")}
    gone = sorted(set(days.values()))[:4]
    lost = [record_id for record_id, day in days.items() if day in gone]
    await org.sabotage(f"DELETE FROM Lead WHERE Id {AMONG}", lost)
    org.advance(HOUR_S)


async def read_much(org: Stand) -> None:
    """4,600 rows are written and read by a window since the proof: nothing differs, but all is compared."""
    org.advance(HOUR_S)
    await written(org, 23)
    await org.read()
    org.advance(HOUR_S)


AUDITS: dict[str, tuple[Prepare, Change]] = {
    "nothing differs": (LEADS, nothing),
    "nothing differs, filtered": (FILTERED, nothing),
    "nothing differs, all recent": (recent, at_once),
    "nothing differs, much was read": (LEADS, read_much),
    "some of each": (LEADS, some_of_each),
    "some of each, filtered": (FILTERED, some_of_each),
    "some of each, wide": (wide, some_of_each),
    "some of each, refused by Bulk": (by_rest, some_of_each),
    "most rows updated": (LEADS, many_updated),
    "deleted without a log": (LEADS, unlogged),
    "a fifth has vanished": (LEADS, vanished),
    "lost in the mirror": (LEADS, lost_here),
    "days lost in the mirror": (LEADS, days_lost_here),
}


@pytest.mark.parametrize("case", AUDITS)
async def test_an_audit_by_counts(stand: Standing, case: str, measured: Callable[[str], None]) -> None:
    """`rtsd audit OBJECT --dry-run`, with the repairs of what the audit is going to find."""
    await _audit(stand, case, measured, full=False)


FULL_AUDITS = (
    "nothing differs",
    "nothing differs, filtered",
    "nothing differs, all recent",
    "some of each",
    "some of each, wide",
    "some of each, refused by Bulk",
    "deleted without a log",
    "a fifth has vanished",
    "without stamps",
)


@pytest.mark.parametrize("case", FULL_AUDITS)
async def test_a_full_audit(stand: Standing, case: str, measured: Callable[[str], None]) -> None:
    """`rtsd audit OBJECT --full --dry-run`, with the rows that it is not going to find any more."""
    await _audit(stand, case, measured, full=True)


async def _audit(stand: Standing, case: str, measured: Callable[[str], None], *, full: bool) -> None:
    prepare, change = AUDITS.get(case, (stampless, nothing))
    org = await (await prepare(stand)).loaded()
    await change(org)
    (name,) = org.objects
    before = await org.calls()
    async with org.client() as client:
        price = (await client.price_audit(name, full=full)).estimate
    looked = await org.cost(before)
    assert price is not None
    before, noted = await org.calls(), await drawn(org)
    async with org.client() as client:
        result = await client.audit(name, full=full)
    bill = await org.cost(before)
    kind = "full audit" if full else "audit"
    repaired = result.objects[0].repaired
    measured(
        f"{kind}, {case}: price {told(price)}, bill {bill}; {repaired} repaired; to price it took {looked}"
    )
    assert await drawn(org) - noted == bill == result.api_calls
    assert fits(price, bill), f"{told(price)} for {bill}"


async def test_a_verification(stand: Standing, measured: Callable[[str], None]) -> None:
    """`rtsd verify --dry-run`: a count for each object, and the repairs of one that differs."""
    org = await (await of(dict.fromkeys(EIGHT, 400))(stand)).loaded()
    org.advance(HOUR_S)
    org.update("Lead", org.ids("Lead")[:40], Title="nobody hears this")
    org.advance(HOUR_S)
    async with org.client() as client:
        price = (await client.price_verification()).estimate
        assert price is not None
        before = await org.calls()
        assert (await client.verify()).ok
    bill = await org.cost(before)
    measured(f"verify: price {told(price)}, bill {bill}")
    assert fits(price, bill), f"{told(price)} for {bill}"


# -- repairs -----------------------------------------------------------------------------------------
async def repaired_by_ids(org: Stand) -> dict[str, Any]:
    """Return 2,500 ids, of which 3 are gone."""
    (name,) = org.objects
    ids = org.ids(name)[:2_500]
    org.org.hard_delete(org.org.admin, name, ids[:3])
    org.advance(60)
    return {"ids": ids}


async def repaired_by_time(org: Stand) -> dict[str, Any]:
    """Return a stretch of a year, with some hundred rows."""
    newest = max(row["SystemModstamp"] for row in org.org.snapshot("Lead"))
    until = int(datetime.fromisoformat(newest).timestamp() * 1000)
    return {"since": to_iso(until - 365 * DAY_S * 1000), "until": to_iso(until)}


async def repaired_column(_org: Stand) -> dict[str, Any]:
    """Return two columns of every row."""
    return {"fields": ["Title", "Email"]}


REPAIRS = {
    "by ids": (LEADS, repaired_by_ids),
    "by ids, filtered": (FILTERED, repaired_by_ids),
    "by time": (LEADS, repaired_by_time),
    "a column": (LEADS, repaired_column),
    "a column, refused by Bulk": (by_rest, repaired_column),
}


@pytest.mark.parametrize("case", REPAIRS)
async def test_a_repair(stand: Standing, case: str, measured: Callable[[str], None]) -> None:
    """`rtsd repair OBJECT … --dry-run`."""
    prepare, choose = REPAIRS[case]
    org = await (await prepare(stand)).loaded()
    org.advance(HOUR_S)
    chosen = await choose(org)
    async with org.client() as client:
        price = (await client.price_repair("Lead", **chosen)).estimate
        assert price is not None
        before = await org.calls()
        done = await client.repair("Lead", **chosen)
    bill = await org.cost(before)
    measured(f"repair, {case}: price {told(price)}, bill {bill}; {done.fetched} fetched")
    assert done.api_calls == bill
    assert fits(price, bill), f"{told(price)} for {bill}"
