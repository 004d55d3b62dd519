"""Blocking calls do not hold up the end of the process."""

from __future__ import annotations

import subprocess
import sys

STALLED = """
import asyncio, threading
from rtsd.salesforce.transport import in_daemon_thread

async def main():
    try:
        await asyncio.wait_for(in_daemon_thread(threading.Event().wait), 0.01)
    except TimeoutError:
        print("given up")

asyncio.run(main())
"""

LATE = """
import asyncio, threading
from rtsd.salesforce.transport import in_daemon_thread

go, loops = threading.Event(), []

async def main():
    asyncio.create_task(in_daemon_thread(go.wait))
    await asyncio.sleep(0.01)

asyncio.run(main())
thread = next(t for t in threading.enumerate() if t.name == "simple-salesforce")
go.set()
thread.join(5)
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )


def test_a_stalled_call_does_not_keep_the_process_alive() -> None:
    """SIGTERM is not delayed by a describe that hangs."""
    assert run(STALLED).stdout == "given up\n"


def test_a_call_that_ends_after_its_loop_says_nothing() -> None:
    """No traceback reaches a user when an answer comes too late."""
    assert run(LATE).stderr == ""
