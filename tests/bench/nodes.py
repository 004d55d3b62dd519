"""Pushes to one node and to three that share a PostgreSQL, and how late a follower's feed is."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable

from rtsd.core.instant import from_iso
from rtsd.core.percentile import percentiles
from tests.bench.pushes import OBJECT, RECORDS, Fired, fire, order
from tests.bench.report import Report, middle, rounded, spread
from tests.support import postgres
from tests.support.processes.daemon import Daemon
from tests.support.processes.nodes import Nodes
from tests.support.processes.rig import standing
from tests.support.waiting import eventually

NAMES = ("a", "b", "c")
FEED_P99_MS = 500
FOLLOWED = 1_000
"""Changes on the follower's feed."""


async def run(options: argparse.Namespace) -> Report:
    """Fire at one node, then at all three at once, in turn; then edit at a pace and follow at a follower."""
    alone, together = list[list[Fired]](), list[list[Fired]]()
    with postgres.cluster() as url:
        async with standing({OBJECT: RECORDS}) as rig:
            nodes = Nodes(rig, url)
            leader = await (await nodes.launch("a")).ready()
            await leader.live()
            for name in NAMES[1:]:
                await nodes.launch(name)
            for name in NAMES:
                await eventually(lambda name=name: nodes.commits(name), f"{name} takes pushes")
            what, number, share = await order(rig), 0, options.pushes // len(NAMES)
            for _ in range(options.rounds):
                aimed = {"first": number, "count": options.pushes, "port": nodes.ports["a"]}
                alone.append(await _applied(leader, fire(what | aimed)))
                number += options.pushes
                shares = [
                    fire(what | {"first": number + place * share, "count": share, "port": nodes.ports[name]})
                    for place, name in enumerate(NAMES)
                ]
                together.append(await _applied(leader, *shares))
                number += options.pushes
            late = await _lateness(nodes)
    return _report(options.pushes, alone, together, late)


async def _applied(leader: Daemon, *firing: Awaitable[Fired]) -> list[Fired]:
    """Fire, and wait until all is in the mirror; `applied` is the rate of that."""
    begun = time.perf_counter()
    fired = await asyncio.gather(*firing)
    signing = max(salvo.applied for salvo in fired)
    await leader.settled(within=300)
    for salvo in fired:
        salvo.applied = time.perf_counter() - begun - signing
    return list(fired)


async def _lateness(nodes: Nodes) -> list[int]:
    """Edit at a pace; how many ms after its moment in the journal each change came to a follower."""
    late: list[int] = []
    await nodes.rig.install_package()
    await nodes.aim("c")
    async with nodes.running["b"].following(OBJECT) as changes:
        await nodes.rig.org.control("activity", {"rate": 50, "objects": [OBJECT], "seed": 4})
        async for change in changes:
            late.append(round(time.time() * 1000) - from_iso(change.at))
            if len(late) == FOLLOWED:
                break
    await nodes.rig.org.control("activity", method="DELETE")
    return late


def _report(pushes: int, alone: list[list[Fired]], together: list[list[Fired]], late: list[int]) -> Report:
    head = ("", "pushes/s", "range", "p50 ms", "p99 ms", "applied/s")
    report = Report("Durable one-change pushes to nodes that share a PostgreSQL", head)
    for name, rounds in (("one node", alone), (f"{len(NAMES)} nodes at once", together)):
        rates = [sum(salvo.rate for salvo in fired) for fired in rounds]
        report.rows.append(
            (
                name,
                f"{middle(rates):,.0f}",
                spread(rates),
                f"{middle([max(salvo.p50 for salvo in fired) for fired in rounds]):.1f}",
                f"{middle([max(salvo.p99 for salvo in fired) for fired in rounds]):.1f}",
                f"{middle([pushes / max(salvo.applied for salvo in fired) for fired in rounds]):,.0f}",
            )
        )
    p50, p99 = percentiles(late, (50, 99)) or (0, 0)
    met = "met" if p99 < FEED_P99_MS else "MISSED"
    report.notes.append(
        f"a follower's feed after the journal's moment: p50 {p50} ms, p99 {p99} ms;"
        f" wanted: p99 under {FEED_P99_MS} ms: {met}"
    )
    report.numbers = rounded(
        {
            "one": middle([sum(salvo.rate for salvo in fired) for fired in alone]),
            "three": middle([sum(salvo.rate for salvo in fired) for fired in together]),
            "feed_p99_ms": p99,
        }
    )
    return report
