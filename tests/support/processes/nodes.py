"""Several daemons on one PostgreSQL database, each a process with a configuration of its own."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, field

from rtsd.control import protocol
from tests.support.postgres import compared
from tests.support.processes.daemon import Daemon
from tests.support.processes.rig import Rig, free_port
from tests.support.waiting import eventually


@dataclass
class Nodes:
    """The nodes of a rig, by name."""

    rig: Rig
    url: str
    running: dict[str, Daemon] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    async def launch(self, name: str) -> Daemon:
        """Start a node without waiting for it."""
        place = self.rig.place / name
        place.mkdir(exist_ok=True)
        port = self.ports.setdefault(name, free_port())
        values = {"listen": f"127.0.0.1:{port}", "socket": str(place / "s")}
        text = self.rig.write_config(**values).read_text()
        path = f"path = {json.dumps(str(self.rig.mirror))}"
        text = text.replace(path, f'url = {json.dumps(self.url)}\n[node]\nname = "{name}"')
        for secret in ("sf-secret", "push-token"):
            text = text.replace(f'"{secret}"', json.dumps(str(self.rig.place / secret)))
        config = place / "rtsd.toml"
        config.write_text(text)
        daemon = await Daemon.launch(config, place / "s", self.rig.log)
        self.rig.daemons.append(daemon)
        self.running[name] = daemon
        return daemon

    async def leads(self, name: str, within: float) -> protocol.Status:
        """Wait until a node leads, and have the package push there."""
        daemon = self.running[name]
        await eventually(daemon.answers, f"{name} leads", within)
        await self.rig.aim(f"http://127.0.0.1:{self.ports[name]}/v1/push")
        return await daemon.status()

    def freeze(self, name: str) -> None:
        """Stop a node in its tracks."""
        os.kill(self.running[name].pid, signal.SIGSTOP)

    async def thaw(self, name: str) -> int:
        """Let a frozen node go on; return its status once it has ended."""
        os.kill(self.running[name].pid, signal.SIGCONT)
        return await self.running[name].process.wait()

    async def differences(self) -> list[str]:
        """Say where mirror and org differ."""
        found = []
        for name in self.rig.objects:
            difference = await compared(self.url, "salesforce", name, self.rig.org.rows(name))
            found += [] if difference.equal else [f"{name}: {difference}"]
        return found
