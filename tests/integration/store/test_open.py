"""Opening the database: who may, and that a refusal changes no byte."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rtsd.errors import (
    AnotherInstance,
    CorruptDatabase,
    ForeignDatabase,
    NewerDatabase,
    RtsError,
    StorageUnwritable,
)
from rtsd.store import meta
from rtsd.store.database import Database
from rtsd.store.sqlite import files, migrations
from rtsd.store.sqlite.database import SqliteDatabase
from rtsd.store.sqlite.library import pysqlite3
from tests.support.mirror import sqlite_only

pytestmark = sqlite_only("how the file is opened")


def digests(directory: Path) -> dict[str, str]:
    """What is in a directory, but for the lock, empty for ever, and SQLite's scratch memory beside a WAL."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.iterdir()
        if not path.name.endswith((".lock", "-shm"))
    }


def file_modes(directory: Path) -> dict[str, int]:
    """Who may do what with the files in a directory."""
    return {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}


def foreign(path: Path) -> None:
    """Somebody else's database."""
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t (x)")
        other.execute("INSERT INTO t VALUES (1)")
    other.close()


def foreign_in_wal(path: Path) -> None:
    """Somebody else's database, with rows that are in its WAL only, as a crash leaves it."""
    code = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA journal_mode=WAL');"
        "c.execute('CREATE TABLE t (x)'); c.execute('INSERT INTO t VALUES (1)'); c.commit(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)


def newer(path: Path) -> None:
    """A database of a later rtsd."""
    with sqlite3.connect(path) as other:
        other.execute(f"PRAGMA application_id={files.MIRROR.application_id}")
        other.execute(f"PRAGMA user_version={migrations.MIRROR.latest + 1}")
        other.execute("CREATE TABLE _rts_meta (key, value)")
    other.close()


def text_file(path: Path) -> None:
    """No database at all."""
    path.write_text("Dear diary,\n" * 1_000)


def truncated_header(path: Path) -> None:
    """The beginning of a database."""
    path.write_bytes(b"SQLite format 3\0" + b"\0" * 40)


CASES: list[tuple[Callable[[Path], None], type[RtsError]]] = [
    (foreign, ForeignDatabase),
    (foreign_in_wal, ForeignDatabase),
    (newer, NewerDatabase),
    (text_file, CorruptDatabase),
    (truncated_header, CorruptDatabase),
]


@pytest.mark.parametrize(("make", "error"), CASES, ids=[make.__name__ for make, _ in CASES])
async def test_what_is_not_ours_is_refused_untouched(
    tmp_path: Path, make: Callable[[Path], None], error: type[RtsError]
) -> None:
    """Charter 11: a clear error, and every file beside and in it as it was."""
    path = tmp_path / "mirror.db"
    make(path)
    path.chmod(0o600)
    before = digests(tmp_path)
    with pytest.raises(error) as caught:
        await SqliteDatabase.open(path)
    assert digests(tmp_path) == before
    assert str(path) in caught.value.message
    assert caught.value.do
    os.close(os.open(path, os.O_RDWR))  # nobody holds it


async def test_a_database_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """It holds what the org calls confidential."""
    path = tmp_path / "mirror.db"
    async with await SqliteDatabase.open(path):
        pass
    path.chmod(0o640)
    before = digests(tmp_path)
    with pytest.raises(StorageUnwritable, match="can be read by others"):
        await SqliteDatabase.open(path)
    assert digests(tmp_path) == before


async def test_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    """The database, its WAL and its lock: 0600."""
    mask = os.umask(0)
    try:
        async with (
            await SqliteDatabase.open(tmp_path / "mirror.db") as database,
            database.transaction() as tx,
        ):
            await meta.put(tx, "a", "b")
            modes = file_modes(tmp_path)
    finally:
        os.umask(mask)
    assert {"mirror.db", "mirror.db-wal", "mirror.db.lock"} <= set(modes)
    assert set(modes.values()) == {0o600}


async def test_a_second_instance_is_turned_away(tmp_path: Path, database: Database) -> None:
    """Contract 1: exit 75, in the same process or another, and the first goes on."""
    with pytest.raises(AnotherInstance) as caught:
        await SqliteDatabase.open(Path(database.name))
    assert caught.value.exit_status == 75
    async with database.transaction() as tx:
        await meta.put(tx, "still", "here")
    assert await meta.get(database, "still") == "here"


def test_the_lock_goes_with_the_process(tmp_path: Path) -> None:
    """A killed owner leaves nothing that has to be cleaned up."""
    path = tmp_path / "mirror.db"
    code = (
        "import asyncio, os, sys; from pathlib import Path\n"
        "from rtsd.store.sqlite.database import SqliteDatabase\n"
        "async def main():\n"
        "    await SqliteDatabase.open(Path(sys.argv[1]))\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    asyncio.run(reopen(path))


async def reopen(path: Path) -> None:
    """Open and close."""
    async with await SqliteDatabase.open(path):
        pass


async def test_a_failed_opening_lets_the_lock_go(tmp_path: Path) -> None:
    """The operator moves the file away and starts again, without killing anything."""
    path = tmp_path / "mirror.db"
    foreign(path)
    path.chmod(0o600)
    with pytest.raises(ForeignDatabase):
        await SqliteDatabase.open(path)
    path.unlink()
    async with await SqliteDatabase.open(path):
        pass


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """It is not created: a typing mistake would put the mirror anywhere."""
    with pytest.raises(StorageUnwritable, match="does not exist"):
        await SqliteDatabase.open(tmp_path / "no" / "mirror.db")
    assert not (tmp_path / "no").exists()


async def test_a_directory_in_its_place_is_named(tmp_path: Path) -> None:
    """`[store] path` names a file."""
    (tmp_path / "mirror.db").mkdir(mode=0o700)
    with pytest.raises(StorageUnwritable):
        await SqliteDatabase.open(tmp_path / "mirror.db")


def test_a_read_only_directory_is_named(tmp_path: Path) -> None:
    """Checked as another user, where this one may write everywhere."""
    if os.geteuid() != 0:
        tmp_path.chmod(0o500)
    code = (
        "import asyncio, os, sys; from pathlib import Path\n"
        "from rtsd.store.sqlite.database import SqliteDatabase\n"
        "from rtsd.errors import StorageUnwritable\n"
        "if os.geteuid() == 0: os.seteuid(65534)\n"
        "try: asyncio.run(SqliteDatabase.open(Path(sys.argv[1])))\n"
        "except StorageUnwritable as error: print(error)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "mirror.db")], check=True, capture_output=True, text=True
    )
    tmp_path.chmod(0o700)
    assert str(tmp_path) in ran.stdout
    assert list(tmp_path.iterdir()) == []


async def test_migrations_run_once_and_are_counted(tmp_path: Path) -> None:
    """A second opening changes neither the schema nor the version."""

    async def schema() -> tuple[object, ...]:
        async with await SqliteDatabase.open(tmp_path / "mirror.db") as database:
            tables = await database.fetch("SELECT name, sql FROM sqlite_schema ORDER BY name")
            ((version,),) = await database.fetch("PRAGMA user_version")
            ((application,),) = await database.fetch("PRAGMA application_id")
            return tables, version, application

    first = await schema()
    assert first[1:] == (migrations.MIRROR.latest, files.MIRROR.application_id)
    assert await schema() == first


async def test_commits_survive_power_loss_by_configuration(database: Database) -> None:
    """Charter 2: WAL with synchronous=FULL; NORMAL would lose commits in a power cut."""
    async with database.transaction() as tx:
        assert await tx.fetch("PRAGMA journal_mode") == [("wal",)]
        assert await tx.fetch("PRAGMA synchronous") == [(2,)]


async def test_readers_cannot_write(database: Database) -> None:
    """Only `transaction` writes."""
    with pytest.raises(RtsError):
        await database.fetch("DELETE FROM _rts_meta")


async def test_what_a_kill_left_of_a_first_start_is_in_nobodys_way(tmp_path: Path) -> None:
    """Half a new database lies under another name, and is made again."""
    (tmp_path / ".mirror.db.new").write_bytes(b"SQLite format 3\0" + b"\0" * 4_080)
    (tmp_path / ".mirror.db.new-wal").write_bytes(b"half")
    async with await SqliteDatabase.open(tmp_path / "mirror.db") as database:
        assert await database.fetch("PRAGMA integrity_check") == [("ok",)]
    assert set(file_modes(tmp_path)) == {"mirror.db", "mirror.db.lock"}


async def test_the_wal_is_given_back_after_a_long_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Charter 22: a reader keeps the WAL from being reset; once it is gone, so is what the WAL grew to."""
    monkeypatch.setattr("rtsd.store.sqlite.files.WAL_KEPT", 1 << 20)
    async with await SqliteDatabase.open(tmp_path / "mirror.db") as database:
        reader = pysqlite3.connect(f"file:{tmp_path / 'mirror.db'}?mode=ro", uri=True)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM _rts_meta").fetchall()

        async def write(times: int) -> int:
            for number in range(times):  # equal values would not be written
                async with database.transaction() as tx:
                    value = f"{number % 10}" * 400_000
                    await tx.execute("INSERT OR REPLACE INTO _rts_meta VALUES ('x', ?)", (value,))
            return (tmp_path / "mirror.db-wal").stat().st_size

        grown = await write(40)
        assert grown > 10 << 20
        reader.close()
        assert await write(30) <= 6 << 20


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
async def test_the_journal_of_a_missing_mirror_is_not_replayed(tmp_path: Path, suffix: str) -> None:
    """SQLite would apply an earlier mirror's pages to the new one: refused, and nothing changed."""
    path = tmp_path / "mirror.db"
    left = tmp_path / f"mirror.db{suffix}"
    left.write_bytes(b"pages of an earlier mirror")
    before = digests(tmp_path)
    with pytest.raises(StorageUnwritable, match="earlier mirror") as caught:
        await SqliteDatabase.open(path)
    assert f"remove {path}-wal" in caught.value.do
    assert digests(tmp_path) == before
    left.write_bytes(b"")
    await (await SqliteDatabase.open(path)).close()
