"""What an audit will cost, as `rtsd check` and `rtsd audit --dry-run` show it (contract section 5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rtsd.logs import clean

_SUMMED = ("rows", "api_calls", "bulk_jobs", "mb", "minutes")


def sum_of(prices: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Add several `{"estimate":…,"problems":…}` up: one audit runs after the other."""
    estimates = [price.get("estimate", {}) for price in prices]
    total: dict[str, Any] = {what: sum(one.get(what, 0) for one in estimates) for what in _SUMMED}
    share: dict[str, float] = {}
    for one in estimates:
        for limit, part in one.get("share_of_daily", {}).items():
            share[limit] = share.get(limit, 0.0) + part
    total["share_of_daily"] = share
    return {"estimate": total, "problems": [what for price in prices for what in price.get("problems", [])]}


def estimate_lines(priced: dict[str, Any], what: str = "audit") -> Iterator[str]:
    """Yield the lines for people: the cost where it is known, then each problem with what to do about it."""
    if priced["estimate"] is not None:
        yield from _cost_lines(priced["estimate"], what)
    for problem in priced["problems"]:
        yield f"problem   {clean(str(problem['what']))}"
        yield f"          {clean(str(problem['do']))}"


def _cost_lines(cost: dict[str, Any], what: str) -> Iterator[str]:
    yield (
        f"{what:10}{cost['rows']:,} rows, {cost['mb']:,.1f} MB, {cost['minutes']:,.1f} min, "
        f"{cost['api_calls']:,} API calls, {cost['bulk_jobs']:,} bulk jobs"
    )
    for limit, part in cost["share_of_daily"].items():
        yield f"          {part:.2f} % of {clean(limit)} a day"
