"""PostgreSQL as the engine of a mirror."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import psycopg
import structlog

from rtsd.core.layout import Layout
from rtsd.errors import Conflict, TableLocked
from rtsd.store import views
from rtsd.store.counts import restore
from rtsd.store.database import Database, Queries
from rtsd.store.engine import Engine, Progress
from rtsd.store.moving.sides import Begin, Source, Target
from rtsd.store.outage import Outage
from rtsd.store.postgres import moving
from rtsd.store.postgres.answers import PostgresAnswers
from rtsd.store.postgres.database import PostgresDatabase, Reader
from rtsd.store.postgres.dialect import Postgres
from rtsd.store.postgres.errors import first_line
from rtsd.store.postgres.inbox_table import InboxTable
from rtsd.store.postgres.lease import RowLease
from rtsd.store.postgres.server import Connection, Server
from rtsd.store.postgres.sql import Translation
from rtsd.store.postgres.tables import Tables

log = structlog.get_logger("rtsd.store")

RETRY_S = 1.0
LOCKED_RETRY_S = 10.0
"""Seconds between two tries to change tables that others use, each of which holds others up for 2 s."""


class PostgresEngine(Engine):
    """The mirror in two schemas of a database."""

    kind = "postgresql"

    def __init__(
        self,
        server: Server,
        *,
        schema: str,
        internal_schema: str,
        node: str,
        settings: Mapping[str, str],
        state: Path,
    ) -> None:
        """`settings` has a digest of each part of the configuration in which nodes should not differ."""
        self._server = server
        self._dialect = Postgres(schema)
        self._internal = internal_schema
        self._tables = Tables(server, schema, internal_schema)
        self._state = state
        self._lease = RowLease(server, internal_schema, node, settings)

    @property
    def name(self) -> str:
        """The URL, without the password."""
        return self._server.name

    async def size(self, database: Database) -> int:
        """The tables in both schemas, with their indexes."""
        ((size,),) = await database.fetch(
            "SELECT COALESCE(SUM(pg_total_relation_size(c.oid)), 0) FROM pg_catalog.pg_class AS c"
            " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE n.nspname IN (?, ?) AND c.relkind IN ('r', 'm')",
            (self._dialect.schema, self._internal),
        )
        return int(size)

    async def exists(self) -> bool:
        """Whether rtsd's tables are there; waits for the server. Raises StoreError."""
        async with self._patiently_connected() as connection:
            return await self._tables.version(connection) > 0

    async def check(self, layouts: Mapping[Layout, str], names: Sequence[str]) -> None:
        """Require a server that lets rtsd in, with no newer tables, and none of others where its own come."""
        async with self._server.connected() as connection:
            await self._server.require_usable(connection)
            await self._tables.version(connection)
        reader = Reader(self._server, self._dialect, Translation(self._internal))
        try:
            await views.require_free(reader, layouts, names)
        finally:
            await reader.close()

    async def open(self) -> PostgresDatabase:
        """Create or migrate the tables, take the lease, and connect; waits for the server and the lease."""
        await self._migrate()
        if not await self._lease.join():
            await self._lease.acquire()
        opened = PostgresDatabase(self._server, self._dialect, self._internal, self._lease)
        opened.counts = await restore(opened.fetch)
        return opened

    async def open_shared(self) -> PostgresDatabase:
        """Create or migrate the tables, and connect without the lease; waits for the server."""
        await self._migrate()
        return self._database()

    async def open_inbox(self, mirror: Database) -> InboxTable:
        """Open the inbox, with a writer of its own."""
        file = self._database()
        self._lease.watch(mirror, file)
        applies = isinstance(mirror, PostgresDatabase) and mirror.is_guarded
        return InboxTable(file, mirror, self._lease, applies=applies)

    @asynccontextmanager
    async def peek(self) -> AsyncIterator[Queries | None]:
        """Read the mirror, if there is one. Raises StoreError, also if the server does not answer."""
        async with self._server.connected() as connection:
            exists = await self._tables.version(connection) > 0
        if not exists:
            yield None
            return
        reader = Reader(self._server, self._dialect, Translation(self._internal))
        try:
            yield reader
        finally:
            await reader.close()

    def answers(self) -> PostgresAnswers:
        """Return what runs queries, in read-only transactions."""
        return PostgresAnswers(self._server, self._dialect.schema, self._internal)

    async def copy(self, progress: Progress) -> Path:
        """Refuse: PostgreSQL has tools of its own for this."""
        del progress
        raise Conflict(
            f"the mirror is in PostgreSQL, which has its own backups: {self.name}",
            f"Use pg_dump --schema={self._dialect.schema} --schema={self._internal}, or your base backups.",
        )

    def as_source(self) -> AbstractAsyncContextManager[Source]:
        """Read both schemas."""
        return moving.source(self._server, self._dialect, self._internal)

    def as_target(self, origin: str, begin: Begin = Begin.REFUSE) -> AbstractAsyncContextManager[Target]:
        """Create the tables in both schemas, or open them again."""
        return moving.target(self._server, self._dialect, self._internal, origin, begin=begin)

    @property
    def key_file(self) -> Path:
        """The file in the state directory."""
        return self._state / "certificates.key"

    @property
    def lease(self) -> RowLease:
        """The lease that the open mirror's transactions need."""
        return self._lease

    @property
    def outage(self) -> Outage:
        """Whether the server answers."""
        return self._server.outage

    def sizes(self) -> Iterator[tuple[str, str, float]]:
        """Yield nothing: the database server has metrics of its own."""
        return iter(())

    async def _migrate(self) -> None:
        """Create or migrate the tables; waits until nobody uses those that change."""
        while True:
            async with self._patiently_connected() as connection:
                try:
                    return await self._tables.migrate(connection)
                except TableLocked as error:
                    log.warning("waiting for a lock", message=str(error))
            await asyncio.sleep(LOCKED_RETRY_S)

    def _database(self) -> PostgresDatabase:
        return PostgresDatabase(self._server, self._dialect, self._internal)

    @asynccontextmanager
    async def _patiently_connected(self) -> AsyncIterator[Connection]:
        """Connect for a block, to a server that is waited for if it cannot be reached. Raises StoreError."""
        connection = await self._awaited()
        try:
            await self._server.require_usable(connection)
            self._server.outage.ended()
            yield connection
        finally:
            await connection.close()

    async def _awaited(self) -> Connection:
        """Connect; wait for a server that cannot be reached yet. Raises StoreError if that won't help."""
        said = ""
        while True:
            try:
                return await self._server.connect()
            except psycopg.Error as error:
                if refusal := self._server.refusal(error):
                    raise refusal from error
                self._server.outage.began(reason := first_line(error))
                if reason != said:
                    log.warning("waiting for the database", database=self.name, reason=reason)
                    said = reason
                await asyncio.sleep(RETRY_S)
