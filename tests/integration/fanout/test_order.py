"""In order per record and at least once, whatever the other end does to single messages."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from rtsd.errors import PublishFailed
from rtsd.fanout import outlet
from rtsd.fanout.outlet import Link, Outlet, Target
from tests.support.inprocess.rig import Rig, Start

LIMIT = 1 << 20


@dataclass
class Wire:
    """A stream that refuses some messages, or stores them and loses the acknowledgement, out of order."""

    rng: random.Random
    faults: float
    stored: list[tuple[str, str]] = field(default_factory=list)
    """What came, as (record, message id)."""
    in_flight: int = 0
    most_in_flight: int = 0
    limit: int = LIMIT
    is_open: bool = True

    async def connect(self, _target: Target, _org_id: str, _objects: Sequence[str]) -> Link:
        """Connect."""
        return self

    async def publish(self, _subject: str, message_id: str, body: bytes) -> None:
        """Take a message, after the others that came with it, or before."""
        self.in_flight += 1
        self.most_in_flight = max(self.in_flight, self.most_in_flight)
        for _ in range(self.rng.randint(0, 5)):
            await asyncio.sleep(0)
        self.in_flight -= 1
        if self.rng.random() < self.faults:
            raise PublishFailed("refused")
        self.stored.append((body.partition(b'"subject":"')[2].partition(b'"')[0].decode(), message_id))
        if self.rng.random() < self.faults:
            raise PublishFailed("the acknowledgement is lost")

    async def close(self) -> None:
        """Close it."""


async def edited(rig: Rig, rng: random.Random, count: int) -> None:
    """Make changes of three records, applied."""
    await rig.load()
    await rig.install_package()
    ids = [str(row["Id"]) async for row in rig.sim.rows("Contact")]
    for number in range(count):
        await rig.dml("update", "Contact", rows=[{"Id": rng.choice(ids), "LastName": f"n{number}"}])
        if number % 10 == 9:
            await rig.settle()
    await rig.settle()


async def is_through(made: Outlet) -> bool:
    """Take a turn; return whether nothing waits any more."""
    return bool(await made.turn()) and made.error is None


def an_outlet(rig: Rig, wire: Wire) -> Outlet:
    """An outlet of the rig's changes to that wire."""
    source = rig.parts.services.fanout.source
    target = Target("rts", ("nats://127.0.0.1:1",), "rts", from_start=True)
    return Outlet(target, replace(source, connect=wire.connect))


@pytest.mark.parametrize("seed", range(4))
async def test_every_change_comes_in_order_per_record(start: Start, seed: int) -> None:
    """Amid refusals, lost acknowledgements and restarts; what comes twice has the same id."""
    rng = random.Random(seed)
    rig = await start({"Contact": 3})
    await edited(rig, rng, 120)
    wire = Wire(rng, faults=0.04)
    made = an_outlet(rig, wire)
    failures = restarts = 0
    while not await is_through(made):
        failures += made.error is not None
        if made.error is not None and rng.random() < 0.2:  # as after a kill: nothing but the stored position
            rig.advance(5)
            made = an_outlet(rig, wire)
            restarts += 1
    first_ids = list(dict.fromkeys(wire.stored))
    rows = await rig.rows(
        "SELECT 'Contact/' || id, seq FROM _rts_journal"
        " WHERE type='change' AND outcome='applied' ORDER BY seq"
    )
    wanted = [(record, f"{rig.org.org_id}.{seq}") for record, seq in rows]
    assert len(wanted) > 60
    assert failures > 3
    assert restarts
    assert len(wire.stored) > len(first_ids)
    for record in {record for record, _ in wanted}:
        own = [message for message in first_ids if message[0] == record]
        assert own == [message for message in wanted if message[0] == record]
    assert wire.most_in_flight > 1


async def test_a_change_that_fails_holds_up_its_record_only(start: Start) -> None:
    """The others of its page are published, and not again once it is let through."""
    rig = await start({"Contact": 3})
    await edited(rig, random.Random(1), 30)
    rows = await rig.rows("SELECT id, seq FROM _rts_journal WHERE outcome='applied' ORDER BY seq")
    bad_id, bad_seq = rows[4]
    wire = Wire(random.Random(1), faults=0.0)
    take = wire.publish

    async def publish(subject: str, message_id: str, body: bytes) -> None:
        if message_id.endswith(f".{bad_seq}"):
            await asyncio.sleep(0.05)  # the others of the page are through by then
            raise PublishFailed("refused")
        await take(subject, message_id, body)

    wire.publish = publish  # type: ignore[method-assign, assignment]
    made = an_outlet(rig, wire)
    await made.turn()
    assert made.error is not None
    assert made.position == rows[3][1]
    came = [message_id for _, message_id in wire.stored]
    others = [seq for record_id, seq in rows if record_id != bad_id or seq < bad_seq]
    assert sorted(came) == sorted(f"{rig.org.org_id}.{seq}" for seq in others)
    wire.publish = take  # type: ignore[method-assign]
    while not await is_through(made):
        pass
    assert sorted(set(came := [message_id for _, message_id in wire.stored])) == sorted(came)
    assert made.position == await newest(rig)


async def newest(rig: Rig) -> int:
    """The newest entry of the journal."""
    ((seq,),) = await rig.rows("SELECT MAX(seq) FROM _rts_journal")
    return int(seq)


async def test_a_page_shrinks_where_documents_are_large(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded by the bytes of a page, not by its changes: it doubles while they are small."""
    rig = await start({"Contact": 3})
    await edited(rig, random.Random(2), 60)
    monkeypatch.setattr(outlet, "SMALLEST_PAGE", 4)
    sizes: dict[int, list[int]] = {}
    for limit in (1 << 23, 1 << 12):
        monkeypatch.setattr(outlet, "PAGE_BYTES", limit)
        wire = Wire(random.Random(2), faults=0.0)
        made = replace(an_outlet(rig, wire), page=4)
        sizes[limit] = []
        before = 0
        while not await is_through(made):
            sizes[limit].append(len(wire.stored) - before)
            before = len(wire.stored)
    assert max(sizes[1 << 23]) >= 16
    assert max(sizes[1 << 12]) <= 4
