"""The bodies of pushes: a deadline, a maximum size, and a limit on the memory of all together."""

from __future__ import annotations

import asyncio

from aiohttp import ClientPayloadError, StreamReader, http, web

from rtsd.core.payload import MAX_DOCUMENT
from rtsd.errors import CannotCommit, MalformedPush, PushTimedOut, PushTooLarge

DEADLINE_S = 10.0
"""The default time-out of an Apex callout: no genuine sender is slower."""
SMALL = 64 * 1024
"""Bodies up to this many bytes do not count towards the total: aiohttp buffers as much anyway."""
MAX_TOTAL = 96 * 1024 * 1024
"""Bytes that all larger bodies may hold until they are answered: they are buffered before verification."""


class BodyReader:
    """Reads bodies and tracks the memory they hold."""

    def __init__(self) -> None:
        self._held = 0

    async def read(self, request: web.Request) -> bytes:
        """Read the complete body; its memory counts until it is released.

        Raises PushTooLarge, PushTimedOut, MalformedPush and CannotCommit; then there is nothing to release.
        """
        if request.content_length is not None and request.content_length > MAX_DOCUMENT:
            raise _too_large()
        try:
            if request.content.is_eof():  # it came with its headers: no timer is needed
                body = request.content.read_nowait()
                self._count(len(body), 0)
                return body
            async with asyncio.timeout(DEADLINE_S):
                return await self._read_parts(request.content)
        except TimeoutError:
            raise PushTimedOut(f"the body did not arrive within {DEADLINE_S:.0f} s") from None
        except (ClientPayloadError, ConnectionError, http.HttpProcessingError, web.RequestPayloadError):
            raise MalformedPush("the body does not match its headers") from None

    def release(self, body: bytes) -> None:
        """Stop counting a body's memory."""
        if len(body) > SMALL:
            self._held -= len(body)

    async def _read_parts(self, content: StreamReader) -> bytes:
        body, counted = bytearray(), 0
        try:
            while chunk := await content.readany():
                body += chunk
                counted = self._count(len(body), counted)
        except BaseException:
            self._held -= counted
            raise
        return bytes(body)

    def _count(self, size: int, counted: int) -> int:
        """Count a body that has grown to `size` bytes, `counted` of them so far; return the new count."""
        if size > MAX_DOCUMENT:
            raise _too_large()
        if size <= SMALL:
            return counted
        if self._held - counted + size > MAX_TOTAL:
            raise CannotCommit("too many large pushes at once", retry_after_s=2)
        self._held += size - counted
        return size


def _too_large() -> PushTooLarge:
    return PushTooLarge("the body is over 12 MiB", "send fewer changes, or changes without fields")
