"""Locks that others hold on a table, while rtsd wants to change it.

A statement that waits for such a lock holds up everybody who comes after it, readers included. So it gives up
soon, and comes again later.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtsd.core.plural import plural
from rtsd.errors import TableLocked
from rtsd.store.database import Row

TIMEOUT = "2s"
"""Longer than `deadlock_timeout`, by default 1 s, after which PostgreSQL ends an autovacuum in the way."""
_MOST = 3
"""Holders that a message names."""

_HOLDERS = """SELECT DISTINCT a.pid, COALESCE(a.usename::text, ''), COALESCE(a.application_name, ''),
  COALESCE(a.state, ''), to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
 FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
 WHERE l.granted AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.relation IN ({}) ORDER BY 5, 1"""
"""Who holds any lock on some relations, and so is in the way of an exclusive one; the oldest first. Of other
users' sessions PostgreSQL tells only some to a user without the role `pg_read_all_stats`."""
HOLDERS = _HOLDERS.format(
    "SELECT to_regclass((?1)::text) UNION ALL SELECT r.ev_class FROM pg_rewrite AS r"
    " JOIN pg_depend AS d ON d.objid = r.oid"
    " WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = to_regclass((?1)::text)"
)
"""Of a table, the parameter, and of the views of it."""
HOLDERS_IN_SCHEMA = _HOLDERS.format("SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace($1)")
"""Of all that is in a schema, the parameter, as PostgreSQL numbers it."""


def table_locked(table: str, holders: Sequence[Row]) -> TableLocked:
    """Return the error that names who holds a table."""
    named = [_named(holder) for holder in holders[:_MOST]]
    if len(holders) > _MOST:
        named.append(f"{plural(len(holders) - _MOST, 'other')}")
    shown = table.replace('"', "")
    who = ", ".join(named) if named else "a transaction that has ended since"
    return TableLocked(
        f"{shown} cannot be changed while others use it: {who}",
        "rtsd tries again by itself; end that transaction, or SELECT pg_terminate_backend(<pid>)",
    )


def _named(holder: Row) -> str:
    pid, user, application, state, since = holder
    facts = [str(application) or "no application_name", f"user {user}", str(state)]
    facts += [f"since {since} UTC"] if since else []
    return f"pid {pid} ({', '.join(fact for fact in facts if fact)})"
