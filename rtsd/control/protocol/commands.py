"""Commands to the daemon as a whole: pause, resume, reload, backup, SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec


class ObjectsBody(msgspec.Struct):
    """The body of `POST /v1/pause|resume`; no names means everything."""

    objects: list[str] = []


class Paused(msgspec.Struct, kw_only=True):
    """`POST /v1/pause`: the objects that were named, or True for everything."""

    paused: list[str] | bool = True


class Resumed(msgspec.Struct, kw_only=True):
    """`POST /v1/resume`: the objects that were named, or True for everything."""

    resumed: list[str] | bool = True


class Reloaded(msgspec.Struct, kw_only=True):
    """`POST /v1/reload`: the configuration was read again, as on SIGHUP."""

    needs_restart: list[str]
    """Tables that have changed and take effect at the next start only."""
    token_ids: list[str]
    """The gateway's tokens now, each by the first 8 hexadecimal digits of its SHA-256."""


class BackupProgress(msgspec.Struct, kw_only=True):
    """`GET /v1/backup`: progress of the copy under way, in pages of the database."""

    running: bool = False
    copied: int = 0
    pages: int = 0


class QueryBody(msgspec.Struct):
    """The body of `POST /v1/query`; with `at`, objects are as they were at that moment."""

    sql: str
    at: str | msgspec.UnsetType = msgspec.UNSET


class QueryResult(msgspec.Struct, kw_only=True):
    """`POST /v1/query`: the rows of a SELECT, at most 10,000; `truncated` where there were more."""

    columns: list[str] = msgspec.field(default_factory=list)
    rows: Sequence[Sequence[Any]] = ()
    truncated: bool = False
