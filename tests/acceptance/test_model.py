"""Whatever happens in whatever order, the mirror ends equal to the org: a machine plays at random.

It edits the org in every way there is, loses, doubles and reorders pushes, lets calls fail, restarts the
daemon, reads windows and takes fingerprints. After that, and at any time in between, a proof must leave
mirror and org equal in every field: by fingerprints alone, or by windows first.

`RTS_MODEL_RUNS=1000` plays so many games instead of a hundred. Clocks move only when told.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import shutil
import tempfile
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from rtsd.errors import SalesforceError
from rtsd.workflows.demo.compare import compare
from rtssim.clock import Clock
from rtssim.org import Org, OrgError
from rtssim.process import serve
from tests.support.inprocess.stand import Stand

RUNS = int(os.environ.get("RTS_MODEL_RUNS", "100"))
STEPS = 12
"""Moves of one game at most."""
OBJECTS = ("Account", "Contact")
RECORDS = {"Account": 3, "Contact": 6}
START = datetime(2026, 3, 1, 23, 40, tzinfo=UTC)
"""Shortly before midnight, so that games cross a day."""
LATEST_COMMIT_S = 300
MEMORY = Path("/dev/shm")
WHERE = str(MEMORY) if MEMORY.is_dir() else None

names = st.sampled_from(OBJECTS)
places = st.integers(0, 7)
"""Which of an object's records is meant: its place by Id, modulo how many there are."""
texts = st.sampled_from(["a", "b", "ž 🚀\n"])
pauses = st.sampled_from([0.0, 0.05, 0.4, 1.0, 3.0, 45.0, 130.0, 700.0, 4_000.0])
delays = st.sampled_from([0.0, 0.0, 0.0, 2.0, 90.0, float(LATEST_COMMIT_S)])
FAILURES = ("500", "503", "429", "cut", "reset", "expire_session", "query_timeout")
PUSH_FAULTS = ("push_lost", "push_doubled", "push_reordered", "push_late")


async def _at_once(_seconds: float) -> None:
    await asyncio.sleep(0)


def _new_org() -> Org:
    return Org(seed=5, records=RECORDS, clock=Clock(START, speed=0.0))


class Game(RuleBasedStateMachine):
    """One org, one daemon, and what may happen to them."""

    template: bytes
    """A loaded mirror of the org as every game begins."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._stack = contextlib.AsyncExitStack()
        self._place = Path(tempfile.mkdtemp(prefix="rtsd-game-", dir=WHERE))
        self._failed = False
        self._do(self._begin())

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            return self._runner.run(work)
        except BaseException:
            self._failed = True
            raise

    async def _begin(self) -> None:
        org = _new_org()
        self._stack.callback(org.close)
        simulated = await self._stack.enter_async_context(serve(org))
        self.stand = Stand(simulated, org, self._place, {name: {} for name in OBJECTS}, {}, {}, {})
        self.stand.listen = "127.0.0.1:0"
        self.stand.mirror.touch(mode=0o600)
        self.stand.mirror.write_bytes(self.template)
        await self._start()
        await self.stand.install_package(*OBJECTS)

    async def _start(self) -> None:
        self.stand.sleep = _at_once
        await self.stand.start()
        parts = self.stand.parts
        self._inbox = asyncio.create_task(parts.runner.run(parts.services.inbox))

    async def _stop(self) -> None:
        assert self.stand.parts.gateway is not None
        await self.stand.parts.gateway.stop()  # finishes what is under way, while the inbox still commits
        self._inbox.cancel()
        await asyncio.gather(self._inbox, return_exceptions=True)
        await self.stand.stop()

    def teardown(self) -> None:
        """The end of every game: a proof, then everything is taken down."""
        try:
            if not self._failed:
                self._do(self._prove(windows=False))
        finally:
            with contextlib.suppress(Exception):
                self._runner.run(self._stop())
            self._runner.run(self._stack.aclose())
            self._runner.close()
            shutil.rmtree(self._place)

    @initialize(logged=st.booleans())
    def org_kinds(self, logged: bool) -> None:  # noqa: FBT001
        """Whether hard and cascaded deletions are in the org's delete log, nobody documents."""
        self.org.switches.hard_deletes_in_deleted_log = logged
        self.org.switches.cascades_in_deleted_log = logged

    # -- people work in the org -----------------------------------------------------------------------
    @property
    def org(self) -> Org:
        """The org."""
        return self.stand.org

    def _id(self, name: str, place: int) -> str | None:
        ids = self.stand.ids(name)
        return ids[place % len(ids)] if ids else None

    @contextlib.contextmanager
    def _saving(self, delay: float = 0.0) -> Iterator[None]:
        """One commit; what the org refuses (a locked row, a deleted parent) does not happen."""

        async def pushes_begin() -> None:
            await asyncio.sleep(0)

        if delay:  # a late commit shares its stamp with nobody: see docs/truth.md, What it cannot see
            self.wait(1.0)
        try:
            with self._running_loop(), self.org.transaction(self.org.admin, commit_after=delay):
                yield
        except OrgError:
            pass
        self._do(pushes_begin())
        if delay:
            self.wait(1.0)

    @contextlib.contextmanager
    def _running_loop(self) -> Iterator[None]:
        """Let the package spawn its pushes: it asks for the running loop."""
        asyncio._set_running_loop(self._runner.get_loop())  # noqa: SLF001 - as event loops do
        try:
            yield
        finally:
            asyncio._set_running_loop(None)  # noqa: SLF001

    @rule(name=names, place=places, text=texts, delay=delays)
    def edit(self, name: str, place: int, text: str, delay: float) -> None:
        """Save a record; the commit may become visible late."""
        record = self._id(name, place)
        if record:
            with self._saving(delay):
                field = "Name" if name == "Account" else "LastName"
                self.org.update(self.org.admin, name, [{"Id": record, field: text, "Phone": text[:1]}])

    @rule(place=places, tier=st.sampled_from(["Gold", "Silver", None]))
    def tier(self, place: int, tier: str | None) -> None:
        """Change what contacts show by a formula."""
        record = self._id("Account", place)
        if record:
            with self._saving():
                self.org.update(self.org.admin, "Account", [{"Id": record, "Tier__c": tier}])

    @rule(name=names, places=st.lists(places, min_size=1, max_size=4), text=texts)
    def quiet(self, name: str, places: list[int], text: str) -> None:
        """A mass edit that fires no trigger."""
        ids = dict.fromkeys(record for place in places if (record := self._id(name, place)))
        with self._saving():
            self.org.update_untriggered(
                self.org.admin, name, [{"Id": record_id, "Phone": text[:1]} for record_id in ids]
            )

    @rule(place=places, parent=places, delay=delays)
    def create(self, place: int, parent: int, delay: float) -> None:
        """Create an account, or a contact of one."""
        with self._saving(delay):
            if place % 2:
                self.org.create(self.org.admin, "Account", [{"Name": f"n{place}"}])
            else:
                row = {"LastName": f"n{place}", "AccountId": self._id("Account", parent)}
                self.org.create(self.org.admin, "Contact", [row])

    @rule(name=names, place=places, hard=st.booleans(), delay=delays)
    def delete(self, name: str, place: int, hard: bool, delay: float) -> None:  # noqa: FBT001
        """Delete a record, into the bin or past it; an account takes its contacts with it."""
        record = self._id(name, place)
        if record:
            with self._saving(delay):
                act = self.org.hard_delete if hard else self.org.delete
                act(self.org.admin, name, [record])

    @rule(name=names, place=places)
    def undelete(self, name: str, place: int) -> None:
        """Take a record out of the bin."""
        bin_ = [
            row["Id"]
            for row in self.org.query(
                self.org.admin, f"SELECT Id FROM {name} WHERE IsDeleted = true ORDER BY Id", all_rows=True
            ).records("")
        ]
        if bin_:
            with self._saving():
                self.org.undelete(self.org.admin, name, [bin_[place % len(bin_)]])

    @rule()
    def empty_bin(self) -> None:
        """Purge what lies in the bin."""
        with self._saving():
            self.org.empty_bin()

    @rule(name=names, winner=places, loser=places)
    def merge(self, name: str, winner: int, loser: int) -> None:
        """Merge two records; the children of the loser move without a trigger."""
        winner_id, loser_id = self._id(name, winner), self._id(name, loser)
        if winner_id and loser_id and winner_id != loser_id:
            with self._saving():
                self.org.merge(self.org.admin, name, winner_id, [loser_id])

    @rule(seconds=pauses)
    def wait(self, seconds: float) -> None:
        """Time passes."""
        with self._running_loop():
            self.stand.advance(seconds)

    # -- things go wrong ------------------------------------------------------------------------------
    @rule(kind=st.sampled_from(PUSH_FAULTS), count=st.integers(1, 3))
    def spoil_pushes(self, kind: str, count: int) -> None:
        """The next pushes are lost, doubled, overtaken or late."""
        self._do(self.stand.simulated.fault(kind, count=count, seconds=0.02))

    @rule(
        kind=st.sampled_from(FAILURES),
        count=st.integers(1, 6),
        path=st.sampled_from(["", "query", "deleted"]),
    )
    def spoil_calls(self, kind: str, count: int, path: str) -> None:
        """The next calls fail."""
        self._do(self.stand.simulated.fault(kind, count=count, path=path))

    @rule()
    def restart(self) -> None:
        """The daemon stops and starts again; pushes meanwhile are refused."""

        async def again() -> None:
            await self._stop()
            await asyncio.sleep(0)
            try:
                await self._start()
            except SalesforceError:  # a fault hit the start: the next one comes through
                await self.stand.stop()
                await self.stand.simulated.control("faults", method="DELETE")
                await self._start()
            assert self.stand.parts.gateway is not None
            url = f"http://{self.stand.parts.gateway.address}"
            await self.stand.simulated.control("package/settings", {"Gateway_URL__c": url})

        self._do(again())

    # -- the daemon works -----------------------------------------------------------------------------
    @rule()
    def pushes_arrive(self) -> None:
        """Pushes under way arrive and are applied."""
        self._do(self._take_pushes())

    async def _take_pushes(self) -> None:
        await self.stand.simulated.control("package/drain", {})
        while await self.stand.parts.services.realtime.apply_batch():
            pass

    @rule(name=names)
    def window(self, name: str) -> None:
        """Interval Sync reads."""
        parts = self.stand.parts
        self._do(self._trying(parts.readers.windows.step(parts.base.catalog[name])))

    @rule(name=names)
    def fingerprint(self, name: str) -> None:
        """A fingerprint, and its repairs."""
        parts = self.stand.parts
        self._do(self._trying(parts.services.checks.check(parts.base.catalog[name])))

    @rule()
    def repair(self) -> None:
        """What waits to be fetched is fetched."""
        self._do(self._trying(self.stand.parts.readers.repair.step()))

    async def _trying(self, work: Coroutine[Any, Any, Any]) -> None:
        with contextlib.suppress(SalesforceError):
            await work

    # -- the proof ------------------------------------------------------------------------------------
    @rule(windows=st.booleans())
    def prove(self, windows: bool) -> None:  # noqa: FBT001
        """Let everything settle, prove it, and compare every field."""
        self._do(self._prove(windows=windows))

    async def _prove(self, *, windows: bool) -> None:
        stand, parts = self.stand, self.stand.parts
        await stand.simulated.control("faults", method="DELETE")
        stand.advance(LATEST_COMMIT_S + 1)
        await self._take_pushes()
        stand.advance(120)
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
        for name in OBJECTS:
            found = await compare(name, stand.truth(name, None, ()), stand.mirror)
            assert found.equal, found.examples
            ((counted,),) = (
                tuple(row) for row in stand.sql("SELECT rows FROM _rts_object WHERE name=?", name)
            )
            assert counted == found.rows
            both = f"SELECT t.id FROM _rts_tombstone t JOIN {name} r ON r.Id = t.id"
            assert stand.sql(both) == []


@pytest.fixture
def games(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Load the mirror that every game begins with; make what is the same in each only once."""
    key = functools.cache(lambda: _RSA(public_exponent=65537, key_size=2048))
    monkeypatch.setattr(rsa, "generate_private_key", lambda **_options: key())

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

    async def load() -> bytes:
        org = _new_org()
        try:
            async with serve(org) as simulated:
                stand = Stand(simulated, org, tmp_path, {name: {} for name in OBJECTS}, {}, {}, {})
                await stand.loaded()
                await stand.stop()
                return stand.mirror.read_bytes()
        finally:
            org.close()

    Game.template = asyncio.run(load())
    yield
    structlog.reset_defaults()


_RSA = rsa.generate_private_key


def test_the_mirror_ends_equal_to_the_org(games: None) -> None:
    """Random games against the org: after each, and after each proof within it, every field is equal."""
    run_state_machine_as_test(
        Game,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
            print_blob=True,
        ),
    )
