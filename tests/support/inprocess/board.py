"""The board of the model's games: an org, a daemon beside it, and the proof that both are equal."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from hypothesis.stateful import RuleBasedStateMachine

from rtsd.core.object_state import ObjectState
from rtsd.errors import SalesforceError
from rtsd.sync import object_states
from rtsd.sync.mirrored_object import MirroredObject
from rtssim.clock import Clock
from rtssim.org import Org, OrgError
from rtssim.process import serve
from tests.support.inprocess.channels import connect
from tests.support.inprocess.stand import Stand
from tests.support.stream.following import following, responded

OBJECTS = ("Account", "Contact")
RECORDS = {"Account": 3, "Contact": 6}
START = datetime(2026, 3, 1, 23, 40, tzinfo=UTC)
"""Shortly before midnight, so that games cross a day."""
LATEST_COMMIT_S = 300
MEMORY = Path("/dev/shm")
WHERE = str(MEMORY) if MEMORY.is_dir() else None

FILTERS: dict[str, Callable[[Any], bool]] = {
    "": lambda _phone: True,
    "Phone != 'a'": lambda phone: phone != "a",
    "Phone = 'b'": lambda phone: phone == "b",
}
"""Filters, and which phones pass them."""


async def _at_once(_seconds: float) -> None:
    await asyncio.sleep(0)


def new_org() -> Org:
    """Return the org as every game begins."""
    return Org(seed=5, records=RECORDS, clock=Clock(START, speed=0.0))


class Board(RuleBasedStateMachine):
    """One org and one daemon."""

    template: bytes
    """A loaded mirror of the org as every game begins."""
    channel: ClassVar[str] = "gateway"
    """How pushes come: `gateway`, `stream` or `cdc`."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._stack = contextlib.AsyncExitStack()
        self._place = Path(tempfile.mkdtemp(prefix="rtsd-game-", dir=WHERE))
        self._failed = False
        self.configured: dict[str, dict[str, Any]] = {name: {} for name in OBJECTS}
        self.do(self._begin())

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run `work`; after an error the game's last proof is left out."""
        try:
            return self._runner.run(work)
        except BaseException:
            self._failed = True
            raise

    async def _begin(self) -> None:
        org = new_org()
        self._stack.callback(org.close)
        subscribes = self.channel != "gateway"
        simulated = await self._stack.enter_async_context(serve(org, pubsub=subscribes))
        self.stand = Stand(simulated, org, self._place, {name: {} for name in OBJECTS}, {}, {}, {})
        self.stand.channel = self.channel
        self.stand.listen = "" if subscribes else "127.0.0.1:0"
        await simulated.control("switches", {"keepalive_s": 0.05})
        self.stand.mirror.restore(self.template)
        await self._start()
        await connect(self.stand, *OBJECTS, inbox_runs=True)

    async def _start(self) -> None:
        self.stand.sleep = _at_once
        await self.stand.start()
        parts = self.stand.parts
        self._inbox = asyncio.create_task(parts.runner.run(parts.services.inbox))
        if parts.services.capture is not None:
            await self.trying(parts.services.capture.step())

    async def _stop(self) -> None:
        gateway = self.stand.parts.gateway
        if gateway is not None:
            await gateway.stop()  # finishes what is under way, while the inbox still commits
        self._inbox.cancel()
        await asyncio.gather(self._inbox, return_exceptions=True)
        await self.stand.stop()

    def teardown(self) -> None:
        """The end of every game: a proof, then everything is taken down."""
        try:
            if not self._failed:
                self.do(self.proven_equal(windows=False))
        finally:
            with contextlib.suppress(Exception):
                self._runner.run(self._stop())
            self._runner.run(self._stack.aclose())
            self._runner.close()
            shutil.rmtree(self._place)

    @property
    def org(self) -> Org:
        """The org."""
        return self.stand.org

    def an_id(self, name: str, place: int) -> str | None:
        """Return the id at a place, modulo how many records there are."""
        ids = self.stand.ids(name)
        return ids[place % len(ids)] if ids else None

    @contextlib.contextmanager
    def saving(self, delay: float = 0.0) -> Iterator[None]:
        """One commit; what the org refuses (a locked row, a deleted parent) does not happen."""

        async def pushes_begin() -> None:
            await asyncio.sleep(0)

        if delay:  # a late commit shares its stamp with nobody: see docs/truth.md, What it cannot see
            self.advance(1.0)
        try:
            with self.running_loop(), self.org.transaction(self.org.admin, commit_after=delay):
                yield
        except OrgError:
            pass
        self.do(pushes_begin())
        if delay:
            self.advance(1.0)

    @contextlib.contextmanager
    def running_loop(self) -> Iterator[None]:
        """Let the package spawn its pushes: it asks for the running loop."""
        asyncio._set_running_loop(self._runner.get_loop())  # noqa: SLF001 - as event loops do
        try:
            yield
        finally:
            asyncio._set_running_loop(None)  # noqa: SLF001

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self.running_loop():
            self.stand.advance(seconds)

    async def again(self) -> None:
        """Stop the daemon, and start it as it is configured now."""
        await self._stop()
        await asyncio.sleep(0)
        self.stand.objects = {name: dict(keys) for name, keys in self.configured.items()}
        try:
            await self._start()
        except SalesforceError:  # a fault hit the start: the next one comes through
            await self.stand.stop()
            await self.stand.simulated.control("faults", method="DELETE")
            await self._start()
        if self.stand.parts.gateway is not None:
            url = f"http://{self.stand.parts.gateway.address}"
            await self.stand.simulated.control("package/settings", {"Gateway_URL__c": url})

    async def take_pushes(self) -> None:
        """Let pushes and events under way arrive, and apply them."""
        async with following(self.stand.parts, self.stand.bus):
            await self.stand.simulated.control("package/drain", {})
        while await self.stand.parts.services.realtime.apply_batch():
            pass

    async def beat(self) -> None:
        """Let a heartbeat come, or a response of the stream, and evaluate it."""
        async with following(self.stand.parts, self.stand.bus):
            if self.channel == "cdc":
                await responded(self.stand.parts, self.stand.bus)
            else:
                await self.stand.simulated.control("package/heartbeat", {})
        await self.stand.parts.services.evidence.step()

    def mirrored(self, name: str) -> list[MirroredObject]:
        """Return the object, if it is configured."""
        return [mirrored for mirrored in self.stand.parts.base.catalog if mirrored.name == name]

    async def trying(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do what a fault may refuse."""
        with contextlib.suppress(SalesforceError):
            await work

    async def proven_equal(self, *, windows: bool) -> None:
        """Let everything settle, prove it, and compare every field."""
        stand, parts = self.stand, self.stand.parts
        await stand.simulated.control("faults", method="DELETE")
        for mirrored in parts.base.catalog:
            if mirrored.paused:
                await object_states.resume(parts.base.work, mirrored, stand.now())
        stand.advance(LATEST_COMMIT_S + 1)
        await self.take_pushes()
        stand.advance(120)
        await self._reconcile()
        for mirrored in parts.base.catalog:
            if windows:
                await parts.readers.windows.step(mirrored)
        await parts.readers.repair.step()
        for mirrored in parts.base.catalog:
            await parts.services.checks.check(mirrored)
            await parts.readers.columns.refresh(mirrored)
        for _ in range(3):
            stand.advance(5)
            await parts.readers.repair.step()
        for name in self.configured:
            await self._compare(name)

    async def _reconcile(self) -> None:
        """Read again what a change of the configuration or of a type concerns, as the loader does."""
        parts = self.stand.parts
        for mirrored in parts.base.catalog:
            await parts.readers.describer.describe(mirrored)
            concerned = mirrored.suspicions.reread or mirrored.stored.to_fill or mirrored.unchecked
            assert not (concerned and mirrored.state is ObjectState.LIVE)
            if concerned:
                await self.stand.load()

    async def _compare(self, name: str) -> None:
        stand, keys = self.stand, self.configured[name]
        found = await stand.mirror.compare(name, self._truth(name))
        assert found.equal, found.examples
        ((counted,),) = (tuple(row) for row in stand.sql("SELECT rows FROM _rts_object WHERE name=?", name))
        assert counted == found.rows
        both = f"SELECT t.id FROM _rts_tombstone t JOIN {name} r ON r.Id = t.id"
        assert stand.sql(both) == []
        if "exclude" in keys:
            assert stand.sql(f"SELECT COUNT(Phone) FROM {name}")[0][0] == 0

    async def _truth(self, name: str) -> AsyncIterator[dict[str, Any]]:
        keys = self.configured[name]
        async for row in self.stand.truth(name, None, ()):
            phone = row["Phone"]
            if FILTERS[keys.get("where", "")](phone):
                if "exclude" in keys:
                    del row["Phone"]
                elif "privacy" in keys and phone:
                    row["Phone"] = phone[-4:]
                yield row
