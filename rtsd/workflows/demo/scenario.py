"""The demo's sequence of events: a load, edits, imports, a period of lost pushes, and the comparison."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtsd.core.plural import plural
from rtsd.workflows.demo.compare import Difference, compare
from rtsd.workflows.demo.environment import (
    Channel,
    Environment,
    install_package,
    push_unmirrored,
    start,
    until_answering,
)
from rtsd.workflows.demo.feed import FeedMonitor

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
"""Records per import: the maximum that Salesforce passes to an Apex trigger, and thus one push."""
CYCLE_S = 60.0
"""The length of a round, which repeats in the dashboard."""
SETTLE_S = 90.0
"""Maximum seconds until mirror and org are equal after the last change."""
_POLL_S = 0.25

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What to play, where, and by which channel; `rate` is in commits per second, `store` a URL."""

    records: Mapping[str, int]
    rate: float
    seconds: float | None
    directory: Path | None
    channel: Channel = "gateway"
    store: str = ""


async def run_headless(options: Options, say: Say) -> dict[str, Any]:
    """Run a round without the dashboard and return a summary; its `equal` is the result."""
    seconds = options.seconds or 20.0
    async with _loaded_environment(options, seconds, say) as (demo, monitor):
        await _run_round(demo, options, seconds, say)
        return await _summarise(demo, monitor, options.records, say)


async def run_with_dashboard(options: Options, say: Say) -> int:
    """Run with the dashboard until it ends, or for `options.seconds`; return its exit status."""
    async with _started(options, CYCLE_S) as demo:
        say(f"The files are in {demo.directory}; starting the dashboard…")
        await until_answering(demo)
        await install_package(demo, list(options.records))
        command = (sys.executable, "-m", "rtstui", "--demo", "--socket", str(demo.socket))
        dashboard = await asyncio.create_subprocess_exec(*command)
        acting = asyncio.create_task(_run_rounds(demo, options))
        try:
            async with asyncio.timeout(options.seconds):
                return await dashboard.wait()
        except TimeoutError:
            return 0
        finally:
            acting.cancel()
            await asyncio.gather(acting, return_exceptions=True)
            await _end(dashboard)


async def _end(dashboard: asyncio.subprocess.Process) -> None:
    """Terminate the dashboard so that it restores the terminal."""
    if dashboard.returncode is None:
        with suppress(ProcessLookupError):
            dashboard.terminate()
        await dashboard.wait()


async def _run_rounds(demo: Environment, options: Options) -> None:
    await _wait_until_loaded(demo, lambda _line: None)
    status = await demo.status()
    if status.gateway.listen and status.org.id:
        await push_unmirrored(status.gateway.listen, status.org.id, demo.token)
    while True:
        await _run_round(demo, options, CYCLE_S, lambda _line: None)


@asynccontextmanager
async def _loaded_environment(
    options: Options, seconds: float, say: Say
) -> AsyncIterator[tuple[Environment, FeedMonitor]]:
    """Start the environment and load the mirror, following the feed from the start."""
    records = plural(sum(options.records.values()), "record")
    say(f"org       {records} in {plural(len(options.records), 'object')}")
    async with _started(options, seconds) as demo:
        await until_answering(demo)
        say(f"daemon    pid {demo.daemon.pid}, {demo.directory}")
        monitor = FeedMonitor(demo.socket, lambda text: say(f"mode      {text}"))
        watching = asyncio.create_task(monitor.run())
        try:
            await install_package(demo, list(options.records))
            await _wait_until_loaded(demo, say)
            yield demo, monitor
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


def _started(options: Options, seconds: float) -> AbstractAsyncContextManager[Environment]:
    """Start the environment for rounds of so many seconds."""
    silence_ms = _silence_ms(seconds)
    return start(options.directory, options.records, silence_ms, options.channel, options.store)


def _silence_ms(seconds: float) -> int:
    """Return a `silence_after` (ms) short enough for Interval Sync to start while pushes are lost."""
    return int(max(1.0, min(5.0, seconds * 0.1)) * 1000)


async def _wait_until_loaded(demo: Environment, say: Say) -> None:
    """Wait until every object is live, reporting progress, without a time-out."""
    started = asyncio.get_running_loop().time()
    said = -1.0
    while True:
        objects = (await demo.status()).objects
        elapsed = asyncio.get_running_loop().time() - started
        if objects and all(shown.state == "live" for shown in objects):
            rows = sum(shown.rows for shown in objects)
            say(f"loaded    {plural(rows, 'row')} in {elapsed:.1f} s ({rows / max(elapsed, 0.001):,.0f}/s)")
            return
        if elapsed - said >= 2:
            said = elapsed
            live = sum(shown.state == "live" for shown in objects)
            rows = sum(shown.rows for shown in objects)
            say(f"loading   {plural(rows, 'row')}, {live} of {plural(len(objects), 'object')} live")
        await asyncio.sleep(_POLL_S)


async def _run_round(demo: Environment, options: Options, seconds: float, say: Say) -> None:
    """Run a round: edits and imports, a period of lost pushes, and pushes again."""
    org = demo.org
    await org.control("activity", {"rate": options.rate, "objects": _edited_objects(options.records)})
    say(f"edits     {options.rate:g} commits/s for {seconds:g} s")
    try:
        await _with_imports(demo, options.records, seconds * 0.4, say)
        say("silence   pushes are lost from here on")
        fault = await org.fault("event_lost" if demo.channel == "cdc" else "push_lost")
        await asyncio.sleep(seconds * 0.3)
        await org.control(f"faults?id={fault}", method="DELETE")
        say("silence   over: pushes arrive again")
        await _with_imports(demo, options.records, seconds * 0.3, say)
    finally:
        await org.control("activity", method="DELETE")


def _edited_objects(records: Mapping[str, int]) -> list[str]:
    """Return the objects to edit, without memberships and users."""
    return [name for name in records if name not in {"CampaignMember", "User"}]


async def _with_imports(demo: Environment, records: Mapping[str, int], seconds: float, say: Say) -> None:
    """Wait `seconds`, with an import at the start and in the middle."""
    name = next((name for name in ("Contact", "Lead") if name in records), None)
    for part in range(2):
        if name is not None:
            rows = [{"LastName": f"Import {part}/{number}", "Company": "Import"} for number in range(IMPORT)]
            if name == "Contact":
                rows = [{"LastName": row["LastName"]} for row in rows]
            await demo.org.dml("create", name, rows=rows)
            say(f"import    {IMPORT} {name} records at once")
        await asyncio.sleep(seconds / 2)


async def _summarise(
    demo: Environment, monitor: FeedMonitor, records: Mapping[str, int], say: Say
) -> dict[str, Any]:
    """Wait for the last push, compare mirror and org, and summarise."""
    say("settling  no more changes; comparing mirror and org field by field")
    await demo.org.control("package/drain")
    compared = await _compare_until_equal(demo, records)
    status = await demo.status()
    for difference in compared:
        for example in difference.examples:
            say(f"differs   {difference.name} {example}")
    return {
        "equal": all(difference.equal for difference in compared),
        "objects": {
            difference.name: {
                "rows": difference.rows,
                "missing": difference.missing,
                "stale": difference.stale,
                "orphaned": difference.orphaned,
            }
            for difference in compared
        },
        "changes": monitor.changes,
        "by_source": dict(monitor.by_source),
        "freshness_ms": monitor.freshness(),
        "api_calls": sum(status.quota.calls_24h.values()),
        "daemon_peak_mb": demo.peak_memory_mb(),
    }


async def _compare_until_equal(demo: Environment, records: Mapping[str, int]) -> list[Difference]:
    """Compare each object until it is equal, or the time to settle is over.

    Interval Sync repairs the effects of lost pushes within a period or two.
    """
    deadline = asyncio.get_running_loop().time() + SETTLE_S
    compared = []
    for name in records:
        while True:
            await _until_applied(demo)
            found = await _compared(demo, name)
            if found.equal or asyncio.get_running_loop().time() >= deadline:
                compared.append(found)
                break
            await asyncio.sleep(1)
    return compared


async def _compared(demo: Environment, name: str) -> Difference:
    if not demo.store:
        return await compare(name, demo.org.rows(name), demo.mirror)
    from rtsd.workflows.demo import postgres  # noqa: PLC0415 - an extra

    return await postgres.compare(name, demo.org.rows(name), demo.store, "salesforce")


async def _until_applied(demo: Environment) -> None:
    """Wait until all received pushes are applied."""
    while (await demo.status()).inbox.pending:  # noqa: ASYNC110 - another process's state
        await asyncio.sleep(_POLL_S)
