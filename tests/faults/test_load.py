"""Minutes of load: what it takes stays flat, and what is too much is refused at once."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from rtsd.errors import RtsError
from tests.support.processes.attackers import push_alone
from tests.support.processes.barrage import OBJECT, Barrage
from tests.support.processes.daemon import Daemon
from tests.support.processes.rig import Rig, standing
from tests.support.processes.sender import Shot, firing

SECONDS = 60
WARM_UP_S = 15
MANY = 2_000
"""Connections at once: more pushes than may wait for a commit."""


def taken(rig: Rig, daemon: Daemon) -> tuple[int, int, int]:
    """Resident memory, open descriptors, size of the WAL."""
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    (resident,) = [int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS:")]
    descriptors = len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))
    return resident, descriptors, rig.mirror.with_name("mirror.db-wal").stat().st_size


async def test_a_minute_as_fast_as_it_goes(measured: Callable[[str], None]) -> None:
    """Charter 21: memory, descriptors and WAL are at the end what they were after the warm-up."""
    async with standing({OBJECT: 20}) as rig:
        barrage = await Barrage.of(rig)
        daemon = await rig.start()
        await daemon.live()
        took: list[float] = []
        samples: list[tuple[int, int, int]] = []
        began = time.monotonic()
        sent_at: dict[str, float] = {}

        def sending() -> Iterator[Shot]:
            for shot in barrage.shots:
                if time.monotonic() - began > SECONDS:
                    return
                sent_at[shot.id] = time.monotonic()
                yield shot

        def answered(shot: Shot, status: int) -> None:
            barrage.answers[status] += 1
            if status == 200:
                barrage.acked.add(shot.id)
            took.append(time.monotonic() - sent_at.pop(shot.id))

        async with firing(rig.port, sending(), answered) as over:
            while not over.done():
                await asyncio.wait({over}, timeout=1)
                if time.monotonic() - began > WARM_UP_S and daemon.process.returncode is None:
                    samples.append(taken(rig, daemon))
        rate = len(took) / (time.monotonic() - began)
        took.sort()
        first, last = samples[0], samples[-1]
        await daemon.settled(60)
        measured(
            f"{rate:.0f} pushes/s for {SECONDS} s: p50 {took[len(took) // 2] * 1e3:.0f} ms, "
            f"p99 {took[len(took) * 99 // 100] * 1e3:.0f} ms; "
            f"memory {first[0] >> 20} -> {last[0] >> 20} MiB, "
            f"descriptors {first[1]} -> {last[1]}, WAL {first[2] >> 20} -> {last[2] >> 20} MiB"
        )
        assert set(barrage.answers) == {200}
        assert last[0] < first[0] * 1.2 + (16 << 20)
        assert last[1] < first[1] + 8
        assert max(sample[2] for sample in samples) < 64 << 20
        assert barrage.lost() == set()


async def test_too_much_is_refused_at_once(measured: Callable[[str], None]) -> None:
    """Charter 20: 2,000 pushes at the same moment are each answered, 200 or 503; memory stays bounded."""
    async with standing({OBJECT: 20}) as rig:
        barrage = await Barrage.of(rig)
        daemon = await rig.start("prlimit", "--nofile=8192:8192")
        await daemon.live()
        shots = list(itertools.islice(barrage.shots, MANY))
        found = await asyncio.gather(*(push_alone(rig.port, shot) for shot in shots), return_exceptions=True)
        answers = Counter(answer[0] if isinstance(answer, tuple) else 0 for answer in found)
        measured(f"{MANY} pushes at once: {dict(answers)}; peak memory {daemon.peak_rss >> 20} MiB")
        assert set(answers) <= {0, 200, 503}
        assert min(answers[200], answers[503]) > 100
        assert answers[0] < MANY // 5, "none but senders so slow that they were taken for strangers"
        assert daemon.peak_rss < 300 << 20
        await daemon.settled(60)
        status, seconds = await push_alone(rig.port, next(barrage.shots))
        assert (status, seconds < 1) == (200, True)
        acked = {
            shot.id
            for shot, answer in zip(shots, found, strict=True)
            if isinstance(answer, tuple) and answer[0] == 200
        }
        assert acked <= rig.taken()


async def test_a_large_query_delays_no_push(measured: Callable[[str], None]) -> None:
    """Charter 22: pushes beside queries for gigabytes; rtsd spends no processor time on the queries."""
    async with standing({OBJECT: 20}) as rig:
        barrage = await Barrage.of(rig)
        daemon = await rig.start()
        await daemon.live()
        seconds: dict[bool, list[float]] = {False: [], True: []}
        spent: dict[bool, float] = {}
        peak = daemon.peak_rss
        for beside in (False, True):
            asking = asyncio.create_task(_ask_for_gigabytes(daemon)) if beside else None
            before = cpu_of(daemon)
            for shot in itertools.islice(barrage.shots, 200):
                status, took = await push_alone(rig.port, shot)
                assert status == 200
                seconds[beside].append(took)
            spent[beside] = cpu_of(daemon) - before
            if asking is not None:
                asking.cancel()
        alone, beside_p99 = (sorted(found)[198] * 1e3 for found in seconds.values())
        measured(
            f"pushes beside queries for gigabytes: p99 {beside_p99:.0f} ms, alone {alone:.0f} ms; "
            f"processor time {spent[True]:.2f} s, alone {spent[False]:.2f} s; "
            f"memory +{(daemon.peak_rss - peak) >> 20} MiB"
        )
        assert spent[True] < 2 * spent[False] + 1, "the queries are answered by other processes"
        assert daemon.peak_rss - peak < 100 << 20


async def _ask_for_gigabytes(daemon: Daemon) -> None:
    while True:
        with suppress(RtsError):
            await daemon.client.query("SELECT zeroblob(900000000), randomblob(900000000)")


def cpu_of(daemon: Daemon) -> float:
    """Seconds of processor time that the daemon itself has used."""
    fields = Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
