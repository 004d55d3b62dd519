"""The org's SQLite file: one table per object, one writer, and readers with their own snapshots."""

from __future__ import annotations

import json
import re
import sqlite3
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rtssim.schema.model import Field, ObjectType

_LOG_TABLES = (
    "CREATE TABLE _bin (object, id, deleted_at, root, PRIMARY KEY (object, id)) WITHOUT ROWID",
    "CREATE TABLE _deleted (object, id, deleted_at, PRIMARY KEY (object, deleted_at, id)) WITHOUT ROWID",
    "CREATE INDEX _deleted_id ON _deleted (object, id)",
)
_BLOCK_ROWS = 5_000
_IDLE_READERS = 8


@dataclass(frozen=True, slots=True)
class Pool:
    """Prepared values for some columns, reused for many rows."""

    names: Sequence[str]
    rows: Sequence[tuple[Any, ...]]


def quote(name: str) -> str:
    """Quote a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def insert_sql(table: str, columns: Iterable[str]) -> str:
    """Return the INSERT of a row with these columns, values as parameters."""
    quoted = [quote(column) for column in columns]
    return f"INSERT INTO {quote(table)} ({', '.join(quoted)}) VALUES ({', '.join('?' * len(quoted))})"


def _fold(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


@lru_cache(maxsize=256)
def _like_pattern(pattern: str) -> re.Pattern[str]:
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    source = "".join(wild.get(part) or re.escape(part[-1]) for part in parts)
    return re.compile(source, re.IGNORECASE | re.DOTALL)


def _like(value: object, pattern: str) -> int:
    """Match SOQL's LIKE for patterns beyond ASCII; `pattern` uses % _ and backslash."""
    return 1 if isinstance(value, str) and _like_pattern(pattern).fullmatch(value) else 0


def _local(value: object, zone: str) -> str | None:
    """Return a stored datetime as local time in `zone`, in the same format (convertTimezone)."""
    if not isinstance(value, str):
        return None
    try:
        local = datetime.fromisoformat(value).astimezone(ZoneInfo(zone))
    except ZoneInfoNotFoundError:
        local = datetime.fromisoformat(value).astimezone(UTC)
    return local.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _functions(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.create_function("sf_fold", 1, _fold, deterministic=True)
    connection.create_function("sf_like", 2, _like, deterministic=True)
    connection.create_function("sf_local", 2, _local, deterministic=True)
    return connection


class OrgDatabase:
    """The file at `path` (None: a temporary one, removed by `close`).

    Columns have no declared type, so that values stay exactly as written. Nothing is durable: the org ends
    with its process.
    """

    def __init__(self, path: str | None = None) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="rts-org-") if path is None else None
        self.path = Path(self._directory.name) / "org.db" if self._directory else Path(str(path))
        if self.path.exists():
            raise ValueError(f"the simulated org starts empty, but {self.path} exists: name a new file")
        self._writer = _functions(
            sqlite3.connect(self.path, isolation_level=None, cached_statements=512, check_same_thread=False)
        )
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        for pragma in (
            "page_size=8192",
            "synchronous=OFF",
            "cache_size=-16384",
            "temp_store=MEMORY",
            "journal_mode=OFF",
        ):
            self._writer.execute(f"PRAGMA {pragma}")
        for statement in _LOG_TABLES:
            self._writer.execute(statement)

    def open_for_readers(self) -> None:
        """Leave load mode: from now on readers get consistent snapshots (WAL)."""
        self._writer.execute("ANALYZE")
        self._writer.execute("PRAGMA journal_mode=WAL")

    def close(self) -> None:
        """Close every connection and remove a temporary file."""
        self._closed = True
        for connection in self._idle:
            connection.close()
        self._idle.clear()
        self._writer.close()
        if self._directory is not None:
            self._directory.cleanup()

    # -- writing ---------------------------------------------------------------------------------------
    def execute(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> sqlite3.Cursor:
        """Run one statement on the writer."""
        return self._writer.execute(sql, params)

    def load(
        self, obj: ObjectType, names: Sequence[str], rows: Iterator[tuple[Any, ...]], pools: Sequence[Pool]
    ) -> None:
        """Fill a table: row n of `rows` (columns `names`), joined with row n modulo size of each pool.

        SQLite joins the pools itself, several times faster than binding every value.
        """
        columns = [quote(name) for pool in (Pool(names, ()), *pools) for name in pool.names]
        values = [f"own.v{at}" for at in range(len(names))]
        joins = ""
        self._writer.execute("BEGIN")
        self._create_pool("own", Pool(names, ()))
        for number, pool in enumerate(pools):
            self._create_pool(f"pool{number}", pool)
            self._put_pool(f"pool{number}", pool, 0)
            values += [f"pool{number}.v{at}" for at in range(len(pool.names))]
            joins += f" CROSS JOIN pool{number} ON pool{number}.n = own.n % {len(pool.rows)}"
        sql = (
            f"INSERT INTO {quote(obj.name)} ({', '.join(columns)}) SELECT {', '.join(values)} FROM own{joins}"
        )
        done = 0
        while block := list(islice(rows, _BLOCK_ROWS)):
            self._put_pool("own", Pool(names, block), done)
            self._writer.execute(sql)
            self._writer.execute("DELETE FROM own")
            done += len(block)
        for table in ("own", *(f"pool{number}" for number in range(len(pools)))):
            self._writer.execute(f"DROP TABLE temp.{table}")
        self._writer.execute("COMMIT")

    def _create_pool(self, table: str, pool: Pool) -> None:
        columns = "".join(f", v{at}" for at in range(len(pool.names)))
        self._writer.execute(f"CREATE TEMP TABLE {table} (n INTEGER PRIMARY KEY{columns})")

    def _put_pool(self, table: str, pool: Pool, first: int) -> None:
        marks = ", ?" * len(pool.names)
        numbered = ((number, *row) for number, row in enumerate(pool.rows, start=first))
        self._writer.executemany(f"INSERT INTO temp.{table} VALUES (?{marks})", numbered)

    def create_table(self, obj: ObjectType) -> None:
        """Create the object's table; call `index` once it is filled."""
        columns = ", ".join(
            "Id TEXT NOT NULL PRIMARY KEY" if f.name == "Id" else quote(f.name) for f in obj.stored_fields()
        )
        self._writer.execute(f"CREATE TABLE {quote(obj.name)} ({columns})")

    def index(self, obj: ObjectType) -> None:
        """Index the columns that reads search by: change order, references, external ids."""
        if "SystemModstamp" in obj.fields:
            deleted = ["IsDeleted"] if "IsDeleted" in obj.fields else []
            self._index(obj, ["SystemModstamp", "Id", *deleted], "stamp")
        for field in obj.stored_fields():
            self._index_field(obj, field)

    def _index_field(self, obj: ObjectType, field: Field) -> None:
        if field.unique or field.external_id:
            self._index(
                obj, [field.name], field.name, collate="" if field.case_sensitive else " COLLATE NOCASE"
            )
        elif field.type == "reference" and field.on_delete != "keep":
            self._index(obj, [field.name], field.name)

    def _index(self, obj: ObjectType, columns: list[str], tag: str, collate: str = "") -> None:
        name = quote(f"_i_{obj.name}_{tag}")
        listed = ", ".join(quote(column) + collate for column in columns)
        self._writer.execute(f"CREATE INDEX {name} ON {quote(obj.name)} ({listed})")

    def drop_table(self, obj: ObjectType) -> None:
        """Drop the object's table."""
        self._writer.execute(f"DROP TABLE {quote(obj.name)}")

    def add_column(self, obj: ObjectType, field: Field) -> None:
        """Add an empty column, or empty the column that a removed field left."""
        present = {row[1] for row in self._writer.execute(f"PRAGMA table_info({quote(obj.name)})")}
        if field.name in present:
            self._writer.execute(f"UPDATE {quote(obj.name)} SET {quote(field.name)} = NULL")
            return
        self._writer.execute(f"ALTER TABLE {quote(obj.name)} ADD COLUMN {quote(field.name)}")
        self._index_field(obj, field)

    # -- reading ---------------------------------------------------------------------------------------
    def rows(self, obj: ObjectType, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return stored rows by id, as the writer sees them."""
        return self.rows_where(
            obj, "Id IN (SELECT value FROM json_each(:ids))", {"ids": json.dumps(list(ids))}
        )

    def rows_where(self, obj: ObjectType, where: str, params: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the stored rows that match an SQL condition by id, as the writer sees them."""
        names = [f.name for f in obj.stored_fields()]
        listed = ", ".join(map(quote, names))
        cursor = self._writer.execute(f"SELECT {listed} FROM {quote(obj.name)} WHERE {where}", params)
        found = (dict(zip(names, row, strict=True)) for row in cursor)
        return {row["Id"]: row for row in found}

    def reader(self) -> sqlite3.Connection:
        """Return a read-only connection, usable in any thread; give it back with `release`."""
        if self._idle:
            return self._idle.pop()
        uri = f"{self.path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA cache_size=-8192")
        return _functions(connection)

    def release(self, connection: sqlite3.Connection) -> None:
        """Take a reader back."""
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if self._closed or len(self._idle) >= _IDLE_READERS:
            connection.close()
        else:
            self._idle.append(connection)
