"""examples/proxy: Caddy and nginx in front of a real rtsd, with TLS, as the examples configure them."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from rtsd.core.signature import sign
from tests.support.certificates import self_signed
from tests.support.processes.example import EXAMPLES
from tests.support.processes.rig import TOKEN, Rig, free_port, standing
from tests.support.waiting import eventually

PROGRAMS = {
    name: shutil.which(name, path="/usr/local/bin:/usr/bin:/usr/local/sbin:/usr/sbin:/opt/homebrew/bin")
    for name in ("caddy", "nginx")
}
KINDS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            not found, reason=f"{name} is not installed; get it with: apt-get install {name}"
        ),
    )
    for name, found in PROGRAMS.items()
]
MIB = 1024 * 1024
LIMIT_S = 10
"""How long a client's next byte may take, at rtsd and at nginx; Caddy cuts the body 5 s later."""


@dataclass
class Proxy:
    """A proxy that runs, and how to reach it."""

    port: int
    log: Path
    trust: ssl.SSLContext

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://127.0.0.1:{self.port}"

    async def raw(self, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, and send bytes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.trust)
        writer.write(data)
        return reader, writer

    async def status_of(self, data: bytes) -> int:
        """Send a whole request, and return the status of the answer."""
        reader, writer = await self.raw(data)
        with closing(writer):
            return int((await reader.readline()).split()[1])


def replaced(name: str, **values: str) -> str:
    """An example with other values; each must be there."""
    text = (EXAMPLES / "proxy" / name).read_text()
    for old, new in values.items():
        assert old in text
        text = text.replace(old, new)
    return text


def caddy(place: Path, port: int, backend: int) -> tuple[str, ...]:
    """Write its configuration, and return the command."""
    pem = place / "proxy.pem"
    text = replaced(
        "Caddyfile",
        **{
            "# tls /etc/ssl/rts.pem /etc/ssl/rts.key": f"tls {pem} {pem} #",
            "rts.example.com {": f"https://127.0.0.1:{port} {{",
            ":443 {": f":{port} {{\n\ttls {pem} {pem}",
            "127.0.0.1:8787": f"127.0.0.1:{backend}",
            "/var/log/caddy": str(place),
            "{\n\tservers": "{\n\tadmin off\n\tauto_https off\n\tservers",
        },
    )
    (place / "Caddyfile").write_text(text)
    return (PROGRAMS["caddy"] or "", "run", "--config", str(place / "Caddyfile"), "--adapter", "caddyfile")


def nginx(place: Path, port: int, backend: int) -> tuple[str, ...]:
    """Write its configuration, and return the command."""
    text = replaced(
        "nginx.conf",
        **{
            "listen 443": f"listen 127.0.0.1:{port}",
            "/etc/letsencrypt/live/rts.example.com/fullchain.pem": f"{place}/proxy.pem",
            "/etc/letsencrypt/live/rts.example.com/privkey.pem": f"{place}/proxy.pem",
            "127.0.0.1:8787": f"127.0.0.1:{backend}",
            "/var/log/nginx": str(place),
        },
    )
    (place / "rts.conf").write_text(text)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {place}/nginx-{kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""
    main = f"daemon off; {user} worker_processes 1; pid {place}/nginx.pid; error_log {place}/nginx-errors;\n"
    (place / "main.conf").write_text(
        f"{main}events {{}}\nhttp {{ access_log off; {temporary}\ninclude {place}/rts.conf; }}\n"
    )
    errors = str(place / "nginx-errors")  # before the configuration is read, too
    return (PROGRAMS["nginx"] or "", "-p", str(place), "-e", errors, "-c", str(place / "main.conf"))


@asynccontextmanager
async def proxied(kind: str, place: Path, backend: int) -> AsyncIterator[Proxy]:
    """Run a proxy before a port, and stop it at the end."""
    port = free_port()
    command = {"caddy": caddy, "nginx": nginx}[kind](place, port, backend)
    home = {"HOME": str(place), "XDG_DATA_HOME": str(place), "XDG_CONFIG_HOME": str(place)}
    trust = ssl.create_default_context(cafile=str(place / "proxy.pem"))
    output = place / f"{kind}-output"
    with output.open("wb") as told:
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **home}, stdout=told, stderr=told
        )
    proxy = Proxy(port, place / "rts.log", trust)

    async def listens() -> bool:
        assert process.returncode is None, output.read_text()[-2000:]
        try:
            return (
                await proxy.status_of(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                == 404
            )
        except ConnectionError:
            return False

    try:
        await eventually(listens, f"{kind} listens")
        yield proxy
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(20):
            await process.wait()


@asynccontextmanager
async def behind(kind: str, monkeypatch: pytest.MonkeyPatch, place: Path) -> AsyncIterator[tuple[Rig, Proxy]]:
    """An org that trusts the certificate, an rtsd that runs, and a proxy before it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(self_signed(place / "proxy.pem")))
    async with standing({"Account": 3}, interval="1h", silence_after="1h") as rig:
        await (await rig.start()).live()
        async with proxied(kind, place, rig.port) as proxy:
            yield rig, proxy


def signed(rig: Rig, name: str, size: int = 0) -> tuple[dict[str, str], bytes]:
    """A heartbeat, with spaces up to a size; headers and body."""
    body = f'{{"v":1,"kind":"heartbeat","org":"{rig.org.info["org_id"]}"}}'.encode().ljust(size)
    stamp = int(time.time())
    signature = sign(TOKEN.encode(), name, stamp, body)
    head = {"webhook-id": name, "webhook-timestamp": str(stamp), "webhook-signature": signature}
    return {**head, "Content-Type": "application/json"}, body


def request(head: dict[str, str], body: bytes, host: str = "127.0.0.1") -> bytes:
    """A push as bytes."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    start = f"POST /v1/push HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
    return start.encode() + body


@pytest.mark.parametrize("kind", KINDS)
async def test_pushes_and_the_health_check_pass_and_nothing_else(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Over one connection: 200 for a signed push, 401 for another, 404 for what is not for the package."""
    opened = []

    async def count(*_: object) -> None:
        opened.append(1)

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(count)
    async with behind(kind, monkeypatch, tmp_path) as (rig, proxy):
        connector = aiohttp.TCPConnector(limit=1, ssl=proxy.trust)
        async with aiohttp.ClientSession(proxy.url, connector=connector, trace_configs=[trace]) as http:

            async def ask(method: str, path: str, head: dict[str, str], body: bytes | None = None) -> int:
                async with http.request(method, path, data=body, headers=head) as answer:
                    await answer.read()
                    return answer.status

            for number in range(5):
                assert await ask("POST", "/v1/push", *signed(rig, f"push-{number}")) == 200
            head, body = signed(rig, "forged")
            assert await ask("POST", "/v1/push", head, body + b" ") == 401
            assert await ask("GET", "/healthz", {}) == 200
            others = ["/", "/v1/status", "/metrics", "/livez", "/v1/push/x", "/V1/push", "/healthz/.."]
            assert {path: await ask("GET", path, {}) for path in others} == dict.fromkeys(others, 404)
            assert await ask("GET", "/v1/push", {}) == await ask("POST", "/healthz", {}, b"") == 404
            assert await ask("POST", "/v1/push", *signed(rig, "large", 12 * MIB)) == 200
        assert len(opened) == 1, "the proxy closed connections in between"
        assert {f"push-{number}" for number in range(5)} <= rig.taken()
        if kind == "caddy":
            assert await proxy.status_of(request(*signed(rig, "other host"), host="other.example")) == 404
        assert await proxy.status_of(request(*signed(rig, "too large", 13 * MIB))) == 413
        await eventually(lambda: proxy.log.read_text().count("/v1/push") >= 8, "requests are in the log")
        text = proxy.log.read_text()
        assert "127.0.0.1" in text
        assert "v1," not in text, "a signature is in the log"


@pytest.mark.parametrize("kind", KINDS)
async def test_the_package_pushes_again_what_came_while_rtsd_was_away(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A push that finds no rtsd gets 502 or 503, never 200, and is taken after the restart."""
    async with behind(kind, monkeypatch, tmp_path) as (rig, proxy):
        await rig.org.control("switches", {"push_retry_scale": 0.3})
        await rig.install_package(f"{proxy.url}/v1/push")
        await rig.org.dml("create", "Account", rows=[{"Name": "before"}])
        await rig.ends_equal()
        await rig.daemons[-1].terminate()
        await rig.org.dml("create", "Account", rows=[{"Name": "while rtsd is away"}])

        async def answers() -> dict[str, int]:
            found: dict[str, int] = (await rig.org.stats())["pushes"]["answers"]
            return found

        async def refused() -> bool:
            return bool((await answers()).keys() & {"502", "503"})

        await eventually(refused, "the proxy refuses the push")
        await rig.start()
        await rig.ends_equal()
        pushes = (await rig.org.stats())["pushes"]
        assert (pushes["acked"], pushes["failed"]) == (pushes["pushes"], 0)
        assert set(await answers()) <= {"200", "502", "503"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
async def test_a_client_that_sends_nothing_more_is_cut(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Half of the headers, or half of the body: the connection ends 10 to 15 s later, and never with 200."""
    async with behind(kind, monkeypatch, tmp_path) as (rig, proxy):
        whole = request(*signed(rig, "slow"))
        for part in (whole[:60], whole[:-5]):
            began = time.monotonic()
            reader, writer = await proxy.raw(part)
            with closing(writer):
                async with asyncio.timeout(LIMIT_S * 2):
                    answer = await reader.read()
            assert time.monotonic() - began > LIMIT_S / 2
            assert b" 200 " not in answer
        assert "slow" not in rig.taken()
