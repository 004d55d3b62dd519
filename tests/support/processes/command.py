"""The command line, run as a process to its end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple


class Ended(NamedTuple):
    """What a command came to."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """Return what it printed, decoded."""
        return json.loads(self.out)


async def rtsd(*words: object, socket: Path | None = None) -> Ended:
    """Run `rtsd` with these words, on the daemon at `socket`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rtsd", *map(str, words)),
        env={**os.environ, "RTSD_SOCKET": str(socket)} if socket is not None else None,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Ended(await process.wait(), out.decode(), err.decode())


async def said(socket: Path, *words: object, status: int = 0) -> str:
    """Run `rtsd` on a daemon, and return what it prints; it must end with `status`."""
    ended = await rtsd(*words, socket=socket)
    assert ended.status == status, ended.out + ended.err
    return ended.out
