"""While the database is away: what every node answers, and that nothing of it is green."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from rtsd.control import protocol
from rtsd.core.instant import from_iso
from rtsd.errors import DaemonUnreachable, StorageAway
from tests.support import postgres
from tests.support.processes.command import said
from tests.support.processes.daemon import Daemon
from tests.support.processes.nodes import Nodes, pair
from tests.support.processes.rig import standing
from tests.support.waiting import eventually

pytestmark = postgres.NEEDED


async def test_status_goes_on(url: str) -> None:
    """Leader and follower say since when, why, and which figures are old; all is right again afterwards."""
    async with pair(url, {"Contact": 60}) as (nodes, leader, other):
        known = {daemon: await daemon.status() for daemon in (leader, other)}
        with postgres.crashed(url):
            for name, daemon in (("a", leader), ("b", other)):
                away = await _away(daemon)
                await _judge(nodes, name, away, known[daemon])
                text = await said(nodes.rig.place / name / "s", "status")
                assert "pushes are refused with 503, and nothing is proven" in text
                assert "database  away since 20" in text
                assert "figures   those of" in text
                assert "answers pushes with 503" in text
                assert "real_time" not in text
                assert "live" not in text
                with pytest.raises(StorageAway):
                    await daemon.client.nodes()
            for daemon in (leader, other):
                metrics = (await daemon.client.get("/metrics")).decode()
                assert "rtsd_store_reachable 0.0" in metrics
                assert "rtsd_gateway_takes_pushes 0.0" in metrics
                assert "rtsd_store_away_seconds 0.0" not in metrics
            metrics = (await leader.client.get("/metrics")).decode()
            assert "rtsd_storage_ok 0.0" in metrics
            assert 'rtsd_object_state{object="Contact",state="live"} 0.0' in metrics
            assert 'rtsd_object_rows{object="Contact"}' not in metrics
            assert "\nrtsd_inbox_pending " not in metrics
        for daemon in (leader, other):
            store = (await daemon.live()).store
            assert (store.reachable, store.away_since, store.error, store.as_of) == (True, None, None, None)
        await eventually(lambda: _is_ok(leader, other), "the next write succeeds")


async def test_the_dashboard_is_told(url: str) -> None:
    """Its feed stays open, and brings the outage and its end."""
    async with standing({"Contact": 5}) as rig:
        daemon = await (await Nodes(rig, url).launch("a")).ready()
        await daemon.live()
        shown: dict[str, bool] = {}
        following = asyncio.create_task(_follow(daemon, shown))
        await eventually(lambda: shown.get("reachable"), "a first status")
        with postgres.crashed(url):
            await eventually(lambda: not shown["reachable"], "the outage is shown")
        await eventually(lambda: shown["reachable"], "its end is shown")
        following.cancel()


async def test_a_start_without_a_database(url: str) -> None:
    """Nothing is known but the objects' names, and no figure is made up."""
    async with standing({"Contact": 5}) as rig:
        nodes = Nodes(rig, url)
        with postgres.crashed(url):
            daemon = await nodes.launch("a")
            await eventually(daemon.answers, "a status")
            away = await _away(daemon)
            assert away.store.as_of is None
            assert [(found.name, found.state) for found in away.objects] == [("Contact", "unknown")]
            lines = (await said(nodes.rig.place / "a" / "s", "status")).splitlines()
            assert lines[-1].split()[:5] == ["Contact", "unknown", "interval", "-", "-"]
            assert "figures   not known" in "\n".join(lines)
            assert "rtsd_start" not in (await daemon.client.get("/metrics")).decode()
        await (await daemon.ready()).live()


async def _is_ok(*daemons: Daemon) -> bool:
    """Whether the leader writes; on a slow machine another may have taken over, and the first one ended."""
    for daemon in daemons:
        with suppress(DaemonUnreachable):
            if (await daemon.status()).storage == "ok":
                return True
    return False


async def _away(daemon: Daemon) -> protocol.Status:
    """Wait until the outage is known."""

    async def probe() -> protocol.Status | None:
        status = await daemon.status()
        return None if status.store.reachable else status

    return await eventually(probe, "the outage is known", 5.0)


async def _judge(nodes: Nodes, name: str, away: protocol.Status, known: protocol.Status) -> None:
    assert away.store.away_since is not None
    assert from_iso(known.now) <= from_iso(away.store.away_since) <= from_iso(away.now)
    assert away.store.as_of == known.now or from_iso(away.store.as_of or "") > from_iso(known.now)
    assert "server" in (away.store.error or "")
    assert away.store.id == known.store.id, "still the same mirror"
    assert away.storage == f"error: {away.store.error}"
    assert (away.mode, away.push.quiet, away.package.state) == ("unknown", "unknown", "unknown")
    assert [(found.name, found.state, found.rows) for found in away.objects] == [("Contact", "unknown", 60)]
    assert away.objects[0].freshness_ms is None
    assert away.node == protocol.Node(
        name=name, leader=False, leader_name="", epoch=None, since=away.started_at
    )
    assert away.gateway.listen == f"127.0.0.1:{nodes.ports[name]}"
    assert away.quota.limits == []


async def _follow(daemon: Daemon, shown: dict[str, bool]) -> None:
    async for line in daemon.client.frames(hz=10):
        if line.status is not None:
            shown["reachable"] = line.status.store.reachable
