"""What a load and a day are said to cost before, and what the org counts for them: see `prices.fits`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rtsd.core.mode import Mode
from rtsd.sync import audit
from rtsd.workflows import check
from tests.support.inprocess.prices import (
    EIGHT,
    FILTERED,
    SHARE,
    Prepare,
    at_noon,
    by_rest,
    drawn,
    fits,
    of,
    recent,
    recent_and_filtered,
    stampless,
    told,
    wide,
)
from tests.support.inprocess.stand import Stand, Standing

LOADS: dict[str, Prepare] = {
    "nothing to load": of({"Lead": 0}),
    "a small object": of({"Lead": 300}),
    "eight small objects": of(dict.fromkeys(EIGHT, 40)),
    "a large object": of({"Lead": 20_000}),
    "a filtered object": FILTERED,
    "a wide object": wide,
    "without stamps": stampless,
    "many recent rows": recent,
    "many recent rows, filtered": recent_and_filtered,
    "refused by Bulk": by_rest,
    "with a gateway": of({"Lead": 300}, listen="127.0.0.1:0"),
}


@pytest.mark.parametrize("shape", LOADS)
async def test_a_first_load(stand: Standing, shape: str, measured: Callable[[str], None]) -> None:
    """`rtsd check` prices the load; the bill is what the org and the ledger count for it."""
    org = await LOADS[shape](stand)
    report = await check.inspect(org.configuration())
    price = report.priced().estimate
    assert price is not None, report.problems
    before = await org.calls()
    await org.loaded()
    if org.parts.services.package_probe is not None:
        await org.parts.services.package_probe.step()
    bill = await org.cost(before) + 1  # the org does not count the question who we are
    measured(f"first load, {shape}: price {told(price)}, bill {bill}")
    assert await drawn(org) == bill
    assert fits(price, bill), f"{told(price)} for {bill}"
    assert price.bulk_jobs == (await org.calls())["bulk_jobs"] or shape == "refused by Bulk"


async def test_a_load_of_many_pages(
    stand: Standing, monkeypatch: pytest.MonkeyPatch, measured: Callable[[str], None]
) -> None:
    """The price goes by the pages that are read, whatever their size."""
    monkeypatch.setattr(audit, "PAGE", 250)
    org = await at_noon(stand, {"Lead": 5_000})
    price = (await check.inspect(org.configuration())).priced().estimate
    assert price is not None
    before = await org.calls()
    await org.loaded()
    bill = await org.cost(before) + 1
    measured(f"first load, many pages: price {told(price)}, bill {bill}")
    assert fits(price, bill), f"{told(price)} for {bill}"


# -- an idle day -------------------------------------------------------------------------------------
DAYS: dict[str, Prepare] = {
    "a filtered object": of({"Lead": 300}, objects={"Lead": {"where": "Rating = 'Hot'"}}),
    "without stamps": stampless,
    "formulas": of({"Contact": 3_000}, formula_refresh="4h"),
}


@pytest.mark.parametrize("shape", DAYS)
async def test_a_day_of_interval_sync(stand: Standing, shape: str, measured: Callable[[str], None]) -> None:
    """Windows, describes, fingerprints and refreshes of a day without a change."""
    org = await DAYS[shape](stand)
    report = await check.inspect(org.configuration())
    await org.loaded()
    before = await org.calls()
    await _day(org)
    bill = await org.cost(before)
    assert report.idle is not None
    measured(f"idle day by Interval Sync, {shape}: price {report.idle.interval}, bill {bill}")
    assert report.idle.interval == pytest.approx(bill, rel=SHARE)


async def test_a_day_of_heartbeats(stand: Standing, measured: Callable[[str], None]) -> None:
    """The package is installed and nothing changes: proofs of idleness, describes, fingerprints."""
    org = await at_noon(stand, {"Lead": 40, "Account": 20}, listen="127.0.0.1:0")
    report = await check.inspect(org.configuration())
    await org.loaded()
    await org.install_package("Lead", "Account")
    org.update("Lead", org.ids("Lead")[:1], Title="the channel works")
    await org.pushed()
    assert org.parts.channel.mode.mode is Mode.REAL_TIME
    await org.read()
    before = await org.calls()
    await _day(org)
    bill = await org.cost(before)
    assert report.idle is not None
    measured(f"idle day of heartbeats: price {report.idle.real_time}, bill {bill}")
    assert report.idle.real_time == pytest.approx(bill, rel=SHARE)


async def _day(org: Stand) -> None:
    """Let a day pass, with what the daemon's loops do every five minutes."""
    services = org.parts.services
    for _ in range(288):
        org.advance(300)
        if org.parts.gateway is not None:
            await org.beat()
            await services.silence_watch.step()
            await org.probe_package()
        for service in (services.loader, services.interval_sync, services.checks):
            await org.parts.runner.step(service)
