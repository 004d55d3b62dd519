"""How long a change takes from the org to the mirror by each channel: gateway, stream, Change Data Capture.

The simulated org's package is the same for both of its channels; change events need no package.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.bench.report import Report, middle, ratio, rounded
from tests.support.processes.daemon import Daemon
from tests.support.processes.rig import Rig, standing
from tests.support.processes.streaming import has_position, streaming
from tests.support.waiting import eventually

CHANNELS = ("gateway", "stream", "cdc")
RECORDS, PACE = 200, 20
"""Each record is edited once a round, so many a second."""
WANTED = 1.5
"""The stream's p99 in the gateway's, at most."""


@asynccontextmanager
async def standing_with(channel: str) -> AsyncIterator[Rig]:
    """An org and a daemon's home with a channel between them."""
    if channel != "gateway":
        async with streaming(channel, RECORDS) as rig:
            yield rig
        return
    async with standing(
        {"Contact": RECORDS}, interval="1h", silence_after="1h", fingerprint_every="0s"
    ) as rig:
        await rig.install_package()
        yield rig


async def run(options: argparse.Namespace) -> Report:
    """Edit in rounds that alternate between the channels."""
    took: dict[str, list[list[float]]] = {channel: [] for channel in CHANNELS}
    for _ in range(options.rounds):
        for channel in CHANNELS:
            async with standing_with(channel) as rig:
                daemon = await rig.start()
                await daemon.live()
                if channel != "gateway":
                    await eventually(lambda daemon=daemon: has_position(daemon), "a position")
                took[channel].append(sorted(await _round(rig, daemon)))
    return _report(took)


async def _round(rig: Rig, daemon: Daemon) -> list[float]:
    """Edit every record once; return the milliseconds until each change was on the feed."""
    edited: dict[str, float] = {}
    took: dict[str, float] = {}
    ids = [str(row["Id"]) async for row in rig.org.rows("Contact")]
    async with daemon.following("Contact") as changes:

        async def edit() -> None:
            begun = time.perf_counter()
            for number, record_id in enumerate(ids):
                await asyncio.sleep(begun + number / PACE - time.perf_counter())
                edited[record_id] = time.perf_counter()
                await rig.org.dml("update", "Contact", rows=[{"Id": record_id, "Title": f"No {number}"}])

        editing = asyncio.create_task(edit())
        while len(took) < len(ids):
            change = await anext(changes)
            if change.id in edited:
                took.setdefault(change.id, (time.perf_counter() - edited[change.id]) * 1e3)
        await editing
    return list(took.values())


def _report(took: dict[str, list[list[float]]]) -> Report:
    def share(rounds: list[list[float]], part: float) -> list[float]:
        return [samples[int(len(samples) * part)] for samples in rounds]

    title = f"From the org to the mirror, {PACE} single changes a second"
    report = Report(title, ("channel", "p50 ms", "p99 ms", "p99 / gateway's"))
    numbers: dict[str, float] = {}
    gateway = share(took["gateway"], 0.99)
    for channel, rounds in took.items():
        p50, p99 = middle(share(rounds, 0.5)), middle(share(rounds, 0.99))
        compared = ratio(share(rounds, 0.99), gateway)
        report.rows.append((channel, f"{p50:.0f}", f"{p99:.0f}", f"{compared:.2f}"))
        numbers |= {f"{channel}_p50_ms": p50, f"{channel}_p99_ms": p99, f"{channel}_ratio": compared}
    met = "met" if numbers["stream_ratio"] <= WANTED else "MISSED"
    report.notes.append(f"wanted: the stream within {WANTED} of the gateway: {met}")
    report.numbers = rounded(numbers)
    return report
