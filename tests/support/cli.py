"""A daemon's other end of the wire for the command line's tests, and what a command line came to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web

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
        """Answer one request; a list is a feed, one line per entry, and what can be called is awaited."""
        body = await request.json() if request.can_read_body else None
        self.calls.append(Call(request.method, request.path_qs, body))
        answer = self.answers.get(f"{request.method} {request.path_qs}")
        if callable(answer):
            answer = await answer()
        if answer is None:
            return web.json_response({"error": "NotFound", "message": f"no {request.path_qs}"}, status=404)
        if isinstance(answer, web.Response):
            return answer
        if isinstance(answer, list):
            return web.Response(body=b"".join(line + b"\n" for line in answer))
        return web.json_response(answer)


class Outcome(NamedTuple):
    """What a command line came to."""

    status: int
    out: str
    err: str


Rtsd = Callable[..., Outcome]
