"""What rules cost the pushes, side by side without and with them, and how soon a change is at the receiver.

Three daemons get the same pushes in turn: one without rules, one with a rule that never matches, one whose
rule fires for every tenth change. Then single changes that fire are sent at a steady pace, first alone,
then while the load generator fires other changes as fast as they are answered.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

from tests.bench import load, pushes
from tests.bench.report import Report, middle, ratio, rounded
from tests.support.processes.rig import Rig, standing
from tests.support.processes.sender import Shot, firing
from tests.support.serving import served
from tests.support.waiting import eventually

PACE = 50
"""Firing changes a second beside the load."""
SECONDS = 10
FIRST = 1_000_000
"""Titles from this number on fire; those of the load are below it."""
NAMES = ("without rules", "a rule that never matches", "a rule that fires for 1 in 10")
WHENS = (None, "Title = 'never' AND old.Title IS NOT NULL", "Title LIKE '%0'")


class Receiver:
    """Takes every delivery, and notes when each Title came first."""

    def __init__(self) -> None:
        self.url = ""
        self.came: dict[str, float] = {}

    async def take(self, request: web.Request) -> web.Response:
        """Take one."""
        document: dict[str, Any] = msgspec.json.decode(await request.read())
        self.came.setdefault(document["record"]["Title"], time.perf_counter())
        return web.Response(status=204)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a port of its own."""
    receiver = Receiver()
    async with served(receiver.take, "POST", "/hook") as url:
        receiver.url = f"{url}/hook"
        yield receiver


async def run(options: argparse.Namespace) -> Report:
    """Measure both."""
    report = Report("Rules", ("", "applied/s", "ratio", "push p99 ms", "push to receiver p50 ms", "p99 ms"))
    async with receiving() as receiver:
        await _costs(options, receiver, report)
        for name, busy in (("a firing change, alone", False), ("a firing change, under load", True)):
            took = await _latencies(receiver, busy=busy)
            p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
            report.rows.append((name, "", "", "", f"{p50:.1f}", f"{p99:.1f}"))
            report.numbers |= {f"{'busy' if busy else 'alone'}_p99_ms": p99}
    met = report.numbers["busy_p99_ms"] < 1_000
    report.notes.append(f"a rule fires within a second of the push at p99: {'met' if met else 'MISSED'}")
    report.numbers = rounded(report.numbers)
    return report


async def _costs(options: argparse.Namespace, receiver: Receiver, report: Report) -> None:
    """The same pushes to all three, in turn."""
    rounds: list[list[pushes.Fired]] = [[], [], []]
    async with AsyncExitStack() as stack:
        rigs = [await stack.enter_async_context(_ruled(receiver, when)) for when in WHENS]
        orders = [await pushes.order(rig) for rig in rigs]
        number = 0
        for turn in range(options.rounds + 1):  # the first one warms up
            for place in sorted(range(len(rigs)), key=lambda index: (index + turn) % len(rigs)):
                rig = rigs[place]
                what = orders[place] | {"first": number, "count": options.pushes, "port": rig.port}
                begun = time.perf_counter()
                fired = await pushes.fire(what)
                await rig.daemons[0].settled(within=120)
                fired.applied = options.pushes / (time.perf_counter() - begun - fired.applied)
                rounds[place].append(fired)
            number += options.pushes
    base = [salvo.applied for salvo in rounds[0][1:]]
    for name, all_of_it in zip(NAMES, rounds, strict=True):
        mine = [salvo.applied for salvo in all_of_it[1:]]
        share, p99 = ratio(mine, base), middle([salvo.p99 for salvo in all_of_it[1:]])
        report.rows.append((name, f"{middle(mine):,.0f}", f"{share:.2f}", f"{p99:.1f}", "", ""))
        report.numbers[name.replace(" ", "_")] = share


@asynccontextmanager
async def _ruled(receiver: Receiver, when: str | None) -> AsyncIterator[Rig]:
    """A live daemon, with a rule where there is a condition."""
    async with standing({pushes.OBJECT: pushes.RECORDS}) as rig:
        if when is not None:
            head = (
                f'[[rules]]\nname = "bench"\nobject = "{pushes.OBJECT}"\non = ["update"]\nwhen = "{when}"\n'
            )
            hook = f'[rules.webhook]\nurl = "{receiver.url}"\nsecret = "bench-hook-secret"\n'
            rig.config.write_text(rig.config.read_text() + head + hook)
            rig.config.chmod(0o600)
        await (await rig.start()).live()
        yield rig


async def _latencies(receiver: Receiver, *, busy: bool) -> list[float]:
    """From the first byte of a push to the delivery at the receiver, in ms, sorted."""
    async with _ruled(receiver, f"CAST(substr(Title, 4) AS INTEGER) >= {FIRST}") as rig:
        what = await pushes.order(rig)
        half = len(what["rows"]) // 2
        count = PACE * SECONDS
        mine = what | {"rows": what["rows"][:half], "base": what["base"] - FIRST // 1000}
        made = load.shots(mine | {"first": FIRST, "count": count})
        receiver.came.clear()
        enough = asyncio.Event()
        others = asyncio.create_task(_load(what | {"rows": what["rows"][half:], "port": rig.port}, enough))
        if not busy:
            enough.set()
        sent: list[float] = []
        begun = time.perf_counter()
        for number, shot in enumerate(made):
            await asyncio.sleep(max(begun + number / PACE - time.perf_counter(), 0))
            sent.append(time.perf_counter())
            async with firing(rig.port, iter([shot]), _answered, connections=1) as over:
                await over
        enough.set()
        await others
        await eventually(lambda: len(receiver.came) == count, "every change that fires is delivered", 60)
    came = [receiver.came[f"No {FIRST + number}"] for number in range(count)]
    return sorted((then - begun) * 1e3 for begun, then in zip(sent, came, strict=True))


async def _load(what: dict[str, Any], enough: asyncio.Event) -> None:
    """Fire changes that do not match, as fast as they are answered."""
    number = 0
    while not enough.is_set():
        await pushes.fire(what | {"first": number, "count": 2_000, "connections": 8})
        number += 2_000


def _answered(_shot: Shot, status: int) -> None:
    if status != 200:
        raise RuntimeError(f"a push was answered {status}")
