"""A rule's `when`: an SQL condition over one record, evaluated by SQLite outside the mirror.

Each condition has its own in-memory database with two single-row tables, `new` and `old`, whose columns have
the mirror's types. The condition is part of an inner query over `new` within an outer one over `old`: a bare
name is the record's field, `old.X` its previous value; NULL, types and collation follow SQLite. Nothing else
can be read or written there; functions are limited to a list, and work is limited.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rtsd.core.schema import ObjectSchema
from rtsd.core.spelling import meant
from rtsd.core.values import MirrorValue
from rtsd.store.dialect import quoted
from rtsd.store.sqlite.library import Error, pysqlite3

MAX_LENGTH = 4_000
"""Maximum characters of a condition."""
STEPS = 10_000
MAX_STEPS = 100_000
"""Maximum steps of SQLite's virtual machine per record, in units of STEPS; most need a few hundred."""
MAX_PATTERN = 256
"""Maximum characters of a LIKE or GLOB pattern, as one step costs pattern length times text length."""
MAX_RESULT = 1_000_000
"""Maximum characters of a result of replace()."""

_FUNCTIONS = (
    "-> ->> abs ceil ceiling char coalesce concat concat_ws date datetime floor glob hex ifnull iif "
    "instr json_array_length json_extract json_type json_valid julianday length like lower ltrim max "
    "min nullif octet_length quote replace round rtrim sign strftime substr substring time timediff "
    "trim typeof unicode unixepoch upper "
)
FUNCTIONS = frozenset(_FUNCTIONS.split())
"""The functions a condition may use: fast, without side effects, and deterministic in their arguments."""

_TOKEN = re.compile(
    r"""(?P<text>'(?:[^']|'')*')|(?P<name>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])"""
    r"""|(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))|(?P<word>[^\W\d]\w*)""",
    re.DOTALL,
)
_FOREIGN = frozenset({"select", "with", "values"})
"""Keywords of queries beyond the record."""
_NO_COLUMN = re.compile(r"no such column: (?:(?:new|old)\.)?(.+)", re.IGNORECASE)
_REFUSED = (Error, pysqlite3.Warning)
_READS = frozenset({pysqlite3.SQLITE_SELECT, pysqlite3.SQLITE_RECURSIVE})


class UnknownColumn(ValueError):
    """The condition names a column that the record lacks; `column` is as written."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


class _Authorizer:
    """SQLite's callbacks: restricts a condition and collects the columns it reads.

    They are methods of this class, not of `When`: a connection referenced by its own callback is never freed.
    """

    def __init__(self, columns: Mapping[str, str]) -> None:
        self._columns = columns
        self.used: dict[str, list[str]] = {"new": [], "old": []}
        """The columns read, by table."""
        self.left = 0

    def count_work(self) -> int:
        """Count the work done; a result other than 0 makes SQLite stop."""
        self.left -= 1
        return int(self.left < 0)

    def authorize(self, action: int, first: str | None, second: str | None, *_rest: str | None) -> int:
        """Allow only reads of the two rows, and collect their columns."""
        allowed = action in _READS
        if action == pysqlite3.SQLITE_READ and first in self.used:
            allowed = not second or second in self._columns
            if second and allowed and second not in self.used[first]:
                self.used[first].append(second)
        elif action == pysqlite3.SQLITE_UPDATE:
            allowed = first in self.used
        elif action == pysqlite3.SQLITE_FUNCTION:
            allowed = (second or "").lower() in FUNCTIONS
        return int(pysqlite3.SQLITE_OK if allowed else pysqlite3.SQLITE_DENY)


class When:
    """A condition for the records of an object; an empty one always holds.

    Raises UnknownColumn or another ValueError, worded `what is wrong; what is allowed`.
    """

    def __init__(self, text: str, schema: ObjectSchema) -> None:
        self._columns = {field.name: field.kind.declared for field in schema.fields}
        self._object = schema.name
        self._sql = ""
        self._authorizer = _Authorizer(self._columns)
        if text.strip():
            _check_tokens(text, self._columns)
            self._connection = _connect(self._columns, self._authorizer)
            self._sql = self._compile(text)

    def holds(self, new: Mapping[str, MirrorValue], old: Mapping[str, MirrorValue] | None) -> bool:
        """Whether the condition is true for a record and its previous values; NULL is not, as in a WHERE.

        Without previous values every `old.X` is NULL. Raises ValueError if SQLite cannot evaluate it.
        """
        if not self._sql:
            return True
        self._authorizer.left = MAX_STEPS // STEPS
        try:
            for table, row in (("new", new), ("old", old or {})):
                names = self._authorizer.used[table]
                if names:
                    self._connection.execute(_update(table, names), [row.get(name) for name in names])
            ((true,),) = self._connection.execute(self._sql)
        except _REFUSED as error:
            raise ValueError(_cleaned(str(error))) from None
        return true is not None

    def _compile(self, text: str) -> str:
        """Prepare the statement, after checking that the text is a single expression in a CASE as well.

        In parentheses alone, text that closes them and opens others would pass.
        """
        self._authorizer.left = MAX_STEPS // STEPS
        try:
            self._connection.execute(_inside(f"CASE WHEN\n{text}\nTHEN 1 END"))
            sql = _inside(f"(\n{text}\n)")
            self._authorizer.used = {"new": [], "old": []}
            self._connection.execute(sql)
        except _REFUSED as error:
            raise self._mistake(str(error)) from None
        return sql

    def _mistake(self, message: str) -> ValueError:
        unknown = _NO_COLUMN.fullmatch(message)
        if unknown:
            return _unknown_column(unknown[1], self._columns, self._object)
        if "function" in message:
            return ValueError(f"{_cleaned(message)}; the functions {', '.join(sorted(FUNCTIONS))}")
        return ValueError(
            f"is not a condition: {_cleaned(message)}; an SQL condition over the record and old.X"
        )


def check_syntax(text: str) -> None:
    """Check a condition without knowing the columns. Raises ValueError as `When` does."""
    if not text.strip():
        return
    try:
        When(text, ObjectSchema("the object", (), None))
    except UnknownColumn:
        return  # the columns are known only once the object has been described


def _check_tokens(text: str, columns: Mapping[str, str]) -> None:
    """Reject text that SQLite itself accepts: other queries, and quoted names that are not columns.

    SQLite takes "Opne" for the text 'Opne' if there is no such column; such a condition would never hold.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH:,} characters; a shorter condition")
    known = {name.lower() for name in columns} | {"new", "old"}
    for kind, token in _tokens(text):
        if kind == "word" and token.lower() in _FOREIGN:
            raise ValueError(
                f"contains {token.upper()}; a condition over the record and old.X, without queries"
            )
        if kind == "name" and columns and token[1:-1].lower() not in known:
            raise ValueError(f"has no column {token}; text in single quotes")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for found in _TOKEN.finditer(text):
        yield found.lastgroup or "", found[0]


def _unknown_column(name: str, columns: Mapping[str, str], object_name: str) -> UnknownColumn:
    wrong = f"{object_name} has no column {name} in the mirror{meant(name, columns)}"
    return UnknownColumn(name, f"{wrong}; {', '.join(columns)}")


def _connect(columns: Mapping[str, str], authorizer: _Authorizer) -> Any:
    connection = pysqlite3.connect(":memory:", isolation_level=None)
    declared = ", ".join(f"{quoted(name)} {kind}" for name, kind in columns.items()) or '"-" TEXT'
    for table in ("new", "old"):
        connection.execute(f"CREATE TABLE {table} ({declared})")
        connection.execute(f"INSERT INTO {table} DEFAULT VALUES")
    plain = pysqlite3.connect(":memory:")
    for name, arguments in (("like", 2), ("like", 3), ("glob", 2), ("replace", 3)):
        connection.create_function(name, arguments, _bounded(plain, name, arguments), deterministic=True)
    connection.set_authorizer(authorizer.authorize)
    connection.set_progress_handler(authorizer.count_work, STEPS)
    return connection


def _bounded(plain: Any, name: str, arguments: int) -> Any:
    """SQLite's own function, restricted to arguments that limit its work."""
    sql = f"SELECT {name}({', '.join('?' * arguments)})"

    def call(*values: Any) -> Any:
        if name == "replace":
            _check_growth(*values)
        elif len(str(values[0])) > MAX_PATTERN:
            raise ValueError("the pattern is too long")
        return plain.execute(sql, values).fetchone()[0]

    return call


def _check_growth(text: Any, what: Any, by: Any) -> None:
    if None in (text, what, by) or not str(what):
        return
    if len(str(text)) + str(text).count(str(what)) * len(str(by)) > MAX_RESULT:
        raise ValueError("the result is too long")


def _inside(condition: str) -> str:
    return f"SELECT (SELECT 1 FROM new WHERE {condition}) FROM old"


def _update(table: str, names: list[str]) -> str:
    return f"UPDATE {table} SET {', '.join(f'{quoted(name)}=?' for name in names)}"


def _cleaned(message: str) -> str:
    if "user-defined function" in message:
        return f"a LIKE pattern is longer than {MAX_PATTERN} characters, or a result of replace() is too long"
    if 'near "THEN"' in message:  # the statement's own
        return "it ends too early"
    if message == "interrupted":
        return "it takes too long"
    return message.rstrip(".")
