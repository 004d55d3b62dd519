"""The initial audit against `sqlite3 .import` and against plain csv + executemany of the same rows.

Two times of ours are told. `whole path`: from the audit's beginning to live; the simulated org makes
the CSV meanwhile. `job complete`: from the first request for its result to live; the CSV is there already,
as it is for the two we are compared with. Both contain HTTP, parsing, storing, indexes, a window and the
count that proves the result.
"""

from __future__ import annotations

import argparse
import csv
import resource
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rtsd.store.sqlite.library import pysqlite3
from rtssim.process import SimulatedOrg
from tests.bench.report import Report, middle, ratio, rounded, spread
from tests.support.processes.daemon import Daemon
from tests.support.processes.rig import Rig, standing
from tests.support.waiting import eventually

FLOOR = 0.6
"""Of `.import` into the same table, which has its indexes."""
OBJECT = "Contact"
PRAGMAS = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"


@dataclass
class Audited:
    """One initial audit: rows per second, and microseconds of CPU per row, indexes and proof included."""

    whole: float
    complete: float
    cpu_us: float


async def run(options: argparse.Namespace) -> Report:
    """Load the same rows in each way, in turn."""
    rows = options.rows
    ours: list[Audited] = []
    imported: list[float] = []
    indexed: list[float] = []
    import_cpu: list[float] = []
    inserted: list[float] = []
    async with standing({OBJECT: rows, "Account": 100}, objects=[OBJECT], initial_audit="ask") as rig:
        create, columns = await _table(rig)
        with tempfile.TemporaryDirectory() as place:
            source = Path(place) / "rows.csv"
            await download(rig.org, columns, source)
            for _ in range(options.rounds):
                ours.append(await audited(rig, rows))
                if shutil.which("sqlite3"):
                    target = Path(place) / "import.db"
                    imported.append(rows / _import(create, source, target))
                    before = _cpu_of_children()
                    indexed.append(rows / _import(create, source, target, _indexes(rig)))
                    import_cpu.append((_cpu_of_children() - before) / rows * 1e6)
                inserted.append(rows / _insert(create, columns, source, Path(place) / "insert.db"))
    report = _report(rows, ours, imported, indexed, inserted)
    _add_cpu(report, ours, import_cpu)
    return report


async def audited(rig: Rig, rows: int) -> Audited:
    """Start with an empty mirror, ask for the initial audit, and time it by the journal."""
    for path in rig.state.iterdir():
        path.unlink()
    daemon = await rig.start()
    await eventually(lambda: _described(rig), "the object is described")
    before, cpu = await downloads(rig.org), daemon.cpu_s
    await daemon.client.start_audit(OBJECT, full=True)

    async def downloading() -> float | None:
        return time.time() if await downloads(rig.org) > before else None

    first_byte = await eventually(downloading, "the result is downloaded", 300)
    await daemon.live(within=600)
    told: dict[str | None, float] = {}

    async def told_of_live() -> bool:  # status shows it a moment before the journal has it
        told.update({event.message: seconds_of(event.at) for event in await daemon.events("audit")})
        return "live" in told

    await eventually(told_of_live, "the journal says live")
    begun = next(at for message, at in told.items() if str(message).startswith("state audit begins"))
    live = told["live"]
    cpu = daemon.cpu_s - cpu
    assert await daemon.terminate() == 0
    return Audited(rows / (live - begun), rows / (live - first_byte), cpu / rows * 1e6)


def _described(rig: Rig) -> bool:
    if not rig.mirror.exists():
        return False
    return bool(rig.read(f'PRAGMA table_info("{OBJECT}")'))


async def downloads(org: SimulatedOrg) -> int:
    """How often results of Bulk jobs were requested."""
    return int((await org.stats())["calls"].get("bulk_results", 0))


def seconds_of(moment: str) -> float:
    """The Unix time of a moment in the journal."""
    return datetime.fromisoformat(moment).timestamp()


async def _table(rig: Rig) -> tuple[str, list[str]]:
    """Return the mirror's own CREATE TABLE without its trailing columns, and the columns."""
    daemon: Daemon = await rig.start()
    await eventually(lambda: _described(rig), "the object is described")
    assert await daemon.terminate() == 0
    found = [(row["name"], row["type"]) for row in rig.read(f'PRAGMA table_info("{OBJECT}")')]
    mine = [(name, kind) for name, kind in found if not name.startswith("_rts_")]
    key = " PRIMARY KEY NOT NULL"
    columns = ", ".join(f'"{name}" {kind}{key if name == "Id" else ""}' for name, kind in mine)
    return f'CREATE TABLE "{OBJECT}" ({columns})', [name for name, _ in mine]


async def download(org: SimulatedOrg, columns: list[str], target: Path) -> None:
    """Fetch the same rows as CSV into a file, by a Bulk job of our own."""
    form = {key: org.info[key] for key in ("client_id", "client_secret")} | {
        "grant_type": "client_credentials"
    }
    async with org.http.post(f"{org.url}/services/oauth2/token", data=form) as answer:
        token = (await answer.json())["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    base = f"{org.url}/services/data/v62.0/jobs/query"
    query = {"operation": "query", "query": f"SELECT {', '.join(columns)} FROM {OBJECT}"}
    async with org.http.post(base, json=query, headers=headers) as answer:
        job = f"{base}/{(await answer.json())['id']}"

    async def complete() -> bool:
        async with org.http.get(job, headers=headers) as state:
            return bool((await state.json())["state"] == "JobComplete")

    await eventually(complete, "the job is complete", 300)
    with target.open("wb") as file:
        async with org.http.get(f"{job}/results?maxRecords=100000000", headers=headers) as answer:
            async for chunk in answer.content.iter_any():
                file.write(chunk)
    async with org.http.delete(job, headers=headers):
        pass


def _indexes(rig: Rig) -> list[str]:
    """The mirror's own CREATE INDEX statements."""
    found = rig.read(
        "SELECT sql FROM sqlite_master WHERE type='index' AND sql IS NOT NULL AND tbl_name=?", OBJECT
    )
    return [row["sql"] for row in found]


def _import(create: str, source: Path, target: Path, indexes: Sequence[str] = ()) -> float:
    """Seconds that `sqlite3 .import` takes, and then the indexes: sorted at the end is the quickest way."""
    _remove(target)
    script = f'{PRAGMAS}\n{create};\n.import --csv --skip 1 {source} "{OBJECT}"\n'
    script += "".join(f"{statement};\n" for statement in indexes)
    begun = time.perf_counter()
    subprocess.run(["sqlite3", str(target)], input=script.encode(), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def _insert(create: str, columns: list[str], source: Path, target: Path) -> float:
    """Seconds that csv.reader and executemany take, in Python, with the SQLite that rtsd uses."""
    _remove(target)
    begun = time.perf_counter()
    with closing(pysqlite3.connect(str(target))) as database, source.open(newline="") as file:
        database.executescript(PRAGMAS + create)
        rows = csv.reader(file)
        next(rows)
        marks = ", ".join("?" * len(columns))
        with database:
            database.executemany(f'INSERT INTO "{OBJECT}" VALUES ({marks})', rows)
    return time.perf_counter() - begun


def _remove(target: Path) -> None:
    for path in target.parent.glob(target.name + "*"):
        path.unlink()


def _report(
    rows: int, ours: list[Audited], imported: list[float], indexed: list[float], inserted: list[float]
) -> Report:
    whole, complete = [sample.whole for sample in ours], [sample.complete for sample in ours]
    report = Report(f"Initial audit of {rows:,} {OBJECT} rows", ("", "rows/s", "range", "ratio to ours"))
    numbers = {"rows": float(rows), "whole": middle(whole), "complete": middle(complete)}
    report.rows.append(("rtsd, whole path (the org makes the CSV)", *cells(whole), ""))
    report.rows.append(("rtsd, job complete", *cells(complete), ""))
    for name, key, others in (
        ("sqlite3 .import, no index", "import", imported),
        ("sqlite3 .import, then the indexes", "indexed", indexed),
        ("csv + executemany", "insert", inserted),
    ):
        if not others:
            report.rows.append((f"{name}: skipped, there is no sqlite3 binary", "-", "-", "-"))
            continue
        numbers[key] = middle(others)
        numbers[f"whole/{key}"], numbers[f"complete/{key}"] = ratio(whole, others), ratio(complete, others)
        shown = f"{numbers[f'whole/{key}']:.2f} whole, {numbers[f'complete/{key}']:.2f} complete"
        report.rows.append((name, *cells(others), shown))
    if indexed:
        met = numbers["complete/indexed"] >= FLOOR
        decision = "met" if met else "MISSED"
        report.notes.append(f"floor: {FLOOR} of .import and the indexes, with the job complete: {decision}")
    report.notes.append(
        f"SQLite: rtsd {pysqlite3.sqlite_version}, python {sqlite3.sqlite_version}, cli {_cli()}"
    )
    report.numbers = rounded(numbers)
    return report


def _add_cpu(report: Report, ours: list[Audited], imported: list[float]) -> None:
    mine = [sample.cpu_us for sample in ours]
    report.numbers["cpu_us"] = round(middle(mine), 1)
    shown = f"CPU per row: {middle(mine):.1f} us"
    if imported:
        report.numbers["import_cpu_us"] = round(middle(imported), 1)
        shown += f"; .import, then the indexes {middle(imported):.1f} us"
    report.notes.append(shown)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cells(samples: list[float]) -> tuple[str, str]:
    return f"{middle(samples):,.0f}", spread(samples)


def _cli() -> str:
    if not shutil.which("sqlite3"):
        return "-"
    told = subprocess.run(["sqlite3", "--version"], capture_output=True, check=True, text=True)
    return told.stdout.split()[0]
