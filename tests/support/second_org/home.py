"""A daemon's home beside the org: configuration, secrets, mirror; and the verbs run in it."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.processes.command import Ended, rtsd
from tests.support.second_org.org import CLIENT_ID, CLIENT_SECRET, Org

TOKEN = "second-push-token-55d2f1c04c0f"


@dataclass
class Home:
    """Where one daemon lives; it comes and goes."""

    org: Org
    place: Path
    tables: Mapping[str, Mapping[str, Any]]
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)
    runs: int = 0

    def __post_init__(self) -> None:
        """Take a port for the gateway."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    @property
    def mirror(self) -> Path:
        """The database."""
        return self.place / "mirror.db"

    @property
    def log(self) -> str:
        """What the daemon wrote to stderr."""
        path = self.place / "stderr"
        return path.read_text() if path.exists() else ""

    def write_config(self, tables: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Write configuration and secrets; `tables` holds what is added, `objects` by name."""
        for name, text in (("sf-secret", CLIENT_SECRET), ("push-token", TOKEN)):
            (self.place / name).touch(mode=0o600)
            (self.place / name).write_text(text + "\n")
        tables = {**self.tables, **(tables or {})}
        wanted: dict[str, Any] = {
            "org": {
                "login_url": self.org.login_url,
                "client_id": CLIENT_ID,
                "client_secret_file": "sf-secret",
            },
            "gateway": {"listen": f"127.0.0.1:{self.port}", "token_file": "push-token"},
            "store": {"path": str(self.mirror)},
            "control": {"socket": str(self.place / "s")},
            "sync": {},
        }
        lines = []
        for table in dict.fromkeys([*wanted, *tables]):
            if table != "objects":
                values = {**wanted.get(table, {}), **tables.get(table, {})}
                lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
        for name, values in tables["objects"].items():
            lines += [
                "[[objects]]",
                f'name = "{name}"',
                *(f"{k} = {json.dumps(v)}" for k, v in values.items()),
            ]
        (self.place / "rtsd.toml").write_text("\n".join(lines) + "\n")

    async def start(self) -> asyncio.subprocess.Process:
        """Start the daemon."""
        with (self.place / "stderr").open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "rtsd", "run", "-c", str(self.place / "rtsd.toml"), stderr=stderr
            )
        self.processes.append(process)
        return process

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the daemon; its exit status."""
        process = self.processes[-1]
        if process.returncode is None:
            process.send_signal(number)
        async with asyncio.timeout(15):
            return await process.wait()

    async def verb(self, *words: str, config: bool = False) -> Ended:
        """Run a verb of rtsd."""
        where = ("-c", str(self.place / "rtsd.toml")) if config else ("--socket", str(self.place / "s"))
        return await rtsd(*words, *where)

    def control(self) -> aiohttp.ClientSession:
        """Return a session to the control socket, as curl would have it."""
        return aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self.place / "s")))

    async def get(self, path: str) -> Any:
        """`GET` JSON from the control socket."""
        async with self.control() as session, session.get("http://rtsd" + path) as answer:
            return await answer.json()

    async def lines(self, path: str, count: int) -> list[dict[str, Any]]:
        """Read so many NDJSON lines of the control socket, at most."""
        found: list[dict[str, Any]] = []
        async with self.control() as session, session.get("http://rtsd" + path) as answer:
            async for line in answer.content:
                found.append(json.loads(line))
                if len(found) == count:
                    break
        return found

    def read(self, sql: str, *parameters: object) -> list[sqlite3.Row]:
        """Query the mirror as any other program would."""
        with closing(sqlite3.connect(f"file:{self.mirror}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            return database.execute(sql, parameters).fetchall()


@asynccontextmanager
async def home(org: Org, **tables: Mapping[str, Any]) -> AsyncIterator[Home]:
    """A configured home; at the end its daemon is killed, and has written no secret."""
    with tempfile.TemporaryDirectory(prefix="rts2") as directory:
        mine = Home(org, Path(directory), tables)
        mine.write_config()
        try:
            yield mine
        finally:
            for process in mine.processes:
                if process.returncode is None:
                    process.kill()
                await process.wait()
        assert TOKEN not in mine.log
        assert CLIENT_SECRET not in mine.log
