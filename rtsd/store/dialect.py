"""What the engines spell differently, in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from rtsd.core.schema import Field, Kind

if TYPE_CHECKING:
    from rtsd.store.view import Views

Key = int | str
"""A value of the column in whose order rows are visited."""


def quoted(name: str) -> str:
    """Return an identifier quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Return a text quoted for SQL."""
    return "'" + value.replace("'", "''") + "'"


class Dialect(Protocol):
    """The spelling of one engine."""

    def table(self, object_name: str) -> str:
        """The table of a mirrored object, quoted."""

    @property
    def place(self) -> str:
        """The schema of the tables."""

    def qualified(self, object_name: str) -> str:
        """The same, by a name that no temporary view and no name in a query hides."""

    def name(self, field: str) -> str:
        """The name of a mirrored field's column."""

    def column(self, field: str) -> str:
        """The same, quoted."""

    def index(self, object_name: str, field: str) -> str:
        """The name of the index of a field's column."""

    def type_of(self, kind: Kind) -> str:
        """The declared type of a column."""

    @property
    def id_type(self) -> str:
        """The declared type of the column of ids, which must sort by bytes."""

    @property
    def millis_type(self) -> str:
        """The declared type of a column of milliseconds since 1970."""

    @property
    def views(self) -> Views:
        """What makes views over the tables."""

    @property
    def largest_int(self) -> int:
        """The largest value of a column of integers; the smallest is its negative, less one."""

    @property
    def key(self) -> str:
        """The column in whose order an object's rows are visited: the one that its table is found by."""

    @property
    def before_keys(self) -> Key:
        """A value of that column before every other."""

    def emptied(self, table: str, column: str, index: str, new_type: str) -> list[str]:
        """The statements that give a column another type, without its values."""

    def value(self, kind: Kind, mark: str) -> str:
        """A mirror value, as passed in the parameter `mark`, in the type of its column."""

    def dependents(self, object_name: str, field: str) -> tuple[str, tuple[str, ...]] | None:
        """The query for what of a user's depends on a column's type, as (what, statement that removes it).

        None where nothing can.
        """

    def text_of(self, kind: Kind, value: str) -> str:
        """A value in the type of its kind, as the text of a column that stays text."""

    def of_text(self, kind: Kind, column: str) -> str:
        """The column of `text_of`, as a value in the type of its kind."""

    def from_csv(self, kind: Kind, text: str) -> str:
        """A value of CSV text, in the type of its column; the empty text is NULL."""

    def seconds(self, stamp: str) -> str:
        """A stamp in whole seconds since 1970."""

    def earlier(self, moment: str, seconds: str) -> str:
        """The ISO text of a moment some seconds before the ISO text `moment`."""

    def histogram(self, table: str, stamp: str) -> str:
        """The query for the number of rows per day of their stamp. Parameter: the stamps' upper bound.

        Skips from day to day along the stamp's index: a GROUP BY on an expression would sort every row.
        """

    def document(self, text: str, name: str) -> tuple[str, str]:
        """A JSON text that many values are read from: what follows its table after FROM, and the document.

        `name` is what the document is called there.
        """

    def has_value(self, document: str, field: str) -> str:
        """Whether a JSON document has a field."""

    def value_in(self, field: Field, document: str) -> str:
        """A field's value in a JSON document of mirror values, in the type of its column."""

    def text_in(self, document: str, key: str) -> str:
        """A text in a JSON document; NULL where it is not there."""

    def keys_since(self, document: str, moment: str) -> str:
        """The JSON list of a document's keys, but for the empty one, whose moment is not before another."""

    def moment(self, text: str) -> str:
        """An ISO text in the type of a column of moments."""

    def moment_of(self, millis: str) -> str:
        """Milliseconds since 1970 in the type of a column of moments."""

    def columns_of(self, object_name: str) -> tuple[str, tuple[str, ...]]:
        """The query for the columns of an object's table, as (name, declared type), and its parameters."""
