"""Three nodes on one database, pushes to all of them whatever happens, and what must hold at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import psycopg

from tests.support import postgres
from tests.support.faults.flood import Flood
from tests.support.processes.nodes import Nodes
from tests.support.processes.rig import standing
from tests.support.waiting import eventually

DRAINED_S = 2_700
"""Seconds for the waiting pushes, half a million on a slow machine: nobody applied them without a leader."""
NAMES = ("a", "b", "c")
ACTIVITY = 20
"""Edits a second in the org, which its package pushes."""
TAKE_OVER_S = 25.0
"""Within which somebody leads on a loaded machine; what is promised is 15 s, and what it took is measured."""
LOST_LEASE = 75
"""The status of a node that another has taken over from."""
AUDIT = """
CREATE TABLE public.writer (epoch bigint, node text, UNIQUE (epoch, node));
GRANT SELECT ON public.writer TO rts;
CREATE FUNCTION public.note_writer() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
  INSERT INTO public.writer SELECT epoch, current_setting('rts.node') FROM rts._rts_lease
    ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER note_writer AFTER INSERT ON rts._rts_journal
  FOR EACH STATEMENT EXECUTE FUNCTION public.note_writer();
"""
"""Has the database itself note which node wrote in which epoch."""


@dataclass
class Verdict:
    """What the database has at the end."""

    lost: set[str]
    """Records whose push was answered 200, and that were never applied."""
    doubled: list[str]
    shared: list[int]
    """Epochs in which more than one node wrote."""
    epochs: int
    """How often somebody came to lead, whether or not they wrote before the next fault."""


@dataclass
class Trial:
    """The nodes, the pushes, and how long each fault kept all from leading or committing."""

    nodes: Nodes
    flood: Flood
    took: dict[str, list[float]] = field(default_factory=dict)

    async def leader(self, among: Collection[str] = (), within: float = TAKE_OVER_S) -> str:
        """Wait until somebody leads; return the name."""
        return await eventually(lambda: self.nodes.leader(among), "somebody leads", within)

    async def all_commit(self, within: float = 60.0) -> None:
        """Wait until every node can commit a push."""
        await eventually(lambda: _all_commit(self.nodes), "every gateway is open", within)

    def note(self, fault: str, began: float) -> None:
        """Note how long a fault that began then (monotonic) held something up."""
        self.took.setdefault(fault, []).append(time.monotonic() - began)

    async def verdict(self) -> Verdict:
        """Have everything applied, require that mirror and org are equal, and look."""
        await self.nodes.rig.org.control("activity", method="DELETE")
        await self.nodes.rig.org.control("package/drain")
        leader = self.nodes.running[await self.leader()]
        await leader.settled(within=DRAINED_S)
        await eventually(lambda: _equal(self.nodes), "mirror and org are equal", 120)
        journal = (
            "SELECT id FROM rts._rts_journal WHERE type='change' AND id LIKE '00Qflood%%'"
            " AND outcome = 'applied'"
        )
        applied = Counter(str(row["id"]) for row in postgres.stored_rows(self.nodes.url, journal))
        writers = Counter(
            int(str(row["epoch"])) for row in postgres.stored_rows(self.nodes.url, "SELECT epoch FROM writer")
        )
        assert writers, "the database noted no writer"
        (lease,) = postgres.stored_rows(self.nodes.url, "SELECT epoch FROM rts._rts_lease")
        acked = self.flood.acked
        return Verdict(
            acked - applied.keys(),
            [record for record, number in applied.items() if number > 1 and record in acked],
            [epoch for epoch, number in writers.items() if number > 1],
            int(str(lease["epoch"])),
        )

    def told(self, verdict: Verdict) -> str:
        """Say what was measured."""
        times = ", ".join(
            f"{len(found)} x {name}: {max(found):.1f} s at most" for name, found in self.took.items()
        )
        return (
            f"{len(self.flood.acked):,} pushes answered 200 of {self.flood.total()},"
            f" {len(verdict.lost)} lost, {verdict.epochs} epochs; {times}"
        )


@asynccontextmanager
async def trial(url: str, urls: Mapping[str, str] | None = None) -> AsyncIterator[Trial]:
    """Run three nodes and push to all while the block runs; a node has its own URL if `urls` has one.

    At the end every answer has come.
    """
    async with standing({"Contact": 200, "Lead": 20}, interval="5s") as rig:
        await rig.install_package()
        nodes = Nodes(rig, url, urls=urls or {})
        await (await (await nodes.launch(NAMES[0])).ready()).live()
        with psycopg.connect(url.replace("user=rts", "user=postgres"), autocommit=True) as admin:
            admin.execute(AUDIT)
        await nodes.aim(NAMES[0])
        for name in NAMES[1:]:
            await nodes.launch(name)
        await eventually(lambda: _all_commit(nodes), "every gateway is open")
        await rig.org.control("activity", {"rate": ACTIVITY, "objects": ["Contact"], "seed": 4})
        flood = Flood(nodes.ports, rig.org.info["org_id"], await anext(rig.org.rows("Lead")))
        yield Trial(nodes, flood)


async def _all_commit(nodes: Nodes) -> bool:
    """Start nodes again that lost the lease, as systemd does; whether every node can commit a push."""
    for name in NAMES:
        if (status := nodes.running[name].process.returncode) is not None:
            assert status == LOST_LEASE, nodes.rig.log.read_text()[-2000:]
            await nodes.launch(name)
    return all([await nodes.commits(name) for name in NAMES])


async def _equal(nodes: Nodes) -> bool:
    return not await nodes.differences(["Contact"])
