"""A recorded session, played as it was: `rtstui --replay FILE`."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
import msgspec

from rtsd.control.client import ControlClient
from rtsd.control.protocol import Frame, Snapshot
from rtsd.control.socket_connection import decode_line
from rtsd.errors import NotFound, RtsError
from rtstui.recording import FEED, Line

STEP_S = 0.1
"""Seconds between two looks at what is due."""


class Replay:
    """A recording, and the place in it. The place moves with the clock, or by `skip`."""

    def __init__(self, file: Path) -> None:
        """Read a recording. Raises RtsError if it is none."""
        try:
            self.lines = [
                msgspec.json.decode(line, type=Line) for line in file.read_bytes().splitlines() if line
            ]
        except OSError as error:
            raise RtsError(f"{file} cannot be read: {error.strerror}.") from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise RtsError(f"{file} is no recording.", "`rtstui --record FILE` makes one.") from None
        if not self.lines:
            raise RtsError(f"{file} is empty.", "`rtstui --record FILE` makes a recording.")
        self._at = self.begin
        self._since = 0.0
        self.is_running = False
        self.jumps = 0
        """How often the place was changed: what was shown before a jump back is shown no more."""

    @property
    def begin(self) -> datetime:
        """When the first answer came."""
        return self.lines[0].at

    @property
    def end(self) -> datetime:
        """When the last answer came."""
        return self.lines[-1].at

    def now(self) -> datetime:
        """Return the moment that is shown."""
        if not self.is_running:
            return self._at
        passed = asyncio.get_running_loop().time() - self._since
        return min(self.end, self._at + timedelta(seconds=passed))

    def run(self, *, on: bool) -> None:
        """Go on, or stop at this moment."""
        self._at, self._since, self.is_running = self.now(), asyncio.get_running_loop().time(), on

    def skip(self, seconds: float) -> None:
        """Go forward or back."""
        self._at = max(self.begin, min(self.end, self.now() + timedelta(seconds=seconds)))
        self._since = asyncio.get_running_loop().time()
        self.jumps += 1

    def due(self) -> int:
        """Return the number of lines up to now."""
        return bisect_right(self.lines, self.now(), key=lambda line: line.at)

    def last(self, path: str, query: Mapping[str, str]) -> bytes | None:
        """Return the newest answer to a request until now, else the first one after; None without any."""
        due = self.due()
        places = [*range(due - 1, -1, -1), *range(due, len(self.lines))]
        for strict in (True, False):
            for place in places:
                line = self.lines[place]
                if line.path == path and (not strict or line.query == dict(query)):
                    return bytes(line.answer)
        return None


class ReplayClient(ControlClient):
    """A client that is answered from a recording."""

    def __init__(self, file: Path, replay: Replay) -> None:
        super().__init__(file)
        self._replay = replay

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,  # noqa: ARG002 - an order is never recorded
        patience: aiohttp.ClientTimeout | None = None,  # noqa: ARG002 - nobody is waited for
    ) -> bytes:
        """Return the recorded answer. Raises NotFound if there is none."""
        answer = self._replay.last(path, query or {}) if method == "GET" else None
        if answer is None and path == "/v1/status":
            answer = self._status()
        if answer is None:
            raise NotFound("This is not in the recording.")
        if path == "/v1/events":
            return b"\n".join(msgspec.json.decode(answer, type=list[msgspec.Raw]))
        return answer

    async def lines(self, query: Mapping[str, str]) -> AsyncGenerator[bytes, None]:  # noqa: ARG002
        """Yield the lines of the feed as they become due; after a jump back, from the first one on."""
        place, jumps = 0, self._replay.jumps
        self._replay.run(on=True)
        while True:
            if jumps != self._replay.jumps:
                place, jumps = 0, self._replay.jumps
            due = self._replay.due()
            for line in self._replay.lines[place:due]:
                if line.path == FEED:
                    yield bytes(line.answer)
            place = max(place, due)
            await asyncio.sleep(STEP_S)

    def _status(self) -> bytes | None:
        """Return the newest status of the feed."""
        for line in reversed(self._replay.lines[: self._replay.due()]):
            if line.path != FEED:
                continue
            found = decode_line(bytes(line.answer), {"snapshot": Snapshot}, Frame)
            if found.status is not None:
                return msgspec.json.encode(found.status)
        return None
