"""A push's body: within its deadline, its size, and what all bodies together may take of memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientPayloadError, http, web

from rtsd.errors import CannotCommit, MalformedPush, PushTimedOut, PushTooLarge

MOST = 12 * 1024 * 1024
DEADLINE_S = 10.0
"""An Apex callout gives up after 10 s by default; nobody honest is slower."""
SMALL = 64 * 1024
"""Bodies up to this size are always let in: aiohttp buffers as much anyway."""
MOST_IN_ALL = 96 * 1024 * 1024
"""What larger bodies may hold together until they are answered: they are kept before anybody has signed."""


class Bodies:
    """Reads bodies, and keeps count of what they take."""

    def __init__(self) -> None:
        self._held = 0

    @asynccontextmanager
    async def read(self, request: web.Request) -> AsyncIterator[bytes]:
        """The whole body, which counts until the block ends.

        Raises PushTooLarge, PushTimedOut and CannotCommit.
        """
        if request.content_length is not None and request.content_length > MOST:
            raise PushTooLarge("the body is over 12 MiB", "send fewer changes, or changes without fields")
        body, counted = bytearray(), 0
        try:
            try:
                async with asyncio.timeout(DEADLINE_S):
                    while chunk := await request.content.readany():
                        body += chunk
                        counted = self._count(len(body), counted)
            except TimeoutError:
                raise PushTimedOut(f"the body did not arrive within {DEADLINE_S:.0f} s") from None
            except (ClientPayloadError, ConnectionError, http.HttpProcessingError, web.RequestPayloadError):
                raise MalformedPush("the body is not what its headers say") from None
            yield bytes(body)
        finally:
            self._held -= counted

    def _count(self, size: int, counted: int) -> int:
        """Count a body that has grown to `size`, of which `counted` was counted; return what now is."""
        if size > MOST:
            raise PushTooLarge("the body is over 12 MiB", "send fewer changes, or changes without fields")
        if size <= SMALL:
            return counted
        if self._held - counted + size > MOST_IN_ALL:
            raise CannotCommit("too many large pushes at once", retry_after_s=2)
        self._held += size - counted
        return size
