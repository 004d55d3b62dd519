"""The proof at the end of the demo: mirror and org compared, row by row and value by value."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rtsd.control.client import ControlClient
from rtsd.control.protocol import Status
from rtsd.core.dead_letter import explanation
from rtsd.core.plural import plural
from rtsd.workflows.demo.compare import Difference, compare
from rtsd.workflows.demo.environment import Environment
from rtsd.workflows.demo.feed import FeedMonitor

SETTLE_S = 90.0
"""Maximum seconds until mirror and org are equal after the last change."""
_POLL_S = 0.25

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Proof:
    """What the comparison found, and what the demo did and cost until then."""

    compared: list[Difference]
    changes: int
    by_source: Mapping[str, int]
    freshness_ms: Mapping[str, int | None]
    lost_pushes: int
    missed: int
    """Changes that came without a push: a lost push may name many, and its retry bring them."""
    dead: tuple[str, ...]
    """Why the changes in dead letters were not applied."""
    api_calls: int
    calls_after: int | None
    """Those since the dashboard has closed; None without one."""
    daemon_peak_mb: float | None

    @property
    def is_equal(self) -> bool:
        """True if mirror and org hold the same records with the same values."""
        return all(difference.equal for difference in self.compared)

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "equal": self.is_equal,
            "objects": {
                difference.name: {
                    "rows": difference.rows,
                    "missing": difference.missing,
                    "stale": difference.stale,
                    "orphaned": difference.orphaned,
                }
                for difference in self.compared
            },
            "changes": self.changes,
            "by_source": dict(self.by_source),
            "freshness_ms": dict(self.freshness_ms),
            "lost_pushes": self.lost_pushes,
            "missed": self.missed,
            "dead_letters": list(self.dead),
            "api_calls": self.api_calls,
            "daemon_peak_mb": self.daemon_peak_mb,
        }

    def lines(self) -> Iterator[str]:
        """Yield it as text for people."""
        yield f"{'OBJECT':<18} {'ROWS':>9} {'VALUES':>11}  DIFFERENCES"
        for found in self.compared:
            yield f"{found.name:<18} {found.rows:>9,} {found.values:>11,}  {found.wrong:,}"
        rows, values, wrong = (
            sum(getattr(found, name) for found in self.compared) for name in ("rows", "values", "wrong")
        )
        yield f"{'all':<18} {rows:>9,} {values:>11,}  {wrong:,}"
        yield ""
        missed = plural(self.missed, "change")
        yield f"pushes lost   {self.lost_pushes:,}; {missed} came without a push"
        yield f"changes lost  {wrong:,}"
        if self.dead:
            yield f"dead letters  {len(self.dead):,}, not applied: {'; '.join(dict.fromkeys(self.dead))}"
        yield f"changes seen  {self.changes:,}"
        since = "" if self.calls_after is None else f"; {self.calls_after:,} since the dashboard closed"
        yield f"API calls     {self.api_calls:,} in all, the first load included{since}"


async def prove(
    demo: Environment,
    monitor: FeedMonitor,
    records: Mapping[str, int],
    say: Say,
    *,
    shown_calls: int | None = None,
) -> Proof:
    """Wait for the last push, and compare mirror and org; `shown_calls`: those that the dashboard showed."""
    await demo.org.control("package/drain")
    compared = await _compare_until_equal(demo, records)
    for difference in compared:
        for example in difference.examples:
            say(f"differs   {difference.name} {example}")
    status, stats = await demo.status(), await demo.org.control("stats", method="GET")
    async with ControlClient(demo.socket) as client:
        letters = await client.dead_letters()
    calls = calls_of(status)
    return Proof(
        compared=compared,
        changes=monitor.changes,
        by_source=monitor.by_source,
        freshness_ms=monitor.freshness(),
        lost_pushes=stats["pushes"]["lost"],
        missed=status.push.missed_24h,
        dead=tuple(explanation(letter.reason, letter.object).why for letter in letters),
        api_calls=calls,
        calls_after=None if shown_calls is None else calls - shown_calls,
        daemon_peak_mb=demo.peak_memory_mb(),
    )


def calls_of(status: Status) -> int:
    """Return rtsd's API calls, as the dashboard sums them up."""
    return sum(status.quota.calls_24h.values())


async def _compare_until_equal(demo: Environment, records: Mapping[str, int]) -> list[Difference]:
    """Compare each object until it is equal, or the time to settle is over.

    Interval Sync repairs the effects of lost pushes within a period or two.
    """
    deadline = asyncio.get_running_loop().time() + SETTLE_S
    compared = []
    for name in records:
        while True:
            await _until_applied(demo)
            found = await _compared(demo, name)
            if found.equal or asyncio.get_running_loop().time() >= deadline:
                compared.append(found)
                break
            await asyncio.sleep(1)
    return compared


async def _compared(demo: Environment, name: str) -> Difference:
    if not demo.store:
        return await compare(name, demo.org.rows(name), demo.mirror, demo.hashed(name))
    from rtsd.workflows.demo import postgres  # noqa: PLC0415 - an extra

    return await postgres.compare(name, demo.org.rows(name), demo.store, "salesforce", demo.hashed(name))


async def _until_applied(demo: Environment) -> None:
    """Wait until all received pushes are applied."""
    while (await demo.status()).inbox.pending:  # noqa: ASYNC110 - another process's state
        await asyncio.sleep(_POLL_S)
