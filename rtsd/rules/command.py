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
from typing import IO

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
    reading, writing = os.pipe()
    try:
        with _document(body) as document:
            process = await asyncio.create_subprocess_exec(
                *command.argv,
                stdin=document,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=writing,
                env=_environment(webhook_id),
                cwd="/",
                start_new_session=True,  # a process group of its own, to be ended as a whole
            )
    except OSError as error:
        os.close(reading)
        return Tried("failed", f"cannot be started: {error.strerror or error}", outage=True)
    finally:
        os.close(writing)
    said = asyncio.create_task(_tail(reading), name="stderr of a command")
    try:
        async with asyncio.timeout(command.timeout / 1000):
            ending = _ending(await process.wait())
    except TimeoutError:
        _end(process)
        ending = f"not done within {command.timeout / 1000:g} s, and ended"
    except BaseException:
        _end(process)
        said.cancel()
        raise
    if process.returncode == 0:
        said.cancel()
        return Tried("delivered", ending)
    return Tried("failed", f"{ending}{await _last(said)}")


def _environment(webhook_id: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {"PATH": _PATH, **kept, "RTSD_DELIVERY_ID": webhook_id}


def _document(body: bytes) -> IO[bytes]:
    """The document as a nameless file in memory: nobody has to wait for a program that does not read."""
    file = open(os.memfd_create("document"), "w+b")  # noqa: PTH123, SIM115 - closed by the caller
    file.write(body)
    file.seek(0)
    return file


async def _tail(descriptor: int) -> str:
    """Read all of stderr, and keep the end of it.

    It is no pipe of asyncio's own: until those are closed by all who have them, it does not tell that a
    program has ended.
    """
    stream = asyncio.StreamReader()
    pipe = open(descriptor, "rb", buffering=0)  # noqa: SIM115, ASYNC230 - closed with the transport
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), pipe
    )
    kept = b""
    try:
        while chunk := await stream.read(65_536):
            kept = (kept + chunk)[-4 * TAIL :]
    finally:
        transport.close()
    return kept.decode(errors="replace")[-TAIL:]


async def _last(said: asyncio.Task[str]) -> str:
    """What the program said last, on one line and without characters that steer a terminal."""
    try:
        done, _ = await asyncio.wait([said], timeout=CLOSING_S)
    finally:
        said.cancel()
    if not done:
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
