"""Bytes that are no honest HTTP, and documents that are bombs: refused, quickly, and the loop lives on."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtsd.core.payload import MAX_DOCUMENT
from tests.support.inprocess.rig import Rig, Start

STALL_S = 0.05
"""The longest that one request may keep the loop from everybody else."""


@pytest.fixture
async def rig(start: Start) -> Rig:
    """A gateway, nothing loaded."""
    return await start({"Contact": 0})


async def raw(rig: Rig, request: bytes, patience: float | None = None) -> tuple[int, bytes]:
    """Send bytes; return the status of the first answer (0: there was none) and all that came.

    Without `patience` the gateway has to end the connection.
    """
    host, _, port = rig.parts.gateway.address.rpartition(":")  # type: ignore[union-attr]
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        answer = b""
        with suppress(ConnectionError):
            try:
                async with asyncio.timeout(patience or 10):
                    while chunk := await reader.read(65_536):
                        answer += chunk
            except TimeoutError:
                assert patience, "the gateway waits for more"
    finally:
        writer.close()
    return (int(answer.split(b" ", 2)[1]) if answer else 0), answer


HEAD = b"POST /v1/push HTTP/1.1\r\nHost: g\r\n"
SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n"
SMUGGLING = {
    "length and chunks": HEAD
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + SMUGGLED,
    "chunks and length": HEAD
    + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
    + SMUGGLED,
    "two lengths": HEAD + b"Content-Length: 0\r\nContent-Length: 35\r\n\r\n" + SMUGGLED,
    "two equal lengths": HEAD + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
    "a list of lengths": HEAD + b"Content-Length: 0, 0\r\n\r\n" + SMUGGLED,
    "length with a plus": HEAD + b"Content-Length: +0\r\n\r\n" + SMUGGLED,
    "negative length": HEAD + b"Content-Length: -1\r\n\r\n" + SMUGGLED,
    "length in hex": HEAD + b"Content-Length: 0x0\r\n\r\n" + SMUGGLED,
    "length with an underscore": HEAD + b"Content-Length: 1_0\r\n\r\n" + SMUGGLED,
    "unknown transfer encoding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "identity": HEAD + b"Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
    "chunked twice": HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked, then another": HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "space before the colon": HEAD + b"Content-Length : 0\r\n\r\n" + SMUGGLED,
    "folded header": HEAD + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
    "bare line feeds": b"POST /v1/push HTTP/1.1\nHost: g\nContent-Length: 0\n\n" + SMUGGLED,
    "a carriage return in a value": HEAD + b"X: a\rY: b\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
    "a NUL in a value": HEAD + b"X: a\0b\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
    "two hosts": HEAD + b"Host: other\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
    "no host": b"POST /v1/push HTTP/1.1\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
    "a chunk size that is none": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n" + SMUGGLED,
    "a chunk size too large": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\n" + SMUGGLED,
    "a chunk longer than it says": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n"
    + SMUGGLED,
    "no version": b"POST /v1/push\r\n\r\n" + SMUGGLED,
    "another protocol": b"POST /v1/push SPDY/3\r\nHost: g\r\n\r\n" + SMUGGLED,
    "HTTP/2 in clear text": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED,
    "TLS to a plain port": bytes.fromhex("1603010200010001fc0303") + SMUGGLED,
    "a header of 9 kB": HEAD + b"X: " + b"a" * 9_000 + b"\r\n\r\n" + SMUGGLED,
    "a line of 5 kB": b"GET /" + b"a" * 5_000 + b" HTTP/1.1\r\nHost: g\r\n\r\n" + SMUGGLED,
    "65 headers": HEAD + b"".join(b"X%d: a\r\n" % number for number in range(65)) + b"\r\n" + SMUGGLED,
}


@pytest.mark.parametrize("request_", [*SMUGGLING.values()], ids=[*SMUGGLING])
async def test_what_proxies_read_otherwise_is_refused(request_: bytes, rig: Rig) -> None:
    """Charter 31: 4xx and closed; what was hidden behind it is never taken for a request."""
    status, answer = await raw(rig, request_)
    assert 400 <= status < 500 or status == 0
    assert b"200 OK" not in answer
    assert b"\r\nHTTP/1." not in answer
    assert b"aiohttp" not in answer
    if answer:
        assert set(json.loads(answer.partition(b"\r\n\r\n")[2])) == {"error", "message"}


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /v1/push HTTP/1.1\r\nHost: g\r\n\r\n", 405),
        (b"PUT /healthz HTTP/1.1\r\nHost: g\r\n\r\n", 405),
        (b"GET /v1/status HTTP/1.1\r\nHost: g\r\n\r\n", 404),
        (b"GET /%00/../..//etc/passwd HTTP/1.1\r\nHost: g\r\n\r\n", 404),
        (b"OPTIONS * HTTP/1.1\r\nHost: g\r\n\r\n", 404),
        (b"CONNECT other:443 HTTP/1.1\r\nHost: g\r\n\r\n", 404),
        (HEAD + b"Expect: 200-maybe\r\nContent-Length: 0\r\n\r\n", 417),
    ],
)
async def test_every_refusal_has_the_same_shape(request_: bytes, status: int, rig: Rig) -> None:
    """Contract section 3: every error is `{"error", "message"}`."""
    found, answer = await raw(rig, request_)
    assert found == status
    assert set(json.loads(answer.partition(b"\r\n\r\n")[2])) == {"error", "message"}


WORDS = (
    *(b"POST", b"GET", b" ", b"/v1/push", b"/healthz", b"HTTP/1.1", b"HTTP/1.0", b"\r\n", b"\n", b"\r", b":"),
    *(b"Host", b"Content-Length", b"Transfer-Encoding", b"chunked", b"0", b"5", b"9" * 20, b"\0", b"\xff"),
    *(b"Connection", b"keep-alive", b"Upgrade", b"websocket", b"Expect", b"100-continue", b"{}", b"a" * 300),
)


async def test_fuzzed_requests_do_no_harm(rig: Rig) -> None:
    """Charter 31: random requests are no pushes, fail nowhere inside, and never reach the loop's handler."""
    loop, failed = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _loop, context: failed.append(context))

    async def batch(requests: list[bytes]) -> list[tuple[int, bytes]]:
        return await asyncio.gather(*(raw(rig, request, patience=0.2) for request in requests))

    noise = st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=8)), max_size=25).map(b"".join)
    seen: list[bytes] = []

    @given(st.lists(st.one_of(noise, noise.map(lambda more: HEAD + more)), min_size=8, max_size=8))
    @settings(max_examples=40, suppress_health_check=[*HealthCheck])
    def collect(requests: list[bytes]) -> None:
        seen.extend(requests)

    collect()
    for start in range(0, len(seen), 40):
        for status, answer in await batch(seen[start : start + 40]):
            assert status < 500
            assert b"accepted" not in answer
    assert len(seen) > 100
    assert failed == []
    assert (await rig.push({"v": 1, "kind": "test", "org": rig.org.org_id}))[0] == 200


@asynccontextmanager
async def stall_meter() -> AsyncIterator[list[float]]:
    """Measure how much work this process did, in seconds of CPU, while the loop let nobody else have a turn.

    CPU time, because other processes keep the loop waiting too. Garbage of earlier tests is collected first.
    """
    stalls: list[float] = [0.0]

    async def tick() -> None:
        while True:
            began = time.process_time()
            await asyncio.sleep(0.001)
            stalls.append(time.process_time() - began)

    gc.collect()
    ticking = asyncio.create_task(tick())
    try:
        yield stalls
    finally:
        ticking.cancel()


def push_of(value: str) -> bytes:
    """A push with `value` as a field, as text."""
    change = f'{{"object":"Contact","op":"create","id":"003xx000004TmiQAAS","fields":{{"X":{value}}}}}'
    return f'{{"v":1,"kind":"changes","org":"ORG","changes":[{change}]}}'.encode("utf-8", "surrogatepass")


BOMBS = {
    "a million deep": push_of("[" * 1_000_000 + "]" * 1_000_000),
    "a million deep, unended": b"[" * 1_000_000,
    "a million objects deep": push_of('{"a":' * 1_000_000 + "1" + "}" * 1_000_000),
    "deep behind an unknown key": b'{"v":1,"kind":"test","org":"ORG","later":'
    + b"[" * 100_000
    + b"]" * 100_000
    + b"}",
    "a number of 100,000 digits": push_of("9" * 100_000),
    "a fraction of 100,000 digits": push_of("0." + "9" * 100_000 + "e99999"),
    "a number beyond numbers": push_of("1e400"),
    "NaN": push_of("NaN"),
    "Infinity": push_of("-Infinity"),
    "half a surrogate pair": push_of('"\\ud800"'),
    "half a pair as bytes": push_of('"\ud800"'),
    "not UTF-8": push_of('"x"').replace(b'"x"', b'"\xff\xfe"'),
    "a key that comes twice": push_of('1,"X":2'),
    "fifty thousand equal keys": push_of("1" + ',"X":2' * 50_000),
    "a byte order mark": b"\xef\xbb\xbf" + push_of("1"),
    "UTF-16": push_of("1").decode().encode("utf-16"),
    "two documents": push_of("1") * 2,
    "a comment": push_of("1 /* x */"),
    "nothing": b"",
}


@pytest.mark.parametrize("bomb", [*BOMBS.values()], ids=[*BOMBS])
async def test_bombs_are_refused_before_they_hurt(bomb: bytes, rig: Rig) -> None:
    """Charter 32: signed rightly, but no such document: 400, and nobody else waits for it."""
    body = bomb.replace(b"ORG", rig.org.org_id.encode())
    async with stall_meter() as stalls:
        status, answer, _ = await rig.push(body)
    assert (status, answer["error"]) == (400, "MalformedPush")
    assert len(answer["message"]) < 400
    assert max(stalls) < STALL_S * 4
    assert await rig.received("SELECT * FROM _rts_inbox") == []


async def test_large_bodies_share_what_memory_there_is(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unsigned megabytes are bounded in all, with 503 and Retry-After; small pushes go on beside them."""
    monkeypatch.setattr("rtsd.gateway.body.MAX_TOTAL", 2_000_000)
    released = asyncio.Event()
    begun = asyncio.Event()

    async def large() -> Any:
        yield b"x" * 1_500_000
        begun.set()
        await released.wait()

    first = asyncio.create_task(rig.push(b"", name="first", data=large()))
    await begun.wait()
    status, answer, headers = await rig.push(b"y" * 1_500_000, name="second")
    assert (status, answer["error"]) == (503, "CannotCommit")
    assert int(headers["Retry-After"]) > 0
    assert (await rig.push({"v": 1, "kind": "test", "org": rig.org.org_id}, name="third"))[0] == 200
    released.set()
    assert (await first)[0] == 401
    status, _, _ = await rig.push(b"y" * 1_500_000, name="fourth")
    assert status == 400, "what was held is given back"


async def test_a_gigabyte_in_a_megabyte_is_not_unpacked(rig: Rig) -> None:
    """Any Content-Encoding is 415 before a byte of the body is looked at; over 12 MiB is 413 at once."""
    for encoding in ("gzip", "deflate", "br", "identity", "x"):
        status, answer, _ = await rig.push(b"\x1f\x8b" * 1_000, headers={"Content-Encoding": encoding})
        assert (status, answer["error"]) == (415, "PushEncoded")
    status, _ = await raw(rig, HEAD + b"Content-Length: %d\r\n\r\nx" % (MAX_DOCUMENT + 1))
    assert status == 413


async def test_http_0_9_is_not_answered(rig: Rig) -> None:
    """A request without a version could not tell an error from a document: the connection just ends."""
    for target in (b"/healthz", b"/v1/push", b"/"):
        assert await raw(rig, b"GET " + target + b"\r\n\r\n") == (0, b"")
