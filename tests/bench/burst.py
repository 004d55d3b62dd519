"""A mass update: every record once, in pushes of 200 over 8 connections, as fast as they are answered.

How soon the last change is in the mirror, how long answers take throughout, whether memory grows, and how far
behind a follower of the feed is.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

import msgspec

from tests.bench.report import Report, middle, rounded
from tests.support.processes.daemon import Daemon
from tests.support.processes.rig import TOKEN, Rig, standing
from tests.support.processes.sender import Shot, firing, signed

OBJECT = "Contact"
CHANGES, CONNECTIONS = 200, 8
P99_MS = 1_000
"""What is wanted of the answers in every tenth of the pushes."""
GROWTH = 64 << 20
"""Bytes that memory may grow from the first tenth to the last."""


class Burst:
    """What is sent, and when it was answered and seen on the feed."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        ((schema,),) = rig.read("SELECT schema FROM _rts_object")
        fields = msgspec.json.decode(schema)["fields"]
        self._booleans = [field["name"] for field in fields if field["kind"] == "boolean"]
        self._rows = rig.read(f"SELECT * FROM {OBJECT}")  # before a connection waits for its first push
        self.begun: dict[str, float] = {}
        """When a push was sent, by the last record in it."""
        self.took: list[float] = []
        self.refused: Counter[int] = Counter()
        """Answers other than 200, by status."""
        self.behind: list[float] = []
        self._last_of: dict[str, str] = {}

    def shots(self) -> Iterator[Shot]:
        """Change the Title of every record, with all of its values."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        rows = iter(self._rows)
        number = 0
        while some := list(islice(rows, CHANGES)):
            number += 1
            document = {
                "v": 1,
                "kind": "changes",
                "org": self._rig.org.info["org_id"],
                "read_at": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
                "changes": [self._change(dict(row), f"No {number}", stamp) for row in some],
            }
            shot = signed(TOKEN, f"burst-{number}", msgspec.json.encode(document))
            self._last_of[shot.id] = some[-1]["Id"]
            self.begun[some[-1]["Id"]] = time.perf_counter()
            yield shot

    def _change(self, row: dict[str, Any], title: str, stamp: str) -> dict[str, Any]:
        fields: dict[str, Any] = {name: value for name, value in row.items() if not name.startswith("_rts_")}
        fields |= {name: bool(fields[name]) for name in self._booleans if fields.get(name) is not None}
        fields |= {"Title": title, "SystemModstamp": stamp, "LastModifiedDate": stamp}
        return {
            "object": OBJECT,
            "op": "update",
            "id": fields["Id"],
            "modstamp": stamp,
            "changed": ["Title"],
            "fields": fields,
        }

    def answered(self, shot: Shot, status: int) -> None:
        """Note an answer."""
        if status != 200:
            self.refused[status] += 1
        self.took.append((time.perf_counter() - self.begun[self._last_of[shot.id]]) * 1e3)

    async def follow(self, daemon: Daemon) -> None:
        """Follow the feed, until it ends a follower that is too far behind."""
        async with daemon.following(OBJECT) as changes:
            async for change in changes:
                if change.id in self.begun:
                    self.behind.append(time.perf_counter() - self.begun[change.id])


async def run(options: argparse.Namespace) -> Report:
    """Send all, and wait until the last is applied."""
    async with standing({OBJECT: options.records}) as rig:
        daemon = await rig.start()
        await daemon.live(within=900)
        burst, resident = Burst(rig), [daemon.rss]
        following = asyncio.create_task(burst.follow(daemon))
        gc.freeze()
        gc.disable()  # a collection of the records would stop the sender for a second
        begun, cpu = time.perf_counter(), daemon.cpu_s
        async with firing(rig.port, burst.shots(), burst.answered, CONNECTIONS) as over:
            while not over.done():
                await asyncio.wait([over], timeout=1)
                resident.append(daemon.rss)
        await daemon.settled(within=900)
        seconds, cpu = time.perf_counter() - begun, daemon.cpu_s - cpu
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        gc.enable()
        ((changed,),) = rig.read(f"SELECT COUNT(*) FROM {OBJECT} WHERE Title LIKE 'No %'")
    if burst.refused:
        raise RuntimeError(f"pushes were refused: {dict(burst.refused)}")
    if changed < len(burst.took) * CHANGES and changed < options.records:
        raise RuntimeError(f"{changed:,} updates of {len(burst.took):,} answered pushes are in the mirror")
    return _report(changed, burst, resident, seconds, cpu)


def _report(records: int, burst: Burst, resident: list[int], seconds: float, cpu: float) -> Report:
    tenth = max(len(burst.took) // 10, 1)
    tenths = (burst.took[at : at + tenth] for at in range(0, len(burst.took), tenth))
    worst = max(sorted(some)[int(len(some) * 0.99)] for some in tenths)
    early, late = max(resident[: len(resident) // 10 + 2]), max(resident)
    behind = max(burst.behind, default=0.0)
    head = ("records", "seconds", "changes/s", "CPU µs", "p50 ms", "worst p99 ms", "RSS MB", "feed behind s")
    report = Report(f"A mass update in pushes of {CHANGES}, {CONNECTIONS} connections", head)
    report.rows.append(
        (
            f"{records:,}",
            f"{seconds:.0f}",
            f"{records / seconds:,.0f}",
            f"{cpu / records * 1e6:.0f}",
            f"{middle(burst.took):.0f}",
            f"{worst:.0f}",
            f"{early / 1e6:.0f}..{late / 1e6:.0f}",
            f"{behind:.1f}",
        )
    )
    if len(burst.took) < len(burst.begun):
        report.notes.append(f"connections closed before the answer: {len(burst.begun) - len(burst.took)}")
    seen = len(burst.behind) / len(burst.took)
    met = worst < P99_MS and late - early < GROWTH
    report.notes.append(f"wanted: p99 under {P99_MS} ms, memory flat: {'met' if met else 'MISSED'}")
    report.notes.append(f"a follower of the feed saw {seen:.0%} of the pushes; one too far behind is cut off")
    report.numbers = rounded(
        {
            "seconds": seconds,
            "applied": records / seconds,
            "cpu_us": cpu / records * 1e6,
            "p99_ms": worst,
            "rss_mb": late / 1e6,
            "behind_s": behind,
        }
    )
    return report
