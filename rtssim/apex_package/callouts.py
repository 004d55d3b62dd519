"""Apex callouts: signed POSTs to the gateway, with statistics of their answers."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

if TYPE_CHECKING:
    from datetime import datetime

    from rtssim.apex_package.settings import PackageSettings
    from rtssim.clock import Clock
    from rtssim.switches import ApiSwitches

CONCURRENT = 50
TIMEOUT = aiohttp.ClientTimeout(total=20)


@dataclass
class PushStatistics:
    """Pushes and their answers since the start."""

    pushes: int = 0
    changes: int = 0
    attempts: int = 0
    acked: int = 0
    failed: int = 0
    lost: int = 0
    shed: int = 0  # changes that could leave neither as an event nor by a job
    heartbeats: int = 0
    filtered: int = 0  # updates that no sync condition matched
    suppressed: int = 0  # changes while the package was disabled or not set up
    answers: Counter[str] = field(default_factory=Counter)

    def document(self) -> dict[str, Any]:
        """Return the numbers as JSON."""
        return {name: dict(value) if name == "answers" else value for name, value in vars(self).items()}


class Callouts:
    """Sends documents, from `start` to `close`, and keeps statistics."""

    def __init__(self, clock: Clock, switches: ApiSwitches) -> None:
        self._clock = clock
        self._switches = switches
        self._http: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(CONCURRENT)
        self.statistics = PushStatistics()
        self.sent = asyncio.Event()  # set after every callout

    @property
    def running(self) -> bool:
        """True between `start` and `close`."""
        return self._http is not None

    async def start(self) -> None:
        """Open the HTTP client."""
        connector = aiohttp.TCPConnector(limit=CONCURRENT)
        self._http = aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, auto_decompress=False)

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def post(
        self, settings: PackageSettings, message_id: str, document: dict[str, Any]
    ) -> tuple[int, str]:
        """Sign and POST a document; return the status (0: no answer) and the start of the body."""
        if self._http is None:
            return 0, "closed"
        self.statistics.attempts += 1
        body = msgspec.json.encode({**document, "sent": push_stamp(self._clock.now())})
        stamp = timestamp(self._clock, self._switches)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": stamp,
            "webhook-signature": sign(settings.token, message_id, stamp, body),
        }
        try:
            async with (
                self._slots,
                self._http.post(
                    settings.push_url, data=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                text = (await answer.content.read(1_000)).decode(errors="replace")
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as problem:
            status, text = 0, f"{type(problem).__name__}: {problem}"
        self.statistics.answers[str(status)] += 1
        self.sent.set()
        return status, text


def timestamp(clock: Clock, switches: ApiSwitches) -> str:
    """Return the `webhook-timestamp` of an attempt that is made now (Unix s)."""
    return str(int(clock.now().timestamp() if switches.push_timestamp_by_org_clock else time.time()))


def sign(token: str, message_id: str, stamp: str, body: bytes) -> str:
    """Return the `webhook-signature` of a body (Standard Webhooks; the key is the token's UTF-8 bytes)."""
    content = f"{message_id}.{stamp}.".encode() + body
    digest = hmac.new(token.encode(), content, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def push_stamp(moment: datetime) -> str:
    """Return a datetime as a push prints it: UTC with milliseconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
