"""A simulated org and a daemon's home beside it, as real processes: what every end-to-end test stands on."""

from __future__ import annotations

import json
import socket
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

from rtsd.workflows.demo.compare import compare
from rtssim.process import SimulatedOrg, spawn
from tests.support.processes.daemon import Daemon
from tests.support.waiting import eventually

TOKEN = "canary-push-token-7b1f0d1c52e94c0a"
PII = "Canary-Person-5d0c"
"""A name that tests give to records: it may be in the mirror, never in a log."""


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Rig:
    """The org, and a directory with configuration, secrets, mirror and socket; the daemon comes and goes."""

    org: SimulatedOrg
    place: Path
    objects: tuple[str, ...]
    sync: Mapping[str, str]
    state: Path
    """Where the mirror lies; a test may put it on a file system of its own."""
    port: int = field(default_factory=free_port)
    daemons: list[Daemon] = field(default_factory=list)

    @property
    def mirror(self) -> Path:
        """The database file."""
        return self.state / "mirror.db"

    @property
    def inbox(self) -> Path:
        """The inbox's file."""
        return self.state / "mirror.db.inbox"

    @property
    def log(self) -> Path:
        """What all daemons of this rig have written to stderr."""
        return self.place / "stderr"

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.place / "rtsd.toml"

    @property
    def socket(self) -> Path:
        """The control socket."""
        return self.place / "rtsd.sock"

    @property
    def push_url(self) -> str:
        """Where the gateway takes pushes."""
        return f"http://127.0.0.1:{self.port}/v1/push"

    def write_config(self, **changes: str) -> Path:
        """Write configuration and secrets; `changes` replace whole values, by key."""
        self.secret("sf-secret", self.org.info["client_secret"])
        self.secret("push-token", TOKEN)
        values = {
            "login_url": self.org.url,
            "client_id": self.org.info["client_id"],
            "listen": f"127.0.0.1:{self.port}",
            "path": str(self.mirror),
            "socket": str(self.socket),
            **changes,
        }
        quoted = {key: json.dumps(value) for key, value in values.items()}
        lines = [
            "[org]",
            f"login_url = {quoted['login_url']}",
            f"client_id = {quoted['client_id']}",
            'client_secret_file = "sf-secret"',
            f"[gateway]\nlisten = {quoted['listen']}",
            'token_file = "push-token"',
            *(f"{key} = {quoted[key]}" for key in changes if key.startswith("tls_")),
            f"[store]\npath = {quoted['path']}",
            f"[control]\nsocket = {quoted['socket']}",
            "[sync]",
            *(f"{key} = {json.dumps(value)}" for key, value in self.sync.items()),
            *(f"[[objects]]\nname = {json.dumps(name)}" for name in self.objects),
        ]
        self.config.write_text("\n".join(lines) + "\n")
        return self.config

    def secret(self, name: str, text: str) -> None:
        """Write a secret's file."""
        path = self.place / name
        path.touch(mode=0o600)
        path.write_text(text + "\n")

    async def launch(self, *wrapper: str) -> Daemon:
        """Start the daemon without waiting for it."""
        daemon = await Daemon.launch(self.config, self.socket, self.log, wrapper)
        self.daemons.append(daemon)
        return daemon

    async def start(self, *wrapper: str) -> Daemon:
        """Start the daemon and wait until it answers."""
        return await (await self.launch(*wrapper)).ready()

    async def install_package(self, url: str | None = None) -> None:
        """Put the package into the org, aimed at the gateway or at `url`."""
        settings = {"Gateway_URL__c": url or self.push_url, "Token__c": TOKEN}
        await self.org.control("package/install", {"settings": settings})

    async def aim(self, url: str) -> None:
        """Have the package push to another address."""
        await self.org.control("package/settings", {"Gateway_URL__c": url})

    async def differences(self) -> list[str]:
        """Say where mirror and org differ now, in any field of any row; empty when they are equal."""
        found = []
        for name in self.objects:
            difference = await compare(name, self.org.rows(name), self.mirror)
            if not difference.equal:
                counts = (
                    f"{difference.missing} missing, {difference.orphaned} orphaned, {difference.stale} stale"
                )
                found += [f"{name}: {counts}", *difference.examples]
        return found

    def read(self, sql: str, *parameters: object) -> list[sqlite3.Row]:
        """Query the mirror as any other program would: read-only, with the standard library."""
        with closing(sqlite3.connect(f"file:{self.mirror}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            return database.execute(sql, parameters).fetchall()

    def taken(self) -> set[str]:
        """The ids of all pushes that were taken, applied or not."""
        with closing(sqlite3.connect(f"file:{self.inbox}?mode=ro", uri=True)) as database:
            return {webhook_id for (webhook_id,) in database.execute("SELECT webhook_id FROM _rts_push_id")}

    async def ends_equal(self, within: float = 20.0) -> None:
        """Wait until the pushes under way are applied, and mirror and org are equal in every field.

        A push is answered before it is applied, and a comparison of a million rows takes longer than any
        deadline that suits small tables: one that began too early would be the last.
        """
        await self.org.control("package/drain")
        if self.daemons and self.daemons[-1].is_running:
            await self.daemons[-1].settled(within)
        last: list[str] = []

        async def probe() -> bool:
            last[:] = await self.differences()
            return not last

        try:
            await eventually(probe, "the mirror equals the org", within)
        except AssertionError as unequal:
            told = [*last, *self._told_of(last), f"pushes: {(await self.org.stats())['pushes']}"]
            raise AssertionError("mirror and org differ:\n" + "\n".join(told)) from unequal

    def _told_of(self, differences: list[str]) -> list[str]:
        """What the journal has of the records in some differences."""
        return [
            f"{record}: {dict(row)}"
            for record in dict.fromkeys(line.replace(".", " ").split()[0] for line in differences)
            for row in self.read("SELECT * FROM _rts_journal WHERE id=? ORDER BY seq", record)
        ]

    def leaks(self) -> list[str]:
        """Secrets and people's data that were written to stderr."""
        if not self.log.exists():
            return []
        text = self.log.read_text(errors="replace")
        keys = ("client_secret", "password", "security_token", "refresh_token", "private_key")
        canaries = [TOKEN, PII, *(str(self.org.info[key]) for key in keys)]
        return [canary[:12] for canary in canaries if canary in text]

    async def close(self) -> None:
        """Stop every daemon that still runs."""
        for daemon in self.daemons:
            await daemon.kill()


@asynccontextmanager
async def standing(
    records: Mapping[str, int],
    *,
    objects: Iterable[str] | None = None,
    options: tuple[str, ...] = (),
    state: Path | None = None,
    **sync: str,
) -> AsyncIterator[Rig]:
    """An org with `records`, and a configured home for a daemon; `sync` is that table of the configuration.

    At the end every daemon is stopped, and none may have written a secret or a person's name to stderr.
    """
    with tempfile.TemporaryDirectory(prefix="rts") as directory:
        place = Path(directory)  # short: a socket's path has room for 108 bytes
        async with spawn(records=records, options=options) as org:
            mine = tuple(objects or records)
            rig = Rig(org, place, mine, sync, state or place / "state")
            rig.state.mkdir(mode=0o700, exist_ok=True)
            rig.write_config()
            try:
                yield rig
            finally:
                await rig.close()
            assert rig.leaks() == [], "written to stderr"
