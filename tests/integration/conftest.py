"""A daemon's parts as `rtsd.daemon` composes them, beside a simulated org whose clock only tests move.

Nothing runs by itself but the inbox: tests call `step` of what they look at.
"""

from __future__ import annotations

import asyncio
import functools
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from rtsd import config, daemon
from rtsd.core.mode import Mode
from rtsd.core.signature import sign
from rtsd.daemon import Parts
from rtsd.store import journal
from rtsd.store.journal import Note
from rtsd.sync.catalog import MirroredObject
from rtsd.workflows.demo.compare import Difference, compare
from rtssim.clock import Clock
from rtssim.org import Org
from rtssim.process import SimulatedOrg, serve

TOKEN = "push-token-of-the-tests-0001"
START = datetime(2026, 3, 1, 10, 0, 0, tzinfo=UTC)
TRIES = 200

TOML = """
[org]
login_url = "{url}"
auth = "client_credentials"
client_id = "{client_id}"
client_secret = "{client_secret}"
[gateway]
listen = "127.0.0.1:0"
public_url = "https://rts.example.com"
token = "{token}"
[store]
path = "{path}/mirror.db"
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
        objects = "".join(f'[[objects]]\nname = "{name}"\n' for name in self.objects)
        path.write_text(TOML.format(path=self.place, token=TOKEN, **named) + self.more.format() + objects)
        path.chmod(0o600)
        async with AsyncExitStack() as stack:
            self.http = await stack.enter_async_context(aiohttp.ClientSession())
            self.parts = await daemon.build(config.load(path), stack)
            self.parts.engine.client.exchange.retrier.sleep = _no_pause
            inbox = asyncio.create_task(self.parts.inbox.run())
            try:
                yield self.parts
            finally:
                inbox.cancel()
                with suppress(asyncio.CancelledError):
                    await inbox

    async def load(self) -> None:
        """Describe and load every object."""
        await self.parts.controller._load()

    async def install_package(self) -> None:
        """Install the package in the org, and let it push here."""
        settings = {"Gateway_URL__c": self.gateway, "Token__c": TOKEN, "Error_Logging__c": True}
        await self.sim.control("package/install", {"settings": settings})
        assert self.sim.service is not None
        self.sim.service.package.retry_delays_s = (0.01,)
        self.sim.service.switches.push_timestamp_by_org_clock = True

    async def settle(self) -> None:
        """Wait for the pushes under way, apply what came, and fetch what is to be fetched."""
        await self.sim.control("package/drain", {})
        while await self.parts.controller.realtime.step():
            pass
        for _ in range(10):
            if not (await self.parts.controller.repair.step()).fetched:
                return
            self.advance(1)
        raise AssertionError("records are fetched again and again")

    # -- looking ------------------------------------------------------------------------------------
    def __getitem__(self, name: str) -> MirroredObject:
        """A mirrored object."""
        return self.parts.engine.catalog[name]

    @property
    def mode(self) -> Mode:
        """How changes arrive."""
        return self.parts.controller.mode

    async def differences(self) -> list[Difference]:
        """Where mirror and org differ, field by field."""
        found = [await compare(one, self.sim.rows(one), self.place / "mirror.db") for one in self.objects]
        return [one for one in found if not one.equal]

    async def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What is in the mirror."""
        return await self.parts.database.fetch(sql, parameters)

    async def notes(self, kind: str) -> list[Note]:
        """The journal's entries of one type."""
        entries = await journal.after(self.parts.database, 0, limit=100_000)
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
            return answer.status, json.loads(await answer.read()), answer.headers

    def changes(self, *elements: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """A push of changes, read back now."""
        read_at = self.org.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"
        head = {"v": 1, "kind": "changes", "org": self.org.org_id, "read_at": read_at, "sent": read_at}
        return {**head, "changes": list(elements), **more}


Start = Callable[..., Awaitable[Rig]]


@pytest.fixture(scope="session", autouse=True)
def costly_keys_are_made_once() -> Iterator[None]:
    """A simulated org's RSA key takes a tenth of a second, and is the same in every test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rsa, "generate_private_key", functools.cache(rsa.generate_private_key))
        yield


_trust_roots = functools.cache(ssl.create_default_context)
"""Reading the system's takes as long; rigs speak plain HTTP anyway."""


@pytest.fixture
async def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    """Makes rigs, of so many records; `more` is TOML for the configuration, `run=False` only prepares."""
    async with AsyncExitStack() as stack:

        async def make(
            records: Mapping[str, int], *, objects: tuple[str, ...] = (), more: str = "", run: bool = True
        ) -> Rig:
            org = Org(seed=3, records=records, clock=Clock(START, speed=0.0))
            stack.callback(org.close)
            sim = await stack.enter_async_context(serve(org))
            rig = Rig(sim, org, tmp_path, objects or tuple(records), more)
            monkeypatch.setattr(ssl, "create_default_context", _trust_roots)
            monkeypatch.setattr(daemon, "wall_ms", rig.now)
            monkeypatch.setattr(daemon, "monotonic_ms", lambda: rig.monotonic_ms)
            if run:
                await stack.enter_async_context(rig.running())
            return rig

        yield make


@pytest.fixture
async def contacts(start: Start) -> Rig:
    """A few contacts, loaded, with the package installed."""
    rig = await start({"Contact": 12})
    await rig.load()
    await rig.install_package()
    return rig


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Awaitable[None]]:
    """Wait until a condition holds, turn by turn of the loop."""

    async def wait(condition: Callable[[], Any]) -> None:
        for _ in range(TRIES):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it did not come to pass")

    return wait
