"""One try to deliver to a program: the document on its standard input, exit status 0 ends it.

No shell is in between, nothing of the document is in arguments or environment, and what the program starts
ends with it when it takes too long.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress

from rtsd.rules.rule import Command, Tried

TAIL = 400
"""Characters of what a program wrote to stderr that are kept, the last ones."""
CLOSING_S = 1.0
"""How long stderr may stay open after the program has ended: something it started may hold it."""
_KEPT = ("PATH", "LANG", "TZ")
"""All that a program gets of our environment: it may hold secrets."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


async def run(command: Command, webhook_id: str, body: bytes) -> Tried:
    """Run the program once, and say what came of it. `RTSD_DELIVERY_ID` tells one delivery's tries."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command.argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(webhook_id),
            cwd="/",
            start_new_session=True,  # a process group of its own, to be ended as a whole
        )
    except OSError as error:
        return Tried("failed", f"cannot be started: {error.strerror or error}", outage=True)
    said = asyncio.create_task(_tail(process), name="stderr of a command")
    try:
        async with asyncio.timeout(command.timeout / 1000):
            await asyncio.gather(_feed(process, body), process.wait())
    except TimeoutError:
        _end(process)
        return Tried("failed", f"not done within {command.timeout / 1000:g} s, and ended{await _last(said)}")
    finally:
        _end(process)
    if process.returncode == 0:
        said.cancel()
        return Tried("delivered", "exit 0")
    return Tried("failed", f"{_ending(process.returncode or 0)}{await _last(said)}")


def _environment(webhook_id: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {"PATH": _PATH, **kept, "RTSD_DELIVERY_ID": webhook_id}


async def _feed(process: asyncio.subprocess.Process, body: bytes) -> None:
    """Write the document; a program need not read it."""
    if process.stdin is None:
        raise AssertionError("its standard input is a pipe")
    with suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(body)
        await process.stdin.drain()
    process.stdin.close()


async def _tail(process: asyncio.subprocess.Process) -> str:
    """Read all of stderr, and keep the end of it."""
    if process.stderr is None:
        raise AssertionError("its standard error is a pipe")
    kept = b""
    while chunk := await process.stderr.read(65_536):
        kept = (kept + chunk)[-4 * TAIL :]
    return kept.decode(errors="replace")[-TAIL:]


async def _last(said: asyncio.Task[str]) -> str:
    """What the program said last, on one line and without characters that steer a terminal."""
    done, _ = await asyncio.wait([said], timeout=CLOSING_S)
    if not done:
        said.cancel()
        return ""
    text = "".join(char if char.isprintable() else " " for char in said.result())
    words = " ".join(text.split())
    return f": {words}" if words else ""


def _end(process: asyncio.subprocess.Process) -> None:
    """End the program and what it started, if it still runs."""
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _ending(status: int) -> str:
    if status >= 0:
        return f"exit {status}"
    names: Sequence[str] = [one.name for one in signal.Signals if one.value == -status]
    return f"ended by {names[0] if names else -status}"
