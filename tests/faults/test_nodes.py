"""Three nodes on one database, pushes to all of them, and fault after fault of the leader or the database."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
import psycopg
import pytest

from rtsd.core.ids import full_id
from tests.support import postgres
from tests.support.processes.nodes import Nodes
from tests.support.processes.rig import TOKEN, standing
from tests.support.processes.sender import signed
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.slow,
    postgres.NEEDED,
]
NAMES = ("a", "b", "c")
RATE = 500
"""Pushes a second, to all gateways in turn."""
ACTIVITY = 20
"""Edits a second in the org, which its package pushes."""
TAKE_OVER_S = 15.0
AUDIT = """
CREATE TABLE public.writer (epoch bigint, node text, UNIQUE (epoch, node));
GRANT SELECT ON public.writer TO rts;
CREATE FUNCTION public.note_writer() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
  INSERT INTO public.writer SELECT epoch, current_setting('rts.node', true) FROM rts._rts_lease
    ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER note_writer AFTER INSERT ON rts._rts_journal
  FOR EACH STATEMENT EXECUTE FUNCTION public.note_writer();
"""
"""Has the database itself note which node wrote in which epoch."""


@dataclass
class Flood:
    """Pushes at a steady rate, each with a record of its own; they are not sent again."""

    nodes: Nodes
    org_id: str
    template: dict[str, Any]
    answers: Counter[int] = field(default_factory=Counter)
    acked: set[str] = field(default_factory=set)
    """The ids of the records whose push was answered 200."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Push while the block runs, and wait for every answer at its end."""
        stop = asyncio.Event()
        task = asyncio.create_task(self._run(stop))
        try:
            yield
        finally:
            stop.set()
            await task

    async def _run(self, stop: asyncio.Event) -> None:
        ports = itertools.cycle(self.nodes.ports[name] for name in NAMES)
        began, sending = time.monotonic(), set[asyncio.Task[None]]()
        timeout = aiohttp.ClientTimeout(total=12)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=200)) as http:
            for number in itertools.count():
                if stop.is_set():
                    break
                task = asyncio.create_task(self._push(http, next(ports), number))
                sending.add(task)
                task.add_done_callback(sending.discard)
                await asyncio.sleep(max(began + number / RATE - time.monotonic(), 0))
            await asyncio.gather(*sending)

    async def _push(self, http: aiohttp.ClientSession, port: int, number: int) -> None:
        record = full_id(f"00Qflood{number:07d}")
        change = {
            "object": "Lead",
            "op": "create",
            "id": record,
            "modstamp": self.template["SystemModstamp"],
            "fields": {**self.template, "Id": record},
        }
        head = {"v": 1, "kind": "changes", "org": self.org_id, "read_at": "2026-03-01T10:00:00.000Z"}
        request = signed(TOKEN, f"flood-{number}", msgspec.json.encode({**head, "changes": [change]})).request
        lines, _, body = request.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in lines.decode().split("\r\n")[1:])
        try:
            async with http.post(f"http://127.0.0.1:{port}/v1/push", data=body, headers=headers) as answer:
                await answer.read()
                status = answer.status
        except (OSError, aiohttp.ClientError, TimeoutError):
            status = 0
        self.answers[status] += 1
        if status == 200:
            self.acked.add(record)


@pytest.mark.parametrize(("kills", "freezes", "crashes"), [(50, 20, 20)])
async def test_whoever_dies_nothing_answered_is_lost(
    kills: int, freezes: int, crashes: int, measured: Callable[[str], None]
) -> None:
    """No push that was answered 200 is lost or applied twice, no epoch has two writers, all is equal."""
    faults = ["kill"] * kills + ["freeze"] * freezes + ["crash"] * crashes
    random.Random(16).shuffle(faults)
    took: dict[str, list[float]] = {"kill": [], "freeze": [], "crash": []}
    with postgres.cluster() as url:
        async with standing({"Contact": 200, "Lead": 20}, interval="5s") as rig:
            await rig.install_package()
            nodes = Nodes(rig, url)
            await (await (await nodes.launch(NAMES[0])).ready()).live()
            with psycopg.connect(url.replace("user=rts", "user=postgres"), autocommit=True) as admin:
                admin.execute(AUDIT)
            await nodes.aim(NAMES[0])
            for name in NAMES[1:]:
                await nodes.launch(name)
            await eventually(lambda: _all_commit(nodes), "every gateway is open")
            await rig.org.control("activity", {"rate": ACTIVITY, "objects": ["Contact"], "seed": 4})
            flood = Flood(nodes, rig.org.info["org_id"], await anext(rig.org.rows("Lead")))
            async with flood.running():
                for fault in faults:
                    took[fault].append(await _suffer(nodes, fault, url))
            await rig.org.control("activity", method="DELETE")
            await rig.org.control("package/drain")
            leader = nodes.running[await eventually(nodes.leader, "somebody leads", TAKE_OVER_S)]
            await leader.settled(within=900)  # nobody applied during the take-overs
            await eventually(lambda: _equal(nodes), "mirror and org are equal", 120)
            applied = Counter(
                str(row["id"])
                for row in postgres.stored_rows(
                    url,
                    "SELECT id FROM rts._rts_journal WHERE type='change' AND id LIKE '00Qflood%%'"
                    " AND outcome = 'applied'",
                )
            )
            writers = Counter(row["epoch"] for row in postgres.stored_rows(url, "SELECT epoch FROM writer"))
    lost = flood.acked - applied.keys()
    times = ", ".join(f"{name} {max(found):.1f} s at most" for name, found in took.items() if found)
    measured(f"{len(flood.acked):,} pushes answered 200 of {flood.answers}, {len(lost)} lost; {times}")
    assert lost == set()
    assert [record for record, number in applied.items() if number > 1 and record in flood.acked] == []
    assert [epoch for epoch, number in writers.items() if number > 1] == []
    assert len(writers) >= kills + freezes


async def _suffer(nodes: Nodes, fault: str, url: str) -> float:
    """Have something happen, and wait until all is well; return how many seconds nobody led."""
    name = await eventually(nodes.leader, "somebody leads", TAKE_OVER_S)
    others = [other for other in NAMES if other != name]
    await nodes.aim(random.choice(others))
    began = time.monotonic()
    if fault == "crash":
        with postgres.crashed(url):
            await asyncio.sleep(random.random())
    elif fault == "kill":
        await nodes.running[name].kill()
    else:
        nodes.freeze(name)
    among = NAMES if fault == "crash" else others
    await eventually(lambda: nodes.leader(among), "a leader", 25)
    seconds = time.monotonic() - began
    if fault == "freeze":
        assert await nodes.thaw(name) == 75, nodes.rig.log.read_text()[-2000:]
    if fault == "kill":
        await nodes.launch(name)
    await eventually(lambda: _all_commit(nodes), "every gateway is open", 60)
    return seconds


async def _all_commit(nodes: Nodes) -> bool:
    """Start nodes again that lost the lease, as systemd does; whether every node can commit a push."""
    for name in NAMES:
        if (status := nodes.running[name].process.returncode) is not None:
            assert status == 75, nodes.rig.log.read_text()[-2000:]
            await nodes.launch(name)
    return all([await nodes.commits(name) for name in NAMES])


async def _equal(nodes: Nodes) -> bool:
    return not await nodes.differences(["Contact"])
