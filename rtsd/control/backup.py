"""`POST /v1/backup`: a copy of the mirror as of now, streamed; `GET /v1/backup`: its progress."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from rtsd.control import protocol
from rtsd.control.documents import answer
from rtsd.core.instant import Millis, to_iso
from rtsd.errors import Conflict
from rtsd.store.engine import Engine, Progress, Stopped

CHUNK = 1 << 20
WRITE_DEADLINE_S = 30.0
"""A reader that takes nothing for this long is closed."""


class Backups:
    """Makes one backup at a time. The copy lies beside the mirror until it is sent."""

    def __init__(self, engine: Engine, now: Callable[[], Millis]) -> None:
        self._engine = engine
        self._now = now
        self._progress: Progress | None = None

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/v1/backup", self._show_progress), web.post("/v1/backup", self._send)]

    async def _show_progress(self, _request: web.Request) -> web.Response:
        return answer(self.progress)

    @property
    def progress(self) -> protocol.BackupProgress:
        """The progress of the backup under way."""
        made = self._progress
        if made is None:
            return protocol.BackupProgress()
        return protocol.BackupProgress(running=True, copied=made.copied, pages=made.pages)

    def stop(self) -> None:
        """End the copy under way: a daemon that stops does not wait for it."""
        if self._progress is not None:
            self._progress.stop = True

    async def _send(self, request: web.Request) -> web.StreamResponse:
        """Copy, then stream. Raises Conflict while another copy is made, and StoreError."""
        if self._progress is not None:
            raise Conflict("a backup is being made already", "wait until it is done")
        self._progress = Progress()
        taken_at = to_iso(self._now())
        try:
            path = await self._engine.copy(self._progress)
        except Stopped:
            raise Conflict("rtsd is stopping", "ask again once it runs") from None
        finally:
            self._progress = None
        try:
            return await _stream(request, path, taken_at)
        finally:
            path.unlink(missing_ok=True)


async def _stream(request: web.Request, path: Path, taken_at: str) -> web.StreamResponse:
    digest, size = await asyncio.to_thread(_measure, path)
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/vnd.sqlite3",
            "Repr-Digest": f"sha-256=:{base64.b64encode(digest).decode()}:",  # RFC 9530
            "Rtsd-Taken-At": taken_at,
        }
    )
    response.content_length = size
    await response.prepare(request)
    with path.open("rb") as file:
        try:
            while chunk := await asyncio.to_thread(file.read, CHUNK):
                async with asyncio.timeout(WRITE_DEADLINE_S):
                    await response.write(chunk)
            await response.write_eof()
        except (ConnectionError, TimeoutError):
            pass  # the reader went away, and sees a body that is too short
    return response


def _measure(path: Path) -> tuple[bytes, int]:
    """Return a file's SHA-256 and its size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest(), file.tell()
