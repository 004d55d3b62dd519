"""An org in this process with a daemon's parts beside it: what every acceptance test stands on.

The parts are put together by the daemon's own composition root, over real HTTP and a real database.
Both sides live on the org's clock, which a test moves; the daemon's loops do not run, a test steps them.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from rtsd import config
from rtsd.control import protocol
from rtsd.control.client import ControlClient
from rtsd.daemon.compose import compose
from rtsd.daemon.parts import Parts
from rtsd.machine import Machine
from rtsd.store import fetches, quota
from rtssim.bus.event_bus import EventBus
from rtssim.limits import DELIVERIES
from rtssim.org import Org
from rtssim.process import SimulatedOrg, serve
from tests.support.mirror import Mirror, mirror_at
from tests.support.stream.following import following, responded

Row = dict[str, Any]
Keep = Callable[[Row], bool]

TOKEN = "push-token-of-the-tests-0001"


@dataclass
class Stand:
    """The org, and a daemon beside it that `start` builds and `stop` takes down."""

    simulated: SimulatedOrg
    org: Org
    place: Path
    objects: Mapping[str, Mapping[str, Any]]
    sync: Mapping[str, str]
    login: Mapping[str, str]
    quota: Mapping[str, Any]
    listen: str = ""
    """Where the gateway listens; empty: there is none."""
    channel: str = "gateway"
    """How pushes come: `gateway`, `stream` or `cdc`."""
    more: str = ""
    """TOML at the end of the configuration."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """How the daemon waits between retries, and for rows under way."""
    parts: Parts = field(init=False)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    cut_off: int = 0
    """How often a test has cut the daemon off in the middle: up to three calls are written down, not sent."""
    _starts: int = 0

    async def _sleep(self, seconds: float) -> None:
        await self.sleep(seconds)

    # -- the daemon -----------------------------------------------------------------------------------
    def now(self) -> int:
        """The time on the org's clock, ms; the daemon's clock too."""
        return int(self.org.clock.now().timestamp() * 1000)

    @property
    def bus(self) -> EventBus:
        """The org's event bus."""
        assert self.simulated.server is not None
        return self.simulated.server.bus

    @property
    def mirror(self) -> Mirror:
        """As other programs see it."""
        return mirror_at(self.place / "mirror.db")

    def configuration(self) -> config.Config:
        """Write and load the configuration."""
        self.secret("sf-secret", self.simulated.info["client_secret"])
        lines = [
            "[org]",
            f"login_url = {json.dumps(self.simulated.url)}",
            f"client_id = {json.dumps(self.simulated.info['client_id'])}",
            'client_secret_file = "sf-secret"',
            *(f"{key} = {json.dumps(value)}" for key, value in self.login.items()),
            f"[gateway]\nlisten = {json.dumps(self.listen)}",
            *self._pushed_to(),
            *self._subscribed_to(),
            f"[store]\n{self.mirror.section()}",
            f"[control]\nsocket = {json.dumps(str(self.place / 'rtsd.sock'))}",
            "[sync]",
            *(f"{key} = {json.dumps(value)}" for key, value in self.sync.items()),
        ]
        lines += ["[quota]", *(f"{key} = {json.dumps(value)}" for key, value in self.quota.items())]
        for name, options in self.objects.items():
            lines += ["[[objects]]", f"name = {json.dumps(name)}"]
            lines += [f"{key} = {_toml(value)}" for key, value in options.items()]
        path = self.place / "rtsd.toml"
        path.write_text("\n".join([*lines, self.more]) + "\n")
        return config.load(path)

    def _pushed_to(self) -> list[str]:
        if not self.listen:
            return []
        self.secret("push-token", TOKEN)
        return ['public_url = "https://rts.example.com"', 'token_file = "push-token"']

    def _subscribed_to(self) -> list[str]:
        if self.channel == "gateway":
            return []
        lines = ["[push]", f'channel = "{self.channel}"', f'endpoint = "{self.simulated.info["pubsub"]}"']
        if self.channel == "stream":
            self.secret("push-token", TOKEN)
            lines.append('token_file = "push-token"')
        return lines

    def secret(self, name: str, text: str) -> Path:
        """Write a secret's file."""
        path = self.place / name
        path.touch(mode=0o600)
        path.write_text(text + "\n")
        return path

    async def start(self) -> Stand:
        """Build the daemon's parts."""
        machine = Machine(wall=self.now, monotonic=self.now, sleep=self._sleep)
        self.parts = await compose(self.configuration(), self._stack, machine)
        self._starts += 1
        return self

    async def stop(self) -> None:
        """Take the parts down, in order."""
        await self._stack.aclose()

    async def restart(self, objects: Mapping[str, Mapping[str, Any]]) -> None:
        """Stop, and start with other `[[objects]]`."""
        await self.stop()
        self.objects = objects
        await self.start()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[ControlClient]:
        """The control API, as `rtsd` and `rtstui` use it."""
        async with ControlClient(self.place / "rtsd.sock") as client:
            yield client

    # -- its steps ------------------------------------------------------------------------------------
    async def load(self, *, past_pauses: bool = True) -> None:
        """Describe, load and prove what is due; `past_pauses` does not wait after failures."""
        if past_pauses:
            for mirrored in self.parts.base.catalog:
                mirrored.retry.loads.not_before = 0
        await self.parts.runner.step(self.parts.services.loader)

    async def loaded(self) -> Stand:
        """Start, and load everything; every object has to be live."""
        await self.start()
        await self.load()
        assert {name: mirrored.state for name, mirrored in (await self.states()).items()} == dict.fromkeys(
            self.objects, "live"
        )
        return self

    async def read(self) -> None:
        """Read one window of every object, and fetch what it asks for."""
        await self.parts.services.interval_sync.catch_up("a test asks for it")
        await self.parts.runner.step(self.parts.services.interval_sync)
        await self.repair()

    async def repair(self) -> None:
        """Fetch what waits to be fetched."""
        self.advance(60)
        await self.parts.readers.repair.step()

    def advance(self, seconds: float) -> None:
        """Let time pass, in the org and here."""
        self.org.clock.advance(seconds)
        self.org.settle()

    async def install_package(self, *objects: str) -> None:
        """Install the package in the org with triggers on `objects`, and let it push here."""
        settings = {"Token__c": TOKEN}
        if self.parts.gateway is not None:
            settings["Gateway_URL__c"] = f"http://{self.parts.gateway.address}"
        quick = {"push_timestamp_by_org_clock": True, "push_retry_scale": 0.001}
        await self.simulated.control("switches", quick)
        installed = {"objects": objects, "channel": self.channel, "settings": settings}
        await self.simulated.control("package/install", installed)

    @asynccontextmanager
    async def taking(self) -> AsyncIterator[None]:
        """Take pushes and events while the block runs, and then judge what they are evidence of."""
        running = asyncio.create_task(self.parts.runner.run(self.parts.services.inbox))
        try:
            async with following(self.parts, self.bus):
                yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await self.parts.services.evidence.step()

    async def probe_package(self) -> None:
        """Probe for the package once."""
        assert self.parts.services.package_probe is not None
        await self.parts.services.package_probe.step()

    async def beat(self) -> None:
        """The package sends a heartbeat; Change Data Capture has the responses of its stream instead."""
        async with self.taking():
            if self.channel == "cdc":
                await responded(self.parts, self.bus)
            else:
                await self.simulated.control("package/heartbeat", {})
        while await self.parts.services.realtime.apply_batch():
            pass

    async def pushed(self) -> None:
        """Wait for the pushes under way, and apply what has come."""
        async with self.taking():
            await self.simulated.control("package/drain", {})
        while await self.parts.services.realtime.apply_batch():
            pass

    async def audit(self, name: str, *, full: bool = False) -> dict[str, Any]:
        """`rtsd audit NAME [--full] --json`, over the control socket."""
        async with self.client() as client:
            (result,) = (await client.audit(name, full=full)).objects
        return dict(msgspec.to_builtins(result))

    async def audited(self, name: str) -> tuple[dict[str, Any], int]:
        """One audit, and what it cost by the org's own count."""
        before = await self.calls()
        result = await self.audit(name)
        return result, await self.cost(before)

    async def sources(self, name: str, record_id: str) -> list[str]:
        """The sources that the record's history names, oldest first."""
        async with self.client() as client:
            history = await client.history(name, record_id)
        return [version.source or "" for version in history.versions]

    async def states(self) -> dict[str, protocol.Object]:
        """The objects of `rtsd status`, by name."""
        return {mirrored.name: mirrored for mirrored in (await self.parts.views.status()).objects}

    async def state(self, name: str) -> protocol.Object:
        """One object of `rtsd status`."""
        return (await self.states())[name]

    async def journal(self, kind: str = "") -> list[protocol.Event]:
        """The journal's entries, oldest first."""
        async with self.client() as client:
            events = await client.events(0, limit=10_000)
        return [event for event in events if kind in ("", event.type)]

    # -- what it cost ---------------------------------------------------------------------------------
    async def calls(self) -> Counter[str]:
        """What the org counted: API calls by kind of route, `bulk_jobs` and `logins`."""
        stats = await self.simulated.stats()
        return Counter({**stats["calls"], "bulk_jobs": stats["bulk_jobs"], "logins": stats["logins"]})

    async def rows_read(self) -> int:
        """Rows that the org has served."""
        served = (await self.simulated.stats())["rows_served"]
        return int(served["query"] + served["bulk"])

    async def cost(self, before: Counter[str]) -> int:
        """API calls since `before`, by the org's own count."""
        spent = await self.calls() - before
        return sum(count for kind, count in spent.items() if kind not in ("bulk_jobs", "logins"))

    async def waiting(self) -> int:
        """Records on the list to be fetched."""
        return await fetches.count(self.parts.base.database)

    # -- the proof ------------------------------------------------------------------------------------
    async def truth(self, name: str, keep: Keep | None, without: tuple[str, ...]) -> AsyncIterator[Row]:
        """The org's rows that the mirror has to hold, with the fields it has to hold."""
        async for row in self.simulated.rows(name):
            if keep is None or keep(row):
                for field_name in without:
                    row.pop(field_name)
                yield row

    async def equal(self, name: str, keep: Keep | None = None, *, without: tuple[str, ...] = ()) -> int:
        """Compare the mirror with the org, field by field, and the ledger with the org's own count.

        `keep` says which rows the configuration's filter lets in, `without` which fields are not mirrored.
        Return how many rows there are.
        """
        found = await self.mirror.compare(name, self.truth(name, keep, without))
        assert found.equal, f"{found.missing} missing, {found.orphaned} orphaned, {found.stale} stale: " + (
            "; ".join(found.examples)
        )
        assert await self.waiting() == 0
        spent = await quota.spent_by_resource(self.parts.base.database, 0)
        stats = await self.simulated.stats()
        # The org counts neither who-am-I, asked at the first start, nor what came with an ended session.
        surely = stats["api_calls"] + 1
        more = self._starts - 1 + 3 * max(stats["logins"] - self._starts, 0) + 3 * self.cut_off
        assert surely <= spent["DailyApiRequests"] <= surely + more, "ledger and org disagree"
        return found.rows

    def sql(self, statement: str, *parameters: object) -> list[Any]:
        """Query the mirror as any other program would."""
        return self.mirror.sql(statement, *parameters)

    async def sabotage(self, statement: str, *parameters: object) -> None:
        """Break the mirror behind the daemon's back: what was lost before this test found out."""
        async with self.parts.base.database.transaction() as tx:
            await tx.execute(statement, parameters)

    # -- the org --------------------------------------------------------------------------------------
    def create(self, name: str, count: int, **values: Any) -> list[str]:
        """Create leads and the like, in one transaction: they all share a stamp."""
        required = {"Lead": {"LastName": "Novák", "Company": "Č & Syn"}, "Account": {"Name": "Č & Syn"}}
        rows = [{**required.get(name, {}), **values} for _ in range(count)]
        with self.org.transaction(self.org.admin):
            return [str(result.unwrap()) for result in self.org.create(self.org.admin, name, rows)]

    def update(self, name: str, ids: list[str], **values: Any) -> None:
        """Update rows, in one transaction."""
        with self.org.transaction(self.org.admin):
            for result in self.org.update(
                self.org.admin, name, [{"Id": record_id, **values} for record_id in ids], all_or_none=True
            ):
                result.unwrap()

    def ids(self, name: str) -> list[str]:
        """Ids of the org's live rows, in order."""
        return [str(row["Id"]) for row in self.org.snapshot(name)]


@asynccontextmanager
async def standing(
    place: Path,
    records: Mapping[str, int],
    *,
    objects: Mapping[str, Mapping[str, Any]] | None = None,
    login: Mapping[str, str] | None = None,
    quota: Mapping[str, Any] | None = None,
    listen: str = "",
    channel: str = "",
    more: str = "",
    **sync: str,
) -> AsyncIterator[Stand]:
    """An org with `records`; `objects` are the mirrored ones with their keys, `sync` that table's keys.

    `quota` is that table; own caps in it are `{"daily.bulk_jobs": 2}`. `channel` is how pushes come, if they
    do, and `more` TOML for the end.
    """
    org = Org(records=records)
    wanted = objects if objects is not None else {name: {} for name in records}
    subscribes = channel in ("stream", "cdc")
    try:
        async with serve(org, pubsub=subscribes) as simulated:
            stand = Stand(simulated, org, place, wanted, sync, login or {}, quota or {}, listen)
            stand.more = more
            if channel:
                stand.channel = channel
                stand.listen = "" if subscribes else "127.0.0.1:0"
            if subscribes:
                await simulated.control("switches", {"keepalive_s": 0.05})
                await simulated.control("limits", {DELIVERIES: 1_000_000})
            try:
                yield stand
            finally:
                await stand.stop()
    finally:
        org.close()


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)


Standing = Callable[..., Awaitable[Stand]]
"""The fixture `stand`: makes an org with a daemon beside it, `await stand({"Lead": 100})`; see standing."""
