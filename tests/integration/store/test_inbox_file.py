"""The inbox's file beside the mirror's: what a kill, a backup, an upgrade or a mistake leaves of the pair."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from rtsd.core.privacy import MaskedPush
from rtsd.errors import CorruptDatabase, ForeignDatabase, NewerDatabase, RtsError, StorageUnwritable
from rtsd.store import dead_letters, held
from rtsd.store.database import Database
from rtsd.store.engine import Progress
from rtsd.store.inbox import Arrival, Inbox
from rtsd.store.sqlite import backup, files, inbox_file, migrations
from rtsd.store.sqlite.database import SqliteDatabase
from rtsd.store.sqlite.library import pysqlite3
from tests.support.mirror import sqlite_only
from tests.support.store import opened

pytestmark = sqlite_only("the inbox in a file of its own")

AT = 1_772_359_200_000


async def append(box: Inbox, *names: str) -> list[bool]:
    """Put pushes into the inbox."""
    tasks = [asyncio.create_task(box.append(Arrival(name, AT, MaskedPush(name.encode())))) for name in names]
    await asyncio.sleep(0)
    await box.commit()
    return await asyncio.gather(*tasks)


async def apply(database: Database, box: Inbox, count: int) -> None:
    """Apply the oldest pushes of the inbox."""
    async with database.transaction() as tx:
        await box.mark_applied(tx, (await box.oldest())[:count])


async def waiting(database: Database, box: Inbox) -> list[str]:
    """The bodies that are to be applied, in that order."""
    return [entry.push.body.decode() for entry in [*await held.released(database), *await box.oldest()]]


def digests(directory: Path) -> dict[str, str]:
    """What is in a directory, but for empty files and SQLite's scratch memory beside a WAL."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.iterdir()
        if path.stat().st_size and not path.name.endswith("-shm")
    }


def remove(path: Path) -> None:
    """Remove a file that is closed."""
    path.unlink()


def put_back(copy: Path, path: Path) -> None:
    """Put a copy in the place of a file."""
    path.unlink()
    shutil.copy(copy, path)


async def test_what_is_applied_and_still_in_the_inbox_is_not_applied_again(path: Path) -> None:
    """Killed between the two transactions: the mirror says how far it came."""
    async with opened(path) as (database, box):
        await append(box, "a", "b", "c")
        await apply(database, box, 2)
        ((bodies,),) = await box.file.fetch("SELECT COUNT(*) FROM _rts_inbox")
        assert bodies == 3
    async with opened(path) as (database, box):
        assert await waiting(database, box) == ["c"]
        assert box.pending == 1
        ((bodies,),) = await box.file.fetch("SELECT COUNT(*) FROM _rts_inbox")
        assert bodies == 1
        assert await append(box, "a", "c", "d") == [False, False, True]
        assert await waiting(database, box) == ["c", "d"]


async def test_numbers_are_not_used_again_when_the_inbox_is_empty(path: Path) -> None:
    """The mirror would take a push with an old number for an applied one."""
    async with opened(path) as (database, box):
        await append(box, "a", "b")
        await apply(database, box, 2)
    async with opened(path) as (database, box):
        await append(box, "c")
        assert await waiting(database, box) == ["c"]
    remove(files.inbox_path(path))
    async with opened(path) as (database, box):
        assert await append(box, "d") == [True]
        assert await waiting(database, box) == ["d"]


async def test_an_older_mirror_beside_its_inbox_gets_what_it_lacks(path: Path, tmp_path: Path) -> None:
    """A copy of the mirror alone, put back: pushes that are in the inbox are applied, and numbers go on."""
    async with opened(path) as (database, box):
        await append(box, "a")
        await apply(database, box, 1)
    shutil.copy(path, tmp_path / "copy")
    async with opened(path) as (database, box):
        await append(box, "b", "c")
        await apply(database, box, 1)
        await box.step()
        await append(box, "d")
    put_back(tmp_path / "copy", path)
    async with opened(path) as (database, box):
        await append(box, "e")
        assert await waiting(database, box) == ["c", "d", "e"]


def newer(inbox: Path) -> None:
    """Of a later rtsd."""
    with closing(sqlite3.connect(inbox)) as other:
        other.execute(f"PRAGMA user_version={migrations.INBOX.latest + 1}")


def mirror_instead(inbox: Path) -> None:
    """A mirror where the inbox belongs."""
    shutil.copy(inbox.with_name("mirror.db"), inbox)


def text_file(inbox: Path) -> None:
    """No database at all."""
    inbox.write_text("Dear diary,\n" * 1_000)


def of_another_mirror(inbox: Path) -> None:
    """A file that rtsd made for another mirror."""
    shutil.copy(inbox.with_name("other.db.inbox"), inbox)


def readable(inbox: Path) -> None:
    """Its pushes are as confidential as the mirror."""
    inbox.chmod(0o640)


def wal_alone(inbox: Path) -> None:
    """The file is gone, and its WAL is there."""
    inbox.rename(inbox.with_name("elsewhere"))
    inbox.with_name(f"{inbox.name}-wal").write_bytes(b"pages of an earlier inbox")


CASES: list[tuple[Callable[[Path], None], type[RtsError]]] = [
    (newer, NewerDatabase),
    (mirror_instead, ForeignDatabase),
    (text_file, CorruptDatabase),
    (of_another_mirror, ForeignDatabase),
    (readable, StorageUnwritable),
    (wal_alone, StorageUnwritable),
]


@pytest.mark.parametrize(("damage", "error"), CASES, ids=[damage.__name__ for damage, _ in CASES])
async def test_an_inbox_that_does_not_belong_there_is_refused_untouched(
    path: Path, damage: Callable[[Path], None], error: type[RtsError]
) -> None:
    """As the mirror itself: a clear error, and nothing is changed."""
    for name in ("mirror.db", "other.db"):
        async with opened(path.with_name(name)) as (_, box):
            await append(box, name)
    inbox = files.inbox_path(path)
    damage(inbox)
    before = digests(path.parent)
    with pytest.raises(error) as caught:
        async with opened(path):
            pass
    assert digests(path.parent) == before
    assert str(inbox) in str(caught.value)
    assert caught.value.do


async def test_a_new_mirror_does_not_take_an_inbox_that_is_there(path: Path) -> None:
    """Its pushes were masked by the rules of a mirror that is gone."""
    async with opened(path) as (_, box):
        await append(box, "a")
    remove(path)
    before = digests(path.parent)
    with pytest.raises(StorageUnwritable, match=r"mirror\.db\.inbox of an earlier mirror") as caught:
        await SqliteDatabase.open(path)
    assert f"remove {path}.inbox" in caught.value.do
    assert digests(path.parent) == before


def version_8(path: Path, rows: Sequence[tuple[str, bytes | None, str | None]]) -> None:
    """A mirror of before, with pushes in its inbox: (id, body, held)."""
    path.touch(mode=0o600)
    with closing(pysqlite3.connect(path, isolation_level=None)) as old:
        old.execute("PRAGMA journal_mode=WAL")
        for number, script in migrations.MIRROR.scripts:
            if number <= 8:
                old.executescript(f"BEGIN; {script.read_text()}; PRAGMA user_version={number}; COMMIT")
        statement = "INSERT INTO _rts_inbox (webhook_id, received_at, body, held) VALUES (?, ?, ?, ?)"
        old.executemany(statement, [(name, AT, body, of) for name, body, of in rows])
        old.execute(
            "INSERT INTO _rts_dead_letter (id, at, reason, message, object, record, body)"
            " VALUES (7, '', 'BadValue', '', 'Contact', 'r1', x'')"
        )


OLD = (
    ("applied", None, None),
    ("divided", b"paused", "Contact"),
    ("held-2-Lead", b"not described", "Lead"),
    ("retry-7-1-x", b"retried", None),
    ("waits", b"waits", None),
)


async def test_the_pushes_of_an_earlier_version_are_kept(path: Path) -> None:
    """What waits is applied first and in order, what is held stays held, and each id is known."""
    version_8(path, OLD)
    async with opened(path) as (database, box):
        assert await append(box, *(name for name, _, _ in OLD), "new") == [False] * len(OLD) + [True]
        assert await waiting(database, box) == ["retried", "waits", "new"]
        assert (box.pending, database.counts.held) == (1, 4)
        assert await database.fetch("SELECT object FROM _rts_held WHERE object > '' ORDER BY seq") == [
            ("Contact",),
            ("Lead",),
        ]
        assert await database.fetch("SELECT * FROM _rts_push_id") == []
        async with database.transaction() as tx:
            assert await dead_letters.is_being_retried(tx, 7)
            await held.settle(tx, await held.released(database), ())
        assert await database.fetch("SELECT * FROM _rts_dead_letter") == []
    async with opened(path) as (database, box):
        assert await waiting(database, box) == ["new"]
        assert (box.pending, database.counts.held) == (1, 2)


async def test_an_upgrade_that_was_killed_goes_on(path: Path) -> None:
    """The ids are in the inbox already, and still in the mirror."""
    version_8(path, OLD)
    async with await SqliteDatabase.open(path) as database:
        ids = await database.fetch("SELECT webhook_id, received_at FROM _rts_push_id")
        await (await inbox_file.open_beside(database)).file.close()
        async with database.transaction() as tx:
            await tx.executemany("INSERT INTO _rts_push_id VALUES (?, ?)", ids)
    async with opened(path) as (database, box):
        assert await append(box, *(name for name, _, _ in OLD)) == [False] * len(OLD)
        assert await waiting(database, box) == ["retried", "waits"]


async def test_a_backup_is_one_file_with_what_waits(path: Path, tmp_path: Path) -> None:
    """Applied, held, waiting: each push is in the copy once, and each id is known where it is restored."""
    async with opened(path) as (database, box):
        await append(box, "a", "b", "c", "d")
        await apply(database, box, 1)
        entries = (await box.oldest())[:1]
        async with database.transaction() as tx:
            await held.hold(tx, entries[0], {"Contact": entries[0].push})
            await box.mark_applied(tx, entries)
        copied = await backup.copy(Path(database.name), Progress())
        backup.check(copied)
        await append(box, "later")
    there = tmp_path / "there"
    there.mkdir()
    restored = there / "mirror.db"
    shutil.copy(copied, restored)
    async with opened(restored) as (database, box):
        assert await waiting(database, box) == ["c", "d"]
        assert await append(box, "a", "b", "c", "d", "later") == [False] * 4 + [True]
        assert await waiting(database, box) == ["c", "d", "later"]
        assert database.counts.held == 3
    put_back(copied, path)  # beside the inbox that it was made with
    async with opened(path) as (database, box):
        assert await waiting(database, box) == ["c", "d", "later"]


async def test_an_inbox_is_emptied_into_the_mirror(path: Path) -> None:
    """For a change of privacy: what came first is applied first, and nothing is left behind."""
    async with opened(path) as (database, box):
        await append(box, "a", "b", "c")
        await apply(database, box, 1)
        await box.empty()
        assert await box.file.fetch("SELECT * FROM _rts_inbox") == []
    async with opened(path) as (database, box):
        await append(box, "d")
        assert await waiting(database, box) == ["b", "c", "d"]
