"""The server that `[store] url` names: how to connect to it, and whether it can have a mirror."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psycopg
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rtsd.errors import ConfigError, RtsError, StorageUnwritable, StoreError
from rtsd.store.database import Row
from rtsd.store.outage import Outage
from rtsd.store.postgres import adapters
from rtsd.store.postgres.errors import BROKEN, first_line, store_error

Connection = AsyncConnection[Row]
T = TypeVar("T")

CONNECT_TIMEOUT_S = 5
OLDEST = 13_00_00
"""The oldest supported version, as `server_version_num` has it."""
_SETTINGS: dict[str, str | int] = {
    # an unreachable server is noticed within 10 s, whether something was sent to it or an answer is awaited
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives_idle": 3,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 8_000,
    "application_name": "rtsd",
}
_REFUSED = ("28", "3D", "42501")
"""Codes of a wrong password or user, a missing database and missing rights."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect: a conninfo with the password, and a name without."""

    conninfo: str
    name: str
    outage: Outage = field(default_factory=Outage, compare=False)
    """Whether it answers, as all connections to it find."""

    @classmethod
    def of(cls, url: str, password: str | None = None) -> Server:
        """Return the server of a URL. Raises ConfigError for one that libpq does not understand."""
        try:
            given = conninfo_to_dict(url) if url.startswith(("postgresql://", "postgres://")) else None
        except psycopg.ProgrammingError:
            given = None
        if given is None:  # libpq's reason may quote the password
            raise ConfigError(
                "[store] url is not a PostgreSQL URL",
                'write it as "postgresql://user@host:5432/database", and % in a value as %25',
            )
        settings = {key: str(value) for key, value in {**_SETTINGS, **given}.items() if value is not None}
        if "," in str(given.get("host", "")) or "," in str(given.get("hostaddr", "")):
            settings.setdefault("target_session_attrs", "read-write")
        if password is not None:
            settings["password"] = password
        return cls(make_conninfo(**settings), _shown(url))

    async def connect(self, *, application: str = "rtsd") -> Connection:
        """Connect; transactions begin and end explicitly. Raises psycopg.Error."""
        connection = await AsyncConnection.connect(
            make_conninfo(self.conninfo, application_name=application, client_encoding="UTF8"),
            autocommit=True,
            prepare_threshold=None,  # a prepared statement belongs to a session, which PgBouncer may change
            cursor_factory=AsyncRawCursor,
        )
        adapters.register(connection)
        return connection

    @asynccontextmanager
    async def connected(self, *, application: str = "rtsd") -> AsyncIterator[Connection]:
        """Connect for the time of a block. Raises StoreError."""
        try:
            connection = await self.connect(application=application)
        except psycopg.Error as error:
            raise self.refusal(error) or store_error(error, self.name) from error
        try:
            yield connection
        finally:
            await connection.close()

    async def require_usable(self, connection: Connection) -> None:
        """Require a server that a mirror can be written to. Raises StoreError."""
        encoding, version, readonly = await self._facts(connection)
        if int(version) < OLDEST:
            raise StoreError(
                f"{self.name} runs PostgreSQL {int(version) // 10_000}", "rtsd needs PostgreSQL 13 or later"
            )
        if encoding != "UTF8":
            raise StoreError(
                f"{self.name} is encoded in {encoding}, which cannot hold every text of Salesforce",
                "create a database with ENCODING 'UTF8'",
            )
        if readonly == "on":
            raise StorageUnwritable(
                f"{self.name} is read-only: a standby, or default_transaction_read_only is on",
                "name the primary in [store] url, or several hosts",
            )

    async def _facts(self, connection: Connection) -> tuple[str, str, str]:
        try:
            (facts,) = await rows(
                connection,
                "SELECT current_setting('server_encoding'), current_setting('server_version_num'),"
                " current_setting('transaction_read_only')",
            )
        except psycopg.Error as error:
            raise store_error(error, self.name) from error
        encoding, version, readonly = map(str, facts)
        return encoding, version, readonly

    def refusal(self, error: psycopg.Error) -> RtsError | None:
        """Return why the server will not let rtsd in, also later; None if it may."""
        code, reason = error.sqlstate or "", first_line(error)
        if code.startswith(_REFUSED) or "authentication failed" in reason or "no password" in reason:
            return StorageUnwritable(
                f"{self.name} refuses the connection: {reason}",
                "check the user, the database and the password in [store] url and password_file",
            )
        if 'role "' in reason or ('database "' in reason and "does not exist" in reason):
            return StorageUnwritable(
                f"{self.name} refuses the connection: {reason}",
                "check the user and the database in [store] url",
            )
        return None


class Link:
    """A connection that is made again once it breaks, for one user at a time."""

    def __init__(self, server: Server, *, application: str = "rtsd") -> None:
        self._server = server
        self._application = application
        self._turn = asyncio.Lock()
        self.connection: Connection | None = None

    async def use(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Use the connection, and once more a new one if it was stale. Raises psycopg.Error."""
        async with self._turn:
            try:
                done = await self._used(work)
            except BROKEN as error:
                if self.connection is not None and not self.connection.closed:
                    raise  # it refused the work, and is there
                self._server.outage.began(first_line(error))
                raise
            self._server.outage.ended()
            return done

    async def _used(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        before = self.connection
        if before is not None and not before.closed:
            try:
                return await work(before)
            except BROKEN:
                if not before.closed:
                    raise
        self.connection = await self._server.connect(application=self._application)
        return await work(self.connection)

    async def close(self) -> None:
        """Close the connection, once nothing is under way on it, as a commit whose task was cancelled."""
        async with self._turn:
            if self.connection is not None:
                async with self.connection.lock:
                    await self.connection.close()


async def rows(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
    """Run a statement of PostgreSQL's; return its rows, none without a result. Raises psycopg.Error."""
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(sql.encode(), parameters or None)
        return await cursor.fetchall() if cursor.description else []


def _shown(url: str) -> str:
    """Return a URL without its password and its parameters."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{user.partition(':')[0]}{at}{hosts}{parts.path}"
