"""The command line in this process, and a daemon's other end of the wire in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from rtsd.cli import main
from tests.support.cli import Daemon, Outcome, Rtsd


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """A daemon that listens on $RTSD_SOCKET."""
    other_end = Daemon(tmp_path / "rtsd.sock")
    loop, started = asyncio.new_event_loop(), threading.Event()

    async def serve() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", other_end.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.UnixSite(runner, str(other_end.socket)).start()
        started.set()
        await stop.wait()
        await runner.cleanup()

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(5)
    monkeypatch.setenv("RTSD_SOCKET", str(other_end.socket))
    yield other_end
    loop.call_soon_threadsafe(stop.set)
    thread.join(5)
    loop.close()


@pytest.fixture
def rtsd(capsys: pytest.CaptureFixture[str]) -> Rtsd:
    """Run `rtsd` with these words."""

    def run(*words: str) -> Outcome:
        status = main(words)
        return Outcome(status, *capsys.readouterr())

    return run
