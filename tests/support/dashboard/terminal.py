"""A program in a pseudo-terminal, as a person has it before them."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.dashboard.app import until

DROPPED = ("NO_COLOR", "PYTEST_", "COLUMNS", "LINES")
"""What of the environment the program does not get: a test runner's is none of its business."""


class Terminal:
    """A pseudo-terminal with a program in it; `output` is every byte it wrote."""

    def __init__(
        self, *arguments: str, size: tuple[int, int] = (120, 35), program: str = "rtstui", **environment: str
    ) -> None:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", program, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env=inherited
            | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
            | environment,
        )
        os.close(slave)
        self.master = master
        self.output = bytearray()
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        try:
            self.output += os.read(self.master, 1 << 20)
        except OSError:
            asyncio.get_running_loop().remove_reader(self.master)

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self.master, keys)

    async def ended(self, seconds: float = 8) -> int:
        """Wait for the end and return the exit status."""
        await until(lambda: self.process.poll() is not None, seconds=seconds)
        await asyncio.sleep(0.02)
        return self.process.returncode

    def close(self) -> None:
        """Whatever happened, leave nothing running."""
        asyncio.get_running_loop().remove_reader(self.master)
        with contextlib.suppress(OSError):
            os.close(self.master)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@asynccontextmanager
async def terminal(*arguments: str, **options: object) -> AsyncIterator[Terminal]:
    """A terminal, closed afterwards."""
    opened = Terminal(*arguments, **options)  # type: ignore[arg-type]
    try:
        yield opened
    finally:
        opened.close()
