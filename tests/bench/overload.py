"""Five times the pushes that rtsd can take: what it still takes, how soon, and how soon it refuses the rest.

Sustainable is what 128 connections get through that each wait for their answers. Then the open-loop load
generator offers five times as many, over kept connections and over a new one for each push, up to 3,000 at
once; what is refused comes again after a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any

from tests.bench import pushes
from tests.bench.report import Report, middle, rounded
from tests.support.processes.rig import standing

FACTOR = 5
SECONDS = 10
PATIENT = 128
"""Connections that wait for their answers."""
MOST = 3_000
SHARE, P99_MS = 0.7, 1_000
"""The floor of the goodput, as a share of the sustainable rate, and the ceiling of its p99."""


async def run(options: argparse.Namespace) -> Report:
    """Measure the sustainable rate, then offer more."""
    head = ("", "offered/s", "accepted/s", "share", "p50 ms", "p99 ms", "refused/s", "its p99 ms", "cut/s")
    report = Report(f"Overload, {FACTOR} times the sustainable rate, {MOST:,} connections", head)
    async with standing({pushes.OBJECT: pushes.RECORDS}) as rig:
        daemon = await rig.start("prlimit", "--nofile=8192:8192")
        await daemon.live()
        what = await pushes.order(rig) | {"port": rig.port}
        number, rates, shares, p99s = 0, [], [], []
        for _ in range(options.rounds):
            count = options.pushes
            patient = await pushes.fire(what | {"first": number, "count": count, "connections": PATIENT})
            number += count
            await daemon.settled(within=120)
            offered = patient.rate * FACTOR
            flood = what | {
                "first": number,
                "count": int(offered * SECONDS),
                "rate": offered,
                "connections": MOST,
            }
            told = await _flood(flood)
            number += int(offered * SECONDS)
            await daemon.settled(within=120)
            answers, seconds = told["answers"], told["seconds"]
            rates.append(patient.rate)
            shares.append(answers.get("200", 0) / seconds / patient.rate)
            p99s.append(told["p99_ms"])
            report.rows.append(
                (
                    f"sustainable {patient.rate:,.0f}/s (p99 {patient.p99:.0f} ms)",
                    f"{offered:,.0f}",
                    f"{answers.get('200', 0) / seconds:,.0f}",
                    f"{shares[-1]:.0%}",
                    f"{told['p50_ms']:.0f}",
                    f"{told['p99_ms']:.0f}",
                    f"{answers.get('503', 0) / seconds:,.0f}",
                    f"{told['refused_p99_ms']:.0f}",
                    f"{(answers.get('0', 0) + answers.get('no connection left', 0)) / seconds:,.0f}",
                )
            )
    met = middle(shares) >= SHARE and middle(p99s) < P99_MS
    report.notes.append(f"floor: {SHARE:.0%} with a p99 under {P99_MS:,} ms: {'met' if met else 'MISSED'}")
    report.numbers = rounded({"sustainable": middle(rates), "share": middle(shares), "p99_ms": middle(p99s)})
    return report


async def _flood(what: dict[str, Any]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *("prlimit", "--nofile=8192:8192", sys.executable, "-m", "tests.bench.flood"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate(json.dumps(what).encode())
    told: dict[str, Any] = json.loads(out)
    return told
