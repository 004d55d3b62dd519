"""A daemon that is not one: the control protocol over a real Unix socket, saying what a test wants.

Run as a program it serves a scenario for looking at it: `fake_daemon.py SOCKET SCENARIO [EVENTS_PER_S]`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec
from aiohttp import ClientConnectionResetError, web

from rtsd.control.protocol import DeadLetter, DeadLetters, ErrorEntry, Errors, Event, Frame, Snapshot, Status
from tests.support.dashboard.papers import papers
from tests.support.dashboard.scenarios import SCENARIOS, ago, dead_letters, error_log, event, events

ESTIMATE = {
    "estimate": {
        "rows": 663_102,
        "api_calls": 140,
        "api_calls_with_repairs": 155,
        "bulk_jobs": 67,
        "mb": 212.5,
        "minutes": 4.2,
        "share_of_daily": {"DailyApiRequests": 0.14, "DailyBulkV2QueryJobs": 0.67},
    },
    "problems": [],
}


DONE: dict[str, tuple[dict[str, Any], int]] = {
    "audit": ({"run": 17}, 202),
    "conditions": ({}, 200),
    "disable": ({}, 200),
    "enable": ({}, 200),
}
"""The answers to acts, by the last part of their paths."""


class FakeDaemon:
    """One daemon on one socket. `requests` lists every request that would change something."""

    def __init__(self, socket: Path, status: Status, journal: list[Event] | None = None) -> None:
        self.socket = socket
        self.status = status
        self.journal: deque[Event] = deque(journal or [], maxlen=5_000)
        self.errors: list[ErrorEntry] = []
        self.letters: list[DeadLetter] = []
        self.requests: list[tuple[str, object]] = []
        self.refuse: tuple[int, str, str] | None = None
        """What acts are answered with, instead of being done: status, error, message."""
        self.failing: set[int] = set()
        """The dead letters whose retry fails again."""
        self.refused: dict[str, tuple[int, str, str]] = {}
        """The same for what is read, by path."""
        self.garbage: bytes | None = None
        """Sent once in place of the next frame."""
        self.hold: asyncio.Event | None = None
        """While set, no answer comes before it."""
        self.log_refused = False
        """Whether the error log is answered with a refusal."""
        self.asked_hz: list[str] = []
        self.asked: list[str] = []
        """The papers that were asked for."""
        self.unknown: list[str] = []
        """What it was asked for and does not know, as an older daemon."""
        self.papers: dict[str, Any] = papers()
        """Documents by path; with its query, or its method before it, where that matters."""
        self._followers: set[asyncio.Queue[bytes]] = set()
        self._runner: web.AppRunner | None = None
        self._total = len(self.journal)

    # -- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_get("/v1/status", self._status)
        app.router.add_get("/v1/events", self._events)
        app.router.add_get("/v1/errors", self._errors)
        app.router.add_get("/v1/dead-letters", self._letters)
        app.router.add_route("*", "/v1/{rest:.*}", self._other)
        self._runner = web.AppRunner(app, shutdown_timeout=0.05)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self.socket)).start()

    async def stop(self) -> None:
        """Die: every connection breaks, the socket goes."""
        runner, self._runner = self._runner, None
        if runner is not None:
            for server in runner.sites:
                await server.stop()
            await runner.cleanup()
        self._followers.clear()
        self.socket.unlink(missing_ok=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # -- what a test makes happen ----------------------------------------------------------------

    def happen(self, entries: list[Event], *, shown: int = 200, status: bool = False) -> None:
        """Entries are journalled; followers get one frame with the newest of them."""
        self.journal.extend(entries)
        self._total += len(entries)
        if entries:
            self.status.last_seq = entries[-1].seq
        self.send(entries[-shown:], skipped=max(0, len(entries) - shown), status=status)

    def send(self, rows: list[Event], *, skipped: int = 0, status: bool = False) -> None:
        """One frame."""
        frame = Frame(
            seq=self.status.last_seq,
            counters={"change": self._total, "change.push": self._total},
            skipped=skipped,
            rows=rows,
            status=self.status if status else None,
        )
        self.say(self.garbage or msgspec.json.encode(frame))
        self.garbage = None

    def say(self, line: bytes) -> None:
        """A line to every follower."""
        for follower in self._followers:
            follower.put_nowait(line + b"\n")

    @property
    def following(self) -> int:
        """How many follow."""
        return len(self._followers)

    # -- the API ---------------------------------------------------------------------------------

    async def _status(self, _request: web.Request) -> web.Response:
        if self.hold is not None:
            await self.hold.wait()
        return _json(self.status)

    async def _errors(self, _request: web.Request) -> web.Response:
        if self.log_refused:
            return web.json_response({"error": "StorageFailed", "message": "the disk is broken"}, status=503)
        return _json(Errors(errors=self.errors))

    async def _letters(self, _request: web.Request) -> web.Response:
        return _json(DeadLetters(dead_letters=self.letters))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if "follow" not in request.query:
            after, limit = int(request.query.get("after", 0)), int(request.query.get("limit", 1000))
            found = [entry for entry in self.journal if entry.seq > after][:limit]
            return web.Response(body=b"".join(msgspec.json.encode(entry) + b"\n" for entry in found))
        self.asked_hz.append(request.query.get("hz", ""))
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        lines: asyncio.Queue[bytes] = asyncio.Queue()
        lines.put_nowait(msgspec.json.encode(Snapshot(status=self.status)) + b"\n")
        self._followers.add(lines)
        try:
            while True:
                await response.write(await lines.get())
        except (ConnectionError, ClientConnectionResetError):
            self._followers.discard(lines)
            return response
        except asyncio.CancelledError:
            self._followers.discard(lines)
            raise

    async def _other(self, request: web.Request) -> web.Response:
        if request.path in self.refused:
            code, error, message = self.refused[request.path]
            return web.json_response({"error": error, "message": message}, status=code)
        paper = self._paper(request)
        if paper is not None:
            self.asked.append(request.path_qs)
            if self.hold is not None:
                await self.hold.wait()
            return web.json_response(paper)
        if request.method == "GET" and request.path.startswith("/v1/dead-letters/"):
            return web.json_response({"id": int(request.path.split("/")[3]), "push": {"v": 1}})
        if request.method == "GET" and "/records/" in request.path:
            return web.json_response({"error": "NotFound", "message": "never seen"}, status=404)
        if request.method == "GET":
            self.unknown.append(request.path)
            return web.json_response({"error": "UsageError", "message": "Not Found"}, status=404)
        return await self._act(request)

    async def _act(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        path = request.path
        if isinstance(body, dict) and body.get("dry_run"):
            return web.json_response(ESTIMATE)
        self.requests.append((f"{request.method} {path}", body))
        if self.refuse is not None:
            code, error, message = self.refuse
            return web.json_response({"error": error, "message": message}, status=code)
        if path.startswith("/v1/dead-letters/"):
            number = int(path.split("/")[3])
            return web.json_response(self._letter(number, is_retried=path.endswith("/retry")))
        if path in {"/v1/pause", "/v1/resume"}:
            names = body["objects"] if isinstance(body, dict) else []
            for item in self.status.objects:
                if item.name in names:
                    item.state = "paused" if path == "/v1/pause" else "live"
            self.send([], status=True)
            return web.json_response({"objects": names})
        if (verb := path.rpartition("/")[2]) in DONE:
            answer, code = DONE[verb]
            return web.json_response(answer, status=code)
        return web.json_response({"error": "UsageError", "message": "Not Found"}, status=404)

    def _letter(self, number: int, *, is_retried: bool) -> dict[str, Any]:
        """Drop or retry a letter. What fails again has one try more, and keeps the time of its loss."""
        if not is_retried or number not in self.failing:
            self.letters = [letter for letter in self.letters if letter.id != number]
            self.status.dead_letters = len(self.letters)
            return {"id": number, "outcome": "applied"}
        letter = next(letter for letter in self.letters if letter.id == number)
        letter.attempts, letter.tried_at = letter.attempts + 1, ago(0)
        why = "Survey__c is not mirrored"
        do = "Add an [[objects]] section for it to rtsd.toml, restart rtsd, and retry; or drop it."
        return {"retried": True, "outcome": "failed", "error": letter.reason, "reason": why, "do": do}

    def _paper(self, request: web.Request) -> Any:
        for key in (request.path_qs, f"{request.method} {request.path}", request.path):
            if key in self.papers and (request.method == "GET" or key.startswith(request.method)):
                return self.papers[key]
        return None


def _json(document: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(document), content_type="application/json")


async def _serve(socket: Path, scenario: str, per_second: float) -> None:
    """For looking at it by hand: a busy daemon on the real clock."""
    daemon = FakeDaemon(socket, SCENARIOS[scenario](), events(1, 400))
    daemon.errors, daemon.letters = error_log(), dead_letters()
    async with daemon:
        sys.stdout.write(json.dumps({"socket": str(socket)}) + "\n")
        sys.stdout.flush()
        seq = 400
        owed = 0.0
        while True:
            await asyncio.sleep(0.1)
            owed += per_second / 10
            count, owed = int(owed), owed % 1
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            fresh = [event(number) for number in range(seq + 1, seq + count + 1)]
            for entry in fresh:
                entry.at = at
            seq += count
            if fresh:
                daemon.happen(fresh)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 40.0))
