"""The gateway while somebody means it harm: honest pushes are answered as if nobody did."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.support.processes.attackers import SLOW_BODY, SLOW_HEADERS, crowd, push_alone
from tests.support.processes.rig import TOKEN, standing
from tests.support.processes.sender import Shot, signed
from tests.support.waiting import eventually

ATTACKERS = 3_000
PUSHES = 600
AT_ONCE = 8


@pytest.mark.parametrize("begin", [SLOW_HEADERS, SLOW_BODY], ids=["headers", "bodies"])
async def test_slow_connections_delay_nobody(begin: bytes, measured: Callable[[str], None]) -> None:
    """Charter 19: 3,000 slow connections from the same address, and every honest push is answered 200."""
    async with standing({"Account": 1}) as rig:
        daemon = await rig.start()
        body = f'{{"v":1,"kind":"heartbeat","org":"{rig.org.info["org_id"]}"}}'.encode()
        async with crowd(rig.port, begin, ATTACKERS) as attackers:
            await eventually(lambda: attackers.thrown_out > ATTACKERS - 600, "they press", 30)
            shots = (signed(TOKEN, f"honest-{number}", body) for number in itertools.count())
            answers: list[tuple[int, float]] = []
            while len(answers) < PUSHES:
                some = itertools.islice(shots, AT_ONCE)
                answers += await asyncio.gather(*(push_alone(rig.port, shot) for shot in some))
            peak, began = daemon.peak_rss, time.monotonic()
            assert await daemon.terminate() == 0
            stopped = time.monotonic() - began
        seconds = sorted(took for _, took in answers)
        p99 = seconds[len(seconds) * 99 // 100]
        measured(
            f"{PUSHES} pushes beside {ATTACKERS} slow ones: p50 {seconds[len(seconds) // 2] * 1e3:.0f} ms, "
            f"p99 {p99 * 1e3:.0f} ms; {attackers.thrown_out} were thrown out; stopped in {stopped:.1f} s"
        )
        assert Counter(status for status, _ in answers) == {200: len(answers)}
        assert p99 < 5.0, "Salesforce gives up after 10 s; alone on a machine it is a tenth of a second"
        told = [line for line in rig.log.read_text().splitlines() if '"accepted"' not in line]
        assert len(told) < 200, told[-20:]
        assert peak < 300 << 20
        assert stopped < 8.0, "5 s on a machine of its own"


async def test_used_up_descriptors_keep_nobody_out() -> None:
    """Charter 23: 256 descriptors and 600 idle connections; pushes, health and control socket answer."""
    async with standing({"Account": 1}) as rig:
        daemon = await rig.start("prlimit", "--nofile=256:256")
        body = f'{{"v":1,"kind":"heartbeat","org":"{rig.org.info["org_id"]}"}}'.encode()
        async with crowd(rig.port, b"", 600) as attackers:
            await eventually(lambda: attackers.thrown_out > 400, "they are thrown out", 30)
            for number in range(20):
                status, seconds = await stubborn(rig.port, signed(TOKEN, f"honest-{number}", body))
                assert (status, seconds < 5) == (200, True)
            assert await health(rig.port) == 200
            assert (await daemon.status()).storage == "ok"
        assert len(rig.log.read_text().splitlines()) < 100
        assert await health(rig.port) == 200


async def stubborn(port: int, shot: Shot) -> tuple[int, float]:
    """Send it as a sender does: again where it was thrown out with the crowd, three times at most."""
    for _ in range(2):
        with suppress(ConnectionError):
            return await push_alone(port, shot)
    return await push_alone(port, shot)


async def health(port: int) -> int:
    """`GET /healthz`."""
    request = b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n"
    return (await stubborn(port, Shot("health", request)))[0]


async def test_a_flood_of_refusals_writes_few_lines() -> None:
    """Charter 33: unsigned, malformed and misrouted requests by the thousand; ten log lines a second at most.

    No byte of what was sent is among them.
    """
    canary = "canary-in-the-request-9d1c"
    async with standing({"Account": 1}) as rig:
        daemon = await rig.start()
        await daemon.live()
        push = "POST /v1/push HTTP/1.1\r\nHost: g\r\n"
        requests = [
            f"{push}webhook-id: {canary}\r\nContent-Length: 2\r\n\r\n{{}}".encode(),
            f"BROKEN {canary}\r\n{canary}\r\n\r\n".encode(),
            f"POST /{canary} HTTP/1.1\r\nHost: g\r\nContent-Length: 0\r\n\r\n".encode(),
            f"{push}Content-Encoding: {canary}\r\n\r\n".encode(),
        ]
        began = time.monotonic()
        for number in range(250):
            some = (push_alone(rig.port, Shot("x", request)) for request in requests)
            statuses = [status for status, _ in await asyncio.gather(*some)]
            assert statuses == [401, 400, 404, 415], number
        took = time.monotonic() - began
        text = rig.log.read_text()
        lines = [line for line in text.splitlines() if '"level": "warning"' in line]
        assert 0 < len(lines) <= 10 * (took + 2)  # ten in each second, of which it touched one more or two
        assert canary not in text
