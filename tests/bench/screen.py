"""The dashboard in a pseudo-terminal: how fast keys answer and what it costs while the org is busy."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import struct
import sys
import tempfile
import termios
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self

TUI_TESTS = Path(__file__).parents[1] / "tui"
SIZE = (200, 50)
RATES = (0, 1_000, 5_000, 10_000)
KEY_EVERY_S = 0.23
"""Out of step with the tick of a tenth of a second."""
TICKS_S = os.sysconf("SC_CLK_TCK")
SYNC = re.compile(rb"\x1b\[\?2026\$p")


class Screen:
    """One dashboard in a terminal that is read as fast as it writes."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        self.process = process
        self._master = master
        self.written = 0
        self._tail = b""
        self._wanted: bytes | None = None
        self._seen: asyncio.Future[float] | None = None
        asyncio.get_running_loop().add_reader(master, self._read)

    @classmethod
    async def open(cls, socket: Path, size: tuple[int, int] = SIZE) -> Self:
        """Start `rtstui`."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "rtstui", "--socket", str(socket)),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env=os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
        )
        os.close(slave)
        return cls(process, master)

    def _read(self) -> None:
        try:
            data = os.read(self._master, 1 << 20)
        except OSError:
            asyncio.get_running_loop().remove_reader(self._master)
            return
        self.written += len(data)
        if SYNC.search(data):
            os.write(self._master, b"\x1b[?2026;2$y")  # a terminal that paints whole frames
        if self._wanted is not None and self._seen is not None and not self._seen.done():
            self._tail = self._tail[-200:] + data
            if self._wanted in self._tail:
                self._seen.set_result(time.perf_counter())

    async def shows(self, text: str, key: bytes = b"", within: float = 15.0) -> float:
        """Seconds from pressing `key` until `text` was painted."""
        self._tail, self._wanted = b"", text.encode()
        self._seen = asyncio.get_running_loop().create_future()
        begun = time.perf_counter()
        if key:
            os.write(self._master, key)
        async with asyncio.timeout(within):
            return await self._seen - begun

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_S

    @property
    def rss(self) -> int:
        """Bytes resident."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf(
            "SC_PAGE_SIZE"
        )

    async def close(self) -> None:
        """End it."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        await self.process.wait()
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)


@asynccontextmanager
async def daemon(per_second: float) -> AsyncIterator[Path]:
    """A daemon that is not one, in a process of its own, with so many events a second."""
    with tempfile.TemporaryDirectory(prefix="rts") as directory:
        socket = Path(directory) / "s"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(TUI_TESTS / "fake_daemon.py"), str(socket), "healthy", str(per_second)),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            await process.stdout.readline()
            yield socket
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def keys(per_second: float, seconds: float) -> dict[str, float]:
    """Press keys under a load, and count what it costs."""
    async with daemon(per_second) as socket:
        begun = time.perf_counter()
        screen = await Screen.open(socket)
        try:
            await screen.shows("real time")
            started = time.perf_counter() - begun
            os.write(screen._master, b"2")
            await asyncio.sleep(1.0)
            cpu, wall, out = screen.cpu_s, time.perf_counter(), screen.written
            took = []
            if per_second:
                while time.perf_counter() - wall < seconds:
                    for text in ("FROZEN", "live"):
                        took.append(await screen.shows(text, b" "))
                        await asyncio.sleep(KEY_EVERY_S)
            else:
                await asyncio.sleep(seconds)
            spent = time.perf_counter() - wall
            took.sort()
            found = {
                "start_ms": started * 1e3,
                "cpu_percent": 100 * (screen.cpu_s - cpu) / spent,
                "kb_s": (screen.written - out) / spent / 1e3,
                "rss_mb": screen.rss / 1e6,
            }
            if took:
                found |= {
                    "key_p50_ms": took[len(took) // 2] * 1e3,
                    "key_p99_ms": took[int(len(took) * 0.99)] * 1e3,
                    "key_max_ms": took[-1] * 1e3,
                }
            return found
        finally:
            await screen.close()
