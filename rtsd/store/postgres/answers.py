"""SQL queries of operators: each in a read-only transaction of its own, limited in time, rows and bytes.

A function that is not known to have no effects is refused by its name before the query runs: functions read
files, sleep, and run other statements, which a read-only transaction does not prevent.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import datetime, time
from decimal import Decimal

import msgspec
import psycopg

from rtsd.core.instant import to_iso
from rtsd.errors import UsageError
from rtsd.store.answers import (
    AT_ONCE,
    MAX_BYTES,
    MAX_ROWS,
    TIME_LIMIT_S,
    rejected,
    require_text,
    too_large,
    too_slow,
)
from rtsd.store.dialect import quoted
from rtsd.store.past_query import Relations
from rtsd.store.postgres.adapters import number
from rtsd.store.postgres.errors import first_line, store_error
from rtsd.store.postgres.names import name_of
from rtsd.store.postgres.server import Connection, Server

ROWS_AT_ONCE = 100
"""Rows that are held before their size is known."""
_FETCH = f"FETCH {ROWS_AT_ONCE} FROM answer"
_encode = msgspec.json.Encoder().encode
_TOKEN = re.compile(
    r"(?P<text>\b[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*')"  # a backslash escapes in E'…' alone
    r"|(?P<dollar>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)"
    r"|(?P<comment>--[^\n]*|/\*.*?\*/)"
    r'|(?P<quoted>(?:\b[uU]&)?"(?:[^"]|"")*")'
    r"|(?P<word>[^\W\d][\w$]*)"
    r"|(?P<open>\()"
    r"|(?P<end>;)",
    re.DOTALL,
)
_UNSAFE = (
    "SELECT DISTINCT proname FROM pg_proc WHERE proname = ANY ($1::text[])"
    " AND (provolatile = 'v' OR proname LIKE '%to\\_xml%' OR proname LIKE 'pg\\_read%')"
    " AND proname <> ALL ('{random,clock_timestamp,timeofday,gen_random_uuid,statement_timestamp}')"
    " ORDER BY 1 LIMIT 1"
)
_FILES = frozenset({"pg_hba_file_rules", "pg_ident_file_mappings", "pg_file_settings"})
"""Views of the server's files, which a superuser may read."""


_WRONG_SELECT = (
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.AmbiguousColumn,
    psycopg.errors.GroupingError,
    psycopg.DataError,
)
"""Errors in a SELECT; a syntax error may mean another statement, which no cursor takes."""


class PostgresAnswers:
    """Runs queries on both schemas."""

    def __init__(self, server: Server, schema: str, internal_schema: str) -> None:
        self._server = server
        self._path = f"{quoted(schema)}, {quoted(internal_schema)}, pg_catalog"
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def run(self, sql: str, relations: Relations | None = None) -> bytes:
        """Run a single SELECT; return its `columns`, `rows` and `truncated` as JSON. Raises UsageError.

        `relations` stand for objects that it names.
        """
        require_text(sql)
        called = _called(sql)
        if relations:
            sql = _among(relations, sql)
        async with self._turn:
            try:
                connection = await self._server.connect(application="rtsd query")
            except psycopg.Error as error:
                raise store_error(error, self._server.name) from error
            try:
                return await self._answer(connection, sql, called)
            except psycopg.errors.QueryCanceled:
                raise too_slow(TIME_LIMIT_S) from None
            except psycopg.OperationalError as error:
                raise store_error(error, self._server.name) from error
            except psycopg.Error as error:
                is_select = isinstance(error, _WRONG_SELECT)
                raise rejected("PostgreSQL", first_line(error), is_select=is_select) from error
            finally:
                await connection.close()

    async def _answer(self, connection: Connection, sql: str, called: list[str]) -> bytes:
        await connection.execute(
            "BEGIN READ ONLY;"
            f" SET LOCAL statement_timeout = '{TIME_LIMIT_S:.0f}s';"
            f" SET LOCAL search_path = {self._path}".encode()
        )
        unsafe = await (await connection.execute(_UNSAFE, (called,))).fetchone()
        if unsafe is not None:
            raise UsageError(
                f"the query calls {unsafe[0]}(), which may read files or have effects",
                "use a SELECT without it",
            )
        # a SELECT, or it is refused; in binary, as that protocol takes a single statement
        await connection.execute("DECLARE answer NO SCROLL CURSOR FOR " + sql, binary=True)
        rows: list[bytes] = []
        size = 0
        while len(rows) <= MAX_ROWS:
            cursor = await connection.execute(_FETCH)
            fetched = [_encode([_plain(value) for value in row]) for row in await cursor.fetchall()]
            rows += fetched
            size += sum(map(len, fetched))
            if size > MAX_BYTES:
                raise too_large("use psql")
            if len(fetched) < ROWS_AT_ONCE:
                break
        columns = _encode([column.name for column in cursor.description or ()])
        truncated = b"true" if len(rows) > MAX_ROWS else b"false"
        listed = b",".join(rows[:MAX_ROWS])
        return b'{"columns":%b,"rows":[%b],"truncated":%b}' % (columns, listed, truncated)


def _among(relations: Relations, sql: str) -> str:
    """Return a query in which relations hide the tables of the same names; it may have a WITH of its own."""
    named = ", ".join(
        f"{quoted(name_of(name))} AS NOT MATERIALIZED ({relation})" for name, relation in relations.items()
    )
    return f"WITH {named} SELECT * FROM ({sql.rstrip().removesuffix(';')}\n) AS answer"


def _plain(value: object) -> object:
    """Return a value in the mirror's forms (contract section 4) as far as JSON has them, else as text."""
    if isinstance(value, str | bytes | int | float | None | list | dict):
        return value
    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, datetime):
        return to_iso(int(value.timestamp() * 1000)) if value.tzinfo else value.isoformat()
    if isinstance(value, time):
        return f"{value.isoformat(timespec='milliseconds')}Z"
    return str(value)


def _called(sql: str) -> list[str]:
    """The names before an opening parenthesis. Raises UsageError for more than one statement."""
    names: list[str] = []
    last = ""
    for kind, token in _tokens(sql):
        if kind == "end":
            if sql[sql.rindex(";") + 1 :].strip() or sql.count(";") > 1:
                raise UsageError("the query has more than one statement", "use a single SELECT")
        elif kind == "open" and last:
            names.append(last)
        last = ""
        if kind == "word":
            last = token.lower()
        elif kind == "quoted":
            last = token.strip('"').replace('""', '"')
            if not token.startswith('"'):
                raise UsageError("the query has a name with escapes (U&)", "write the name itself")
        if last in _FILES:
            raise UsageError(f"the query reads {last}, a view of the server's files", "leave it out")
    return names


def _tokens(sql: str) -> Iterator[tuple[str, str]]:
    for found in _TOKEN.finditer(sql):
        kind = found.lastgroup or ""
        if kind != "comment":
            yield "dollar" if kind == "tag" else kind, found[0]
