"""What happens in the demo: a load, people at work, imports, a silent spell, and the reckoning."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtsd.workflows.demo.compare import Difference, compare
from rtsd.workflows.demo.stage import Stage, install_package, stage, until_answering
from rtsd.workflows.demo.stray import push_stray
from rtsd.workflows.demo.watch import Watch

RECORDS: Mapping[str, int] = {
    "Account": 5_000,
    "Contact": 20_000,
    "Lead": 10_000,
    "Opportunity": 5_000,
    "Task": 7_000,
    "Campaign": 100,
    "CampaignMember": 2_000,
    "Invoice__c": 900,
}
"""The default org: 50,000 records."""
IMPORT = 200
"""Records of one import: what Salesforce hands to a trigger at once, so one push."""
CYCLE_S = 60.0
"""In the dashboard the story repeats."""
SETTLE_S = 90.0
"""How long mirror and org may take to become equal after the last change."""
_LOOK_S = 0.25

Say = Callable[[str], None]


@dataclass(frozen=True)
class Play:
    """What was asked for: the org's size, how lively it is (commits a second), how long, and where."""

    records: Mapping[str, int]
    rate: float
    seconds: float | None
    directory: Path | None


async def play_headless(play: Play, say: Say) -> dict[str, Any]:
    """Play once, without a screen, and return the reckoning; `equal` in it is what counts."""
    seconds = play.seconds or 20.0
    async with _loaded(play, seconds, say) as (scene, watch):
        await _act(scene, play, seconds, say)
        return await _reckon(scene, watch, play.records, say)


async def play_on_screen(play: Play, say: Say) -> int:
    """Play in the dashboard until it is left, or for the seconds asked for; return its exit status."""
    async with stage(play.directory, play.records, _silence_ms(CYCLE_S)) as scene:
        say(f"Everything is in {scene.directory}; starting the dashboard…")
        await until_answering(scene)
        await install_package(scene, list(play.records))
        command = (sys.executable, "-m", "rtstui", "--socket", str(scene.socket))
        dashboard = await asyncio.create_subprocess_exec(*command)
        acting = asyncio.create_task(_repeat(scene, play))
        try:
            async with asyncio.timeout(play.seconds):
                return await dashboard.wait()
        except TimeoutError:
            return 0
        finally:
            acting.cancel()
            await asyncio.gather(acting, return_exceptions=True)
            await _leave(dashboard)


async def _leave(dashboard: asyncio.subprocess.Process) -> None:
    """End the dashboard so that it gives the terminal back."""
    if dashboard.returncode is None:
        with suppress(ProcessLookupError):
            dashboard.terminate()
        await dashboard.wait()


async def _repeat(scene: Stage, play: Play) -> None:
    await _wait_until_loaded(scene, lambda _line: None)
    status = await scene.status()
    if status.gateway.listen and status.org.id:
        await push_stray(status.gateway.listen, status.org.id, scene.token)
    while True:
        await _act(scene, play, CYCLE_S, lambda _line: None)


@asynccontextmanager
async def _loaded(play: Play, seconds: float, say: Say) -> AsyncIterator[tuple[Stage, Watch]]:
    """Set the stage and load the mirror, watching the feed from the start."""
    say(f"org       {sum(play.records.values()):,} records in {len(play.records)} objects")
    async with stage(play.directory, play.records, _silence_ms(seconds)) as scene:
        await until_answering(scene)
        say(f"daemon    pid {scene.daemon.pid}, {scene.directory}")
        watch = Watch(scene.socket, lambda text: say(f"mode      {text}"))
        watching = asyncio.create_task(watch.run())
        try:
            await install_package(scene, list(play.records))
            await _wait_until_loaded(scene, say)
            yield scene, watch
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


def _silence_ms(seconds: float) -> int:
    """Short enough that the silent spell, 0.3 of the time, is noticed and read by Interval Sync."""
    return int(max(1.0, min(5.0, seconds * 0.1)) * 1000)


async def _wait_until_loaded(scene: Stage, say: Say) -> None:
    """Wait until every object is live, saying how it comes along. Patient: it is as long as it is."""
    started = asyncio.get_running_loop().time()
    said = -1.0
    while True:
        objects = (await scene.status()).objects
        elapsed = asyncio.get_running_loop().time() - started
        if objects and all(one.state == "live" for one in objects):
            rows = sum(one.rows for one in objects)
            say(f"loaded    {rows:,} rows in {elapsed:.1f} s ({rows / max(elapsed, 0.001):,.0f}/s)")
            return
        if elapsed - said >= 2:
            said = elapsed
            live = sum(one.state == "live" for one in objects)
            say(f"loading   {sum(one.rows for one in objects):,} rows, {live} of {len(objects)} objects live")
        await asyncio.sleep(_LOOK_S)


async def _act(scene: Stage, play: Play, seconds: float, say: Say) -> None:
    """One round: people at work with imports, a silent spell, and pushes again."""
    org = scene.org
    await org.control("activity", {"rate": play.rate, "objects": _lively(play.records)})
    say(f"lively    {play.rate:g} commits a second, for {seconds:g} s")
    try:
        await _with_imports(scene, play.records, seconds * 0.4, say)
        say("silence   from now on pushes are lost on their way")
        fault = await org.fault("push_lost")
        await asyncio.sleep(seconds * 0.3)
        await org.control(f"faults?id={fault}", method="DELETE")
        say("silence   over: pushes arrive again")
        await _with_imports(scene, play.records, seconds * 0.3, say)
    finally:
        await org.control("activity", method="DELETE")


def _lively(records: Mapping[str, int]) -> list[str]:
    """The objects people work on; memberships and users are made by others."""
    return [name for name in records if name not in {"CampaignMember", "User"}]


async def _with_imports(scene: Stage, records: Mapping[str, int], seconds: float, say: Say) -> None:
    """Let `seconds` pass, with an import at the start and in the middle."""
    name = next((one for one in ("Contact", "Lead") if one in records), None)
    for part in range(2):
        if name is not None:
            rows = [{"LastName": f"Import {part}/{number}", "Company": "Import"} for number in range(IMPORT)]
            if name == "Contact":
                rows = [{"LastName": row["LastName"]} for row in rows]
            await scene.org.dml("create", name, rows=rows)
            say(f"import    {IMPORT} {name} records at once")
        await asyncio.sleep(seconds / 2)


async def _reckon(scene: Stage, watch: Watch, records: Mapping[str, int], say: Say) -> dict[str, Any]:
    """Wait for quiet, compare mirror and org, and sum up."""
    say("settling  no more changes; mirror and org are compared field by field")
    await scene.org.control("package/drain")
    compared = await _compare_until_equal(scene, records)
    status = await scene.status()
    for one in compared:
        for example in one.examples:
            say(f"differs   {one.name} {example}")
    return {
        "equal": all(one.equal for one in compared),
        "objects": {
            one.name: {
                "rows": one.rows,
                "missing": one.missing,
                "stale": one.stale,
                "orphaned": one.orphaned,
            }
            for one in compared
        },
        "changes": watch.changes,
        "by_source": dict(watch.by_source),
        "freshness_ms": watch.freshness(),
        "api_calls": sum(status.quota.calls_24h.values()),
        "daemon_peak_mb": scene.peak_memory_mb(),
    }


async def _compare_until_equal(scene: Stage, records: Mapping[str, int]) -> list[Difference]:
    """Compare each object until it is equal, or the time to settle is over.

    What was lost in the silent spell is healed by Interval Sync, a period or two later.
    """
    deadline = asyncio.get_running_loop().time() + SETTLE_S
    compared = []
    for name in records:
        while True:
            await _until_applied(scene)
            found = await compare(name, scene.org.rows(name), scene.mirror)
            if found.equal or asyncio.get_running_loop().time() >= deadline:
                compared.append(found)
                break
            await asyncio.sleep(1)
    return compared


async def _until_applied(scene: Stage) -> None:
    """Wait until every push that was taken is applied."""
    while (await scene.status()).inbox.pending:  # noqa: ASYNC110 - another process's state
        await asyncio.sleep(_LOOK_S)
