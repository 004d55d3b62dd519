"""Restarts of a daemon that is subscribed, and what they read."""

from __future__ import annotations

import shutil
from pathlib import Path

from rtsd.core.mode import Mode
from rtsd.daemon.stream import topic_of
from tests.support.inprocess.rig import Rig
from tests.support.waiting import eventually


async def lacks_nothing(rig: Rig) -> None:
    """Wait for real time, read every object, and wait until it is stored that nothing is missing."""
    await is_real_time(rig)
    await rig.parts.services.interval_sync.step()

    async def is_stored() -> bool:
        topic = topic_of(rig.parts.base.config)
        return await rig.parts.base.inbox.unbroken(topic) is not None

    await eventually(is_stored, "a position up to which nothing is missing")


async def is_real_time(rig: Rig) -> None:
    """Wait until the mode is; a package has to send a heartbeat for that."""
    if rig.parts.channel.package is not None:
        await rig.sim.control("package/heartbeat")

    async def shows() -> bool:
        await rig.settle()
        return rig.mode is Mode.REAL_TIME

    await eventually(shows, "real time")


async def edit(rig: Rig, title: str) -> None:
    """Change a contact."""
    record_id = await rig.a_record("Contact")
    await rig.dml("update", "Contact", rows=[{"Id": record_id, "Title": title}])


async def windows(rig: Rig) -> int:
    """How many windows the org has served: each asks it once for deletions."""
    return (await rig.calls()).get("deleted", 0)


async def decided(rig: Rig) -> bool:
    """Whether it is decided if windows are due."""
    await rig.settle()
    await rig.parts.services.interval_sync.step()
    return not rig.parts.channel.continuity.is_resuming


def backed_up(rig: Rig) -> Path:
    """Copy the mirror; return the copy."""
    copy = rig.place / "copy.db"
    shutil.copy(rig.place / "mirror.db", copy)
    return copy


def restore(rig: Rig, copy: Path) -> None:
    """Put a copy in the mirror's place, and leave the inbox as it is."""
    for left in (rig.place / "mirror.db-wal", rig.place / "mirror.db-shm"):
        left.unlink(missing_ok=True)
    shutil.copy(copy, rig.place / "mirror.db")
