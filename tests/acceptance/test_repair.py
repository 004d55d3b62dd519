"""Repairs an operator asks for: of some records, of a stretch of time, of a column; each priced beforehand.

Values were changed in the mirror with their stamps left alone: nothing but reading them again finds that.
"""

from __future__ import annotations

from typing import Any

import pytest

from rtsd.control.protocol import Estimate, Repaired
from rtsd.errors import Conflict
from rtsd.store.database import AMONG
from tests.support.inprocess.stand import Stand, Standing


async def asked(org: Stand, **named: Any) -> tuple[Repaired, int]:
    """`rtsd repair Lead …`, and what it cost by the org's own count."""
    before = await org.calls()
    async with org.client() as client:
        answer = await client.repair("Lead", **named)
    return answer, await org.cost(before)


async def priced(org: Stand, **named: Any) -> tuple[Estimate, int]:
    """`rtsd repair Lead … --dry-run`, and what that cost."""
    before = await org.calls()
    async with org.client() as client:
        estimate = (await client.price_repair("Lead", **named)).estimate
    assert estimate is not None
    return estimate, await org.cost(before)


async def test_a_stretch_of_time(stand: Standing) -> None:
    """Every record that either side has stamped in it is fetched, those outside are left alone."""
    org = await stand({"Lead": 40})
    begun = org.now()
    org.advance(600)
    inside = org.create("Lead", 6)
    org.advance(600)
    ended = org.now()
    org.create("Lead", 3)
    await org.loaded()
    moved = inside[0]
    org.org.hard_delete(org.org.admin, "Lead", [moved])
    org.advance(900)
    await org.sabotage("UPDATE Lead SET Title='broken' WHERE Id IN (?, ?)", *inside[1:3])
    stretch = {"since": _iso(begun + 60_000), "until": _iso(ended - 60_000)}
    price, calls = await priced(org, **stretch)
    assert (price.rows, calls) == (6, 1)
    done, calls = await asked(org, **stretch)
    assert (done.fetched, done.repaired, done.api_calls) == (6, 3, calls)
    assert abs(calls - (price.api_calls or 0)) <= 2  # the one that is gone is looked for
    assert await org.equal("Lead") == 48


async def test_a_column(stand: Standing) -> None:
    """One Bulk job of Id and the column; only rows that differ are written; the journal says by whom."""
    org = await (await stand({"Lead": 300})).loaded()
    await org.sabotage(f"UPDATE Lead SET Email='broken' WHERE Id {AMONG}", org.ids("Lead")[::10])
    price, _ = await priced(org, fields=["email"])
    done, calls = await asked(org, fields=["email"])
    assert (done.repaired, done.bulk_jobs) == (30, price.bulk_jobs)
    assert abs(calls - (price.api_calls or 0)) <= 1
    assert done.api_calls == calls
    (entry,) = await org.journal("repair")
    assert (entry.source, entry.message) == ("repair", "Email read again for every row: 30 rows differed")
    assert await org.equal("Lead") == 300


async def test_too_much_for_single_records(stand: Standing, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stretch of very many records is refused with what is cheaper, before it costs more than the count."""
    monkeypatch.setattr("rtsd.control.repairs.MOST_RECORDS", 30)
    org = await (await stand({"Lead": 40})).loaded()
    org.advance(600)
    before = await org.calls()
    with pytest.raises(Conflict, match="rtsd audit Lead --full"):
        await asked(org, since="2000-01-01T00:00:00Z")
    assert await org.cost(before) == 1


def _iso(moment: int) -> str:
    from rtsd.core.instant import to_iso

    return to_iso(moment)
