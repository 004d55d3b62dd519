"""The big ones, with org and daemon as processes of their own: memory, and kills for real."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rtsd.sync.audit import PAGE
from rtsd.workflows.demo.compare import compare
from rtssim.process import SimulatedOrg
from tests.support.processes.daemon import Daemon
from tests.support.processes.rig import Rig, standing

MOST_RSS = 250_000_000
LOAD_S = 1_800.0
KILLS = 20
EDITS = 40
"""Records edited and pushed a second."""

# fmt: off
COLUMNS = [
    "Id", "FirstName", "LastName", "Salutation", "Title", "Company", "Street", "City", "State",
    "PostalCode", "Country", "Phone", "MobilePhone", "Email", "LeadSource", "Status", "Rating",
    "AnnualRevenue", "OwnerId", "SystemModstamp",
]
# fmt: on


def _mirror_only(rig: Rig, columns: list[str]) -> None:
    """Mirror some fields of Lead."""
    text = rig.config.read_text()
    rig.config.write_text(text.replace('name = "Lead"', f'name = "Lead"\nfields = {json.dumps(columns)}'))


async def _truth(rig: Rig, columns: list[str]) -> AsyncIterator[dict[str, Any]]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as patient:
        org = SimulatedOrg(rig.org.info, patient)
        async for row in org.rows("Lead"):
            yield {name: row[name] for name in columns}


async def _loaded(daemon: Daemon) -> None:
    """Wait until the load is proven; a look now and then, as it takes minutes."""
    async with asyncio.timeout(LOAD_S):
        while (await daemon.objects())["Lead"].state != "live":  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.5)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [200_000, 5_000_000])
async def test_ac_46_five_million_rows_in_little_memory(rows: int, measured: Callable[[str], None]) -> None:
    """Rows of 20 columns are loaded, exactly, by a daemon that never has 250 MB resident."""
    assert len(COLUMNS) == 20
    async with standing({"Lead": rows}) as rig:
        _mirror_only(rig, COLUMNS)
        daemon = await rig.start()
        began = asyncio.get_running_loop().time()
        await _loaded(daemon)
        seconds = asyncio.get_running_loop().time() - began
        peak = daemon.peak_rss
        stats = await rig.org.stats()
        measured(
            f"{rows:,} rows x 20 columns: {peak / 1e6:.0f} MB at most, {seconds:.0f} s,"
            f" {rows / seconds:,.0f} rows/s, {stats['api_calls']} calls, {stats['bulk_jobs']} jobs"
        )
        assert peak < MOST_RSS
        found = await compare("Lead", _truth(rig, COLUMNS), rig.mirror)
        assert found.equal, found.examples
        assert found.rows == rows
        assert stats["bulk_jobs"] == 1


def _without_csv_extension(place: Path) -> tuple[str, ...]:
    """A command to run rtsd under, where the csv extension is not to be had: rows are parsed in Python."""
    (place / "apsw").mkdir()
    (place / "apsw" / "__init__.py").touch()
    return ("env", f"PYTHONPATH={place}")


@pytest.mark.slow
@pytest.mark.parametrize("loader", ["SQLite", "Python"])
async def test_ac_46_a_million_rows_killed_twenty_times(
    loader: str, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    """Kill -9 at random moments, amid pushes of rows being loaded: each costs a page at most, and no job."""
    rows, kills = 1_000_000, 0
    rng = random.Random(46)
    wrapper = _without_csv_extension(tmp_path) if loader == "Python" else ()
    async with standing({"Lead": rows}, interval="2s") as rig:
        await rig.install_package()
        await rig.org.control("activity", {"rate": EDITS, "objects": ["Lead"], "seed": 4})
        for _ in range(KILLS):
            daemon = await rig.start(*wrapper)
            goal = await _served(rig) + rng.randint(1, PAGE)
            async with asyncio.timeout(LOAD_S):
                while await _served(rig) < goal:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.01)
            await asyncio.sleep(rng.random())
            kills += (await daemon.objects())["Lead"].state != "live"
            await daemon.kill()
        daemon = await rig.start(*wrapper)
        await _loaded(daemon)
        await rig.org.control("activity", method="DELETE")
        await rig.ends_equal(within=120)
        stats = await rig.org.stats()
        edited = stats["pushes"]["changes"]  # windows read these too, by a job of their own if they are many
        again = stats["rows_served"]["bulk"] - rows
        jobs = "SELECT SUM(calls) AS calls FROM _rts_ledger WHERE purpose='audit' AND resource LIKE '%Jobs'"
        (audits,) = rig.read(jobs)
        measured(
            f"{rows:,} rows by {loader}, {kills} kills: {again:,} rows read again, {audits['calls']} job,"
            f" {stats['pushes']['acked']} pushes"
        )
        in_python = rig.log.read_text().count("loads are parsed in Python")
        # the first start says it twice: a new file is opened once to be made
        assert in_python == (len(rig.daemons) + 1 if loader == "Python" else 0)
        assert kills == KILLS
        assert again <= kills * PAGE + edited
        assert audits["calls"] == 1


async def _served(rig: Rig) -> int:
    served = (await rig.org.stats())["rows_served"]
    return int(served["query"] + served["bulk"])
