"""PostgreSQL's errors as those of the store: whose fault it is and what to do."""

from __future__ import annotations

import psycopg

from rtsd.errors import RtsError, StorageAway, StorageFull, StorageUnwritable, StoreError

_AWAY = ("08", "57P", "25P03", "25P04", "55P03")
"""Codes, or the beginnings of some: connection exceptions, operator intervention, as a shutdown, and the ends
of transactions that took too long or waited too long for another (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""
BROKEN = (
    psycopg.OperationalError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
)
"""The errors with which a connection breaks."""
_FULL = frozenset({"53100", "53200"})
_RIGHTS = frozenset({"42501", "25006"})


def store_error(error: Exception, name: str) -> RtsError:
    """Translate an error."""
    code = getattr(error, "sqlstate", None) or ""
    reason = first_line(error)
    if code in _FULL:
        return StorageFull(f"no space left for {name}: {reason}", "free some space; rtsd continues by itself")
    if code in _RIGHTS:
        return StorageUnwritable(
            f"cannot write {name}: {reason}", "check the rights of the user in [store] url"
        )
    if code.startswith(_AWAY) or (not code and isinstance(error, psycopg.OperationalError)):
        return StorageAway(
            f"{name} does not answer: {reason}", "rtsd continues by itself once the database is back"
        )
    return StoreError(f"{name}: {reason}")


def first_line(error: Exception) -> str:
    """The first line of an error: the others quote statements, and may quote values."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
