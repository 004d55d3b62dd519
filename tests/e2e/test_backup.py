"""`rtsd backup` while pushes come, and the restore drill of docs/operations.md."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from tests.support.processes.barrage import OBJECT, Barrage
from tests.support.processes.command import rtsd
from tests.support.processes.daemon import Daemon
from tests.support.processes.rig import PII, Rig, standing

ENOUGH = 200
"""Answered pushes before the backup is asked for."""


def rows_of(path: Path, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
    """Query a backup as anybody would."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return database.execute(sql, parameters).fetchall()


def digest(path: Path) -> str:
    """Return a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def backup_under_fire(rig: Rig, barrage: Barrage, file: Path) -> dict[str, object]:
    """Make a backup while pushes come; it must hold every one that was answered before it began."""
    begun: list[asyncio.Task[tuple[int, str, str]]] = []
    before: set[str] = set()

    def begin() -> None:
        before.update(barrage.acked)
        begun.append(asyncio.create_task(rtsd("backup", str(file), "--json", "--socket", str(rig.socket))))

    await barrage.fire(
        begin, when=lambda: len(barrage.acked) >= ENOUGH, until=lambda: bool(begun) and begun[0].done()
    )
    status, out, err = await begun[0]
    assert (status, err) == (0, "")
    assert len(barrage.acked) > len(before), "nothing was pushed meanwhile"
    held = {row[0] for row in rows_of(file, "SELECT webhook_id FROM _rts_push_id")}
    assert before <= held
    told: dict[str, object] = json.loads(out)
    return told


async def test_a_backup_under_fire_restores(measured: Callable[[str], None]) -> None:
    """A copy made under pushes is whole and private, and a daemon started on it ends equal to the org."""
    async with standing({OBJECT: 200}, interval="1s", silence_after="1s") as rig:
        barrage = await Barrage.of(rig)
        daemon = await rig.start()
        await daemon.live()
        file = rig.place / "backup.db"
        told = await backup_under_fire(rig, barrage, file)
        assert told["sha256"] == digest(file)
        assert told["bytes"] == file.stat().st_size
        assert file.stat().st_mode & 0o777 == 0o600
        assert rows_of(file, "PRAGMA integrity_check") == [("ok",)]
        assert sorted(path.name for path in rig.place.glob("*backup*")) == ["backup.db"]
        assert list(rig.state.glob(".*backup*")) == []
        measured(f"{told['bytes']} bytes under fire in {told['seconds']} s")

        await _existing_files_are_safe(rig, file)
        await daemon.kill()
        for path in rig.state.iterdir():
            path.unlink()
        shutil.copy(file, rig.mirror)  # what docs/operations.md tells, with `install -m 600`
        restored = await (await rig.launch()).ready()
        await _restored(rig, restored)


async def _existing_files_are_safe(rig: Rig, file: Path) -> None:
    """A name that is taken is not taken over, unless asked for; and never that of a mirror in use."""
    before = digest(file)
    status, _, err = await rtsd("backup", str(file), "--socket", str(rig.socket))
    assert status == 2
    assert "--force" in err
    assert digest(file) == before
    status, _, err = await rtsd("backup", str(rig.mirror), "--force", "--socket", str(rig.socket))
    assert status == 2
    assert "in use" in err
    status, out, _ = await rtsd("backup", str(file), "--force", "--socket", str(rig.socket))
    assert status == 0
    assert "whole" in out


async def _restored(rig: Rig, daemon: Daemon) -> None:
    """What was pushed and never in the org goes by an audit; what is in the org is there again."""
    await daemon.settled()
    status, out, err = await rtsd("audit", OBJECT, "--full", "--accept-missing", "--socket", str(rig.socket))
    assert status == 0, out + err
    await rig.ends_equal()
    assert rig.read(f"SELECT COUNT(*) FROM {OBJECT} WHERE LastName LIKE ?", f"{PII}%")[0][0] == 0
    assert await daemon.terminate() == 0
