"""Changes published by a real daemon that is killed, or whose NATS servers are, while pushes arrive."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from rtsd.control import protocol
from rtsd.core.ids import full_id
from rtsd.core.percentile import percentiles
from tests.support import nats, postgres
from tests.support.nats import Message, Server
from tests.support.processes.barrage import READ_AT
from tests.support.processes.command import said
from tests.support.processes.daemon import Daemon
from tests.support.processes.nodes import Nodes
from tests.support.processes.rig import PII, TOKEN, Rig, standing
from tests.support.processes.sender import Shot, firing, signed
from tests.support.waiting import eventually

pytestmark = nats.needed
OBJECT = "Lead"
RECORDS = 40


class Edits:
    """Pushes that edit some records again and again, each once a second of the org's clock at most."""

    def __init__(self, rig: Rig, template: dict[str, Any]) -> None:
        self._rig = rig
        self.port = rig.port
        self._template = template
        self._shots = self._endless()
        self.acked = 0

    @classmethod
    async def of(cls, rig: Rig) -> Edits:
        """Make one that looks like the org's own records."""
        return cls(rig, await anext(rig.org.rows(OBJECT)))

    def _endless(self) -> Iterator[Shot]:
        start = datetime.fromisoformat(READ_AT).timestamp()
        org_id = self._rig.org.info["org_id"]
        for number in itertools.count():
            edit, place = divmod(number, RECORDS)
            stamp = datetime.fromtimestamp(start - 86_400 + edit, UTC).isoformat(timespec="milliseconds")
            stamp = stamp.replace("+00:00", "Z")
            record_id = full_id(f"00Qedit{place:08d}")
            fields = {
                **self._template,
                "Id": record_id,
                "SystemModstamp": stamp,
                "LastName": f"{PII}-{number}",
            }
            change = {"object": OBJECT, "op": "update", "id": record_id, "modstamp": stamp, "fields": fields}
            change["op"] = "update" if edit else "create"
            head = {"v": 1, "kind": "changes", "org": org_id, "read_at": stamp, "changes": [change]}
            yield signed(TOKEN, f"edit-{number}", msgspec.json.encode(head))

    async def fire(self, count: int, rate: float = 0.0) -> None:
        """Push so many edits, at most `rate` a second; an edit whose push fails is not made."""
        if not rate:
            await self._volley(count)
            return
        for _ in range(max(int(count / rate / 0.1), 1)):
            began = time.monotonic()
            await self._volley(max(int(rate * 0.1), 1))
            await asyncio.sleep(max(0.1 - (time.monotonic() - began), 0))

    async def _volley(self, count: int) -> None:
        def note(_shot: Shot, status: int) -> None:
            self.acked += status == 200

        with suppress(ConnectionRefusedError):  # the daemon is down; the next volley comes
            async with firing(self.port, itertools.islice(self._shots, count), note, 4) as over:
                await over


def section(servers: Sequence[Server], more: str = "") -> str:
    """The configuration of a stream."""
    urls = ", ".join(f'"{server.url}"' for server in servers)
    return f'[[streams]]\nurl = [{urls}]\nstream = "{nats.STREAM}"\nbegin = "journal"\n{more}\n'


def configure(rig: Rig, servers: Sequence[Server], more: str = "") -> None:
    """Add a stream to the configuration."""
    rig.config.write_text(rig.config.read_text() + section(servers, more))


APPLIED = "SELECT seq, object, id FROM {} WHERE type='change' AND outcome='applied' ORDER BY seq"


def applied(rig: Rig) -> list[tuple[int, str]]:
    """The applied changes, as (number, subject), as any other program reads them."""
    rows = rig.read(APPLIED.format("_rts_journal"))
    return [(row["seq"], f"{row['object']}/{row['id']}") for row in rows]


async def published(daemon: Daemon, within: float = 60.0) -> protocol.PublishedStream:
    """Wait until every applied change is published."""

    async def probe() -> protocol.PublishedStream | None:
        (stream,) = (await daemon.status()).streams
        return stream if not stream.lag and stream.error is None else None

    return await eventually(probe, "everything is published", within)


def judge(changes: list[tuple[int, str]], messages: Sequence[Message]) -> int:
    """Every change is there, in order per record, each what the last one left; return how many came twice."""
    first = nats.first_of_each(messages)
    assert sorted((message.seq, message.record) for message in first) == changes
    assert nats.disorder(messages) == []
    assert nats.breaks(messages) == []
    by_id: dict[str, set[bytes]] = {}
    for message in messages:
        by_id.setdefault(message.headers["Nats-Msg-Id"], set()).add(
            msgspec.json.encode(message.document["id"])
        )
    assert all(len(documents) == 1 for documents in by_id.values())
    return len(messages) - len(first)


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
async def test_kills_lose_nothing_and_change_no_order(kills: int, measured: Callable[[str], None]) -> None:
    """The daemon and the server in turn, while pushes arrive: nothing is lost, nothing overtakes."""
    async with nats.server() as server, standing({OBJECT: 3}) as rig:
        await server.add()
        configure(rig, [server])
        edits = await Edits.of(rig)
        daemon = await rig.start()
        await daemon.live()
        for number in range(kills):
            firing_ = asyncio.create_task(edits.fire(200))
            wanted = edits.acked + 60
            await eventually(lambda wanted=wanted: edits.acked >= wanted, "pushes are taken")
            if number % 2:
                await server.end()
                await firing_
                await server.start()
            else:
                os.kill(daemon.pid, signal.SIGKILL)
                await firing_
                daemon = await rig.start()
        await edits.fire(40)
        await daemon.settled()
        await published(rig.daemons[-1])
        again = judge(applied(rig), messages := await server.messages())
        assert len(messages) > 60 * kills
        measured(f"{kills} kills of daemon and server, {len(messages)} changes, {again} in the stream twice")


FAULTS = ("kill", "freeze", "daemon")


@pytest.mark.slow
async def test_a_cluster_whose_servers_are_killed(measured: Callable[[str], None]) -> None:
    """One of three servers is killed or frozen again and again, or the daemon; a consumer reads along."""
    rounds, rng, kinds = 18, random.Random(5), Counter[str]()
    async with nats.cluster() as servers, standing({OBJECT: 3}) as rig:
        configure(rig, servers, "create = true\nreplicas = 3")
        edits = await Edits.of(rig)
        await (await rig.start()).live()
        await published(rig.daemons[-1])
        seen: list[Message] = []
        async with consuming(servers, seen):
            pushing = asyncio.create_task(edits.fire(7_000, 100))
            for number in range(rounds):
                await asyncio.sleep(rng.uniform(0.5, 2.0))
                kind = FAULTS[number % 6 % 3] if number % 6 < 5 else "leader"
                await happen(kind, rig, servers, rng)
                kinds[kind] += 1
                await eventually(lambda: nats.is_replicated(servers), "all replicas are current", 30)
            await pushing
            await rig.daemons[-1].settled()
            stream = await published(rig.daemons[-1])
            changes = applied(rig)
            wanted = {seq for seq, _ in changes}
            await eventually(lambda: {message.seq for message in seen} == wanted, "the consumer has all")
        again = judge(changes, await servers[0].messages())
        judge(changes, seen)
        faults = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        measured(
            f"a cluster of three ({faults}): {len(wanted)} changes, {again} in the stream twice,"
            f" {len(seen) - len(wanted)} seen twice, {stream.failures} failed attempts since the last kill"
        )


async def happen(kind: str, rig: Rig, servers: Sequence[Server], rng: random.Random) -> None:
    """Kill or freeze a server, or kill the one that leads the stream, or the daemon; then undo it."""
    if kind == "daemon":
        await rig.daemons[-1].kill()
        await rig.start()
        return
    leader = await nats.leader(servers) if kind == "leader" else ""
    (victim,) = [server for server in servers if server.name == leader] or [rng.choice(servers)]
    if kind == "freeze":
        victim.signal(signal.SIGSTOP)
        await asyncio.sleep(rng.uniform(1.0, 8.0))
        victim.signal(signal.SIGCONT)
    else:
        await victim.end()
        await asyncio.sleep(rng.uniform(0.5, 3.0))
        await victim.start()


@asynccontextmanager
async def consuming(servers: Sequence[Server], seen: list[Message]) -> AsyncIterator[None]:
    """Have a durable consumer of nats-py read along, whichever servers run."""
    task = asyncio.create_task(nats.follow([server.url for server in servers], seen))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.slow
@pytest.mark.skipif(postgres.binaries() is None, reason=postgres.MISSING)
async def test_the_node_that_leads_publishes() -> None:
    """After its death the one that takes over goes on, from the position in the database."""
    async with nats.server() as server, standing({OBJECT: 3}) as rig:
        await server.add()
        with postgres.cluster("-F") as url:
            nodes = Nodes(rig, url, more=section([server]))
            first = await (await nodes.launch("a")).ready()
            await first.live()
            second = await nodes.launch("b")
            edits = await Edits.of(rig)
            for name in ("a", "b"):
                edits.port = nodes.ports[name]
                pushing = asyncio.create_task(edits.fire(120))
                wanted = edits.acked + 60
                await eventually(lambda wanted=wanted: edits.acked >= wanted, "pushes are taken")
                if name == "a":
                    await eventually(
                        lambda: _shows(second), "the one that stands by shows the same documents"
                    )
                    await first.kill()
                    await pushing
                    await eventually(lambda: _leads(second), "b leads")
                else:
                    await pushing
            await second.settled()
            await published(second)
            rows = postgres.stored_rows(url, APPLIED.format("rts._rts_journal"))
            judge([(row["seq"], f"{row['object']}/{row['id']}") for row in rows], await server.messages())
            assert len(rows) >= 120


@pytest.mark.slow
async def test_how_fast_it_is(measured: Callable[[str], None]) -> None:
    """A backlog at full speed, and the way of a change from the commit to a consumer, paced."""
    async with nats.server() as server, standing({OBJECT: 3}) as rig:
        await server.add()
        configure(rig, [server])
        edits = await Edits.of(rig)
        await server.end()
        daemon = await rig.start()
        await daemon.live()
        await edits.fire(10_000)
        await daemon.settled(60)
        cpu = daemon.cpu_s
        await server.start()
        await eventually(lambda: _has_begun(daemon), "it is published again")
        began = time.monotonic()
        stream = await published(daemon, 120)
        seconds, cpu = time.monotonic() - began, daemon.cpu_s - cpu
        rate, share = stream.published / seconds, cpu / stream.published
        measured(f"backlog of {stream.published}: {rate:,.0f} a second, {share * 1e6:.0f} us of CPU each")
        seen: list[Message] = []
        async with consuming([server], seen):
            await eventually(lambda: len(seen) == stream.published, "the consumer has the backlog", 60)
            del seen[:]
            await edits.fire(3_000, 200)
            await published(rig.daemons[-1])
            await eventually(lambda: len(seen) >= 2_900, "the consumer has them")
        late = [int(message.came_at - stamp(message)) for message in seen]
        found = percentiles(late, (50, 99))
        assert found is not None
        assert found[1] < 2_000
        memory = daemon.peak_rss >> 20
        measured(f"commit to consumer, 200 a second: p50 {found[0]} ms, p99 {found[1]} ms; {memory} MB")


def stamp(message: Message) -> float:
    """When the change was committed, in ms."""
    return datetime.fromisoformat(message.document["time"]).timestamp() * 1000


FOLLOWED = ("events", "--follow", "--format", "cloudevents")


async def test_streams_follow_a_reload_and_the_command_line_shows_them() -> None:
    """SIGHUP starts one, and stops it; status says what is wrong; events prints the same documents."""
    async with nats.server() as server, standing({OBJECT: 3}) as rig:
        daemon = await rig.start()
        await daemon.live()
        before = rig.config.read_text()
        configure(rig, [server])
        daemon.process.send_signal(signal.SIGHUP)
        edits = await Edits.of(rig)
        await edits.fire(RECORDS * 2)
        await daemon.settled()

        async def failing() -> str | None:
            streams = (await daemon.status()).streams
            return streams[0].error if streams else None

        assert "there is no stream rts" in await eventually(failing, "the missing stream is told")
        assert "there is no stream rts" in await said(rig.socket, "status")
        out = await said(rig.socket, "check", "-c", str(rig.config), status=1)
        assert "there is no stream rts" in out
        await server.add()
        await published(rig.daemons[-1])
        messages = await server.messages()
        judge(applied(rig), messages)
        lines = (await said(rig.socket, "events", "--format", "cloudevents", "--after", "0")).splitlines()
        printed = [msgspec.json.decode(line) for line in lines]
        assert printed == sorted((message.document for message in messages), key=lambda each: int(each["id"]))
        lines = (await said(rig.socket, *FOLLOWED, "--after", printed[4]["id"], "--limit", "3")).splitlines()
        assert [msgspec.json.decode(line) for line in lines] == printed[5:8]
        rig.config.write_text(before)
        daemon.process.send_signal(signal.SIGHUP)
        await eventually(lambda: _has_none(rig), "the stream is gone")
        await edits.fire(RECORDS)
        await daemon.settled()
        assert len(await server.messages()) == len(messages)


async def _leads(daemon: Daemon) -> bool:
    status = await daemon.status() if await daemon.answers() else None
    return bool(status and status.node and status.node.leader)


async def _shows(daemon: Daemon) -> bool:
    """Whether a daemon has documents with values."""
    if not await daemon.answers():
        return False
    documents = [msgspec.json.decode(line) async for line in daemon.client.cloudevents(limit=5)]
    return len(documents) == 5 and all(document["data"]["after"] for document in documents)


async def _has_begun(daemon: Daemon) -> bool:
    (stream,) = (await daemon.status()).streams
    return stream.published > 0


async def _has_none(rig: Rig) -> bool:
    return not (await rig.daemons[-1].status()).streams
