"""Killed or failed at the first write, the second and so on, until a step gets through.

These are promises 4 and 7 of docs/reliability.md.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rtsd.store import retention
from rtsd.store.sqlite import backup, migrations
from tests.support.faults import store_steps
from tests.support.store import opened

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None, reason="there is no strace to kill at a write"
)

WRITES = "pwrite64,write,fdatasync,fsync,ftruncate,rename,unlink"
STEPS = Path(store_steps.__file__)
ENOUGH = 200


def attempts(step: str, mirror: Path, fault: str, calls: str, stride: int) -> Iterator[tuple[int, str]]:
    """Run a step again and again from the same state, the fault each time a few calls later.

    Yields exit status and stdout, and ends after the run that the fault did not reach.
    """
    before = mirror.with_name("before")
    shutil.copytree(mirror.parent, before, dirs_exist_ok=True, ignore=shutil.ignore_patterns("before"))
    files = [mirror.with_name(name) for name in ("mirror.db", ".mirror.db.new", "mirror.db.inbox")]
    files.append(mirror.with_name(".mirror.db.inbox.new"))
    paths = [word for file in files for end in ("", "-wal") for word in ("-P", f"{file}{end}")]
    for number in range(1, ENOUGH * stride, stride):
        for path in [path for path in mirror.parent.iterdir() if path.is_file()]:
            path.unlink()
        shutil.copytree(before, mirror.parent, dirs_exist_ok=True)
        done = subprocess.run(
            [
                "strace",
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                *paths,
                "-e",
                f"trace={calls}",
                "-e",
                f"inject={calls}:{fault}:when={number}",
                sys.executable,
                str(STEPS),
                step,
                str(mirror),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(STEPS.parents[2])},
        )
        yield done.returncode, done.stdout
        if done.returncode == 0 and "refused" not in done.stderr and number > 1 and _unreached(done, step):
            return
    raise AssertionError(f"{step} never got through")


def _unreached(done: subprocess.CompletedProcess[str], step: str) -> bool:
    return step not in ("push", "apply") or len(done.stdout.split()) == store_steps.PUSHES


def sound(mirror: Path) -> dict[str, int]:
    """Open it as rtsd does; what is in it, by kind."""

    async def look() -> dict[str, int]:
        async with opened(mirror) as (database, box):
            assert await database.fetch("PRAGMA integrity_check") == [("ok",)]
            assert await box.file.fetch("PRAGMA integrity_check") == [("ok",)]
            assert await box.file.fetch("PRAGMA user_version") == [(migrations.INBOX.latest,)]
            assert await database.fetch("PRAGMA user_version") == [(migrations.MIRROR.latest,)]
            ((entries,),) = await database.fetch("SELECT COUNT(*) FROM _rts_journal")
            ids = await box.file.fetch("SELECT webhook_id FROM _rts_push_id")
            return {"entries": entries, **{name: 1 for (name,) in ids}}

    return asyncio.run(look())


@pytest.mark.parametrize("begin", ["new", "old"])
def test_killed_while_migrating(begin: str, tmp_path: Path, measured: Callable[[str], None]) -> None:
    """The next start brings the tables up to date, from nothing or from version 1, and keeps what was."""
    mirror = tmp_path / "mirror.db"
    if begin == "old":
        store_steps.prepare_old(mirror)
    runs = 0
    for _ in attempts("migrate", mirror, "signal=KILL", WRITES, stride=3):
        assert sound(mirror)["entries"] == (1 if begin == "old" else 0)
        runs += 1
    measured(f"migration from {begin}: {runs} kills at every third write")


@pytest.mark.parametrize("fault", ["error=EIO", "error=ENOSPC"])
def test_a_first_start_on_a_failing_disk(fault: str, tmp_path: Path, measured: Callable[[str], None]) -> None:
    """Whatever write fails, no file gets its name before it is whole: the next start completes it."""
    mirror = tmp_path / "mirror.db"
    runs = 0
    for _ in attempts("migrate", mirror, fault, WRITES, stride=8):
        assert sound(mirror)["entries"] == 0
        runs += 1
    measured(f"first start, {fault}: {runs} fault points")


def test_killed_while_purging(tmp_path: Path, measured: Callable[[str], None]) -> None:
    """The journal is whole before or after each step of forgetting, and the next run forgets the rest."""
    mirror = tmp_path / "mirror.db"
    asyncio.run(store_steps.prepare(mirror))
    runs, last = 0, store_steps.ENTRIES
    for _ in attempts("purge", mirror, "signal=KILL", WRITES, stride=25):
        last = sound(mirror)["entries"]
        assert last % retention.AT_ONCE == 0
        runs += 1
    assert last == 0
    measured(f"purge: {runs} kills")


def test_killed_while_backing_up(tmp_path: Path) -> None:
    """The mirror is as it was; half a copy is swept away at the next start, and a whole one is whole."""
    mirror = tmp_path / "mirror.db"
    asyncio.run(store_steps.prepare(mirror))
    for delay in ("0.01", "0.03", "0.1", "0.2"):
        command = [sys.executable, str(STEPS), "backup", str(mirror)]
        environment = {**os.environ, "PYTHONPATH": str(STEPS.parents[2])}
        process = subprocess.Popen(command, env=environment)
        half = _wait_for_half(mirror, process)
        if half:
            try:
                process.wait(timeout=float(delay))
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
        assert sound(mirror)["entries"] == store_steps.ENTRIES
        backup.remove_leftovers(mirror)
        assert list(tmp_path.glob(".*backup*")) == []
        copied = tmp_path / "copy.db"
        if copied.exists():
            backup.check(copied)
            copied.unlink()


def test_killed_between_apply_and_settle(tmp_path: Path, measured: Callable[[str], None]) -> None:
    """Whichever write to either file is the last: every durable push is applied, and each once."""
    mirror = tmp_path / "mirror.db"
    asyncio.run(store_steps.prepare(mirror))
    runs = 0
    for _, out in attempts("apply", mirror, "signal=KILL", "pwrite64,fdatasync,ftruncate", stride=5):
        applied = applied_after_all(mirror)
        assert set(out.split()) <= set(applied), runs
        assert len(applied) == len(set(applied)), runs
        runs += 1
    measured(f"apply and settle: {runs} kills, every durable push applied once")


def applied_after_all(mirror: Path) -> list[str]:
    """Apply what waits; return the pushes that were applied, then or before."""

    async def rest() -> list[str]:
        async with opened(mirror) as (database, box):
            await store_steps.apply_waiting(database, box)
            rows = await database.fetch("SELECT message FROM _rts_journal WHERE message LIKE 'push-%'")
            return [message for (message,) in rows]

    return asyncio.run(rest())


def _wait_for_half(mirror: Path, process: subprocess.Popen[bytes]) -> bool:
    while process.poll() is None:
        if list(mirror.parent.glob(".*backup*")):
            return True
    return False


@pytest.mark.parametrize("fault", ["error=EIO", "error=ENOSPC", "signal=KILL"])
def test_every_write_that_fails(fault: str, tmp_path: Path, measured: Callable[[str], None]) -> None:
    """Whatever write or sync fails or is the last: every push that was called durable is there."""
    mirror = tmp_path / "mirror.db"
    asyncio.run(store_steps.prepare(mirror))
    runs = acked = 0
    for _, out in attempts("push", mirror, fault, "pwrite64,fdatasync,ftruncate", stride=4):
        durable = set(out.split())
        assert durable <= set(sound(mirror)), (fault, runs)
        runs, acked = runs + 1, acked + len(durable)
    measured(f"{fault}: {runs} fault points, {acked} pushes called durable, none lost")
    with closing(sqlite3.connect(f"file:{mirror}?mode=ro", uri=True)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
