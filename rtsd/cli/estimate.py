"""The price of work, as `rtsd check`, `rtsd audit --dry-run` and `rtsd repair --dry-run` show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click
import msgspec

from rtsd.control.protocol import Estimate, Priced
from rtsd.core.plural import plural
from rtsd.logs import clean


def sum_of(prices: Sequence[Priced]) -> Priced:
    """Add prices up: one piece of work runs after the other."""
    total = Estimate(rows=0, api_calls=0, api_calls_with_repairs=0, bulk_jobs=0, mb=0.0, minutes=0.0)
    for estimate in (priced.estimate for priced in prices if priced.estimate is not None):
        total = _added(total, estimate)
    return Priced(estimate=total, problems=[problem for priced in prices for problem in priced.problems])


def _added(total: Estimate, more: Estimate) -> Estimate:
    share = dict(total.share_of_daily)
    for limit, part in more.share_of_daily.items():
        share[limit] = share.get(limit, 0.0) + part
    return Estimate(
        rows=(total.rows or 0) + (more.rows or 0),
        api_calls=(total.api_calls or 0) + (more.api_calls or 0),
        api_calls_with_repairs=most_calls(total) + most_calls(more),
        bulk_jobs=(total.bulk_jobs or 0) + (more.bulk_jobs or 0),
        mb=(total.mb or 0) + (more.mb or 0),
        minutes=(total.minutes or 0) + (more.minutes or 0),
        share_of_daily=share,
    )


def show_price(priced: Priced, work: str, *, as_json: bool) -> int:
    """Print a price; return the exit status."""
    click.echo(msgspec.json.encode(priced) if as_json else "\n".join(estimate_lines(priced, work)))
    return 1 if priced.problems else 0


def most_calls(estimate: Estimate) -> int:
    """Return the calls with repairs; an older daemon does not estimate them."""
    return max(estimate.api_calls_with_repairs or 0, estimate.api_calls or 0)


def estimate_lines(priced: Priced, work: str = "audit") -> Iterator[str]:
    """Yield the lines for people: the cost where it is known, then each problem with its remedy."""
    if priced.estimate is not None:
        yield from _cost_lines(priced.estimate, work)
    for problem in priced.problems:
        yield f"problem   {clean(problem.what)}"
        yield f"          {clean(problem.do)}"


def _cost_lines(cost: Estimate, work: str) -> Iterator[str]:
    calls, most = plural(cost.api_calls or 0, "API call"), most_calls(cost)
    if most > (cost.api_calls or 0):
        calls += f" (up to {most:,} with repairs)"
    yield (
        f"{work:10}{plural(cost.rows or 0, 'row')}, {cost.mb or 0:,.1f} MB, {cost.minutes or 0:,.1f} min, "
        f"{calls}, {plural(cost.bulk_jobs or 0, 'bulk job')}"
    )
    for limit, part in cost.share_of_daily.items():
        yield f"          {part:.2f} % of {clean(limit)} a day"
