"""NATS servers for tests, alone or as a cluster, and what is read back from them by nats-py."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import nats
import nats.errors
import nats.js.errors
import pytest
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig

from tests.support.processes.rig import free_port
from tests.support.waiting import eventually

MISSING = "nats-server is not installed; get it with: apt-get install nats-server"
"""Why tests with one are skipped."""
PROGRAM = shutil.which("nats-server", path="/usr/local/bin:/usr/bin:/usr/sbin:/opt/homebrew/bin") or ""
needed = pytest.mark.skipif(not PROGRAM, reason=MISSING)
STREAM = "rts"


class Message(NamedTuple):
    """A message of a stream, in its order."""

    subject: str
    headers: dict[str, str]
    document: dict[str, Any]
    body: bytes = b""
    came_at: float = 0.0
    """When it was read, in ms since 1970."""

    @property
    def seq(self) -> int:
        """The number of the change in the journal."""
        return int(self.document["id"])

    @property
    def record(self) -> str:
        """The record that it is about."""
        return str(self.document["subject"])

    @property
    def values(self) -> tuple[Any, Any]:
        """The record before and after the change."""
        return self.document["data"]["before"], self.document["data"]["after"]


@dataclass
class Server:
    """A server with JetStream, as a process; it keeps its port and its files over restarts."""

    place: Path
    name: str = "n1"
    more: str = ""
    """Further lines of its configuration."""
    jetstream: bool = True
    port: int = field(default_factory=free_port)
    login: dict[str, Any] = field(default_factory=dict)
    """What tests connect with."""
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"nats://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, and wait until it takes connections."""
        self.place.mkdir(exist_ok=True)
        config = self.place / "nats.conf"
        lines = [
            f"server_name: {self.name}",
            f"listen: 127.0.0.1:{self.port}",
            f'jetstream {{ store_dir: "{self.place}/data", max_file: 1GB }}' if self.jetstream else "",
            self.more,
        ]
        config.write_text("\n".join(lines) + "\n")
        with (self.place / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                PROGRAM, "-c", str(config), stderr=log, stdout=log
            )
        await eventually(self._listens, f"{self.name} listens")

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.returncode is None, (self.place / "log").read_text()[-2000:]
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    async def end(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.kill()
            await self.process.wait()
            self.process = None

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[JetStreamContext]:
        """Connect to it by nats-py."""
        client = await nats.connect(self.url, **{"connect_timeout": 5, **self.login})
        try:
            yield client.jetstream(timeout=10)
        finally:
            await client.close()

    async def add(self, name: str = STREAM, **config: Any) -> None:
        """Create a stream of all changes, or change it."""
        async with self.connected() as stream:
            wanted = {"name": name, "subjects": ["rts.>"], **config}
            try:
                await stream.add_stream(**wanted)
            except nats.js.errors.BadRequestError:  # it is there
                await stream.update_stream(**wanted)

    async def messages(self, name: str = STREAM) -> list[Message]:
        """Return what is in a stream."""
        async with self.connected() as stream:
            return await read(stream, name)


async def read(stream: JetStreamContext, name: str = STREAM) -> list[Message]:
    """Read a whole stream, by an ordered consumer of nats-py."""
    wanted = (await stream.stream_info(name)).state.messages
    found: list[Message] = []
    if wanted:
        subscription = await stream.subscribe("rts.>", stream=name, ordered_consumer=True)
        while len(found) < wanted:
            message = await subscription.next_msg(timeout=10)
            document = json.loads(message.data)
            found.append(Message(message.subject, dict(message.headers or {}), document, message.data))
        await subscription.unsubscribe()
    return found


async def follow(urls: Sequence[str], seen: list[Message], name: str = STREAM) -> None:
    """Read a stream as it grows, by a durable consumer that acknowledges, until cancelled."""
    client = await nats.connect(
        list(urls), max_reconnect_attempts=-1, reconnect_time_wait=0.1, error_cb=_ignored
    )
    try:
        while True:
            with suppress(nats.errors.Error, TimeoutError):
                await _followed(client.jetstream(timeout=5), seen, name)
    finally:
        await client.close()


async def _ignored(_error: Exception) -> None:
    """A server was killed."""


async def _followed(stream: JetStreamContext, seen: list[Message], name: str) -> None:
    replicas = (await stream.stream_info(name)).config.num_replicas
    config = ConsumerConfig(num_replicas=replicas, ack_wait=5)
    reading = await stream.pull_subscribe("rts.>", durable="reader", stream=name, config=config)
    while True:
        for message in await reading.fetch(200, timeout=1):
            document, now = json.loads(message.data), time.time() * 1000
            seen.append(Message(message.subject, dict(message.headers or {}), document, message.data, now))
            await message.ack()


async def is_replicated(servers: Sequence[Server], name: str = STREAM) -> bool:
    """Whether every server has the stream as its leader has it."""
    with suppress(nats.errors.Error, OSError, TimeoutError):
        async with servers[0].connected() as stream:
            found = (await stream.stream_info(name)).cluster
            others = (found.replicas or []) if found else []
            return bool(found and found.leader and others and all(other.current for other in others))
    return False


async def leader(servers: Sequence[Server], name: str = STREAM) -> str:
    """Return the name of the server that leads a stream."""
    async with servers[0].connected() as stream:
        found = (await stream.stream_info(name)).cluster
        return (found.leader or "") if found else ""


def trusting(certificate: Path) -> ssl.SSLContext:
    """Return what a client connects with that trusts a certificate."""
    return ssl.create_default_context(cafile=str(certificate))


@asynccontextmanager
async def server(more: str = "", *, jetstream: bool = True, **login: Any) -> AsyncIterator[Server]:
    """Run a server."""
    with tempfile.TemporaryDirectory(prefix="rtsnats") as directory:
        made = Server(Path(directory) / "n1", more=more, jetstream=jetstream, login=login)
        try:
            await made.start()
            yield made
        finally:
            await made.end()


@asynccontextmanager
async def cluster(size: int = 3) -> AsyncIterator[list[Server]]:
    """Run servers that share their streams, and have elected who leads."""
    with tempfile.TemporaryDirectory(prefix="rtsnats") as directory:
        routes = [free_port() for _ in range(size)]
        members = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
        made = [
            Server(
                Path(directory) / f"n{place}",
                f"n{place}",
                f"cluster {{ name: rts, listen: 127.0.0.1:{port}, routes: [{members}] }}",
            )
            for place, port in enumerate(routes, 1)
        ]
        try:
            await asyncio.gather(*(each.start() for each in made))
            await eventually(lambda: _has_leader(made[0]), "the cluster has a leader")
            yield made
        finally:
            for each in made:
                await each.end()


async def _has_leader(member: Server) -> bool:
    async with member.connected() as stream:
        try:
            await stream.account_info()
        except (nats.errors.Error, TimeoutError):
            return False
        return True


def first_of_each(messages: Sequence[Message]) -> list[Message]:
    """Return messages without those whose id came before."""
    return list({message.headers["Nats-Msg-Id"]: message for message in reversed(messages)}.values())[::-1]


def disorder(messages: Sequence[Message]) -> list[str]:
    """Say where a record's messages, each counted when it first came, are not in the journal's order."""
    last: dict[str, int] = {}
    found = []
    for message in first_of_each(messages):
        if message.seq < last.get(message.record, 0):
            found.append(f"{message.record}: {message.seq} after {last[message.record]}")
        last[message.record] = message.seq
    return found


def breaks(messages: Sequence[Message]) -> list[str]:
    """Say where what a record was before a change is not what it was after the one before."""
    after: dict[str, Any] = {}
    found = []
    for message in first_of_each(messages):
        before, now = message.values
        if message.record in after and before is not None and before != after[message.record]:
            found.append(f"{message.record}: before {message.seq}")
        after[message.record] = now
    return found
