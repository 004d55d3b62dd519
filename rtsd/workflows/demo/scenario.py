"""The demo's sequence of events: a load, edits, imports, a period of lost pushes, and the comparison."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtsd.core.plural import plural
from rtsd.workflows.demo import activity
from rtsd.workflows.demo.environment import Channel, Environment, install_package, start, until_answering
from rtsd.workflows.demo.feed import FeedMonitor
from rtsd.workflows.demo.proof import Say, calls_of, prove
from rtsd.workflows.demo.story import LOST_S, Narrator, play

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
_POLL_S = 0.25


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
    records = plural(sum(options.records.values()), "record")
    say(f"org       {records} in {plural(len(options.records), 'object')}")
    async with _started(options, seconds) as demo:
        await until_answering(demo)
        say(f"daemon    pid {demo.daemon.pid}, {demo.directory}")
        async with _monitored(demo, lambda text: say(f"mode      {text}")) as monitor:
            await install_package(demo, list(options.records))
            await _wait_until_loaded(demo, say)
            await _run_round(demo, options, seconds, say)
            say("settling  no more changes; comparing mirror and org field by field")
            return (await prove(demo, monitor, options.records, say)).document()


async def run_with_dashboard(options: Options, say: Say) -> int:
    """Tell the story in the dashboard until it ends, or for `options.seconds`; then prove the mirror.

    Return the exit status: 1 if mirror and org differ.
    """
    async with _started(options, LOST_S, told=True) as demo:
        say(f"The files are in {demo.directory}; starting the dashboard…")
        await until_answering(demo)
        narrator = Narrator(demo.story)
        narrator.tell("rtsd reads the org through the Bulk API; what changes meanwhile is pushed to it.")
        await install_package(demo, list(options.records))
        async with _monitored(demo, lambda _text: None) as monitor:
            status = await _show(demo, options, narrator)
            if status:
                return status
            shown_calls = calls_of(await demo.status())
            say("Comparing mirror and org, row by row and value by value; Ctrl-C skips it.")
            await _wait_until_loaded(demo, say)
            proof = await prove(demo, monitor, options.records, say, shown_calls=shown_calls)
    for line in (*proof.lines(), "", *_farewell(options, demo)):
        say(line)
    return 0 if proof.is_equal else 1


def _farewell(options: Options, demo: Environment) -> tuple[str, str]:
    """Return what is gone, and where to go next."""
    kept = f"; its files are in {demo.directory}" if options.directory else " with all their files"
    return (
        f"The org and its rtsd are gone{kept}.",
        "For an org of your own see docs/install.md: `rtsd check` prices the load before anything is read.",
    )


async def _show(demo: Environment, options: Options, narrator: Narrator) -> int:
    """Show the dashboard while the story is played, and return its exit status."""
    command = (sys.executable, "-m", "rtstui", "--story", str(demo.story), "--socket", str(demo.socket))
    dashboard = await asyncio.create_subprocess_exec(*command)
    playing = asyncio.create_task(_tell(demo, options, narrator))
    try:
        async with asyncio.timeout(options.seconds):
            return await dashboard.wait()
    except TimeoutError:
        return 0
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        await _end(dashboard)


async def _tell(demo: Environment, options: Options, narrator: Narrator) -> None:
    await _wait_until_loaded(demo, lambda _line: None)
    await play(demo, options.records, options.rate, narrator)


async def _end(dashboard: asyncio.subprocess.Process) -> None:
    """Terminate the dashboard so that it restores the terminal."""
    if dashboard.returncode is None:
        with suppress(ProcessLookupError):
            dashboard.terminate()
        await dashboard.wait()


@asynccontextmanager
async def _monitored(demo: Environment, say: Say) -> AsyncIterator[FeedMonitor]:
    """Follow the feed from the start while the block runs."""
    monitor = FeedMonitor(demo.socket, say)
    watching = asyncio.create_task(monitor.run())
    try:
        yield monitor
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def _started(
    options: Options, seconds: float, *, told: bool = False
) -> AbstractAsyncContextManager[Environment]:
    """Start the environment for rounds of so many seconds."""
    silence_ms = _silence_ms(seconds)
    return start(options.directory, options.records, silence_ms, options.channel, options.store, told=told)


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
            took = f" in {elapsed:.1f} s ({rows / elapsed:,.0f}/s)" if elapsed > _POLL_S else ""
            say(f"loaded    {plural(rows, 'row')}{took}")
            return
        if elapsed - said >= 2:
            said = elapsed
            live = sum(shown.state == "live" for shown in objects)
            rows = sum(shown.rows for shown in objects)
            say(f"loading   {plural(rows, 'row')}, {live} of {plural(len(objects), 'object')} live")
        await asyncio.sleep(_POLL_S)


async def _run_round(demo: Environment, options: Options, seconds: float, say: Say) -> None:
    """Run a round: edits and imports, a period of lost pushes, and pushes again."""
    say(f"edits     {options.rate:g} commits/s for {seconds:g} s")
    async with activity.edits(demo, options.records, options.rate):
        await _with_imports(demo, options.records, seconds * 0.4, say)
        say("silence   pushes are lost from here on")
        async with activity.lost_pushes(demo):
            await asyncio.sleep(seconds * 0.3)
        say("silence   over: pushes arrive again")
        await _with_imports(demo, options.records, seconds * 0.3, say)


async def _with_imports(demo: Environment, records: Mapping[str, int], seconds: float, say: Say) -> None:
    """Wait `seconds`, with an import at the start and in the middle."""
    for _part in range(2):
        if name := await activity.import_people(demo, records):
            say(f"import    {activity.IMPORT} {name} records at once")
        await asyncio.sleep(seconds / 2)
