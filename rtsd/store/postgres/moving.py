"""A PostgreSQL mirror as the two sides of a move."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import psycopg

from rtsd.errors import AnotherInstance, NotFound, StoreError
from rtsd.store import meta
from rtsd.store.database import Row
from rtsd.store.dialect import Dialect
from rtsd.store.moving.sides import MARK, STATE, Begin, Part, Source, Target, UnfitRow
from rtsd.store.postgres.database import PostgresDatabase, PostgresTx
from rtsd.store.postgres.dialect import Postgres
from rtsd.store.postgres.errors import store_error
from rtsd.store.postgres.lease import DEAD_AFTER_S
from rtsd.store.postgres.migrations import MIGRATIONS
from rtsd.store.postgres.server import Connection, Server, rows
from rtsd.store.postgres.sql import Translation
from rtsd.store.postgres.tables import Tables
from rtsd.store.schema import Table

_SNAPSHOT = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL idle_in_transaction_session_timeout = 0;"
    " SET LOCAL statement_timeout = 0"
)
_APPLICATION = "rtsd move"
_NUMBERED = (
    "SELECT c.relname::text, pg_get_serial_sequence(quote_ident(n.nspname) || '.' || quote_ident(c.relname),"
    " a.attname)::text FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid"
    " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE n.nspname = ($1)::text AND a.attidentity = 'd' AND NOT a.attisdropped"
)
"""The tables of a schema that number their rows, and the sequence of each."""
_ALIVE = "SELECT name FROM _rts_node WHERE seen_at > (?)::text::timestamptz ORDER BY name"
_NOT_STORED = re.compile(r"COPY \S+, line (\d+), column (\S+)")
"""Where COPY says which value it could not store."""


class PostgresSource(Source):
    """Both schemas as they were at one moment."""

    def __init__(
        self, server: Server, dialect: Postgres, internal_schema: str, connection: Connection
    ) -> None:
        self.name = server.name
        self.dialect: Dialect = dialect
        self._server = server
        self._internal = internal_schema
        self.connection = connection
        self._translate = Translation(internal_schema).translate
        self._began = ""

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query. Raises StoreError."""
        try:
            return await rows(self.connection, self._translate(sql), parameters)
        except psycopg.Error as error:
            raise store_error(error, self.name) from error

    def parts(self, table: str, keys: tuple[str, ...]) -> list[Part]:
        """The table itself."""
        return [Part(table, keys)]

    async def columns(self, table: str) -> list[str]:
        """The columns of a table in the internal schema."""
        found = await self.fetch(Postgres(self._internal).columns_of(table)[0], (self._internal, table))
        return [str(name) for name, _ in found]

    async def numbers(self) -> dict[str, int]:
        """What the sequences have given."""
        found = {}
        for table, sequence in await self.fetch(_NUMBERED, (self._internal,)):
            ((last,),) = await self.fetch("SELECT pg_sequence_last_value((?)::text::regclass)", (sequence,))
            if last:
                found[str(table)] = int(last)
        return found

    async def note_begin(self) -> None:
        """Refuse nodes that are alive, and remember the moment. Raises AnotherInstance."""
        ((moment, now),) = await self.fetch(
            f"SELECT (clock_timestamp() - interval '{DEAD_AFTER_S} s')::text, clock_timestamp()::text"
        )
        self._began = str(now)
        await self._require_no_node(self.connection, str(moment), "is running on")

    async def require_untouched(self) -> None:
        """Require that no node has run since: its pushes are not in the copy."""
        try:
            connection = await self._server.connect()
            try:
                await self._require_no_node(connection, self._began, "ran meanwhile on")
            finally:
                await connection.close()
        except psycopg.Error as error:
            raise store_error(error, self.name) from error

    async def _require_no_node(self, connection: Connection, since: str, does: str) -> None:
        nodes = await rows(connection, self._translate(_ALIVE), (since,))
        if nodes:
            names = ", ".join(str(name) for (name,) in nodes)
            raise AnotherInstance(
                f"rtsd {does} {self.name}: node {names}",
                f"stop it; a node that was killed counts as dead after {DEAD_AFTER_S} s; then move again",
            )


class PostgresTarget(Target):
    """Two schemas that were empty."""

    def __init__(self, server: Server, dialect: Postgres, internal_schema: str) -> None:
        self.name = server.name
        self.dialect: Dialect = dialect
        self._server = server
        self._postgres = dialect
        self._internal = internal_schema
        self._database = PostgresDatabase(server, dialect, internal_schema)

    async def put(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Add rows by COPY, in a transaction. Raises UnfitRow."""
        statement = self._database.translation.translate(f"COPY {table} ({', '.join(columns)}) FROM STDIN")
        try:
            async with self._database.transaction() as tx:
                connection = cast("PostgresTx", tx).connection
                async with connection.cursor() as cursor, cursor.copy(statement.encode()) as sink:
                    for row in rows:
                        await sink.write_row(row)
        except StoreError as error:
            found = _NOT_STORED.search(_context(error))
            if found is None:
                raise
            raise UnfitRow(int(found[1]) - 1, found[2].rstrip(":")) from error

    async def clear(self, table: str) -> None:
        """Empty the table."""
        await self.execute(f"DELETE FROM {table}")

    async def put_meta(self, pairs: Mapping[str, str]) -> None:
        """Add the pairs."""
        async with self._database.transaction() as tx:
            await tx.executemany(meta.PUT, [self.stored(pair) for pair in pairs.items()])

    async def execute(self, sql: str) -> None:
        """Run a statement in a transaction."""
        async with self._database.transaction() as tx:
            await tx.execute(sql)

    async def build_indexes(self, table: Table) -> None:
        """Build them."""
        await self._database.build_indexes(table)

    async def set_numbers(self, numbers: Mapping[str, int]) -> None:
        """Set the sequences."""
        async with self._database.transaction() as tx:
            for table, sequence in await tx.fetch(_NUMBERED, (self._internal,)):
                if number := numbers.get(str(table)):
                    await tx.fetch("SELECT setval((?)::text::regclass, ?)", (sequence, number))

    def stored(self, row: Row) -> Row:
        """The row without NUL, which no text of PostgreSQL can have; loads and pushes leave it out, too."""
        if any("\0" in value for value in row if type(value) is str):
            return tuple(value.replace("\0", "") if isinstance(value, str) else value for value in row)
        return tuple(row)

    @asynccontextmanager
    async def read_again(self) -> AsyncIterator[PostgresSource]:
        """Read both schemas through another connection."""
        async with _reading(self._server, self._postgres, self._internal) as source:
            yield source

    async def finish(self) -> None:
        """Remove the mark."""
        async with self._database.transaction() as tx:
            await meta.remove(tx, STATE)
            await meta.remove(tx, MARK)

    async def close(self) -> None:
        """Close the connections."""
        await self._database.close()


@asynccontextmanager
async def source(server: Server, dialect: Postgres, internal_schema: str) -> AsyncIterator[PostgresSource]:
    """Open the schemas to be moved. Raises StoreError, AnotherInstance while a node runs, NotFound."""
    async with _reading(server, dialect, internal_schema) as reading:
        version = await Tables(server, dialect.schema, internal_schema).version(reading.connection)
        if not version:
            raise NotFound(f"there is no mirror in {server.name}", "check [store] url and the schemas")
        if version < MIGRATIONS.latest:
            raise StoreError(
                f"{server.name} was written by an older rtsd (schema {version}, this one has"
                f" {MIGRATIONS.latest})",
                "let this rtsd start there once, stop it, then move again",
            )
        await reading.note_begin()
        yield reading


@asynccontextmanager
async def target(
    server: Server, dialect: Postgres, internal_schema: str, origin: str, *, begin: Begin
) -> AsyncIterator[PostgresTarget]:
    """Create the tables, marked as unfinished, or open those of an unfinished move again.

    Raises StoreError, or Conflict if there is a mirror.
    """
    tables = Tables(server, dialect.schema, internal_schema)
    async with server.connected(application=_APPLICATION) as connection:
        await server.require_usable(connection)
        if begin is Begin.RESUME:
            await tables.require_resumable(connection, origin)
        else:
            if begin is Begin.REPLACE:
                await tables.drop_unfinished(connection)
            await tables.create_marked(connection, origin)
    created = PostgresTarget(server, dialect, internal_schema)
    try:
        yield created
    finally:
        await created.close()


@asynccontextmanager
async def _reading(server: Server, dialect: Postgres, internal_schema: str) -> AsyncIterator[PostgresSource]:
    """Read both schemas as they are at one moment."""
    async with server.connected(application=_APPLICATION) as connection:
        try:
            await connection.execute(_SNAPSHOT)
        except psycopg.Error as error:
            raise store_error(error, server.name) from error
        yield PostgresSource(server, dialect, internal_schema, connection)


def _context(error: StoreError) -> str:
    """What PostgreSQL said of the place of an error."""
    cause = error.__cause__
    return (cause.diag.context or "") if isinstance(cause, psycopg.DataError) else ""
