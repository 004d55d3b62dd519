"""Several daemons on one PostgreSQL database, each a process with a configuration of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp

from rtsd.control import protocol
from rtsd.errors import RtsError
from tests.support.postgres import compared
from tests.support.processes.daemon import Daemon
from tests.support.processes.rig import Rig, free_port, standing
from tests.support.waiting import eventually


@dataclass
class Nodes:
    """The nodes of a rig, by name."""

    rig: Rig
    url: str
    running: dict[str, Daemon] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    more: str = ""
    """Further tables of each one's configuration."""
    urls: Mapping[str, str] = field(default_factory=dict)
    """Those of nodes that reach the database in a way of their own."""

    async def launch(self, name: str, objects: str = "", *, at: str = "") -> Daemon:
        """Start a node without waiting for it, by default at the place that has its name.

        `objects` is added to every object's section.
        """
        place = self.rig.place / (at or name)
        place.mkdir(exist_ok=True)
        port = self.ports.setdefault(at or name, free_port())
        values = {"listen": f"127.0.0.1:{port}", "socket": str(place / "s")}
        text = self.rig.write_config(**values).read_text()
        path = f"path = {json.dumps(str(self.rig.mirror))}"
        # the database can tell who writes
        url = f"{self.urls.get(name, self.url)}&options=-c%20rts.node%3D{name}"
        text = text.replace(path, f'url = {json.dumps(url)}\n[node]\nname = "{name}"')
        text = text.replace("[[objects]]", f"[[objects]]\n{objects}")
        for secret in ("sf-secret", "push-token"):
            text = text.replace(f'"{secret}"', json.dumps(str(self.rig.place / secret)))
        config = place / "rtsd.toml"
        config.write_text(text + self.more)
        daemon = await Daemon.launch(config, place / "s", self.rig.log)
        self.rig.daemons.append(daemon)
        self.running[at or name] = daemon
        return daemon

    async def leads(self, name: str, within: float) -> protocol.Status:
        """Wait until a node leads, and have the package push there."""
        daemon = self.running[name]

        async def probe() -> protocol.Status | None:
            status = await daemon.status() if await daemon.answers() else None
            return status if status is not None and status.node is not None and status.node.leader else None

        status = await eventually(probe, f"{name} leads", within)
        await self.aim(name)
        return status

    async def aim(self, name: str) -> None:
        """Have the package push to a node."""
        await self.rig.aim(f"http://127.0.0.1:{self.ports[name]}/v1/push")

    async def readiness(self, name: str) -> int:
        """The status of a node's `/readyz`; 0 if nothing listens."""
        try:
            async with (
                aiohttp.ClientSession() as http,
                http.get(f"http://127.0.0.1:{self.ports[name]}/readyz") as answer,
            ):
                return answer.status
        except OSError:
            return 0

    async def commits(self, name: str) -> bool:
        """Whether a node can commit a push."""
        return await self.readiness(name) == 200

    def freeze(self, name: str) -> None:
        """Stop a node in its tracks."""
        os.kill(self.running[name].pid, signal.SIGSTOP)

    async def thaw(self, name: str) -> int:
        """Let a frozen node go on; return its status once it has ended."""
        os.kill(self.running[name].pid, signal.SIGCONT)
        return await self.running[name].process.wait()

    async def leader(self, among: Collection[str] = ()) -> str | None:
        """The name of a running node that leads, if one does."""
        for name, daemon in self.running.items():
            if daemon.is_running and (not among or name in among):
                with suppress(RtsError, TimeoutError):
                    async with asyncio.timeout(2):  # a frozen one does not answer
                        status = await daemon.status()
                    if status.node is not None and status.node.leader:
                        return name
        return None

    async def differences(self, objects: Sequence[str] = ()) -> list[str]:
        """Say where mirror and org differ."""
        found = []
        for name in objects or self.rig.objects:
            difference = await compared(self.url, "salesforce", name, self.rig.org.rows(name))
            found += [] if difference.equal else [f"{name}: {difference}"]
        return found


@asynccontextmanager
async def pair(url: str, records: Mapping[str, int]) -> AsyncIterator[tuple[Nodes, Daemon, Daemon]]:
    """Node a, which leads, and node b, which stands by and has an open gateway."""
    async with standing(records, interval="2s") as rig:
        await rig.install_package()
        nodes = Nodes(rig, url)
        leader = await (await nodes.launch("a")).ready()
        await leader.live()
        await nodes.leads("a", 1.0)
        other = await (await nodes.launch("b")).ready()
        await eventually(lambda: nodes.commits("b"), "b takes pushes")
        yield nodes, leader, other
