"""A session on file, for somebody who was not there: `rtstui --record FILE`.

The file has a line of JSON for each answer of rtsd, in the order of their arrival: lines of the feed, and
documents. It has no values of records: those documents are left out, and texts about trouble are masked.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from rtsd.control.client import ControlClient
from rtsd.control.protocol import Actions, DeadLetters, Errors, Event, Frame, Snapshot
from rtsd.control.socket_connection import decode_line
from rtstui import PROGRAM
from rtstui.clean import masked
from rtstui.meaning import veiled

FEED = "feed"
"""What stands in the place of a path for a line of the feed."""

WITHOUT_VALUES = (
    "/v1/status",
    "/v1/audits",
    "/v1/missed",
    "/v1/nodes",
    "/v1/package",
    "/v1/quota/history",
    "/v1/rules",
)
"""Documents without values of records, and without texts about any."""

MOST_BYTES = 512 * 1024 * 1024
"""Length at which a recording ends: somebody has to be sent it."""


class Line(msgspec.Struct, omit_defaults=True):
    """A line of a recording: what was asked, what was answered, and when."""

    at: datetime
    path: str
    answer: msgspec.Raw
    query: dict[str, str] = {}


class Recorder:
    """Writes a recording that only its owner can read. Raises OSError if it cannot be written."""

    def __init__(self, file: Path, now: Callable[[], datetime]) -> None:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._now = now
        self._left = MOST_BYTES

    def keep(self, path: str, query: Mapping[str, str] | None, answer: bytes) -> None:
        """Write an answer, unless the recording is full."""
        line = Line(self._now(), path, msgspec.Raw(answer), dict(query or {}))
        written = msgspec.json.encode(line) + b"\n"
        self._left -= len(written)
        if self._left >= 0:
            self._file.write(written)

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


class RecordingClient(ControlClient):
    """A client whose answers are recorded."""

    def __init__(self, socket: Path, recorder: Recorder) -> None:
        super().__init__(socket, program=PROGRAM)
        self._recorder = recorder

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        patience: aiohttp.ClientTimeout | None = None,
    ) -> bytes:
        """Send a request; keep the answer if it has no values."""
        answer = await super().request(method, path, query=query, body=body, patience=patience)
        if method == "GET" and (kept := _document(path, answer)) is not None:
            self._recorder.keep(path, query, kept)
        return answer

    async def lines(self, query: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """Follow the feed, and keep its lines."""
        async for line in super().lines(query):
            self._recorder.keep(FEED, None, _feed_line(line))
            yield line


def _document(path: str, answer: bytes) -> bytes | None:
    """Return what may be kept of a document; None if nothing."""
    if path in WITHOUT_VALUES:
        return answer
    if path == "/v1/events":
        lines = [msgspec.json.decode(line, type=Event) for line in answer.splitlines() if line.strip()]
        return msgspec.json.encode([veiled(event, mask=True) for event in lines])
    if path == "/v1/actions":
        log = msgspec.json.decode(answer, type=Actions)
        return msgspec.json.encode(Actions(actions=[veiled(entry, mask=True) for entry in log.actions]))
    if path == "/v1/errors":
        errors = msgspec.json.decode(answer, type=Errors)
        for entry in errors.errors:
            entry.message = masked(entry.message)
        return msgspec.json.encode(errors)
    if path == "/v1/dead-letters":
        letters = msgspec.json.decode(answer, type=DeadLetters)
        for letter in letters.dead_letters:
            letter.message = masked(letter.message)
        return msgspec.json.encode(letters)
    return None


def _feed_line(line: bytes) -> bytes:
    kinds: dict[str, type[Any]] = {"snapshot": Snapshot}
    found = decode_line(line, kinds, Frame)
    if isinstance(found, Frame):
        found.rows = [veiled(event, mask=True) for event in found.rows]
    return msgspec.json.encode(found)
