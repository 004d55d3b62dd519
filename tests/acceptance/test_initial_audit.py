"""`initial_audit = "ask"`: nothing is read before an operator asks; what interrupts the audit is resumed."""

from __future__ import annotations

import asyncio

import pytest

from rtsd.core.instant import from_iso
from rtsd.core.quota import API_REQUESTS
from rtsd.errors import Conflict, QuotaExhausted
from rtsd.store import audits
from rtsd.sync import audit
from tests.support.inprocess.stand import Stand, Standing


async def asking(stand: Standing, records: int, **options: object) -> Stand:
    """Leads that are described and not loaded; sessions do not end by themselves."""
    org = await stand({"Lead": records}, initial_audit="ask", **options)
    await org.simulated.control("switches", {"session_minutes": 9_999})
    await org.start()
    await org.load()
    return org


async def under_way(org: Stand) -> asyncio.Task[object]:
    """Ask for the audit; return the request once some rows were read."""
    request = asyncio.create_task(org.audit("Lead", full=True))
    while not (await org.state("Lead")).rows:  # noqa: ASYNC110 - the mirror has no event
        await asyncio.sleep(0.005)
    return request


async def killed(org: Stand, request: asyncio.Task[object]) -> None:
    """End the daemon as a kill does: nothing is written down any more."""
    (running,) = [task for task in asyncio.all_tasks() if task.get_name() == "audit Lead"]
    running.cancel()
    await asyncio.gather(running, request, return_exceptions=True)
    org.cut_off += 1
    await org.stop()


async def test_nothing_is_read_before_it_is_asked_for(stand: Standing) -> None:
    """Described and pending, however often it is due; asked for, it is loaded, and the request is over."""
    org = await asking(stand, 30)
    for _ in range(3):
        org.advance(3_600)
        await org.load()
    lead = await org.state("Lead")
    assert (lead.state, lead.rows) == ("pending", 0)
    await org.audit("Lead", full=True)
    assert (await org.state("Lead")).state == "live"
    assert await audits.requested(org.parts.base.database) == set()
    assert await org.equal("Lead") == 30


async def test_an_audit_that_quota_defers_is_resumed(
    stand: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on by itself where it was, once there is quota again."""
    monkeypatch.setattr(audit, "PAGE", 250)
    org = await asking(stand, 5_000, quota={"daily.api_requests": 20})
    with pytest.raises(QuotaExhausted):
        await org.audit("Lead", full=True)
    lead = await org.state("Lead")
    assert (lead.state, lead.goes_on_at is None) == ("deferred", False)
    before = await org.calls()
    await org.load()
    assert await org.cost(before) == 0
    org.advance(from_iso(str(lead.goes_on_at)) / 1000 - org.now() / 1000 + 120)
    await org.load(past_pauses=False)
    assert (await org.state("Lead")).state == "live"
    assert await org.equal("Lead") == 5_000
    assert (await org.calls())["bulk_jobs"] == 1


async def test_an_audit_without_quota_for_its_first_call_is_resumed(stand: Standing) -> None:
    """Nothing was read yet, and no progress is stored: the request is."""
    org = await asking(stand, 40)
    await org.simulated.control("limits", {"use": {API_REQUESTS: 85_000}})
    await org.parts.base.client.count("SELECT COUNT() FROM Lead", purpose="why")  # any answer tells
    with pytest.raises(QuotaExhausted):
        await org.audit("Lead", full=True)
    assert await audits.under_way(org.parts.base.database) == []
    await org.stop()
    await org.start()
    await org.load()
    assert (await org.state("Lead")).state == "deferred"
    org.advance(24 * 3_600)
    await org.load()
    await org.load()
    assert (await org.state("Lead")).state == "live"
    assert await org.equal("Lead") == 40


async def test_an_audit_that_a_restart_interrupts_is_resumed(
    stand: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the middle: the next start goes on in the same job, without being asked again."""
    monkeypatch.setattr(audit, "PAGE", 500)
    org = await asking(stand, 10_000)
    await killed(org, await under_way(org))
    await org.start()
    await org.load()
    assert (await org.state("Lead")).state == "live"
    assert await org.equal("Lead") == 10_000
    assert (await org.calls())["bulk_jobs"] == 1


async def test_an_audit_under_way_is_not_begun_twice(
    stand: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loader, for which the object is due, leaves it to the operator's audit."""
    monkeypatch.setattr(audit, "PAGE", 500)
    org = await asking(stand, 5_000)
    request = asyncio.create_task(org.audit("Lead", full=True))
    await asyncio.sleep(0)
    while not request.done():
        await org.load()
        await asyncio.sleep(0.01)
    await request
    assert (await org.calls())["bulk_jobs"] == 1
    with pytest.raises(Conflict):
        await asyncio.gather(
            org.parts.services.loader.load(org.parts.base.catalog["Lead"]),
            org.parts.services.loader.load(org.parts.base.catalog["Lead"]),
        )
