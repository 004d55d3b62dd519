"""Acceptance cases 10 and 33 to 38: what the sync costs, what it leaves to others, and that it says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rtsd.core.instant import from_iso
from rtsd.core.mode import Mode, Signal
from rtsd.core.quota import API_REQUESTS, BULK_JOBS, BULK_MEGABYTES
from rtsd.salesforce.retry import Retrier, RetryPolicy
from rtsd.store import quota
from rtsd.sync import audit
from rtsd.workflows import check
from tests.support.inprocess.stand import Stand, Standing

DAY_S = 24 * 3600
HOUR_MS = 3_600_000


async def use(stand: Stand, name: str, amount: int) -> None:
    """Let others use some of a limit."""
    await stand.simulated.control("limits", {"use": {name: amount}})


async def held(stand: Stand) -> list[tuple[str, str, bool]]:
    """What the journal says of purposes held back (True) and let go on, in order."""
    details = [event.detail or {} for event in await stand.journal("quota")]
    return [(detail["purpose"], detail["limit"], detail["held"]) for detail in details if "held" in detail]


def used(stand: Stand, name: str = API_REQUESTS) -> int:
    """What everybody has used of a limit, by the org's own count."""
    assert stand.simulated.server is not None
    return stand.simulated.server.limits.used(name)


async def test_ac_10_a_load_without_quota_is_neither_done_nor_failed(
    stand: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how far it is and when it goes on, costs nothing meanwhile, and goes on where it was."""
    monkeypatch.setattr(audit, "PAGE", 250)
    org = await stand({"Lead": 5_000}, quota={"daily.api_requests": 20})
    await org.simulated.control("switches", {"session_minutes": 9_999})
    await org.start()
    await org.load()
    lead = await org.state("Lead")
    assert lead.state == "deferred"
    assert lead.error is not None
    assert lead.error.startswith(f"deferred at {100 * lead.progress:.0f} %: 18 of rtsd's own cap of 20")
    assert 0.2 < lead.progress < 0.8
    assert lead.goes_on_at is not None
    assert f"resumes about {lead.goes_on_at[:10]} {lead.goes_on_at[11:16]} UTC" in lead.error
    assert 0 < from_iso(lead.goes_on_at) - org.now() <= DAY_S * 1000
    rows, before = await org.rows_read(), await org.calls()
    for _ in range(5):
        await org.load()
    assert await org.cost(before) == 0
    assert await held(org) == [("audit", API_REQUESTS, True)]

    org.advance(from_iso(lead.goes_on_at) / 1000 - org.now() / 1000 + 1)
    await org.load(past_pauses=False)
    assert (await org.state("Lead")).state == "live"
    assert (await org.state("Lead")).goes_on_at is None
    assert await org.equal("Lead") == 5_000
    assert (await org.calls())["bulk_jobs"] == 1
    assert await org.rows_read() < rows + 5_000
    assert await held(org) == [("audit", API_REQUESTS, True), ("audit", API_REQUESTS, False)]


async def test_ac_10_windows_without_quota_defer_and_the_mode_stays(stand: Standing) -> None:
    """as_of tells how old the mirror is; once others leave room it goes on by itself, and is live at once."""
    org = await (await stand({"Lead": 20})).loaded()
    await org.simulated.control("switches", {"session_minutes": 9_999})
    await org.read()
    as_of = (await org.state("Lead")).as_of
    await use(org, API_REQUESTS, 85_000)
    org.advance(60)
    await org.parts.base.client.count("SELECT COUNT() FROM Lead", purpose="describe")  # any answer tells
    before = await org.calls()
    await org.read()
    lead = await org.state("Lead")
    assert (lead.state, lead.as_of) == ("deferred", as_of)
    assert "reserved for others" in str(lead.error)
    assert org.parts.channel.mode.mode is Mode.INTERVAL
    assert await org.cost(before) == 0
    (entry,) = await held(org)
    assert entry == ("interval", API_REQUESTS, True)

    await org.simulated.dml("create", "Lead", rows=[{"LastName": "Later", "Company": "C"}])
    org.advance(DAY_S)
    await org.read()
    await org.read()
    assert (await org.state("Lead")).state == "live"
    await org.equal("Lead")
    assert (await held(org))[1:] == [("interval", API_REQUESTS, False)]


async def test_ac_10_salesforces_own_refusal_defers_too(stand: Standing) -> None:
    """REQUEST_LIMIT_EXCEEDED is asked about ever more seldom, and is no error."""
    org = await stand({"Lead": 20})
    await org.start()
    fault = await org.simulated.fault("quota")
    await org.load()
    lead = await org.state("Lead")
    assert lead.state == "deferred"
    assert "TotalRequests Limit exceeded" in str(lead.error)
    before = await org.calls()
    for _ in range(24 * 6):
        org.advance(600)
        await org.load()
    assert 20 <= await org.cost(before) <= 40, "a day of looking whether there is quota again"
    assert len(await held(org)) == 1
    assert await org.journal("error") == []
    await org.simulated.control(f"faults?id={fault}", method="DELETE")
    org.advance(3600)
    await org.load()
    assert (await org.state("Lead")).state == "live"


async def test_ac_33_only_mirrored_objects_are_described_and_once_a_period(stand: Standing) -> None:
    """A describe per mirrored object at the start, a conditional one an hour, never a list of all."""
    org = await (
        await stand({"Lead": 20, "Account": 10, "Contact": 30}, objects={"Lead": {}, "Account": {}})
    ).loaded()
    assert (await org.calls())["describe"] == 2
    assert "describe_global" not in await org.calls()
    for _ in range(12):
        org.advance(300)
        await org.load()
    calls = await org.calls()
    assert calls["describe"] == 4


async def test_ac_34_bulk_jobs_have_a_budget_of_their_own(stand: Standing) -> None:
    """At the cap no job is made, through 20 restarts; the rest is deferred and named."""
    records = {"Lead": 20, "Account": 10, "Contact": 30}
    org = await stand(records, quota={"daily.bulk_jobs": 2})
    await org.start()
    await org.load()
    for _ in range(20):
        await org.stop()
        await org.start()
        await org.load()
    assert (await org.calls())["bulk_jobs"] == 2
    states = await org.states()
    assert sorted(state.state for state in states.values()) == ["deferred", "live", "live"]
    (waiting,) = [state for state in states.values() if state.state == "deferred"]
    assert "rtsd's own cap of 2 DailyBulkV2QueryJobs" in str(waiting.error)
    org.advance(DAY_S)
    await org.load()
    assert {state.state for state in (await org.states()).values()} == {"live"}


@pytest.mark.parametrize(("name", "highest"), [(BULK_JOBS, 10_000), (BULK_MEGABYTES, 976_562)])
async def test_ac_34_what_others_use_of_the_bulk_api_counts(stand: Standing, name: str, highest: int) -> None:
    """Jobs and megabytes are looked up before the first job, once an hour at most; the reserve stays."""
    org = await stand({"Lead": 20})
    await use(org, name, int(highest * 0.8))
    await org.start()
    await org.load()
    assert (await org.state("Lead")).state == "deferred"
    assert name in str((await org.state("Lead")).error)
    for _ in range(11):
        org.advance(300)
        await org.load()
    assert (await org.calls())["bulk_jobs"] == 0
    assert (await org.calls())["limits"] == 1
    org.advance(DAY_S)
    await org.load()
    assert (await org.state("Lead")).state == "live"


async def test_ac_34_limits_that_may_not_be_read_are_unknown_not_zero(stand: Standing) -> None:
    """Without View Setup and Configuration everything works; the limits are just not shown."""
    org = await stand({"Lead": 20})
    await org.simulated.fault("query_timeout", path="limits")
    await org.loaded()
    status = await org.parts.views.status()
    assert [limit.name for limit in status.quota.limits] == [API_REQUESTS]


async def test_ac_34_a_slow_job_is_asked_about_ever_less_often(stand: Standing) -> None:
    """Pauses double: a job of two seconds takes no more than seven looks."""
    org = await stand({"Lead": 20})
    await org.simulated.control("switches", {"bulk_run_s": 2.0})
    await org.loaded()
    assert 3 <= (await org.calls())["bulk_poll"] <= 7


async def test_ac_35_retries_have_an_hourly_budget_and_are_counted(stand: Standing) -> None:
    """An org that fails every call costs its first tries and the budget; the ledger has every one of them."""
    org = await (await stand({"Lead": 20})).loaded()
    exchange = org.parts.base.client.exchange
    policy = RetryPolicy(first_pause_s=0.001, longest_pause_s=0.001, per_hour=6)
    exchange.retrier = Retrier(policy, org.now, asyncio.sleep)
    await org.simulated.fault("503")
    before = await org.calls()
    for _ in range(10):
        org.advance(60)
        await org.read()
    spent = await org.cost(before)
    assert spent == 10 + policy.per_hour
    stats = await org.simulated.stats()
    ledger = await quota.spent_by_resource(org.parts.base.database, 0)
    assert ledger[API_REQUESTS] == stats["api_calls"] + 1, "who-am-I is not counted by the org"
    org.advance(3600)
    await org.read()
    assert await org.cost(before) == spent + policy.attempts


async def test_ac_36_exhaustion_is_told_before_it_happens(stand: Standing) -> None:
    """Status says when the limit runs out, the journal once, while there is plenty left."""
    org = await (await stand({"Lead": 20})).loaded()
    await use(org, API_REQUESTS, 40_000)
    for _ in range(12):
        org.advance(300)
        await use(org, API_REQUESTS, 500)
        await org.read()
    status = await org.parts.views.status()
    limit = next(limit for limit in status.quota.limits if limit.name == API_REQUESTS)
    assert limit.remaining > 50_000
    assert limit.exhausted_at is not None
    assert limit.stops_at == limit.max * 0.8, "the reserve"
    left = from_iso(limit.exhausted_at) - org.now()
    assert left == pytest.approx(limit.remaining / 6_000 * HOUR_MS, rel=0.2)
    warnings = [
        event for event in await org.journal("quota") if "at the rate of the last hour" in str(event.message)
    ]
    assert len(warnings) == 1
    assert status.quota.calls_24h.keys() >= {"audit", "interval", "repair", "describe", "package"}
    assert status.quota.calls_24h["repair"] == 0
    async with org.client() as client:
        history = await client.quota_history()
    samples = [sample for sample in history.usage if sample.name == API_REQUESTS]
    assert 10 <= len(samples) <= 14
    assert samples[-1].used - samples[0].used > 5_000 > samples[-1].used_by_us
    assert sum(hour.calls for hour in history.hours) == sum(status.quota.calls_24h.values())


async def test_a_minute_of_timeouts_costs_little(stand: Standing) -> None:
    """Every query of four objects times out: each object backs off, and no query is divided in vain."""
    objects = ("Lead", "Contact", "Account", "Task")
    org = await (await stand(dict.fromkeys(objects, 50))).loaded()
    await org.simulated.fault("query_timeout", path="query", count=100_000)
    org.advance(600)
    before = await org.calls()
    services = org.parts.services
    for _ in range(12):
        org.advance(5)
        await org.parts.runner.step(services.interval_sync)
        await org.parts.runner.step(services.loader)
        await org.parts.runner.step(services.checks)
    spent = await org.cost(before)
    assert spent <= 80, f"{spent} calls"
    assert {shown.state for shown in (await org.states()).values()} == {"incomplete"}
    await org.simulated.control("faults", method="DELETE")
    org.advance(120)
    await org.read()
    await org.load()
    assert {shown.state for shown in (await org.states()).values()} == {"live"}


async def test_a_failing_fingerprint_holds_up_no_other(stand: Standing) -> None:
    """The first object cannot be counted; the next one is checked all the same, and the first backs off."""
    org = await (await stand({"Lead": 20, "Account": 20})).loaded()
    org.advance(7 * 3_600)
    await org.simulated.fault("query_timeout", path="query", count=3)
    lead, account = org.parts.base.catalog
    checked = lead.stored.checked_at, account.stored.checked_at
    before = await org.calls()
    for _ in range(5):
        org.advance(5)
        await org.parts.runner.step(org.parts.services.checks)
    assert lead.stored.checked_at == checked[0]
    assert account.stored.checked_at != checked[1]
    assert (await org.calls() - before)["query"] == 4
    org.advance(30)
    await org.parts.runner.step(org.parts.services.checks)
    assert lead.stored.checked_at != checked[0]


async def test_ac_37_the_reserve_is_for_others_and_each_purpose_stops_in_its_turn(
    stand: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 1,000 calls 200 are never touched: full reads stop first, then windows, then repairs."""
    monkeypatch.setattr(audit, "PAGE", 100)
    org = await stand({"Lead": 5_000, "Account": 20}, objects={"Account": {}, "Lead": {}})
    await org.simulated.control("limits", {API_REQUESTS: 1_000})
    await use(org, API_REQUESTS, 680)
    await org.start()
    await org.load()
    assert 715 <= used(org) <= 717, "audits leave a tenth to what is more urgent"
    states = await org.states()
    assert (states["Account"].state, states["Lead"].state) == ("live", "deferred")
    (limit,) = [
        limit for limit in (await org.parts.views.status()).quota.limits if limit.name == API_REQUESTS
    ]
    ours = (await org.simulated.stats())["api_calls"] + 1
    assert (limit.used_by_us, limit.used_by_others) == (ours, pytest.approx(680, abs=1))

    await use(org, API_REQUESTS, 757 - 717 - 1)
    await org.read()
    await org.read()
    assert (await org.state("Account")).state == "deferred"
    assert used(org) <= 758, "windows leave a twentieth, but for a look whether there is room again"
    record = next(iter([row["Id"] async for row in org.simulated.rows("Account")]))
    async with org.client() as client:
        assert (await client.repair("Account", [record])).fetched == 1
    await use(org, API_REQUESTS, 900 - used(org))
    before = await org.calls()
    for _ in range(10):
        await org.read()
        await org.load()
    assert await org.cost(before) <= 5, "ten minutes of looking ever more seldom"
    purposes = [purpose for purpose, _, _ in await held(org)]
    assert purposes[:2] == ["audit", "interval"]


async def test_ac_37_calls_at_once_do_not_pass_a_cap_together(stand: Standing) -> None:
    """Twenty calls at the same moment, five places: five go."""
    org = await (await stand({"Lead": 20}, quota={"daily.api_requests": 40})).loaded()
    ledger = org.parts.base.client.ledger
    before = (await quota.spent_by_resource(org.parts.base.database, 0))[API_REQUESTS]
    places = 40 - before
    results = await asyncio.gather(
        *(ledger.spend("describe", API_REQUESTS, 1) for _ in range(places + 15)), return_exceptions=True
    )
    assert sum(1 for result in results if result is None) == places


SIZES: list[dict[str, int]] = [
    {"Lead": 0},
    {"Lead": 300},
    {"Contact": 4_000, "Account": 200, "Opportunity": 800},
    {"Lead": 20_000},
]


@pytest.mark.parametrize("records", SIZES, ids=str)
async def test_ac_38_the_estimate_is_within_a_fifth_of_the_bill(
    stand: Standing, records: dict[str, int], measured: Callable[[str], None]
) -> None:
    """Rows, calls, jobs, megabytes: what `rtsd check` says, and what the org counts for the load."""
    org = await stand(records, objects={name: {} for name in records})
    report = await check.inspect(org.configuration())
    before = await org.calls()
    await org.loaded()
    bill: dict[str, Any] = {
        "api_calls": await org.cost(before) + 1,
        "bulk_jobs": (await org.calls())["bulk_jobs"],
    }
    assert report.cost is not None
    drawn = await quota.spent_by_resource(org.parts.base.database, 0)
    measured(f"{records}: {report.cost} for {bill}, {drawn}")
    assert report.cost.rows == sum(records.values())
    assert report.cost.bulk_jobs == bill["bulk_jobs"] == drawn[BULK_JOBS]
    assert report.cost.api_calls == pytest.approx(bill["api_calls"], rel=0.2)
    assert drawn[API_REQUESTS] == bill["api_calls"]
    assert report.cost.mb == pytest.approx(drawn[BULK_MEGABYTES], rel=0.2, abs=len(records))


@pytest.mark.parametrize("mode", ["real_time", "interval"])
async def test_ac_38_a_day_on_which_nothing_happens_is_priced_too(
    stand: Standing, mode: str, measured: Callable[[str], None]
) -> None:
    """Real time costs its hourly conditional describes and the fingerprints, Interval Sync its windows."""
    org = await stand({"Lead": 20, "Account": 10})
    report = await check.inspect(org.configuration())
    await org.loaded()
    runner, services = org.parts.runner, org.parts.services
    if mode == "real_time":
        await org.read()
        await org.parts.channel.mode.observe(Signal.PUSH)
        assert org.parts.channel.mode.mode is Mode.REAL_TIME
        await runner.step(services.interval_sync)
    before = await org.calls()
    for _ in range(288):
        org.advance(300)
        for service in (services.loader, services.interval_sync, services.checks):
            await runner.step(service)
    assert report.idle is not None
    bill = await org.cost(before)
    by_kind = dict(await org.calls() - before)
    measured(f"idle day, {mode}: {report.idle}, bill {bill}: {by_kind}")
    assert report.idle.document()[mode] == pytest.approx(bill, rel=0.2)
    if mode == "real_time":
        assert by_kind["describe"] == 2 * 24
