"""A disk that is full, and a disk that fails."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.support.faults.disks import resize, small_disk
from tests.support.processes.barrage import OBJECT, Barrage
from tests.support.processes.rig import standing
from tests.support.waiting import eventually

EXIT_WITHIN_S = 5.0
FIRST_FAULT_S = 10.0
"""Until the faulty fsync is reached: strace makes everything slow."""


def _nothing() -> None:
    """There is nothing to do at any answer."""


async def test_disk_full(tmp_path: Path) -> None:
    """Only 503 while there is no space, and everything else answers; with space it serves again at once."""
    place = tmp_path / "disk"
    with small_disk(place, "2m"):
        async with standing({OBJECT: 20}, state=place / "state") as rig:
            barrage = await Barrage.of(rig)
            daemon = await rig.start()
            await daemon.live()
            await barrage.fire(_nothing, when=bool, count=4_000)
            assert set(barrage.answers) == {200, 503}
            before = len(barrage.acked)
            await barrage.fire(_nothing, when=bool, count=50)
            assert len(barrage.acked) == before
            assert (await daemon.status()).storage != "ok"
            assert await _health(rig.port) == 503

            resize(place, "64m")
            await eventually(lambda: _is_healthy(rig.port), "health is back by itself", 5)

            async def served() -> bool:
                await barrage.fire(_nothing, when=bool, count=20)
                return len(barrage.acked) > before

            await eventually(served, "pushes are taken again", 5)
            await daemon.settled()
            assert (await daemon.status()).storage == "ok"
            assert await _health(rig.port) == 200
            assert barrage.lost() == set()
            await daemon.terminate()


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace to make fsync fail")
async def test_fsync_fails(tmp_path: Path) -> None:
    """After an I/O error no 200 any more, and exit within 5 s; a restart has every answered push."""
    async with standing({OBJECT: 20}, state=tmp_path / "state") as rig:
        barrage = await Barrage.of(rig)
        daemon = await rig.start()
        await daemon.live()
        fault = ("trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO:when=40+")
        strace = await asyncio.create_subprocess_exec(
            "strace", "-f", "-qq", "-o", "/dev/null", "-p", str(daemon.pid), "-e", *fault
        )
        await eventually(lambda: _traced(daemon.pid), "strace is attached")
        async with asyncio.timeout(FIRST_FAULT_S + EXIT_WITHIN_S):
            await barrage.fire(_nothing, when=bool)
            assert await daemon.process.wait() != 0
        await strace.wait()
        assert barrage.acked
        assert set(barrage.answers) <= {200, 503}
        assert "Traceback" not in rig.log.read_text()
        daemon = await rig.start()
        await daemon.settled()
        (check,) = rig.read("PRAGMA integrity_check")
        assert check[0] == "ok"
        assert barrage.lost() == set()


def _traced(pid: int) -> bool:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return all("TracerPid:\t0\n" not in (task / "status").read_text() for task in tasks)


async def _is_healthy(port: int) -> bool:
    return await _health(port) == 200


async def _health(port: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n")
    status = int((await reader.readline()).split()[1])
    writer.close()
    await writer.wait_closed()
    return status
