"""Durable one-change pushes a second against a bare aiohttp handler that reads and decodes the same body.

The same load generator, a process of its own, fires the same pushes at both in turn. The daemon verifies,
commits each push durably before it answers, and applies it meanwhile; `applied/s` counts until the last
change is in the mirror.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.bench.report import Report, middle, ratio, rounded, spread
from tests.support.processes.daemon import Daemon
from tests.support.processes.rig import TOKEN, Rig, standing

CPU_US = 300
"""What a push may cost: verified, durable, applied."""
OBJECT = "Contact"
RECORDS = 1_000
CONNECTIONS = 32
WARM_UP = 500


@dataclass
class Fired:
    """One round against one of them."""

    rate: float
    p50: float
    p99: float
    client_busy: float
    """Share of a core that the load generator took: near 1 it would be what is measured."""
    applied: float = 0.0
    cpu_us: float = 0.0
    """CPU of the daemon for a push, until the last is in the mirror."""


async def order(rig: Rig) -> dict[str, Any]:
    """What every round sends: updates of the org's own records, with every field."""
    return order_of(rig, [row async for row in rig.org.rows(OBJECT)])


def order_of(rig: Rig, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Updates of these records, with every field."""
    return {
        "object": OBJECT,
        "org": rig.org.info["org_id"],
        "token": TOKEN,
        "stamp": time.strftime("%Y-%m-%dT%H:%M:%S.000+0000", time.gmtime()),
        "rows": list(rows),
        "connections": CONNECTIONS,
        "base": int(time.time()),
    }


async def run(options: argparse.Namespace) -> Report:
    """Fire at both in turn."""
    ours: list[Fired] = []
    bare: list[Fired] = []
    async with standing({OBJECT: RECORDS}) as rig, _bare() as bare_port:
        daemon = await rig.start()
        await daemon.live()
        what = await order(rig)
        number = 0
        for port in (rig.port, bare_port):
            number = await _warm(what, port, number)
        await daemon.settled()
        for _ in range(options.rounds):
            begun, cpu = time.perf_counter(), daemon.cpu_s
            fired = await fire(what | {"first": number, "count": options.pushes, "port": rig.port})
            await daemon.settled(within=120)
            fired.applied = options.pushes / (time.perf_counter() - begun - fired.applied)
            fired.cpu_us = (daemon.cpu_s - cpu) / options.pushes * 1e6
            ours.append(fired)
            bare.append(await fire(what | {"first": number, "count": options.pushes, "port": bare_port}))
            number += options.pushes
        await _all_applied(rig, daemon, number)
    return _report(ours, bare)


async def fire(what: dict[str, Any]) -> Fired:
    """Run the load generator once. `applied` is, for now, the seconds it took to sign."""
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.load"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate(json.dumps(what).encode())
    whole = time.perf_counter() - begun
    told = json.loads(out)
    if told["answers"] != {"200": what["count"]}:
        raise RuntimeError(f"not every push was answered 200: {told['answers']}")
    return Fired(
        what["count"] / told["seconds"],
        told["p50_ms"],
        told["p99_ms"],
        told["cpu"] / told["seconds"],
        whole - told["seconds"],
    )


async def _warm(what: dict[str, Any], port: int, number: int) -> int:
    await fire(what | {"first": number, "count": WARM_UP, "port": port})
    return number + WARM_UP


async def _all_applied(rig: Rig, daemon: Daemon, last: int) -> None:
    """The benchmark counts only if the mirror holds what was sent last."""
    await daemon.settled(within=60)
    (row,) = rig.read(f"SELECT COUNT(*) FROM {OBJECT} WHERE Title = ?", f"No {last - 1}")
    if row[0] != 1:
        raise RuntimeError("the last push is not in the mirror")


@asynccontextmanager
async def _bare() -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.bare"), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()


def _report(ours: list[Fired], bare: list[Fired]) -> Report:
    head = ("", "pushes/s", "range", "p50 ms", "p99 ms", "applied/s", "CPU us", "client CPU")
    report = Report(f"Durable one-change pushes, {CONNECTIONS} connections", head)
    for name, rounds in (("rtsd, durable and applied", ours), ("bare aiohttp handler", bare)):
        rates = [salvo.rate for salvo in rounds]
        applied = f"{middle([salvo.applied for salvo in rounds]):,.0f}" if rounds is ours else ""
        cpu = f"{middle([salvo.cpu_us for salvo in rounds]):.0f}" if rounds is ours else ""
        report.rows.append(
            (
                name,
                f"{middle(rates):,.0f}",
                spread(rates),
                f"{middle([salvo.p50 for salvo in rounds]):.1f}",
                f"{middle([salvo.p99 for salvo in rounds]):.1f}",
                applied,
                cpu,
                f"{middle([salvo.client_busy for salvo in rounds]):.0%}",
            )
        )
    share = ratio([salvo.rate for salvo in ours], [salvo.rate for salvo in bare])
    report.notes.append(f"ratio to the bare handler, which stores nothing: {share:.2f}")
    cpu_us = middle([salvo.cpu_us for salvo in ours])
    report.notes.append(f"wanted: {CPU_US} us of CPU for a push: {'met' if cpu_us <= CPU_US else 'MISSED'}")
    report.numbers = rounded(
        {
            "rtsd": middle([salvo.rate for salvo in ours]),
            "bare": middle([salvo.rate for salvo in bare]),
            "ratio": share,
            "p50_ms": middle([salvo.p50 for salvo in ours]),
            "p99_ms": middle([salvo.p99 for salvo in ours]),
            "applied": middle([salvo.applied for salvo in ours]),
            "cpu_us": cpu_us,
        }
    )
    return report
