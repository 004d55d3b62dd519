"""The demo's directory, its configuration, and its processes, which all end with the stage."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rtsd.control.client import ControlClient
from rtsd.control.protocol import Status
from rtsd.errors import DaemonUnreachable, RtsError
from rtsd.machine import random_token
from rtssim import process
from rtssim.process import SimulatedOrg

START_S = 30.0
STOP_S = 15.0
_LOOK_S = 0.1

_CONFIG = """\
# What the demo runs with; `rtsd run -c` this file works while its simulated org runs.
[org]
login_url = "{url}"
client_id = "{client_id}"
client_secret_file = "sf-secret"

[gateway]
listen = "127.0.0.1:0"
token_file = "push-token"

[store]
path = "mirror.db"

[control]
socket = "rtsd.sock"

[sync]
silence_after = "{silence_ms}ms"
interval = "2s"
lookback = "1m"
"""


@dataclass(frozen=True)
class Stage:
    """Where the demo plays: its directory, the org, and the daemon's process."""

    directory: Path
    org: SimulatedOrg
    token: str
    daemon: asyncio.subprocess.Process

    @property
    def socket(self) -> Path:
        """The daemon's control socket."""
        return self.directory / "rtsd.sock"

    @property
    def mirror(self) -> Path:
        """The mirror's file."""
        return self.directory / "mirror.db"

    @property
    def log(self) -> Path:
        """The daemon's log."""
        return self.directory / "rtsd.log"

    async def status(self) -> Status:
        """Ask the daemon how it is; RtsError with the end of its log when it has died."""
        if self.daemon.returncode is not None:
            raise RtsError(
                f"The daemon ended with status {self.daemon.returncode}: {last_line(self.log)}",
                f"All of its log is in {self.log}; --dir keeps it.",
            )
        async with ControlClient(self.socket) as client:
            return await client.status()

    def peak_memory_mb(self) -> float | None:
        """Return the daemon's highest resident size so far, where the system tells it (Linux)."""
        with suppress(OSError):
            for line in Path(f"/proc/{self.daemon.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return round(int(line.split()[1]) / 1024, 1)
        return None


@asynccontextmanager
async def stage(directory: Path | None, records: Mapping[str, int], silence_ms: int) -> AsyncIterator[Stage]:
    """Set the stage: an org with `records`, the daemon that mirrors them, the package installed.

    Without `directory` a temporary one is used and removed.
    """
    async with AsyncExitStack() as stack:
        place = stack.enter_context(_directory(directory))
        try:
            org = await stack.enter_async_context(process.spawn(records=records))
        except RuntimeError as error:
            raise RtsError(
                f"The simulated org does not start: {error}.", "Its own words are above."
            ) from error
        token = _write_files(place, org, records, silence_ms)
        daemon = await stack.enter_async_context(_daemon(place))
        yield Stage(place, org, token, daemon)


async def install_package(stage: Stage, objects: list[str]) -> None:
    """Put the package into the org, set to post to the daemon, and have it say hello."""
    gateway = (await stage.status()).gateway.listen
    settings = {"Gateway_URL__c": f"http://{gateway}", "Token__c": stage.token}
    await stage.org.control("package/install", {"objects": objects, "settings": settings})
    await stage.org.control("package/heartbeat")


async def until_answering(stage: Stage) -> Status:
    """Wait for the daemon's first answer."""
    async with asyncio.timeout(START_S):
        while True:
            with suppress(DaemonUnreachable):
                return await stage.status()
            await asyncio.sleep(_LOOK_S)


def last_line(log: Path) -> str:
    """Return the last line of a log, for an error of one line."""
    lines = log.read_text(errors="replace").split("\n") if log.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it logged nothing")


@contextmanager
def _directory(wanted: Path | None) -> Iterator[Path]:
    if wanted is None:
        with tempfile.TemporaryDirectory(prefix="rtsd-demo-", ignore_cleanup_errors=True) as made:
            yield Path(made)
        return
    try:
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (wanted / "mirror.db").exists():
            raise RtsError(
                f"{wanted} holds the mirror of an earlier demo, whose org is gone.",
                "Name another directory with --dir, or remove that one.",
            )
    except OSError as error:
        raise RtsError(f"{wanted}: {error.strerror}.", "Name a directory you can write with --dir.") from None
    yield wanted.absolute()


def _write_files(place: Path, org: SimulatedOrg, records: Mapping[str, int], silence_ms: int) -> str:
    """Write the configuration and its secrets; return the push token."""
    token = random_token()
    for name, text in (("sf-secret", org.info["client_secret"]), ("push-token", token)):
        path = place / name
        path.touch(mode=0o600)
        path.write_text(text)
    head = _CONFIG.format(url=org.url, client_id=org.info["client_id"], silence_ms=silence_ms)
    objects = "".join(f'\n[[objects]]\nname = "{name}"\n' for name in records)
    (place / "rtsd.toml").write_text(head + objects)
    return token


@asynccontextmanager
async def _daemon(place: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the daemon; at the end it drains and stops, as a service would."""
    command = (sys.executable, "-m", "rtsd", "run", "-c", str(place / "rtsd.toml"))
    with (place / "rtsd.log").open("ab") as log:
        daemon = await asyncio.create_subprocess_exec(*command, stderr=log, stdout=log)
    try:
        yield daemon
    finally:
        if daemon.returncode is None:
            daemon.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(daemon.wait(), STOP_S)
            except TimeoutError:
                daemon.kill()
                await daemon.wait()
