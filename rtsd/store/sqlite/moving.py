"""A SQLite mirror and its inbox as the two sides of a move."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

from rtsd.errors import Conflict, ForeignDatabase, NotFound, StoreError
from rtsd.store import meta
from rtsd.store.database import Row
from rtsd.store.dialect import Dialect
from rtsd.store.inbox import is_of_inbox
from rtsd.store.moving.sides import MARK, STATE, Begin, Part, Source, Target, require_same_origin
from rtsd.store.schema import Table
from rtsd.store.sqlite import files, inbox_file
from rtsd.store.sqlite.database import SqliteDatabase, uri_to_read
from rtsd.store.sqlite.dialect import SQLITE
from rtsd.store.sqlite.library import Error, aiosqlite, store_error

_IN_INBOX = frozenset({"_rts_inbox", "_rts_push_id"})
"""The tables that are in the file beside the mirror."""
_NUMBERED = "SELECT name, seq FROM sqlite_sequence WHERE name <> '_rts_journal'"
"""The numbers that SQLite has given. The journal's numbers follow its last entry, on both engines."""


class SqliteSource(Source):
    """A mirror and its inbox, read through one connection."""

    dialect: Dialect = SQLITE

    def __init__(
        self, path: Path, connection: aiosqlite.Connection, *, has_inbox: bool, applied: int
    ) -> None:
        self.name = str(path)
        self._connection = connection
        self._has_inbox = has_inbox
        self._applied = applied

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query. Raises StoreError."""
        try:
            return cast("list[Row]", list(await self._connection.execute_fetchall(sql, parameters)))
        except Error as error:
            raise store_error(error, self.name) from error

    def parts(self, table: str, keys: tuple[str, ...]) -> list[Part]:
        """Where the rows are: in the mirror, in the inbox, or ids of pushes in both, as after a backup."""
        if table == "_rts_meta":
            places = ["main._rts_meta", *(["inbox._rts_meta"] if self._has_inbox else [])]
            return [Part(place, keys) for place in places]
        if table == "_rts_inbox":
            waiting = Part("inbox._rts_inbox", keys, f"seq > {self._applied}")
            return [waiting] if self._has_inbox else []
        if table == "_rts_push_id" and self._has_inbox:
            known = "webhook_id NOT IN (SELECT webhook_id FROM inbox._rts_push_id)"
            return [Part("main._rts_push_id", keys, known), Part("inbox._rts_push_id", keys)]
        return [Part(f"main.{table}", keys)]

    async def columns(self, table: str) -> list[str]:
        """The columns; a table of the inbox has them without one, too."""
        if table == "_rts_inbox":
            return ["seq", "webhook_id", "received_at", "body"]
        return [str(name) for (name,) in await self.fetch("SELECT name FROM pragma_table_info(?)", (table,))]

    async def numbers(self) -> dict[str, int]:
        """The highest numbers; those of the inbox that were applied count, too."""
        found = {str(name): int(number) for name, number in await self.fetch(_NUMBERED)}
        ((held,),) = await self.fetch("SELECT COALESCE(MAX(seq), 0) FROM _rts_held")
        found["_rts_held"] = int(held)
        found["_rts_inbox"] = self._applied
        if self._has_inbox:
            ((last,),) = await self.fetch("SELECT COALESCE(MAX(seq), 0) FROM inbox._rts_inbox")
            found["_rts_inbox"] = max(self._applied, int(last))
        return {table: number for table, number in found.items() if number}

    async def require_untouched(self) -> None:
        """Require nothing: the lock keeps every other rtsd out."""


class SqliteTarget(Target):
    """New files."""

    dialect: Dialect = SQLITE

    def __init__(self, path: Path, mirror: SqliteDatabase, inbox: SqliteDatabase) -> None:
        self.name = str(path)
        self._path = path
        self._mirror = mirror
        self._inbox = inbox

    async def put(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Add rows in a transaction."""
        file = self._inbox if table in _IN_INBOX else self._mirror
        marks = ", ".join("?" * len(columns))
        async with file.transaction() as tx:
            await tx.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)

    async def clear(self, table: str) -> None:
        """Empty the table, in the file that it is in."""
        async with (self._inbox if table in _IN_INBOX else self._mirror).transaction() as tx:
            await tx.execute(f"DELETE FROM {table}")

    async def put_meta(self, pairs: Mapping[str, str]) -> None:
        """Add the pairs to the file that they belong to."""
        for file, of_inbox in ((self._mirror, False), (self._inbox, True)):
            async with file.transaction() as tx:
                own = [pair for pair in pairs.items() if is_of_inbox(pair[0]) == of_inbox]
                await tx.executemany(meta.PUT, own)

    async def execute(self, sql: str) -> None:
        """Run a statement in a transaction."""
        async with self._mirror.transaction() as tx:
            await tx.execute(sql)

    async def build_indexes(self, table: Table) -> None:
        """Build them as after a load."""
        await self._mirror.build_indexes(table)

    async def set_numbers(self, numbers: Mapping[str, int]) -> None:
        """Set AUTOINCREMENT's numbers, and the last push that counts as applied."""
        ((oldest,),) = await self._inbox.fetch("SELECT MIN(seq) FROM _rts_inbox")
        applied = numbers.get("_rts_inbox", 0) if oldest is None else oldest - 1
        async with self._mirror.transaction() as tx:
            numbered = await tx.fetch("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'")
            for (table,) in numbered:
                if number := numbers.get(table):
                    await tx.execute("DELETE FROM sqlite_sequence WHERE name=?", (table,))
                    await tx.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, number))
            await meta.put(tx, inbox_file.APPLIED, str(applied))

    def stored(self, row: Row) -> Row:
        """The row; a column of SQLite keeps no sign of zero."""
        if any(type(value) is float and not value for value in row):
            return tuple(0.0 if type(value) is float and not value else value for value in row)
        return tuple(row)

    @asynccontextmanager
    async def read_again(self) -> AsyncIterator[SqliteSource]:
        """Read both files through another connection."""
        async with _reading(self._path) as source:
            yield source

    async def finish(self) -> None:
        """Remove the mark."""
        async with self._mirror.transaction() as tx:
            await meta.remove(tx, STATE)
            await meta.remove(tx, MARK)


@asynccontextmanager
async def source(path: Path) -> AsyncIterator[SqliteSource]:
    """Open the files at `path` to be moved. Raises StoreError, AnotherInstance while rtsd runs, NotFound."""
    if not files.exists(path, files.MIRROR):
        raise NotFound(f"there is no mirror at {path}", "check [store] path")
    lock = files.lock(path)
    try:
        files.exists(files.inbox_path(path), files.INBOX)  # checked before it is open: see `indexes`
        async with _reading(path) as reading:
            yield reading
    finally:
        os.close(lock)


@asynccontextmanager
async def target(path: Path, origin: str, begin: Begin) -> AsyncIterator[SqliteTarget]:
    """Create the files at `path`, marked as unfinished, or open those of an unfinished move again.

    Raises StoreError, and Conflict beside a mirror.
    """
    files.require_directory(path.parent)
    lock = files.lock(path)
    try:
        left = None if begin is Begin.REFUSE else files.unfinished(path)
        if begin is Begin.RESUME:
            require_same_origin(str(path), left, origin)
        elif left is not None:
            files.remove(path)
        if left is None or begin is Begin.REPLACE:
            await _create(path, origin)
        async with AsyncExitStack() as stack:
            mirror = await stack.enter_async_context(await SqliteDatabase.connected(path, files.MIRROR))
            inbox_path = files.inbox_path(path)
            if not files.exists(inbox_path, files.INBOX):
                await inbox_file.pair(mirror)
                mark = await meta.get(mirror, inbox_file.PAIR)
                await files.create(inbox_path, files.INBOX, first=(meta.PUT, (inbox_file.PAIR, mark)))
            inbox = await stack.enter_async_context(await SqliteDatabase.connected(inbox_path, files.INBOX))
            yield SqliteTarget(path, mirror, inbox)
    finally:
        os.close(lock)


async def _create(path: Path, origin: str) -> None:
    """Create the mirror's file, marked as unfinished. Raises StoreError, and Conflict beside a mirror."""
    if files.exists(path, files.MIRROR):
        raise Conflict(f"{path} is a mirror already", "nothing was changed; name a file that is not there")
    files.require_no_leftovers(path)
    await files.create(path, files.MIRROR, first=(meta.PUT, (MARK, origin)))


@asynccontextmanager
async def _reading(path: Path) -> AsyncIterator[SqliteSource]:
    """Read both files as they are at one moment."""
    inbox_path = files.inbox_path(path)
    has_inbox = inbox_path.exists() and inbox_path.stat().st_size > 0
    try:
        connection = await aiosqlite.connect(uri_to_read(path), uri=True, isolation_level=None)
    except Error as error:
        raise store_error(error, str(path)) from error
    try:
        if has_inbox:
            await connection.execute("ATTACH ? AS inbox", (uri_to_read(inbox_path),))
        await connection.execute("BEGIN")
        await _require_latest(connection, path, "main", files.MIRROR)
        if has_inbox:
            await _require_latest(connection, inbox_path, "inbox", files.INBOX)
            await _require_pair(connection, path)
        ((applied,),) = await connection.execute_fetchall(inbox_file.SELECT_APPLIED)
        yield SqliteSource(path, connection, has_inbox=has_inbox, applied=int(applied))
    except Error as error:
        raise store_error(error, str(path)) from error
    finally:
        await connection.close()


async def _require_latest(
    connection: aiosqlite.Connection, path: Path, schema: str, written_as: files.Format
) -> None:
    """Require the version of this rtsd: to migrate a source would change it."""
    ((version,),) = await connection.execute_fetchall(f"PRAGMA {schema}.user_version")
    if version < written_as.migrations.latest:
        raise StoreError(
            f"{path} was written by an older rtsd (schema {version}, this one has"
            f" {written_as.migrations.latest})",
            "let this rtsd start there once, stop it, then move again",
        )


async def _require_pair(connection: aiosqlite.Connection, path: Path) -> None:
    marks = f"SELECT value FROM {{}}._rts_meta WHERE key='{inbox_file.PAIR}'"
    found = [list(await connection.execute_fetchall(marks.format(name))) for name in ("main", "inbox")]
    if found[0] != found[1]:
        raise ForeignDatabase(
            f"{files.inbox_path(path)} is the inbox of another mirror than {path}", "put the right one there"
        )
