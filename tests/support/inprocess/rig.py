"""A daemon's parts as `rtsd.daemon.compose` builds them, beside a simulated org whose clock only tests move.

Nothing runs by itself but the inbox: tests call `step` of what they look at.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from rtsd import config
from rtsd.core.mode import Mode
from rtsd.core.signature import sign
from rtsd.daemon.compose import compose
from rtsd.daemon.parts import Parts
from rtsd.errors import StoreError
from rtsd.machine import Machine
from rtsd.store import journal
from rtsd.store.journal import Note
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.package_probe import PackageProbe
from rtsd.workflows.demo.compare import Difference
from rtssim.org import Org
from rtssim.process import SimulatedOrg
from tests.support.mirror import Mirror, mirror_at

TOKEN = "push-token-of-the-tests-0001"
START = datetime(2026, 3, 1, 10, 0, 0, tzinfo=UTC)

TOML = """
[org]
login_url = "{url}"
auth = "client_credentials"
client_id = "{client_id}"
client_secret = "{client_secret}"
[gateway]
listen = "{listen}"
public_url = "https://rts.example.com"
token = "{token}"
[store]
{store}
[control]
socket = "{path}/rtsd.sock"
"""


async def _no_pause(_seconds: float) -> None:
    """Retries and polls come at once."""
    await asyncio.sleep(0)


@dataclass
class Rig:
    """The simulated org, and the daemon's parts while `running`."""

    sim: SimulatedOrg
    org: Org
    place: Path
    objects: tuple[str, ...]
    more: str = ""
    skew_ms: int = 0
    """How far this machine's clock is ahead of the org's."""
    monotonic_ms: int = 0
    listen: str = "127.0.0.1:0"
    """Where the gateway listens; empty: there is none."""
    random_bytes: Callable[[int], bytes] = secrets.token_bytes
    parts: Parts = field(init=False)
    http: aiohttp.ClientSession = field(init=False)

    # -- time ---------------------------------------------------------------------------------------
    def now(self) -> int:
        """The local clock."""
        return int(self.org.clock.now().timestamp() * 1000) + self.skew_ms

    def advance(self, seconds: float) -> None:
        """Let time pass, here and in the org."""
        self.org.clock.advance(seconds)
        self.org.settle()
        self.monotonic_ms += int(seconds * 1000)

    # -- the daemon's life --------------------------------------------------------------------------
    @asynccontextmanager
    async def running(self) -> AsyncIterator[Parts]:
        """Build the daemon's parts, and take them down again without ceremony."""
        path = self.place / "rtsd.toml"
        info = self.sim.info
        named = {name: info[name] for name in ("url", "client_id", "client_secret")}
        named |= {"store": self.mirror.section(), "listen": self.listen, "token": TOKEN}
        objects = "".join(f'[[objects]]\nname = "{name}"\n' for name in self.objects)
        filled = TOML.format(path=self.place, **named)
        path.write_text(filled + self.more.format(**info) + objects)
        path.chmod(0o600)
        machine = Machine(
            wall=self.now,
            monotonic=lambda: self.monotonic_ms,
            random_bytes=self.random_bytes,
            sleep=_no_pause,
        )
        async with AsyncExitStack() as stack:
            self.http = await stack.enter_async_context(aiohttp.ClientSession())
            self.parts = await compose(config.load(path), stack, machine)
            inbox = asyncio.create_task(self.parts.runner.run(self.parts.services.inbox))
            try:
                yield self.parts
            finally:
                inbox.cancel()
                with suppress(asyncio.CancelledError):
                    await inbox

    async def load(self) -> None:
        """Describe and load every object."""
        await self.parts.services.loader.step()

    async def install_package(self) -> None:
        """Install the package in the org, and let it push here."""
        settings = {"Gateway_URL__c": self.gateway, "Token__c": TOKEN, "Error_Logging__c": True}
        await self.sim.control("package/install", {"settings": settings})
        assert self.sim.server is not None
        self.sim.server.switches.push_retry_scale = 0.01
        self.sim.server.switches.push_timestamp_by_org_clock = True

    async def heartbeat(self) -> None:
        """Have the package send one, and judge it."""
        assert (await self.sim.control("package/heartbeat"))["status"] == 200
        await self.parts.services.evidence.step()

    async def settle(self) -> None:
        """Wait for the pushes under way, apply what came, and fetch what is to be fetched."""
        await self.sim.control("package/drain", {})
        await self.parts.services.evidence.step()
        while await self.parts.services.realtime.apply_batch():
            pass
        for _ in range(10):
            if not (await self.parts.readers.repair.step()).fetched:
                return
            self.advance(1)
        raise AssertionError("records are fetched again and again")

    # -- looking ------------------------------------------------------------------------------------
    def __getitem__(self, name: str) -> MirroredObject:
        """A mirrored object."""
        return self.parts.base.catalog[name]

    @property
    def mirror(self) -> Mirror:
        """As other programs see it."""
        return mirror_at(self.place / "mirror.db")

    @property
    def package_probe(self) -> PackageProbe:
        """The service that probes for the package."""
        assert self.parts.services.package_probe is not None
        return self.parts.services.package_probe

    @property
    def mode(self) -> Mode:
        """How changes arrive."""
        return self.parts.channel.mode.mode

    async def differences(self) -> list[Difference]:
        """Where mirror and org differ, field by field."""
        found = [await self.mirror.compare(name, self.sim.rows(name)) for name in self.objects]
        return [difference for difference in found if not difference.equal]

    async def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What is in the mirror."""
        return await self.parts.base.database.fetch(sql, parameters)

    async def received(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What is in the inbox's file."""
        return await self.parts.base.inbox.file.fetch(sql, parameters)

    async def notes(self, kind: str) -> list[Note]:
        """The journal's entries of one type."""
        entries = await journal.after(self.parts.base.database, 0, limit=100_000)
        return [entry.note for entry in entries if entry.note.type == kind]

    async def calls(self) -> dict[str, int]:
        """API calls by kind, as the org counted them."""
        return dict((await self.sim.stats())["calls"])

    # -- changing the org ---------------------------------------------------------------------------
    async def dml(self, op: str, name: str, **body: Any) -> list[str]:
        """Change rows in one commit, a moment after the last."""
        self.advance(0.05)
        return await self.sim.dml(op, name, **body)

    async def a_record(self, name: str) -> str:
        """The id of some record."""
        async for row in self.sim.rows(name):
            return str(row["Id"])
        raise AssertionError(f"no {name}")

    # -- the gateway --------------------------------------------------------------------------------
    @property
    def gateway(self) -> str:
        """Where pushes are taken."""
        assert self.parts.gateway is not None
        return f"http://{self.parts.gateway.address}"

    async def push(
        self,
        document: Mapping[str, Any] | bytes,
        *,
        name: str = "msg_1",
        token: str = TOKEN,
        headers: Mapping[str, str | None] | None = None,
        data: Any = None,
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Sign and send a push; return status, JSON and headers of the answer."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        seconds = self.now() // 1000
        sent = {
            "Content-Type": "application/json",
            "webhook-id": name,
            "webhook-timestamp": str(seconds),
            "webhook-signature": sign(token.encode(), name, seconds, body),
            **(headers or {}),
        }
        kept = {key: value for key, value in sent.items() if value is not None}
        url = f"{self.gateway}/v1/push"
        async with self.http.post(url, data=data if data is not None else body, headers=kept) as answer:
            found = json.loads(await answer.read())
        with suppress(StoreError):  # judged again when there is space
            await self.parts.services.evidence.step()
        return answer.status, found, answer.headers

    def changes(self, *elements: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """A push of changes, read back now."""
        read_at = self.org.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"
        head = {"v": 1, "kind": "changes", "org": self.org.org_id, "read_at": read_at, "sent": read_at}
        return {**head, "changes": list(elements), **more}


Start = Callable[..., Awaitable[Rig]]
