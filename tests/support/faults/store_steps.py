"""One step of the store as a process, to be killed in: `python store_steps.py STEP PATH`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from rtsd.core.privacy import MaskedPush
from rtsd.errors import CannotCommit, StoreError
from rtsd.services import repeat
from rtsd.store import retention
from rtsd.store.database import Database
from rtsd.store.engine import Progress
from rtsd.store.inbox import Arrival, Inbox
from rtsd.store.sqlite import backup, migrations
from rtsd.store.sqlite.database import SqliteDatabase
from rtsd.store.sqlite.library import pysqlite3
from tests.support.store import opened

PUSHES = 6
ENTRIES = 3_000
_AN_ENTRY = "INSERT INTO _rts_journal (at, type, message) VALUES (?, 'mode', ?)"


async def prepare(path: Path) -> None:
    """A mirror with a journal to purge."""
    async with await SqliteDatabase.open(path) as database, database.transaction() as tx:
        rows = [(f"2026-01-01T00:00:{number % 60:02}.000Z", "x" * 200) for number in range(ENTRIES)]
        await tx.executemany(_AN_ENTRY, rows)


def prepare_old(path: Path) -> None:
    """A mirror of the first version, with an entry in it."""
    path.touch(mode=0o600)
    old = pysqlite3.connect(path, isolation_level=None)
    old.execute("PRAGMA journal_mode=WAL")
    first = next(script for number, script in migrations.MIRROR.scripts if number == 1)
    old.executescript(f"BEGIN; {first.read_text()}; PRAGMA user_version=1; COMMIT")
    old.execute(_AN_ENTRY, ("2026-01-01T00:00:00.000Z", "kept"))
    old.close()


async def push(path: Path) -> None:
    """Take pushes; print the id of each once it is durable."""
    async with opened(path) as (_, inbox):
        running = asyncio.create_task(repeat(inbox, inbox.step))
        for number in range(PUSHES):
            try:
                await inbox.append(Arrival(f"push-{number}", 0, MaskedPush(b"{}" * 3_000)))
            except CannotCommit:
                continue
            print(f"push-{number}", flush=True)  # noqa: T201 - the test reads it
        running.cancel()


async def apply_waiting(database: Database, inbox: Inbox) -> None:
    """Apply what waits, a push at a time: an entry of the journal tells of each."""
    while entries := (await inbox.oldest())[:1]:
        async with database.transaction() as tx:
            await tx.execute(_AN_ENTRY, ("2026-01-01T00:00:00.000Z", entries[0].webhook_id))
            await inbox.mark_applied(tx, entries)


async def push_and_apply(path: Path) -> None:
    """Take pushes, print the id of each once it is durable, apply them, and settle the inbox."""
    async with opened(path) as (database, inbox):
        for number in range(PUSHES):
            waiting = asyncio.create_task(
                inbox.append(Arrival(f"push-{number}", 0, MaskedPush(b"{}" * 3_000)))
            )
            await asyncio.sleep(0)
            await inbox.commit()
            await waiting
            print(f"push-{number}", flush=True)  # noqa: T201 - the test reads it
            if number % 3 != 1:
                await apply_waiting(database, inbox)
            if number % 2:
                await inbox.step()


async def run(step: str, path: Path) -> None:
    """Do one step."""
    if step == "push":
        await push(path)
        return
    if step == "apply":
        await push_and_apply(path)
        return
    async with opened(path) as (database, _):
        if step == "backup":
            copied = await backup.copy(path, Progress())
            copied.rename(path.with_name("copy.db"))
        elif step == "purge":
            while await retention.forget_journal(database, 1_800_000_000_000):
                pass


if __name__ == "__main__":
    try:
        asyncio.run(run(sys.argv[1], Path(sys.argv[2])))
    except StoreError as error:
        sys.exit(f"refused: {error}")
