"""More pushes than can be answered soon: refused unread, while those inside and whoever is slow go on."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from rtsd.core.signature import sign
from rtsd.gateway.lobby import READ_SIZE
from tests.support.inprocess.rig import TOKEN, Rig, Start
from tests.support.processes.sender import status_of
from tests.support.waiting import eventually

ADMITTED = 3
ANSWER_S = 10.0


@pytest.fixture
async def rig(start: Start, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A gateway that admits three pushes at once."""
    monkeypatch.setattr("rtsd.gateway.admission.INITIAL", ADMITTED)
    return await start({"Contact": 0})


def push(rig: Rig, name: str, *, size: int = 0, token: str = TOKEN) -> bytes:
    """A signed test push of at least `size` bytes, as bytes on the wire."""
    body = json.dumps({"v": 1, "kind": "test", "org": rig.org.org_id}).encode() + b" " * size
    seconds = rig.now() // 1000
    signature = sign(token.encode(), name, seconds, body)
    head = (
        f"POST /v1/push HTTP/1.1\r\nHost: rts\r\nContent-Length: {len(body)}\r\nwebhook-id: {name}\r\n"
        f"webhook-timestamp: {seconds}\r\nwebhook-signature: {signature}\r\n\r\n"
    )
    return head.encode() + body


class Client:
    """A connection that sends what it is told, and reads answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        """Read one answer; status 0 if the connection ends before."""
        received = b""
        async with asyncio.timeout(ANSWER_S):
            while (status := status_of(received)) is None:
                chunk = await self._reader.read(65_536)
                if not chunk:
                    return 0, received
                received += chunk
        return status, received

    async def ended(self) -> bool:
        """Whether the gateway ends the connection."""
        async with asyncio.timeout(ANSWER_S):
            return await self._reader.read() == b""

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


@asynccontextmanager
async def clients(rig: Rig, number: int) -> AsyncIterator[list[Client]]:
    """Open connections."""
    assert rig.parts.gateway is not None
    host, _, port = str(rig.parts.gateway.address).rpartition(":")
    opened = [Client(*await asyncio.open_connection(host, int(port))) for _ in range(number)]
    try:
        yield opened
    finally:
        for client in opened:
            client.close()


@asynccontextmanager
async def full(rig: Rig) -> AsyncIterator[None]:
    """As many pushes inside as are admitted, until the end of the block; then all are answered 200."""
    async with clients(rig, ADMITTED) as inside:
        async with rig.parts.base.inbox.file.alone():  # they wait for their commit
            for number, client in enumerate(inside):
                await client.send(push(rig, f"inside-{number}"))
            await eventually(lambda: all_inside(rig), "every push is inside")
            yield
        assert [(await client.answer())[0] for client in inside] == [200] * ADMITTED


async def all_inside(rig: Rig) -> bool:
    """Whether as many pushes are inside as are admitted, as Prometheus is told."""
    connector = aiohttp.UnixConnector(str(rig.place / "rtsd.sock"))
    async with aiohttp.ClientSession(connector=connector) as http, http.get("http://rtsd/metrics") as answer:
        (line,) = re.findall(r"^rtsd_gateway_pushes_in_progress (\d+)", await answer.text(), re.MULTILINE)
    return int(line) == ADMITTED


async def test_a_push_beyond_the_limit_is_refused_unread(rig: Rig) -> None:
    """503 before the signature is looked at; those inside are answered, and then there is room."""
    async with full(rig), clients(rig, 1) as (outside,):
        await outside.send(push(rig, "outside", token="another-token-0001"))
        status, answer = await outside.answer()
        assert status == 503, "a judged one would be 401"
        assert b"\r\nRetry-After: 2\r\n" in answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"] == "CannotCommit"
    async with clients(rig, 1) as (later,):
        await later.send(push(rig, "later"))
        assert (await later.answer())[0] == 200
    assert (await rig.parts.views.status()).push.rejected_24h == 1


async def test_a_refused_connection_is_kept(rig: Rig) -> None:
    """A new connection would cost more than a refusal: the retry comes on the one that is there."""
    async with clients(rig, 2) as (known, new):
        await known.send(push(rig, "first"))
        assert (await known.answer())[0] == 200
        async with full(rig):
            for client in (known, new, known, new):
                await client.send(push(rig, "second"))
                assert (await client.answer())[0] == 503
        for number, client in enumerate((known, new)):
            await client.send(push(rig, f"again-{number}"))
            assert (await client.answer())[0] == 200


@pytest.mark.parametrize("known", [True, False])
async def test_a_sender_that_does_not_wait_is_left_unread(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    """Else a few that come again at once would take the time of all: the second refusal waits."""
    monkeypatch.setattr("rtsd.gateway.cooldown.COOLDOWN_S", 0.2)
    async with clients(rig, 1) as (client,):
        if known:
            await client.send(push(rig, "first"))
            assert (await client.answer())[0] == 200
        async with full(rig):
            begun = time.monotonic()
            for name in ("second", "third"):
                await client.send(push(rig, name))
                assert (await client.answer())[0] == 503
            assert time.monotonic() - begun >= 0.2


async def test_new_connections_are_accepted_in_turns_during_overload(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender that connects for each push gets no more of the time than one that stays."""
    monkeypatch.setattr("rtsd.gateway.listener.ACCEPTS_PER_TURN", 1)
    monkeypatch.setattr("rtsd.gateway.listener.OVERLOAD_PAUSE_S", 0.1)
    async with full(rig):
        begun = time.monotonic()
        async with clients(rig, 3) as outside:
            for client in outside:
                await client.send(push(rig, "outside"))
            assert [(await client.answer())[0] for client in outside] == [503] * 3
        assert time.monotonic() - begun >= 0.2


@pytest.mark.parametrize(
    "sizes", [{"large": READ_SIZE}, {"small": 0, "large": 1 << 20}], ids=["at once", "later"]
)
async def test_a_connection_whose_framing_is_unsure_is_closed(rig: Rig, sizes: dict[str, int]) -> None:
    """Where the parser may hold half a request, a refusal could be taken for the response to another."""
    async with clients(rig, 1) as (client,):
        for name, size in sizes.items():
            await client.send(push(rig, name, size=size))
            assert (await client.answer())[0] == 200
        async with full(rig):
            await client.send(push(rig, "second"))
            assert (await client.answer())[0] == 503
            assert await client.ended()


async def test_slow_senders_hold_no_place(rig: Rig) -> None:
    """A push counts once it is complete: unfinished ones cannot keep others out, and are admitted in turn."""
    async with clients(rig, 2 * ADMITTED) as slow, clients(rig, 1) as (quick,):
        for number, client in enumerate(slow):
            await client.send(push(rig, f"slow-{number}")[:-1])
        await quick.send(push(rig, "quick"))
        assert (await quick.answer())[0] == 200
        for client in slow[:ADMITTED]:
            await client.send(b"}")
        assert [(await client.answer())[0] for client in slow[:ADMITTED]] == [200] * ADMITTED


async def test_a_push_in_pieces_is_refused_once_it_is_complete(rig: Rig) -> None:
    """It cannot be refused by its first bytes alone; the answer is the same."""
    async with full(rig), clients(rig, 1) as (outside,):
        await outside.send(push(rig, "outside", size=READ_SIZE))
        status, answer = await outside.answer()
        assert status == 503
        assert b"\r\nRetry-After: 2\r\n" in answer


async def test_health_is_told_during_overload(rig: Rig) -> None:
    """A load balancer must not take out a gateway because it is busy."""
    async with full(rig), clients(rig, 1) as (probe,):
        await probe.send(b"GET /healthz HTTP/1.1\r\nHost: rts\r\n\r\n")
        assert (await probe.answer())[0] == 200


async def test_who_says_nothing_during_overload_is_dropped(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline for the first bytes holds in the lobby, too."""
    monkeypatch.setattr("rtsd.gateway.lobby.HEADERS_DEADLINE_S", 0.05)
    async with full(rig), clients(rig, 1) as (silent,):
        assert await silent.ended()


async def test_a_stop_ends_connections_in_the_lobby(rig: Rig) -> None:
    """They have nothing in flight; the pushes inside are answered."""
    async with full(rig), clients(rig, 1) as (silent,):
        gateway = rig.parts.gateway
        assert gateway is not None
        await asyncio.sleep(0.05)  # let it be accepted
        stopping = asyncio.create_task(gateway.stop())
        assert await silent.ended()
    await stopping
