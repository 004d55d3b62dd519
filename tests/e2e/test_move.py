"""`rtsd move` as a process between two daemons: the first one on SQLite, the second one on PostgreSQL."""

from __future__ import annotations

import json
from typing import Any

from tests.support import postgres
from tests.support.processes.command import rtsd
from tests.support.processes.daemon import Daemon
from tests.support.processes.nodes import Nodes
from tests.support.processes.rig import Rig, standing
from tests.support.waiting import eventually

pytestmark = postgres.NEEDED


async def loaded(rig: Rig) -> Daemon:
    """Start on SQLite, load, and take some pushes."""
    daemon = await rig.start()
    await rig.install_package()
    await daemon.live()
    record = (await anext(rig.org.rows("Contact")))["Id"]
    await rig.org.dml("update", "Contact", rows=[{"Id": record, "LastName": "Before"}])
    await rig.ends_equal()
    return daemon


async def test_a_mirror_moves_with_all_that_was_proven(url: str) -> None:
    """It is live at once on the other engine, reads nothing again, takes pushes, and goes back the same."""
    async with standing({"Contact": 300, "Lead": 100}, interval="2s") as rig:
        daemon = await loaded(rig)
        jobs = (await rig.org.stats())["calls"].get("bulk_jobs")
        command = ("move", "--to", f"{url}&password=s3cret", "-c", rig.config)
        status, _, said = await rtsd(*command)
        assert (status, "another rtsd is using" in said) == (75, True)
        newest = (await daemon.events("change"))[-1].seq
        assert await daemon.terminate() == 0

        status, out, said = await rtsd(*command, "--json")
        assert (status, said) == (0, "")
        found: dict[str, Any] = json.loads(out)
        assert found["equal"] is True
        assert {entry["name"]: entry["rows"] for entry in found["objects"]} == {"Contact": 300, "Lead": 100}
        assert found["store"] == {"url": url, "password_file": "a file with the password"}
        status, _, said = await rtsd(*command)
        assert (status, "has a mirror already" in said) == (1, True)

        nodes = Nodes(rig, url)
        after = await (await nodes.launch("a")).ready()
        await after.live()
        assert (await after.events("change"))[-1].seq >= newest
        await nodes.leads("a", 5.0)
        await rig.org.control("activity", {"rate": 20, "objects": list(rig.objects), "seed": 4})
        await eventually(lambda: _has_journal(after, newest + 20), "pushes arrive")
        await rig.org.control("activity", {"rate": 0})
        await rig.org.control("package/drain")
        await after.settled()
        await eventually(lambda: _is_equal(nodes), "the mirror equals the org", 20.0)
        assert (await rig.org.stats())["calls"].get("bulk_jobs") == jobs
        assert await after.terminate() == 0

        back = rig.state / "back.db"
        status, out, said = await rtsd("move", "--to", back, "-c", rig.place / "a" / "rtsd.toml")
        assert (status, said) == (0, "")
        assert f'path = "{back}"' in out
        rig.write_config(path=str(back))
        rig.state.joinpath("mirror.db").unlink()
        await rig.aim(rig.push_url)
        again = await rig.start()
        await again.live()
        assert (await rig.org.stats())["calls"].get("bulk_jobs") == jobs


async def _has_journal(daemon: Daemon, seq: int) -> bool:
    return bool(await daemon.client.events(seq, limit=1))


async def _is_equal(nodes: Nodes) -> bool:
    return not await nodes.differences()
