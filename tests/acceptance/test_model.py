"""Whatever happens in whatever order, the mirror ends equal to the org: a machine plays at random.

It plays with each push channel. It edits the org in every way there is, loses, doubles and reorders pushes
and events, ends streams and lets their position expire, lets calls fail, restarts the daemon, changes its
configuration and the types of fields, reads windows and takes fingerprints. After that, and at any time in
between, a proof must leave mirror and org equal in every field: by fingerprints alone, or by windows first.

`RTS_MODEL_RUNS=1000` plays so many games with each channel, instead of some. Clocks move only when told.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from rtsd.sync import object_states
from rtssim.process import serve
from rtssim.schema.model import Field
from tests.support.inprocess.board import FILTERS, LATEST_COMMIT_S, OBJECTS, Board, new_org
from tests.support.inprocess.channels import BUSES, SIGNED, on_every_channel
from tests.support.inprocess.stand import Stand

RUNS = os.environ.get("RTS_MODEL_RUNS")
FEWEST = {"gateway": 40, "stream": 6, "cdc": 10}
"""Games without that."""
STEPS = 12
"""Moves of one game at most."""
PRIVACY: list[dict[str, Any]] = [{}, {"privacy": {"Phone": "last4"}}, {"exclude": ["Phone"]}]
RETYPED = [("Account", "Fax"), ("Account", "Site"), ("Contact", "Fax"), ("Contact", "HomePhone")]
"""Texts that may become dates, which SQLite stores alike and PostgreSQL does not."""

names = st.sampled_from(OBJECTS)
places = st.integers(0, 7)
"""Which of an object's records is meant: its place by Id, modulo how many there are."""
texts = st.sampled_from(["a", "b", "ž 🚀\n"])
pauses = st.sampled_from([0.0, 0.05, 0.4, 1.0, 3.0, 45.0, 130.0, 700.0, 4_000.0])
delays = st.sampled_from([0.0, 0.0, 0.0, 2.0, 90.0, float(LATEST_COMMIT_S)])
FAILURES = ("500", "503", "429", "cut", "reset", "expire_session", "query_timeout")
PUSH_FAULTS = ("push_lost", "push_doubled", "push_reordered", "push_late")
EVENT_FAULTS = ("event_lost", "event_doubled", "event_gap", "event_late")
STREAM_FAULTS = ("rpc_broken", "rpc_error")


class Game(Board):
    """What may happen to an org and its daemon."""

    @initialize(logged=st.booleans())
    def org_kinds(self, logged: bool) -> None:  # noqa: FBT001
        """Whether hard and cascaded deletions are in the org's delete log, nobody documents."""
        self.org.switches.hard_deletes_in_deleted_log = logged
        self.org.switches.cascades_in_deleted_log = logged

    # -- people work in the org -----------------------------------------------------------------------
    @rule(name=names, place=places, text=texts, delay=delays)
    def edit(self, name: str, place: int, text: str, delay: float) -> None:
        """Save a record; the commit may become visible late."""
        record = self.an_id(name, place)
        if record:
            with self.saving(delay):
                field = "Name" if name == "Account" else "LastName"
                self.org.update(self.org.admin, name, [{"Id": record, field: text, "Phone": text[:1]}])

    @rule(place=places, tier=st.sampled_from(["Gold", "Silver", None]))
    def tier(self, place: int, tier: str | None) -> None:
        """Change what contacts show by a formula."""
        record = self.an_id("Account", place)
        if record:
            with self.saving():
                self.org.update(self.org.admin, "Account", [{"Id": record, "Tier__c": tier}])

    @rule(name=names, places=st.lists(places, min_size=1, max_size=4), text=texts)
    def quiet(self, name: str, places: list[int], text: str) -> None:
        """A mass edit that fires no trigger."""
        ids = dict.fromkeys(record for place in places if (record := self.an_id(name, place)))
        with self.saving():
            self.org.update_untriggered(
                self.org.admin, name, [{"Id": record_id, "Phone": text[:1]} for record_id in ids]
            )

    @rule(place=places, parent=places, delay=delays)
    def create(self, place: int, parent: int, delay: float) -> None:
        """Create an account, or a contact of one."""
        with self.saving(delay):
            if place % 2:
                self.org.create(self.org.admin, "Account", [{"Name": f"n{place}"}])
            else:
                row = {"LastName": f"n{place}", "AccountId": self.an_id("Account", parent)}
                self.org.create(self.org.admin, "Contact", [row])

    @rule(name=names, place=places, hard=st.booleans(), delay=delays)
    def delete(self, name: str, place: int, hard: bool, delay: float) -> None:  # noqa: FBT001
        """Delete a record, into the bin or past it; an account takes its contacts with it."""
        record = self.an_id(name, place)
        if record:
            with self.saving(delay):
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
            with self.saving():
                self.org.undelete(self.org.admin, name, [bin_[place % len(bin_)]])

    @rule()
    def empty_bin(self) -> None:
        """Purge what lies in the bin."""
        with self.saving():
            self.org.empty_bin()

    @rule(name=names, winner=places, loser=places)
    def merge(self, name: str, winner: int, loser: int) -> None:
        """Merge two records; the children of the loser move without a trigger."""
        winner_id, loser_id = self.an_id(name, winner), self.an_id(name, loser)
        if winner_id and loser_id and winner_id != loser_id:
            with self.saving():
                self.org.merge(self.org.admin, name, winner_id, [loser_id])

    @rule(seconds=pauses)
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.advance(seconds)

    # -- things go wrong ------------------------------------------------------------------------------
    @precondition(lambda game: game.channel in SIGNED)
    @rule(kind=st.sampled_from(PUSH_FAULTS), count=st.integers(1, 3))
    def spoil_pushes(self, kind: str, count: int) -> None:
        """The next pushes are lost, doubled, overtaken or late."""
        self.do(self.stand.simulated.fault(kind, count=count, seconds=0.02))

    @rule(
        kind=st.sampled_from(FAILURES),
        count=st.integers(1, 6),
        path=st.sampled_from(["", "query", "deleted"]),
    )
    def spoil_calls(self, kind: str, count: int, path: str) -> None:
        """The next calls fail."""
        self.do(self.stand.simulated.fault(kind, count=count, path=path))

    @rule()
    def restart(self) -> None:
        """The daemon stops and starts again; pushes meanwhile are refused."""
        self.do(self.again())

    @precondition(lambda game: game.channel in BUSES)
    @rule(kind=st.sampled_from(EVENT_FAULTS), count=st.integers(1, 3), seconds=st.sampled_from([1.0, 200.0]))
    def spoil_events(self, kind: str, count: int, seconds: float) -> None:
        """The next events are lost, doubled, without fields, or late, so that others overtake them."""
        late = {"seconds": seconds} if kind == "event_late" else {}
        self.do(self.stand.simulated.fault(kind, count=count, **late))

    @precondition(lambda game: game.channel in BUSES)
    @rule(kind=st.sampled_from(STREAM_FAULTS), count=st.integers(1, 3))
    def end_streams(self, kind: str, count: int) -> None:
        """The next streams end, with a code or without."""
        self.do(self.stand.simulated.fault(kind, count=count, path="/Subscribe"))

    @precondition(lambda game: game.channel in BUSES)
    @rule()
    def expire_position(self) -> None:
        """The org moves to another instance: what was on the bus is gone, and the position unknown."""
        self.stand.bus.move_instance()

    # -- people change what is mirrored ---------------------------------------------------------------
    @rule(name=names, where=st.sampled_from(sorted(FILTERS)), privacy=st.sampled_from(PRIVACY))
    def configure(self, name: str, where: str, privacy: dict[str, Any]) -> None:
        """An object has another filter and other privacy after a restart."""
        if name in self.configured:
            self.configured[name] = {"where": where, **privacy}
            self.do(self.again())

    @rule()
    def leave_out(self) -> None:
        """Contacts are taken out of the configuration, or return to it."""
        if self.configured.pop("Contact", None) is None:
            self.configured["Contact"] = {}
        self.do(self.again())

    @rule(which=st.sampled_from(RETYPED))
    def change_type(self, which: tuple[str, str]) -> None:
        """A text becomes a date: its values are gone, and no stamp moves."""
        self.wait(1.0)  # what changes in the second of a describe, every other describe shows
        name, field = which
        self.org.change_field_type(name, field, Field(field, field, "date"))

    @rule(name=names)
    def pause_or_resume(self, name: str) -> None:
        """An operator pauses an object, or resumes it."""
        parts = self.stand.parts
        for mirrored in self.mirrored(name):
            if mirrored.paused:
                self.do(object_states.resume(parts.base.work, mirrored, self.stand.now()))
            else:
                self.do(object_states.pause(parts.base.work, mirrored))

    # -- the package lives, or seems to ---------------------------------------------------------------
    @rule()
    def heartbeat(self) -> None:
        """The scheduled job goes on, whether the triggers do or not."""
        self.do(self.beat())

    @rule()
    def silence(self) -> None:
        """Half an hour passes, and the daemon finds out what that means."""
        self.advance(1_800)
        self.do(self.trying(self.stand.parts.services.silence_watch.step()))

    # -- the daemon works -----------------------------------------------------------------------------
    @rule()
    def pushes_arrive(self) -> None:
        """Pushes under way arrive and are applied."""
        self.do(self.take_pushes())

    @rule(name=names)
    def window(self, name: str) -> None:
        """Interval Sync reads."""
        parts = self.stand.parts
        for mirrored in self.mirrored(name):
            if not mirrored.paused:
                self.do(self.trying(parts.readers.windows.step(mirrored)))

    @rule(name=names)
    def fingerprint(self, name: str) -> None:
        """A fingerprint, and its repairs."""
        parts = self.stand.parts
        for mirrored in self.mirrored(name):
            if not mirrored.paused:
                self.do(self.trying(parts.services.checks.check(mirrored)))

    @rule()
    def load(self) -> None:
        """The loader reads and proves what is due."""
        self.do(self.trying(self.stand.load()))

    @rule()
    def repair(self) -> None:
        """What waits to be fetched is fetched."""
        self.do(self.trying(self.stand.parts.readers.repair.step()))

    # -- the proof ------------------------------------------------------------------------------------
    @rule(windows=st.booleans())
    def prove(self, windows: bool) -> None:  # noqa: FBT001
        """Let everything settle, prove it, and compare every field."""
        self.do(self.proven_equal(windows=windows))


@pytest.fixture
def games(tmp_path: Path) -> Iterator[None]:
    """Load the mirror that every game begins with."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

    async def load() -> bytes:
        org = new_org()
        try:
            async with serve(org) as simulated:
                stand = Stand(simulated, org, tmp_path, {name: {} for name in OBJECTS}, {}, {}, {})
                await stand.loaded()
                await stand.stop()
                return stand.mirror.saved()
        finally:
            org.close()

    Game.template = asyncio.run(load())
    yield
    structlog.reset_defaults()


@on_every_channel
def test_the_mirror_ends_equal_to_the_org(games: None, channel: str) -> None:
    """Random games against the org: after each, and after each proof within it, every field is equal."""
    run_state_machine_as_test(
        type(f"GameBy{channel.title()}", (Game,), {"channel": channel}),
        settings=settings(
            max_examples=int(RUNS or FEWEST[channel]),
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
            print_blob=True,
        ),
    )
