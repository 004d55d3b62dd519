"""rtsd's own tables and the two schemas: created, or migrated, at the start."""

from __future__ import annotations

import re

import psycopg

from rtsd.errors import Conflict, ForeignDatabase, NewerDatabase, StorageUnwritable
from rtsd.store import meta
from rtsd.store.dialect import quoted
from rtsd.store.moving.sides import MARK, MARKED, require_same_origin, unfinished_move
from rtsd.store.postgres import locks
from rtsd.store.postgres.errors import first_line, store_error
from rtsd.store.postgres.migrations import MIGRATIONS
from rtsd.store.postgres.names import name_of
from rtsd.store.postgres.server import Connection, Server, rows
from rtsd.store.postgres.sql import Translation

_LOCK = 0x52545344
"""Key of the lock that one starting node holds while others wait; it ends with the transaction."""
_VERSION = "schema version"


class Tables:
    """The tables in two schemas of a server's database."""

    def __init__(self, server: Server, schema: str, internal_schema: str) -> None:
        self._server = server
        self._schema = schema
        self._internal = internal_schema
        self._translate = Translation(internal_schema).translate

    async def version(self, connection: Connection) -> int:
        """Return the version of the tables, 0 if there are none. Raises ForeignDatabase or NewerDatabase."""
        if not await self._exist(connection):
            for schema in (self._internal, self._schema):
                await self._require_empty(connection, schema)
            return 0
        version = await self._stored_version(connection)
        if (origin := await self.unfinished(connection)) is not None:
            raise unfinished_move(self._server.name, origin, f"run: {self._dropping}")
        if version > MIGRATIONS.latest:
            raise NewerDatabase(
                f"{self._server.name} was written by a newer rtsd"
                f" (schema {version}, this one supports {MIGRATIONS.latest})",
                "nothing was changed; run the newer version, or name other schemas",
            )
        return version

    async def _stored_version(self, connection: Connection) -> int:
        select = self._translate("SELECT COALESCE(MAX(value), '0') FROM _rts_meta WHERE key = ?")
        return int(str(await self._ask(connection, select, _VERSION)))

    async def require_resumable(self, connection: Connection, origin: str) -> None:
        """Require an unfinished move from `origin`, begun by this version of rtsd. Raises Conflict."""
        require_same_origin(self._server.name, await self.unfinished(connection), origin)
        if await self._stored_version(connection) != MIGRATIONS.latest:
            raise Conflict(
                f"the unfinished move in {self._server.name} was begun by another version of rtsd",
                "begin again with rtsd move --replace",
            )

    async def unfinished(self, connection: Connection) -> str | None:
        """Return where an unfinished move to here came from; None if there is none."""
        if not await self._exist(connection):
            return None
        found = await rows(connection, self._translate(MARKED))
        return str(found[0][0]) if found else None

    async def drop_unfinished(self, connection: Connection) -> None:
        """Drop the tables that an unfinished move has made, and nothing else. Raises StoreError."""
        try:
            await connection.execute("BEGIN")
            try:
                await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
                if await self.unfinished(connection) is not None:
                    await self._drop(connection)
                await connection.execute("COMMIT")
            except BaseException:
                await connection.execute("ROLLBACK")
                raise
        except psycopg.Error as error:
            raise store_error(error, self._server.name) from error

    async def _drop(self, connection: Connection) -> None:
        """Drop the tables of the move's objects, and rtsd's own; something that depends on them refuses."""
        own = "SELECT tablename::text FROM pg_tables WHERE schemaname = $1 AND tablename LIKE '\\_rts\\_%'"
        names = await rows(connection, self._translate("SELECT name FROM _rts_object"))
        found = [(self._schema, name_of(str(name))) for (name,) in names]
        found += [(self._internal, str(name)) for (name,) in await rows(connection, own, (self._internal,))]
        for schema, name in found:
            await connection.execute(f"DROP TABLE IF EXISTS {quoted(schema)}.{quoted(name)}".encode())

    async def _exist(self, connection: Connection) -> bool:
        place = f"{quoted(self._internal)}._rts_meta"
        return bool(await self._ask(connection, "SELECT to_regclass($1) IS NOT NULL", place))

    async def create_marked(self, connection: Connection, origin: str) -> None:
        """Create the tables, marked as an unfinished move from `origin`. Raises Conflict if they exist."""
        await self.migrate(connection, origin=origin)

    async def migrate(self, connection: Connection, *, origin: str = "") -> None:
        """Create or migrate the tables, all or nothing; nodes that start together take turns.

        With `origin` they must not exist, and are marked as an unfinished move from there. Raises StoreError,
        TableLocked if others use tables that change.
        """
        try:
            await connection.execute("BEGIN")
            try:
                await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
                await connection.execute(f"SET LOCAL lock_timeout = '{locks.TIMEOUT}'".encode())
                version = await self.version(connection)
                if origin:
                    self._require_none(version)
                for schema in (self._schema, self._internal):
                    await self._create(connection, schema)
                for _, script in MIGRATIONS.after(version):
                    await connection.execute(self._named(script).encode())
                await self._put(connection, _VERSION, str(MIGRATIONS.latest))
                if origin:
                    await self._put(connection, MARK, origin)
                await connection.execute("COMMIT")
            except BaseException:
                await connection.execute("ROLLBACK")
                raise
        except psycopg.errors.LockNotAvailable as error:
            holders = await rows(connection, locks.HOLDERS_IN_SCHEMA, (self._internal,))
            raise locks.table_locked(f"the schema {self._internal}", holders) from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise StorageUnwritable(
                f"{self._server.name}: {first_line(error)}",
                "let somebody with more rights run:"
                f" CREATE SCHEMA {quoted(self._schema)} AUTHORIZATION <user>;"
                f" CREATE SCHEMA {quoted(self._internal)} AUTHORIZATION <user>",
            ) from error
        except psycopg.Error as error:
            raise store_error(error, self._server.name) from error

    def _require_none(self, version: int) -> None:
        if version:
            raise Conflict(
                f"{self._server.name} has a mirror already in the schemas {self._schema} and"
                f" {self._internal}",
                "nothing was changed; name other schemas, or another database",
            )

    def _named(self, script: str) -> str:
        """Return a script whose tables have their schema."""
        return self._translate(re.sub(r"--[^\n]*", "", script))

    async def _create(self, connection: Connection, schema: str) -> None:
        if not await self._ask(connection, "SELECT count(*) FROM pg_namespace WHERE nspname = $1", schema):
            await connection.execute(f"CREATE SCHEMA {quoted(schema)}".encode())

    async def _require_empty(self, connection: Connection, schema: str) -> None:
        tables = await self._ask(
            connection,
            "SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
            schema,
        )
        if tables:
            raise ForeignDatabase(
                f"the schema {schema} of {self._server.name} has tables or views that rtsd did not create",
                "nothing was changed; name another schema in [store] schema or internal_schema",
            )

    @property
    def _dropping(self) -> str:
        return "; ".join(f"DROP SCHEMA {quoted(name)} CASCADE" for name in (self._schema, self._internal))

    async def _put(self, connection: Connection, key: str, value: str) -> None:
        await connection.execute(self._translate(meta.PUT).encode(), (key, value))

    async def _ask(self, connection: Connection, sql: str, *parameters: object) -> object:
        ((answer,),) = await rows(connection, sql, parameters)
        return answer
