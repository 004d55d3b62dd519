"""Removal of row versions that no query may see any more: what a stricter privacy rule rewrote.

PostgreSQL keeps the former version of a changed row until a vacuum, and a vacuum silently leaves what an
older transaction may still read. `relfrozenxid` tells how far VACUUM (FREEZE) came: no row version that ended
before it is left (https://www.postgresql.org/docs/current/routine-vacuuming.html).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import psycopg

from rtsd.errors import StoreError
from rtsd.store.postgres.errors import store_error
from rtsd.store.postgres.server import Connection, Server, rows

TRIES = 60
_PAUSE_S = 0.5
"""Between tries: a query of a moment that still sees former values is no failure."""
_LEFT = (
    "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)"
    " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " LEFT JOIN pg_class AS toast ON toast.oid = c.reltoastrelid"
    " WHERE n.nspname = ANY (($1)::text[]) AND c.relkind = 'r'"
    " AND pg_has_role(c.relowner, 'USAGE')"  # others must vacuum their own tables themselves
    " AND greatest(age(c.relfrozenxid), age(toast.relfrozenxid)) >= age(($2)::text::xid) ORDER BY 1"
)
"""The tables that may have row versions of before a transaction, in themselves or in their long values."""


async def remove_former_rows(server: Server, schemas: Sequence[str]) -> None:
    """Vacuum the tables of the schemas, while others read and write. Raises StoreError if any is left."""
    try:
        connection = await server.connect()
        try:
            left = await _vacuumed(connection, list(schemas))
        finally:
            await connection.close()
    except psycopg.Error as error:
        raise store_error(error, server.name) from error
    if left:
        raise StoreError(
            f"former values could not be removed from {', '.join(left)} in {server.name}:"
            " an older transaction may still read them",
            "end it (see pg_stat_activity, pg_prepared_xacts and pg_replication_slots for an old xmin);"
            " rtsd repeats it at the next start",
        )


async def _vacuumed(connection: Connection, schemas: list[str]) -> list[str]:
    """Vacuum the tables, and again what is left after a pause; return what is left in the end."""
    ((now,),) = await rows(connection, "SELECT pg_current_xact_id()::xid::text")
    left, tries = await _left(connection, schemas, now), 0
    while left and tries < TRIES:
        await asyncio.sleep(_PAUSE_S if tries else 0)
        await connection.execute(f"VACUUM (FREEZE) {', '.join(left)}".encode())
        left, tries = await _left(connection, schemas, now), tries + 1
    return left


async def _left(connection: Connection, schemas: list[str], now: object) -> list[str]:
    return [str(name) for (name,) in await rows(connection, _LEFT, (schemas, now))]
