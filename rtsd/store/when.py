"""A rule's `when`: SQL over one record, judged by SQLite itself, away from the mirror.

Each condition has an in-memory database of its own with two tables of one row, `new` and `old`, whose
columns are declared as the mirror's. The text stands in an inner query over `new` inside an outer one over
`old`: a bare name is the record's, `old.X` its previous value, and NULL, types and collation are SQLite's.
There is nothing else to read there and nothing to write; functions are those of a list, work is limited.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rtsd.core.schema import ObjectSchema
from rtsd.core.values import MirrorValue
from rtsd.store.sqlite import Error, pysqlite3, quoted

LONGEST = 4_000
"""Characters of a condition."""
STEPS = 10_000
MOST_STEPS = 100_000
"""Steps of SQLite's machine for one record, counted by STEPS; a long condition takes a few hundred."""
LONGEST_PATTERN = 256
"""Characters of a LIKE or GLOB pattern: its work grows with pattern times text, in one step."""
LONGEST_RESULT = 1_000_000
"""Characters that replace() may make of a value."""

_FUNCTIONS = (
    "-> ->> abs ceil ceiling char coalesce concat concat_ws date datetime floor glob hex ifnull iif "
    "instr json_array_length json_extract json_type json_valid julianday length like lower ltrim max "
    "min nullif octet_length quote replace round rtrim sign strftime substr substring time timediff "
    "trim typeof unicode unixepoch upper "
)
FUNCTIONS = frozenset(_FUNCTIONS.split())
"""The functions a condition may use: quick, harmless, and of their arguments alone."""

_TOKEN = re.compile(
    r"""(?P<text>'(?:[^']|'')*')|(?P<name>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])"""
    r"""|(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))|(?P<word>[^\W\d]\w*)""",
    re.DOTALL,
)
_FOREIGN = frozenset({"select", "with", "values"})
"""Words that would make it more than a condition over one record."""
_NO_COLUMN = re.compile(r"no such column: (?:(?:new|old)\.)?(.+)", re.IGNORECASE)
_REFUSED = (Error, pysqlite3.Warning)
_READS = frozenset({pysqlite3.SQLITE_SELECT, pysqlite3.SQLITE_RECURSIVE})


class UnknownColumn(ValueError):
    """The condition names a column that the record does not have; `column` is as it was written."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


class _Fence:
    """What a condition may do, and what it reads.

    SQLite's callbacks belong to it and not to the condition: a connection that is held by its own callback is
    never freed.
    """

    def __init__(self, columns: Mapping[str, str]) -> None:
        self._columns = columns
        self.used: dict[str, list[str]] = {"new": [], "old": []}
        """The columns of each table that were asked for."""
        self.left = 0

    def may_go_on(self) -> int:
        """Count the work done; SQLite stops at anything but 0."""
        self.left -= 1
        return int(self.left < 0)

    def authorize(self, action: int, one: str | None, two: str | None, *_rest: str | None) -> int:
        """Let SQLite prepare what reads the two rows, and note which columns; nothing else."""
        allowed = action in _READS
        if action == pysqlite3.SQLITE_READ and one in self.used:
            allowed = not two or two in self._columns
            if two and allowed and two not in self.used[one]:
                self.used[one].append(two)
        elif action == pysqlite3.SQLITE_UPDATE:
            allowed = one in self.used
        elif action == pysqlite3.SQLITE_FUNCTION:
            allowed = (two or "").lower() in FUNCTIONS
        return int(pysqlite3.SQLITE_OK if allowed else pysqlite3.SQLITE_DENY)


class When:
    """One condition for the records of one object; an empty one always holds.

    Raises ValueError, worded `what is wrong; what is allowed`, or UnknownColumn, which is one.
    """

    def __init__(self, text: str, schema: ObjectSchema) -> None:
        self._columns = {field.name: field.kind.declared for field in schema.fields}
        self._object = schema.name
        self._sql = ""
        self._fence = _Fence(self._columns)
        if text.strip():
            _check_tokens(text, self._columns)
            self._connection = _connect(self._columns, self._fence)
            self._sql = self._compile(text)

    def holds(self, new: Mapping[str, MirrorValue], old: Mapping[str, MirrorValue] | None) -> bool:
        """Whether it is true of a record and its previous values; NULL is not true, as in a WHERE.

        Without previous values every `old.X` is NULL. Raises ValueError when SQLite gives up on it.
        """
        if not self._sql:
            return True
        self._fence.left = MOST_STEPS // STEPS
        try:
            for table, row in (("new", new), ("old", old or {})):
                names = self._fence.used[table]
                if names:
                    self._connection.execute(_update(table, names), [row.get(name) for name in names])
            ((true,),) = self._connection.execute(self._sql)
        except _REFUSED as error:
            raise ValueError(_cleaned(str(error))) from None
        return true is not None

    def _compile(self, text: str) -> str:
        """Prepare the statement; the same text must be one expression elsewhere, too.

        In parentheses alone, text with parentheses of its own that close ours could pass.
        """
        self._fence.left = MOST_STEPS // STEPS
        try:
            self._connection.execute(_inside(f"CASE WHEN\n{text}\nTHEN 1 END"))
            sql = _inside(f"(\n{text}\n)")
            self._fence.used = {"new": [], "old": []}
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
        return ValueError(f"is no condition: {_cleaned(message)}; an SQL condition over the record and old.X")


def check_syntax(text: str) -> None:
    """Refuse what is no condition whatever the columns. Raises ValueError as `When` does."""
    if not text.strip():
        return
    try:
        When(text, ObjectSchema("the object", (), None))
    except UnknownColumn:
        return  # which columns there are is known once the object has been described


def _check_tokens(text: str, columns: Mapping[str, str]) -> None:
    """Refuse what SQLite itself would take: other queries, and names in quotes that are no column.

    SQLite takes "Opne" for the text 'Opne' where no such column is: such a condition never held.
    """
    if len(text) > LONGEST:
        raise ValueError(f"is longer than {LONGEST:,} characters; a shorter condition")
    known = {name.lower() for name in columns} | {"new", "old"}
    for kind, token in _tokens(text):
        if kind == "word" and token.lower() in _FOREIGN:
            raise ValueError(f"holds {token.upper()}; a condition over the record and old.X, without queries")
        if kind == "name" and columns and token[1:-1].lower() not in known:
            raise ValueError(f"has no column {token}; text stands in single quotes")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for found in _TOKEN.finditer(text):
        yield found.lastgroup or "", found[0]


def _unknown_column(name: str, columns: Mapping[str, str], object_name: str) -> UnknownColumn:
    lower = {column.lower(): column for column in columns}
    near = difflib.get_close_matches(name.lower(), lower, n=1)
    meant = f" (did you mean {lower[near[0]]}?)" if near else ""
    return UnknownColumn(
        name, f"{object_name} has no column {name} in the mirror{meant}; {', '.join(columns)}"
    )


def _connect(columns: Mapping[str, str], fence: _Fence) -> Any:
    connection = pysqlite3.connect(":memory:", isolation_level=None)
    declared = ", ".join(f"{quoted(name)} {kind}" for name, kind in columns.items()) or '"-" TEXT'
    for table in ("new", "old"):
        connection.execute(f"CREATE TABLE {table} ({declared})")
        connection.execute(f"INSERT INTO {table} DEFAULT VALUES")
    plain = pysqlite3.connect(":memory:")
    for name, arguments in (("like", 2), ("like", 3), ("glob", 2), ("replace", 3)):
        connection.create_function(name, arguments, _bounded(plain, name, arguments), deterministic=True)
    connection.set_authorizer(fence.authorize)
    connection.set_progress_handler(fence.may_go_on, STEPS)
    return connection


def _bounded(plain: Any, name: str, arguments: int) -> Any:
    """SQLite's own function, for arguments that keep its work within bounds."""
    sql = f"SELECT {name}({', '.join('?' * arguments)})"

    def call(*values: Any) -> Any:
        if name == "replace":
            _check_growth(*values)
        elif len(str(values[0])) > LONGEST_PATTERN:
            raise ValueError("the pattern is too long")
        return plain.execute(sql, values).fetchone()[0]

    return call


def _check_growth(text: Any, what: Any, by: Any) -> None:
    if None in (text, what, by) or not str(what):
        return
    if len(str(text)) + str(text).count(str(what)) * len(str(by)) > LONGEST_RESULT:
        raise ValueError("the result is too long")


def _inside(condition: str) -> str:
    return f"SELECT (SELECT 1 FROM new WHERE {condition}) FROM old"


def _update(table: str, names: list[str]) -> str:
    return f"UPDATE {table} SET {', '.join(f'{quoted(name)}=?' for name in names)}"


def _cleaned(message: str) -> str:
    if "user-defined function" in message:
        return f"a LIKE pattern is longer than {LONGEST_PATTERN} characters, or a replace() grows too long"
    if 'near "THEN"' in message:  # ours
        return "it ends too early"
    if message == "interrupted":
        return "it takes too long"
    return message.rstrip(".")
