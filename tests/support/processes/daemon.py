"""`rtsd run` as a process: start it, ask it, end it in every way a process can end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

from rtsd.control import protocol
from rtsd.control.client import ControlClient
from rtsd.errors import DaemonUnreachable, LeaderAway
from tests.support.processes.cpu import cpu_s
from tests.support.waiting import eventually

LOOK_FOR_S = 60.0


class Daemon:
    """One run of the daemon; what it writes to stderr is appended to `log`."""

    def __init__(self, process: asyncio.subprocess.Process, socket: Path, log: Path) -> None:
        self.process = process
        self.log = log
        self.client = ControlClient(socket)

    @classmethod
    async def launch(cls, config: Path, socket: Path, log: Path, wrapper: Sequence[str] = ()) -> Daemon:
        """Start the process, without waiting for more; `wrapper` is a command to run it under."""
        with log.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                *wrapper, sys.executable, "-m", "rtsd", "run", "-c", str(config), stderr=stderr
            )
        return cls(process, socket, log)

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU that the process has used."""
        return cpu_s(self.pid)

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self.process.returncode is None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def peak_rss(self) -> int:
        """The most memory it ever had resident, in bytes."""
        return self._memory("VmHWM")

    @property
    def rss(self) -> int:
        """The memory it has resident, in bytes."""
        return self._memory("VmRSS")

    def _memory(self, key: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {key} in /proc")

    async def ready(self) -> Daemon:
        """Wait until it answers on its socket, and has a mirror."""

        async def probe() -> bool:
            found = await self._answered()
            return found is not None and found.store.reachable

        await eventually(probe, "the daemon answers", LOOK_FOR_S)
        return self

    async def answers(self) -> bool:
        """Whether it answers on its socket. Raises AssertionError once it has ended."""
        return await self._answered() is not None

    async def _answered(self) -> protocol.Status | None:
        if self.process.returncode is not None:
            raise AssertionError(
                f"rtsd ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}"
            )
        try:
            return await self.client.status()
        except (DaemonUnreachable, LeaderAway):
            return None

    async def status(self) -> protocol.Status:
        """`GET /v1/status`."""
        return await self.client.status()

    async def objects(self) -> dict[str, protocol.Object]:
        """The objects of its status, by name."""
        return {mirrored.name: mirrored for mirrored in (await self.status()).objects}

    async def live(self, within: float = 30.0) -> protocol.Status:
        """Wait until every object is proven live."""
        shown: dict[str, tuple[str, int, str | None]] = {}

        async def probe() -> protocol.Status | None:
            status = await self.status()
            shown.update(
                {
                    mirrored.name: (mirrored.state, mirrored.rows, mirrored.error)
                    for mirrored in status.objects
                }
            )
            return status if all(mirrored.state == "live" for mirrored in status.objects) else None

        try:
            return await eventually(probe, "every object is live", within)
        except AssertionError as late:
            raise AssertionError(f"not live within {within:.0f} s: {shown}") from late

    async def mode(self, wanted: str, within: float = 15.0) -> None:
        """Wait until changes arrive in this mode."""

        async def probe() -> bool:
            return (await self.status()).mode == wanted

        await eventually(probe, f"the mode is {wanted}", within)

    async def settled(self, within: float = 15.0) -> None:
        """Wait until no push waits to be applied."""

        async def probe() -> bool:
            status = await self.status()
            return status.store.reachable and status.inbox.pending == 0

        await eventually(probe, "the inbox is empty", within)

    async def events(self, kind: str, after: int = 0) -> list[protocol.Event]:
        """Journal entries of one type, oldest first."""
        return [event for event in await self.client.events(after, limit=10_000) if event.type == kind]

    @asynccontextmanager
    async def following(self, name: str) -> AsyncIterator[AsyncIterator[protocol.Event]]:
        """Follow the changes of one object on the live feed, from now on."""
        async with aclosing(self.client.follow(name=name)) as feed:
            assert isinstance(await anext(feed), protocol.Snapshot)
            yield (line async for line in feed if isinstance(line, protocol.Event) and line.type == "change")

    async def terminate(self) -> int:
        """SIGTERM, and the exit status it leads to."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> int:
        """SIGKILL: no chance to do anything more."""
        return await self._end(signal.SIGKILL)

    async def _end(self, number: signal.Signals) -> int:
        await self.client.close()
        if self.is_running:
            with suppress(ProcessLookupError):
                os.kill(
                    self.pid, number
                )  # Process.send_signal polls first, and takes the status from asyncio
        async with asyncio.timeout(LOOK_FOR_S):
            return await self.process.wait()
