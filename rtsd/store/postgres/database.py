"""An open PostgreSQL database: one connection writes, one reads, each made again when it breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, LiteralString

import psycopg

from rtsd.errors import LeaseLost, RtsError
from rtsd.store.database import Database, Row, Tx
from rtsd.store.dialect import Dialect
from rtsd.store.postgres import locks, views
from rtsd.store.postgres.dialect import Postgres
from rtsd.store.postgres.errors import store_error
from rtsd.store.postgres.lease import RowLease
from rtsd.store.postgres.loader import CopyLoader
from rtsd.store.postgres.server import Connection, Link, Server, rows
from rtsd.store.postgres.sql import Translation
from rtsd.store.postgres.vacuum import remove_former_rows
from rtsd.store.schema import Table

_BEGIN = "BEGIN; SET LOCAL synchronous_commit = on; SET LOCAL idle_in_transaction_session_timeout = '8s'"
"""A commit that was answered survives a crash, whatever the server's default; and a node that is frozen in a
transaction holds up nobody for long. Both are local, as a session may be PgBouncer's."""
_BEGIN_SHARED = f"{_BEGIN}; SET LOCAL lock_timeout = '2s'"
"""Where any node may write: a node that is frozen within a pipeline keeps its locks, and a push that it has
half stored comes again elsewhere. There it is refused, and does not hold up the others."""


_BEGIN_READING = "BEGIN READ ONLY; SET LOCAL cursor_tuple_fraction = 1.0"
"""All rows are read, so the plan is that for all of them, not for the first ones."""

_INDEXES = (
    "SELECT i.relname::text FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid"
    " WHERE x.indrelid = to_regclass((?)::text)"
)


class PostgresTx(Tx):
    """A write transaction."""

    refusals = (psycopg.DataError,)

    def __init__(self, connection: Connection, dialect: Dialect, translation: Translation) -> None:
        super().__init__(dialect, CopyLoader())
        self.connection = connection
        self._translate = translation.translate

    @asynccontextmanager
    async def altering(self, table: str) -> AsyncIterator[None]:
        """Wait for locks of others for a moment only: whoever comes later waits behind such a wait."""
        began = f"SAVEPOINT altering; SET LOCAL lock_timeout = '{locks.TIMEOUT}'"
        await self.connection.execute(began.encode())
        try:
            yield
        except psycopg.errors.LockNotAvailable as error:
            await self.execute("ROLLBACK TO SAVEPOINT altering")
            raise locks.table_locked(table, await self.fetch(locks.HOLDERS, (table,))) from error
        await self.connection.execute("SET LOCAL lock_timeout TO DEFAULT; RELEASE SAVEPOINT altering")

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement."""
        await rows(self.connection, self._translate(sql), parameters)

    async def executemany(self, sql: str, many: Iterable[Sequence[Any]]) -> int:
        """Run a statement for every row; return the total number of rows changed."""
        given = list(many)
        if not given:
            return 0
        async with self.connection.cursor(binary=True) as cursor:
            await cursor.executemany(self._translate(sql).encode(), given)
            return cursor.rowcount

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query inside the transaction."""
        return await rows(self.connection, self._translate(sql), parameters)


class Reader:
    """A connection that reads committed data, made again when it breaks."""

    def __init__(self, server: Server, dialect: Dialect, translation: Translation) -> None:
        self.dialect = dialect
        self._server = server
        self._translate = translation.translate
        self._link = Link(server)

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query. Raises StoreError."""
        translated = self._translate(sql)
        try:
            return await self._link.use(lambda connection: rows(connection, translated, parameters))
        except psycopg.Error as error:
            raise store_error(error, self._server.name) from error

    async def close(self) -> None:
        """Close the connection, once no query is under way."""
        await self._link.close()


class PostgresDatabase(Database):
    """The mirror, or the inbox, through a writer of its own."""

    errors = (psycopg.Error,)

    def __init__(
        self, server: Server, dialect: Postgres, internal_schema: str, lease: RowLease | None = None
    ) -> None:
        super().__init__(server.name, dialect)
        self.server = server
        self.translation = Translation(internal_schema)
        self._schemas = (dialect.schema, internal_schema)
        self._reader = Reader(server, dialect, self.translation)
        self._writer = Link(server)
        self._lease = lease
        """What transactions need; None where any node may write."""

    @property
    def is_guarded(self) -> bool:
        """Whether its transactions need the lease."""
        return self._lease is not None

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query on committed data, without waiting for writers. Raises StoreError."""
        return await self._reader.fetch(sql, parameters)

    @asynccontextmanager
    async def apart(self) -> AsyncIterator[Reader]:
        """Open a separate connection for long queries, which do not block other readers."""
        reader = Reader(self.server, self.dialect, self.translation)
        try:
            yield reader
        finally:
            await reader.close()

    async def stream(self, sql: str, at_once: int) -> AsyncGenerator[list[Row]]:
        """Yield the rows of a query through a cursor in a transaction."""
        declare = f"DECLARE export NO SCROLL CURSOR FOR {self.translation.translate(sql)}"
        async with self.server.connected(application="rtsd export") as connection:
            try:
                await connection.execute(_BEGIN_READING)
                await rows(connection, declare)
                while found := await rows(connection, f"FETCH {at_once} FROM export"):
                    yield found
            except psycopg.Error as error:
                raise store_error(error, self.server.name) from error

    async def build_indexes(self, table: Table) -> None:
        """Build the missing indexes one at a time; pushes wait in the inbox meanwhile."""
        wanted = {**table.indexes, **await views.indexes(self, table)}
        there = {name for (name,) in await self.fetch(_INDEXES, (table.sql_name,))}
        for name, statement in wanted.items():
            if name not in there:  # the statement would wait for locks even then
                async with self.transaction() as tx, tx.altering(table.sql_name):
                    await tx.execute(statement)

    async def faults(self) -> list[str]:
        """Return nothing: the server checks its pages itself, if it was made with data checksums."""
        return []

    async def erase_free_space(self) -> None:
        """Remove the former versions of rows, which no query can read from then on. Raises StoreError.

        Their bytes stay in the free space of pages until other rows need it, and in the WAL and its archive.
        """
        await remove_former_rows(self.server, self._schemas)

    async def close(self) -> None:
        """Close the connections, and give the lease back."""
        await self._reader.close()
        await self._writer.close()
        if self._lease is not None:
            await self._lease.release()

    async def _begin(self) -> PostgresTx:
        begin = _BEGIN_SHARED if self._lease is None else _BEGIN
        connection = await self._writer.use(partial(_begun, begin))
        tx = PostgresTx(connection, self.dialect, self.translation)
        if self._lease is not None and not await tx.fetch(self._lease.guard):
            raise LeaseLost(f"another node leads on {self.name} now", "rtsd starts again, and stands by")
        return tx

    async def _commit(self) -> None:
        if self._writer.connection is not None:
            await self._writer.connection.execute("COMMIT")

    async def _rollback(self) -> None:
        """Roll back, even if cancelled: what comes next on the connection waits for it."""
        if self._writer.connection is not None:
            await asyncio.shield(_rolled_back(self._writer.connection))

    def _translated(self, error: Exception) -> RtsError:
        return store_error(error, self.name)


async def _begun(begin: LiteralString, connection: Connection) -> Connection:
    await connection.execute(begin)
    return connection


async def _rolled_back(connection: Connection) -> None:
    """Roll back; a connection that cannot is closed, and the server rolls back.

    Nobody may close it while the statement is under way: the next connection would get the same descriptor,
    and lose its place in the event loop when the statement ends.
    """
    try:
        await connection.execute("ROLLBACK")
    except psycopg.Error:
        with suppress(psycopg.Error):
            await connection.close()
