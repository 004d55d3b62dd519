"""The demo's directory, configuration and processes, which end with the environment."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import aiohttp
import msgspec

from rtsd.config import Config, load
from rtsd.config.engine import engine_of
from rtsd.control.client import ControlClient
from rtsd.control.protocol import Status
from rtsd.core.capture import FREE_OBJECTS
from rtsd.core.instant import to_iso
from rtsd.core.quota import API_REQUESTS, DELIVERIES
from rtsd.core.signature import sign
from rtsd.errors import Conflict, DaemonUnreachable, LeaderAway, RtsError
from rtsd.machine import random_token, wall_ms
from rtsd.workflows import capture
from rtssim import process
from rtssim.process import SimulatedOrg

Channel = Literal["gateway", "stream", "cdc"]

START_S = 30.0
STOP_S = 15.0
_POLL_S = 0.1
UNMIRRORED, UNMIRRORED_RECORD = "Survey__c", "a0SQx0000000001AAA"
"""An object that the demo does not mirror, and the id of a record."""

_CONFIG = """\
# The demo's configuration; `rtsd run -c` with this file works while the simulated org runs.
[org]
login_url = "{url}"
client_id = "{client_id}"
client_secret_file = "sf-secret"

{channel}
[store]
{store}

[control]
socket = "rtsd.sock"

[sync]
silence_after = "{silence_ms}ms"
interval = "2s"
lookback = "1m"
"""

HASHED_OBJECT, HASHED_FIELD = "Contact", "Phone"
"""A field whose values the mirror of a told demo has as hashes only."""

_RULE = """
[[rules]]
name = "new-lead"
object = "Lead"
on = ["create"]
[rules.command]
argv = ["/bin/sh", "-c", 'cat >> "$0"', {leads}]
"""
_ALERT = """
[[alerts]]
name = "pager"
on = ["silent", "unreachable"]
[alerts.command]
argv = ["/bin/sh", "-c", 'cat >> "$0"', {alerts}]
"""

ENOUGH_CALLS = ENOUGH_DELIVERIES = 10_000_000
"""API calls and event deliveries of the simulated org in 24 hours."""

_CHANNELS = {
    "gateway": """\
[gateway]
listen = "127.0.0.1:0"
token_file = "push-token"
""",
    "stream": """\
[gateway]
listen = ""

[push]
channel = "stream"
endpoint = "{pubsub}"
token_file = "push-token"
""",
    "cdc": """\
[push]
channel = "cdc"
endpoint = "{pubsub}"
""",
}
"""The tables of the configuration for each channel."""


@dataclass(frozen=True)
class Environment:
    """The demo's directory, the simulated org, and the daemon's process."""

    directory: Path
    org: SimulatedOrg
    token: str
    channel: Channel
    daemon: asyncio.subprocess.Process
    store: str = ""
    """The URL of the mirror's database; empty: it is in a file."""
    told: bool = False
    """True if the dashboard tells its story: it has rules, an alert and a hashed field."""

    def hashed(self, name: str) -> frozenset[str]:
        """Return the fields of an object that a privacy rule hashes."""
        return frozenset({HASHED_FIELD}) if self.told and name == HASHED_OBJECT else frozenset()

    @property
    def story(self) -> Path:
        """The file with the line that the dashboard shows."""
        return self.directory / "story"

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
        """Query the daemon's status. Raises RtsError with the end of its log if it has ended."""
        if self.daemon.returncode is not None:
            raise RtsError(
                f"The daemon ended with status {self.daemon.returncode}: {last_line(self.log)}",
                f"See its log, {self.log}; --dir keeps it.",
            )
        async with ControlClient(self.socket) as client:
            return await client.status()

    def peak_memory_mb(self) -> float | None:
        """Return the daemon's peak resident set size in MB, on Linux."""
        with suppress(OSError):
            for line in Path(f"/proc/{self.daemon.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return round(int(line.split()[1]) / 1024, 1)
        return None


@asynccontextmanager
async def start(
    directory: Path | None,
    records: Mapping[str, int],
    silence_ms: int,
    channel: Channel = "gateway",
    store: str = "",
    *,
    told: bool = False,
) -> AsyncIterator[Environment]:
    """Start an org with `records` and a daemon that mirrors it, to which it pushes by `channel`.

    `store` is the URL of a database for the mirror, if it is not to be in a file. Without `directory`, a
    temporary one is used and removed.
    """
    async with AsyncExitStack() as stack:
        place = stack.enter_context(_directory(directory))
        try:
            options = () if channel == "gateway" else ("--pubsub",)
            org = await stack.enter_async_context(process.spawn(records=records, options=options))
        except RuntimeError as error:
            raise RtsError(f"The simulated org does not start: {error}.", "See its output above.") from error
        # The demo reads and edits in minutes what others do in a day.
        await org.control("limits", {API_REQUESTS: ENOUGH_CALLS, DELIVERIES: ENOUGH_DELIVERIES})
        token = _write_files(place, org, records, silence_ms, channel=channel, store=store)
        if told:
            _write_rules(place, records)
        if store:
            await _require_empty(load(place / "rtsd.toml"))
        if channel == "stream":  # before the daemon asks for the topic
            await _install(org, list(records), channel, {"Token__c": token})
        elif channel == "cdc":  # as many as an org without the add-on may; Interval Sync reads the others
            await capture.enable(load(place / "rtsd.toml"), list(records)[:FREE_OBJECTS])
        daemon = await stack.enter_async_context(_daemon(place))
        yield Environment(place, org, token, channel, daemon, store, told)


async def install_package(demo: Environment, objects: list[str]) -> None:
    """Install the package in the org, configured to push to the daemon, and send a heartbeat.

    Change Data Capture needs no package.
    """
    if demo.channel == "gateway":
        url = f"http://{(await demo.status()).gateway.listen}"
        await _install(demo.org, objects, demo.channel, {"Gateway_URL__c": url, "Token__c": demo.token})
    if demo.channel != "cdc":
        await demo.org.control("package/heartbeat")


async def _install(
    org: SimulatedOrg, objects: list[str], channel: Channel, settings: Mapping[str, str]
) -> None:
    await org.control("package/install", {"objects": objects, "settings": settings, "channel": channel})


async def push_unmirrored(gateway: str, org: str, token: str) -> None:
    """Push a change of an object that is not mirrored, as the package would, for a dead letter to show."""
    now = wall_ms()
    moment = to_iso(now)
    change: dict[str, Any] = {
        "object": UNMIRRORED,
        "op": "create",
        "id": UNMIRRORED_RECORD,
        "modstamp": moment,
    }
    document = {"v": 1, "kind": "changes", "org": org, "pkg": "1.0.0", "attempt": 1, "sent": moment}
    body = msgspec.json.encode({**document, "read_at": moment, "changes": [change]})
    timestamp, webhook_id = now // 1000, f"stray-{now}"
    headers = {
        "Content-Type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(token.encode(), webhook_id, timestamp, body),
    }
    url = f"http://{gateway}/v1/push"
    async with aiohttp.ClientSession() as http, http.post(url, data=body, headers=headers) as response:
        response.raise_for_status()


async def until_answering(demo: Environment) -> Status:
    """Wait for the daemon's first status."""
    async with asyncio.timeout(START_S):
        while True:
            with suppress(DaemonUnreachable, LeaderAway):  # in a database it leads only after a moment
                return await demo.status()
            await asyncio.sleep(_POLL_S)


def last_line(log: Path) -> str:
    """Return the last non-empty line of a log."""
    lines = log.read_text(errors="replace").split("\n") if log.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")


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
                f"{wanted} contains the mirror of an earlier demo, whose org no longer exists.",
                "Remove it, or name another directory with --dir.",
            )
    except OSError as error:
        raise RtsError(f"{wanted}: {error.strerror}.", "Name a writable directory with --dir.") from None
    yield wanted.absolute()


async def _require_empty(settings: Config) -> None:
    """Require a database without a mirror, whose org would no longer exist. Raises RtsError."""
    engine = engine_of(settings)
    names = [section.name for section in settings.objects]
    await engine.check(settings.store.views.used(), names)
    if await engine.exists():
        schemas = f"{settings.store.mirror_schema} and {settings.store.internal_schema}"
        raise Conflict(
            f"{engine.name} has a mirror already, in the schemas {schemas}.",
            "Name an empty database with --store, or drop both.",
        )


def _write_files(
    place: Path,
    org: SimulatedOrg,
    records: Mapping[str, int],
    silence_ms: int,
    *,
    channel: Channel,
    store: str,
) -> str:
    """Write the configuration and its secrets; return the push token."""
    token = random_token()
    for name, text in (("sf-secret", org.info["client_secret"]), ("push-token", token)):
        path = place / name
        path.touch(mode=0o600)
        path.write_text(text)
    info = org.info
    head = _CONFIG.format(
        url=org.url,
        client_id=info["client_id"],
        channel=_CHANNELS[channel].format(pubsub=info.get("pubsub")),
        silence_ms=silence_ms,
        store=f"url = {json.dumps(store)}" if store else 'path = "mirror.db"',
    )
    objects = "".join(f'\n[[objects]]\nname = "{name}"\n' for name in records)
    (place / "rtsd.toml").touch(mode=0o600)  # the URL may have a password
    (place / "rtsd.toml").write_text(head + objects)
    return token


def _write_rules(place: Path, records: Mapping[str, int]) -> None:
    """Add a hashed field, a rule and an alert to the configuration, for the objects that there are."""
    config = place / "rtsd.toml"
    table = f'[[objects]]\nname = "{HASHED_OBJECT}"\n'
    hashed = f'{table}privacy = {{ {HASHED_FIELD} = "hash" }}\n'
    files = {name: json.dumps(str(place / f"{name}.log")) for name in ("leads", "alerts")}
    rules = (_RULE if "Lead" in records else "") + _ALERT
    config.write_text(config.read_text().replace(table, hashed) + rules.format_map(files))


@asynccontextmanager
async def _daemon(place: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the daemon, and stop it at the end as a service manager would."""
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
