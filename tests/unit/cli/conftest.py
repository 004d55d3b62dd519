"""The command line in this process, and a daemon's other end of the wire in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import web

from rtsd.cli import main

NOW = "2026-03-01T10:00:00.000Z"
STATUS = {
    "version": "9.9.9",
    "protocol": 1,
    "started_at": "2026-03-01T08:00:00.000Z",
    "now": NOW,
    "org": {
        "id": "00D000000000001",
        "name": "Acme\x1b[2J",
        "sandbox": False,
        "edition": "Enterprise Edition",
    },
    "gateway": {"listen": "127.0.0.1:8787", "public_url": "https://rts.acme.com"},
    "mode": "real_time",
    "mode_since": "2026-03-01T09:59:00.000Z",
    "mode_reason": "push received",
    "package": {"state": "installed", "version": "1.0.0", "last_seen_at": NOW},
    "push": {"last_at": "2026-03-01T09:59:57.000Z", "quiet": "live", "received_24h": 1042},
    "objects": [
        {
            "name": "Contact",
            "state": "live",
            "rows": 1234567,
            "expected_rows": 1234567,
            "as_of": "2026-03-01T09:59:58.000Z",
            "freshness_ms": {"p50": 310, "p95": 640, "p99": 900},
            "drift": {"checked_at": NOW, "missing": 1, "stale": 2, "orphaned": 0},
        },
        {"name": "Lead", "state": "incomplete", "rows": 5, "expected_rows": 7, "error": "2 rows \x9bmissing"},
    ],
    "quota": {
        "limits": [{"name": "DailyApiRequests", "max": 100000, "remaining": 98211, "used_by_us": 12}],
        "calls_24h": {"audit": 4, "describe": 5},
    },
    "later": "a key of a later version",
}


class Call(NamedTuple):
    """A request that the daemon got."""

    method: str
    path: str
    body: Any


class Daemon:
    """Answers with what a test put into `answers`, by `METHOD path`, and keeps the calls."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.calls: list[Call] = []
        self.answers: dict[str, Any] = {"GET /v1/status": STATUS}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; a list is a feed, one line per entry."""
        body = await request.json() if request.can_read_body else None
        self.calls.append(Call(request.method, request.path_qs, body))
        answer = self.answers.get(f"{request.method} {request.path_qs}")
        if answer is None:
            return web.json_response({"error": "NotFound", "message": f"no {request.path_qs}"}, status=404)
        if isinstance(answer, web.Response):
            return answer
        if isinstance(answer, list):
            return web.Response(body=b"".join(line + b"\n" for line in answer))
        return web.json_response(answer)


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


class Outcome(NamedTuple):
    """What a command line came to."""

    status: int
    out: str
    err: str


Rtsd = Callable[..., Outcome]


@pytest.fixture
def rtsd(capsys: pytest.CaptureFixture[str]) -> Rtsd:
    """Run `rtsd` with these words."""

    def run(*words: str) -> Outcome:
        status = main(words)
        return Outcome(status, *capsys.readouterr())

    return run
