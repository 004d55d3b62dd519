"""A receiver of deliveries over real HTTP, answering as a test wants, and a rig whose rules send there."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.inprocess.rig import Rig

SECRET = "hook-secret-of-the-tests"
TURNS = 2_000


@dataclass
class Receiver:
    """What came, and what is answered: a status for every delivery, or one by its document."""

    port: int = 0
    status: int | Callable[[dict[str, Any]], int] = 200
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    """Headers and document of every try, in the order they came."""
    forged: int = 0
    held: asyncio.Event | None = None
    """While set to an event, nothing is answered before it is set."""

    @property
    def url(self) -> str:
        """Where deliveries go."""
        return f"http://127.0.0.1:{self.port}/hook?key=not-to-be-shown"

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The documents of every try."""
        return [document for _, document in self.seen]

    @property
    def names(self) -> list[Any]:
        """The LastName of each record that came."""
        return [document["record"]["LastName"] for document in self.documents]

    def rule(self, name: str = "watch", *, on: str = '["create", "update"]', more: str = "") -> str:
        """TOML of a rule on contacts that posts here."""
        head = f'[[rules]]\nname = "{name}"\nobject = "Contact"\non = {on}\n{more}\n'
        return f'{head}[rules.webhook]\nurl = "{self.url}"\nsecret = "{SECRET}"\ntimeout = "2s"\n'

    async def take(self, request: web.Request) -> web.Response:
        """Check the signature as a receiver does who knows only Standard Webhooks, then answer."""
        body = await request.read()
        name, stamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        signed = f"{name}.{stamp}.".encode() + body
        wanted = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
        self.forged += f"v1,{wanted}" != request.headers["webhook-signature"]
        document = json.loads(body)
        self.seen.append((dict(request.headers), document))
        if self.held is not None:
            await self.held.wait()
        status = self.status if isinstance(self.status, int) else self.status(document)
        return web.Response(status=status, headers=self.headers, body=b"thanks " * 100)


@dataclass
class Ruled:
    """A rig whose rules send to the receiver."""

    rig: Rig
    receiver: Receiver

    async def begin(self) -> None:
        """Load the mirror, and have the org push."""
        await self.rig.load()
        await self.rig.install_package()

    async def deliver(self) -> None:
        """Make every try that is due now, and write down what came of it."""
        deliverer = self.rig.parts.rule_engine.deliverer
        for _ in range(TURNS):
            if not await deliverer.turn() and not deliverer.under_way:
                return
            await asyncio.sleep(0.001)
        raise AssertionError("the tries do not come to an end")

    async def settle(self) -> None:
        """Apply what was pushed, then deliver."""
        await self.rig.settle()
        await self.deliver()

    async def outcomes(self) -> list[str | None]:
        """What the journal says of rules, in order."""
        return [note.outcome for note in await self.rig.notes("rule")]

    async def pending(self) -> int:
        """Deliveries that are not done."""
        ((count,),) = await self.rig.rows("SELECT COUNT(*) FROM _rts_outbox WHERE done_at IS NULL")
        return int(count)


Make = Callable[..., Awaitable[Ruled]]
