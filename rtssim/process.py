"""Starts a simulated org for a test or the demo: in this process, or as a process of its own."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
from aiohttp import web

from rtssim.server import URI_AND_HEADERS, OrgServer

if TYPE_CHECKING:
    from rtssim.org import Org
    from rtssim.switches import ApiSwitches

START_S = 600.0  # millions of rows take minutes to generate
STOP_S = 10.0
LINE_BYTES = 1 << 20


@dataclass
class SimulatedOrg:
    """A running org: its URL, its credentials, and a client of its switchboard."""

    info: dict[str, Any]
    http: aiohttp.ClientSession
    server: OrgServer | None = None  # in this process only
    pid: int | None = None  # in a process of its own only

    @property
    def url(self) -> str:
        """Base URL for logins and calls."""
        return str(self.info["url"])

    async def control(self, path: str, body: Mapping[str, Any] | None = None, method: str = "POST") -> Any:
        """Call a route of the switchboard and return its JSON; raises RuntimeError for an error status."""
        url = f"{self.info['control']}/{path}"
        async with self.http.request(method, url, json=None if body is None else dict(body)) as answer:
            text = await answer.read()
            if answer.status >= 400:
                raise RuntimeError(f"{method} {url}: {answer.status} {text.decode(errors='replace')}")
            return msgspec.json.decode(text)

    async def stats(self) -> dict[str, Any]:
        """Return `/_sim/stats`."""
        return dict(await self.control("stats", method="GET"))

    async def count(self, name: str) -> int:
        """Return how many live rows an object has."""
        return int((await self.control(f"count/{name}", method="GET"))["count"])

    async def rows(self, name: str) -> AsyncGenerator[dict[str, Any]]:
        """Yield every live row with all fields, by Id."""
        async with self.http.get(f"{self.info['control']}/rows/{name}") as answer:
            answer.raise_for_status()
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield msgspec.json.decode(line)

    async def fault(self, kind: str, **options: Any) -> int:
        """Activate a fault and return its id."""
        return int((await self.control("faults", {"kind": kind, **options}))["id"])

    async def rule(self, obj: str, kind: str, unless: str = "") -> None:
        """Let a rule of the org's own refuse every save of an object, or those without a value in a field.

        `records.org_rules` has the kinds.
        """
        await self.control("rules", {"object": obj, "kind": kind, "unless": unless})

    async def dml(self, op: str, name: str, **body: Any) -> list[str]:
        """Change rows in a commit and return their ids."""
        return list((await self.control("dml", {"object": name, "op": op, **body}))["ids"])


def credentials(server: OrgServer) -> dict[str, Any]:
    """Return a running org's URL and credentials, the first line that `rtsd simulate` prints."""
    accounts = server.accounts
    url = server.org.instance_url
    pubsub = {"pubsub": server.pubsub.url} if server.pubsub is not None else {}
    return {
        **pubsub,
        "url": url,
        "org_id": server.org.org_id,
        "client_id": accounts.client_id,
        "client_secret": accounts.client_secret,
        "username": accounts.sync_user.username,
        "password": accounts.sync_user.password,
        "security_token": accounts.sync_user.security_token,
        "refresh_token": accounts.refresh_token,
        "private_key": accounts.private_key,
        "control": f"{url}/_sim",
    }


@asynccontextmanager
async def listening(
    server: OrgServer, port: int = 0, *, pubsub: bool = False
) -> AsyncIterator[dict[str, Any]]:
    """Serve an org on 127.0.0.1 and yield its credentials; raises OSError if the port is taken.

    With `pubsub` the Pub/Sub API is served, too, on a port of its own.
    """
    runner = web.AppRunner(
        server.app,
        max_line_size=2 * URI_AND_HEADERS,
        max_field_size=2 * URI_AND_HEADERS,
        access_log=None,
        shutdown_timeout=0.1,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        server.org.instance_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        if pubsub:
            await server.start_pubsub()
        yield credentials(server)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serve(
    org: Org,
    *,
    switches: ApiSwitches | None = None,
    latency_s: float = 0.0,
    heartbeat_s: float = 900.0,
    pubsub: bool = False,
) -> AsyncIterator[SimulatedOrg]:
    """Serve an org in this process; `server` gives access to its parts."""
    server = OrgServer(org, switches=switches, latency_s=latency_s, heartbeat_s=heartbeat_s)
    async with listening(server, pubsub=pubsub) as info, aiohttp.ClientSession() as http:
        yield SimulatedOrg(info, http, server=server)


@asynccontextmanager
async def spawn(
    *, records: Mapping[str, int] | None = None, seed: int = 1, options: tuple[str, ...] = ()
) -> AsyncIterator[SimulatedOrg]:
    """Run `rtsd simulate` as a process and stop it at the end; raises RuntimeError if it doesn't start."""
    arguments = ["--seed", str(seed), *options]
    for name, count in (records or {}).items():
        arguments += ["--records", f"{name}={count}"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "rtsd",
        "simulate",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES,
    )
    try:
        if process.stdout is None:
            raise RuntimeError("the simulator has no stdout")
        line = await asyncio.wait_for(process.stdout.readline(), START_S)
        if not line:
            raise RuntimeError(f"the simulator exited at once with status {await process.wait()}")
        patient = aiohttp.ClientTimeout(total=None, sock_read=120)  # a million rows are read in minutes
        async with aiohttp.ClientSession(timeout=patient) as http:
            yield SimulatedOrg(msgspec.json.decode(line), http, pid=process.pid)
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()
