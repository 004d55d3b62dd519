"""A node that stands by: it takes pushes, shows what the leader does, and has it do what operators want."""

from __future__ import annotations

import asyncio
import os
import pwd
import time
from collections.abc import Callable

import aiohttp
import psycopg
import pytest

from rtsd.control import protocol
from rtsd.core.instant import from_iso
from rtsd.core.percentile import percentiles
from rtsd.errors import LeaderAway, NotFound
from tests.support import postgres
from tests.support.inprocess.control import ask_as, open_to_all
from tests.support.processes.command import said
from tests.support.processes.daemon import Daemon
from tests.support.processes.nodes import Nodes, pair
from tests.support.processes.rig import standing
from tests.support.waiting import eventually

pytestmark = postgres.NEEDED
RATE = 20
FEED_MS = 500

RECORDS = {"Contact": 60, "Lead": 20}


async def test_pushes_to_a_node_that_stands_by(url: str, measured: Callable[[str], None]) -> None:
    """They are durable there, applied by the leader as evidence of pushes, and on both feeds in time."""
    async with pair(url, RECORDS) as (nodes, leader, other):
        await nodes.aim("b")
        last = (await leader.status()).last_seq
        await nodes.rig.org.control("activity", {"rate": RATE, "objects": ["Contact"], "seed": 4})
        late = await _lateness(other, last, 40)
        await nodes.rig.org.control("activity", method="DELETE")
        await nodes.rig.org.control("package/drain")
        await leader.settled()
        await eventually(lambda: _equal(nodes), "mirror and org are equal", 60)
        status = await leader.status()
        assert status.mode == "real_time"
        assert status.push.last_at is not None
        answers = (await nodes.rig.org.stats())["pushes"]["answers"]
        assert set(answers) == {"200"}
        p50, p99 = percentiles(late, (50, 99)) or (0, 0)
        measured(f"feed of a follower behind the leader's commit: p50 {p50} ms, p99 {p99} ms")
        assert p50 < FEED_MS


async def test_what_it_shows(url: str) -> None:
    """The leader's status as its own, the journal, queries, its own metrics."""
    async with pair(url, RECORDS) as (nodes, leader, other):
        ours, shown = await leader.status(), await other.status()
        assert shown.store.id == ours.store.id
        assert (ours.store.engine, ours.store.reachable) == ("postgresql", True)
        assert (ours.store.bytes or 0) > 10_000
        assert ours.node is not None
        assert shown.node == protocol.Node(
            name="b", leader=False, leader_name="a", epoch=ours.node.epoch, since=ours.node.since
        )
        assert [(found.name, found.state, found.rows) for found in shown.objects] == [
            ("Contact", "live", 60),
            ("Lead", "live", 20),
        ]
        assert shown.gateway.listen == f"127.0.0.1:{nodes.ports['b']}"
        events = await other.client.events(0, limit=10_000)
        assert events == await leader.client.events(0, limit=10_000)
        found = await other.client.query("SELECT count(*) AS n FROM salesforce.contact")
        assert found.rows == [[60]]
        assert [node.name for node in await other.client.nodes() if node.leader] == ["a"]
        metrics = (await other.client.get("/metrics")).decode()
        assert "rtsd_pushes_total" in metrics
        assert "rtsd_objects" not in metrics  # the leader has those
        described = await other.client.get("/v1/openapi.json")
        assert described == await leader.client.get("/v1/openapi.json")


async def test_what_operators_want_of_it(url: str) -> None:
    """The leader does it; what it refuses is refused here in the same words."""
    async with pair(url, RECORDS) as (nodes, leader, other):
        await other.client.pause(["Lead"])
        assert [found.state for found in (await leader.status()).objects] == ["live", "paused"]
        await other.client.resume(["Lead"])
        report = await other.client.audit("Contact")
        assert [found.checked for found in report.objects] == [60]
        told = await _refusal(other)
        assert told == await _refusal(leader)
        assert "Nobody is not mirrored here" in told
        assert "b stands by; a leads since" in await said(nodes.rig.place / "b" / "s", "status")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_the_journal_names_who_asked_a_node_that_stands_by(url: str) -> None:
    """By the kernel's word there, not the node that forwarded it."""
    request = b"POST /v1/pause HTTP/1.1\r\nHost: b\r\nUser-Agent: curl/8\r\nConnection: close\r\n\r\n"
    async with pair(url, RECORDS) as (nodes, leader, other):
        with open_to_all(nodes.rig.place / "b" / "s") as path:
            assert b"200 OK" in await ask_as(path, request, user=54_321)
        await other.client.resume()
        with pytest.raises(NotFound):
            await other.client.drop(7)
        done = [event for event in await leader.client.events(0, limit=10_000) if event.type == "action"]
    me = pwd.getpwuid(os.geteuid()).pw_name
    assert [(event.message, (event.detail or {})["program"]) for event in done[:2]] == [
        ("uid 54321 paused the whole sync", "curl"),
        (f"{me} resumed the whole sync", "rtsd"),
    ]
    assert [event.outcome for event in done] == ["done", "done", "refused"]


async def test_without_a_leader_it_says_so_and_takes_pushes(url: str) -> None:
    """Until it leads itself: what was pushed to it meanwhile is applied then."""
    async with pair(url, RECORDS) as (nodes, leader, other):
        await nodes.aim("b")
        await leader.kill()
        ids = [str(row["Id"]) async for row in nodes.rig.org.rows("Lead")]
        await nodes.rig.org.dml("update", "Lead", rows=[{"Id": each, "Title": "orphan"} for each in ids])
        with pytest.raises(LeaderAway, match="no node that leads answers"):
            await other.status()
        answers = (await nodes.rig.org.stats())["pushes"]["answers"]
        assert set(answers) == {"200"}
        await nodes.leads("b", 15.0)
        await nodes.rig.org.dml("update", "Lead", rows=[{"Id": each, "Title": "led"} for each in ids])
        await nodes.rig.org.control("package/drain")
        later = (await nodes.rig.org.stats())["pushes"]["answers"]
        assert set(later) == {"200"}
        assert later["200"] > answers["200"]
        await other.settled()
        await eventually(lambda: _equal(nodes), "mirror and org are equal", 60)


async def test_with_other_objects_it_takes_no_pushes(url: str) -> None:
    """It would hide values by other rules than the leader; it says so where an operator looks."""
    async with pair(url, RECORDS) as (nodes, _, other):
        assert await other.terminate() == 0
        await nodes.launch("b", 'exclude = ["Phone"]')
        await eventually(lambda: _differing(nodes), "b differs")
        assert not await nodes.commits("b")
        assert "stands by, with other objects" in await said(nodes.rig.place / "a" / "s", "nodes")


async def test_what_a_node_refuses_is_seen_on_every_other(url: str) -> None:
    """Counted in its row, with the last reason, however many there are: strangers add no row."""
    async with pair(url, RECORDS) as (nodes, leader, other), aiohttp.ClientSession() as http:
        before = (await leader.status()).push.rejected_24h
        for number in range(30):
            headers = {
                "webhook-id": f"{number}",
                "webhook-timestamp": f"{int(time.time())}",
                "webhook-signature": "v1,bm8=",
            }
            address = f"http://127.0.0.1:{nodes.ports['b']}/v1/push"
            async with http.post(address, data=b"{}", headers=headers) as answer:
                assert answer.status == 401

        async def seen() -> bool:
            return (await leader.status()).push.rejected_24h == before + 30

        await eventually(seen, "the leader knows")
        assert (await other.status()).push.rejected_24h == before + 30
        told = {node.name: node.refused for node in (await leader.status()).nodes}
        assert (told["a"].count, told["b"].count) == (before, 30)
        assert (told["b"].reason or "").startswith("BadSignature: ")
        assert "BadSignature: " in await said(nodes.rig.place / "b" / "s", "nodes")
        assert "b: 30 pushes in 24 h, last reported" in await said(nodes.rig.place / "a" / "s", "status")
        assert 'rtsd_node_refused_last_day{node="b"} 30.0' in (await leader.client.get("/metrics")).decode()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM rts._rts_node").fetchall() == [(2,)]
            assert connection.execute("SELECT count(*) FROM rts._rts_error").fetchall() == [(0,)]


async def test_a_database_that_is_not_there_yet(url: str) -> None:
    """Contract 9: rtsd waits, says so, answers 503, and begins by itself."""
    async with standing({"Contact": 5}) as rig:
        nodes = Nodes(rig, url)
        with postgres.crashed(url):
            daemon = await nodes.launch("a")
            assert await eventually(lambda: nodes.readiness("a"), "the gateway answers") == 503
            with pytest.raises(LeaderAway, match="waits for the database"):
                await daemon.client.errors()
            assert (await daemon.client.get("/v1/openapi.json")).startswith(b"{")
        await (await daemon.ready()).live()
        assert await nodes.readiness("a") == 200


async def test_ready_again_after_a_crash_without_a_push(url: str) -> None:
    """A balancer sends nothing to a node that is not ready: it finds out by itself."""
    async with pair(url, RECORDS) as (nodes, _, _):
        with postgres.crashed(url):
            for name in ("a", "b"):
                await eventually(lambda name=name: _answers(nodes, name, 503), f"{name} is not ready", 5)
        for name in ("a", "b"):
            await eventually(lambda name=name: _answers(nodes, name, 200), f"{name} is ready", 5)


async def test_a_reload_while_it_stands_by(url: str) -> None:
    """Secrets count at once; what needs a restart is named, as on the leader."""
    async with pair(url, RECORDS) as (nodes, _, other):
        path = nodes.rig.place / "b" / "rtsd.toml"
        path.write_text(path.read_text().replace('name = "b"', 'name = "c"'))
        assert (await other.client.reload()).needs_restart == ["node"]


async def _lateness(daemon: Daemon, after: int, number: int) -> list[int]:
    """Follow the feed; how long after its moment in the journal each entry came, in ms."""
    late: list[int] = []
    async with asyncio.timeout(30):
        async for event in daemon.client.follow(after):
            if isinstance(event, protocol.Event) and event.type == "change":
                late.append(round(time.time() * 1000) - from_iso(event.at))
                if len(late) == number:
                    break
    return late


async def _refusal(daemon: Daemon) -> str:
    with pytest.raises(NotFound) as refused:
        await daemon.client.audit("Nobody")
    return str(refused.value)


async def _differing(nodes: Nodes) -> bool:
    found = {node.name: node for node in await nodes.running["a"].client.nodes()}
    return "b" in found and found["b"].differs == ["objects"]


async def _answers(nodes: Nodes, name: str, status: int) -> bool:
    return await nodes.readiness(name) == status


async def _equal(nodes: Nodes) -> bool:
    return not await nodes.differences()
