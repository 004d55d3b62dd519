"""A delivery to a program: the document on its standard input, exit status 0 for success.

No shell is involved, and nothing of the document is in arguments or environment. A program that exceeds its
time-out is killed together with its child processes.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from rtsd.rules.rule import Command, DeliveryResult

TAIL = 400
"""Characters kept from the end of stderr."""
CLOSING_S = 1.0
"""The time to wait for the end of stderr, which a child of the program may hold open."""
_KEPT = ("PATH", "LANG", "TZ")
"""The variables passed on; others may contain secrets."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


async def run(command: Command, webhook_id: str, body: bytes) -> DeliveryResult:
    """Run the program once. `RTSD_DELIVERY_ID` is the same for all attempts of a delivery."""
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
                start_new_session=True,  # a separate process group, to be killed as a whole
            )
    except OSError as error:
        os.close(reading)
        return DeliveryResult("failed", f"cannot start: {error.strerror or error}", outage=True)
    finally:
        os.close(writing)
    stderr = asyncio.create_task(_tail(reading), name="stderr of a command")
    try:
        async with asyncio.timeout(command.timeout / 1000):
            ending = _ending(await process.wait())
    except TimeoutError:
        _kill(process)
        ending = f"killed after {command.timeout / 1000:g} s"
    except BaseException:
        _kill(process)
        stderr.cancel()
        raise
    if process.returncode == 0:
        stderr.cancel()
        return DeliveryResult("delivered", ending)
    return DeliveryResult("failed", f"{ending}{await _last_words(stderr)}")


def _environment(webhook_id: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {"PATH": _PATH, **kept, "RTSD_DELIVERY_ID": webhook_id}


def _document(body: bytes) -> IO[bytes]:
    """The document as an anonymous file in memory: writing never blocks on a program that does not read."""
    file = open(os.memfd_create("document"), "w+b")  # noqa: PTH123, SIM115 - closed by the caller
    file.write(body)
    file.seek(0)
    return file


async def _tail(descriptor: int) -> str:
    """Read stderr and return its end.

    Not a pipe of asyncio's, which reports the end of a program only once all holders have closed the pipe.
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


async def _last_words(stderr: asyncio.Task[str]) -> str:
    """The end of stderr on one line, without control characters."""
    try:
        done, _ = await asyncio.wait([stderr], timeout=CLOSING_S)
    finally:
        stderr.cancel()
    if not done:
        return ""
    text = "".join(char if char.isprintable() else " " for char in stderr.result())
    words = " ".join(text.split())
    return f": {words}" if words else ""


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill the program and its children, if it still runs."""
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _ending(status: int) -> str:
    if status >= 0:
        return f"exit {status}"
    names: Sequence[str] = [known.name for known in signal.Signals if known.value == -status]
    return f"killed by {names[0] if names else -status}"
