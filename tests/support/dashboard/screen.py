"""The dashboard in a terminal that is read as fast as it writes, beside a daemon that is not one."""

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

from tests.support.processes.cpu import cpu_s

SIZE = (200, 50)
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
    async def open(
        cls, socket: Path, size: tuple[int, int] = SIZE, *, program: str = "rtstui", **environment: str
    ) -> Self:
        """Start `rtstui`, or a program that starts it."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", program, "--socket", str(socket)),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env=os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"} | environment,
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
            self.press(key)
        async with asyncio.timeout(within):
            return await self._seen - begun

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self._master, keys)

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU it has used."""
        return cpu_s(self.process.pid)

    @property
    def waited_s(self) -> float:
        """Seconds it was ready to run and had no CPU: what other work on the machine took from it."""
        return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[1]) / 1e9

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
            *(sys.executable, "-m", "tests.support.dashboard.fake_daemon", str(socket)),
            *("healthy", str(per_second)),
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
