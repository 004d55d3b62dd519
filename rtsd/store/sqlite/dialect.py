"""SQL as SQLite spells it."""

from __future__ import annotations

import msgspec

from rtsd.core.schema import Field, Kind
from rtsd.store.dialect import Key, quoted
from rtsd.store.sqlite.views import SqliteViews

FROM_CSV = {
    Kind.TEXT: "NULLIF({},'')",
    Kind.DATE: "NULLIF({},'')",
    Kind.INT: "CAST(NULLIF({},'') AS INTEGER)",  # 0.0 included
    Kind.REAL: "CAST(NULLIF({},'') AS REAL)",
    Kind.BOOLEAN: "CASE {} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END",
    Kind.DATETIME: "NULLIF(REPLACE({},'+0000','Z'),'')",
    Kind.TIME: "NULLIF({},'')",
}


class Sqlite:
    """SQLite's `Dialect`."""

    id_type = "TEXT"
    millis_type = "INTEGER"
    largest_int = 2**63 - 1
    key = "rowid"
    before_keys: Key = 0
    place = "main"
    views = SqliteViews()

    def table(self, object_name: str) -> str:
        """Return the table of a mirrored object, quoted."""
        return quoted(object_name)

    def qualified(self, object_name: str) -> str:
        """Return the table with the name of its file."""
        return f"main.{quoted(object_name)}"

    def name(self, field: str) -> str:
        """Return the field's own name."""
        return field

    def column(self, field: str) -> str:
        """Return a column of a mirrored object, quoted."""
        return quoted(field)

    def index(self, object_name: str, field: str) -> str:
        """Return the name of the index of a field's column."""
        return f"_rts_{object_name}_{field}"

    def type_of(self, kind: Kind) -> str:
        """Return the declared type of a column: TEXT, INTEGER or REAL."""
        return kind.declared

    def emptied(self, table: str, column: str, index: str, new_type: str) -> list[str]:
        """Return the statements that drop a column and add it again, as SQLite cannot change its type."""
        return [
            f"DROP INDEX IF EXISTS {quoted(index)}",
            f"ALTER TABLE {table} DROP COLUMN {column}",
            f"ALTER TABLE {table} ADD COLUMN {column} {new_type}",
        ]

    def dependents(self, object_name: str, field: str) -> None:
        """Return None: the file is rtsd's."""

    def text_of(self, kind: Kind, value: str) -> str:
        """Return the value itself."""
        del kind
        return value

    def of_text(self, kind: Kind, column: str) -> str:
        """Return the column itself."""
        del kind
        return column

    def value(self, kind: Kind, mark: str) -> str:
        """Return the parameter itself: mirror values are what SQLite stores."""
        del kind
        return mark

    def from_csv(self, kind: Kind, text: str) -> str:
        """Return a value of CSV text, in the type of its column."""
        return FROM_CSV[kind].format(text)

    def seconds(self, stamp: str) -> str:
        """Return a stamp in whole seconds since 1970."""
        return f"CAST(strftime('%s', {stamp}) AS INTEGER)"

    def earlier(self, moment: str, seconds: str) -> str:
        """Return the ISO text of a moment some seconds before another."""
        return f"strftime('%Y-%m-%dT%H:%M:%fZ', {moment}, '-' || ({seconds}) || ' seconds')"

    def document(self, text: str, name: str) -> tuple[str, str]:
        """Return the text itself: SQLite keeps what it has parsed last."""
        del name
        return "", text

    def has_value(self, document: str, field: str) -> str:
        """Return whether the document has the field, also as a null."""
        return f"json_type({document}, {_path(field)}) IS NOT NULL"

    def value_in(self, field: Field, document: str) -> str:
        """Return the value: the mirror's values are those of JSON."""
        return f"json_extract({document}, {_path(field.name)})"

    def text_in(self, document: str, key: str) -> str:
        """Return the text at a key."""
        return f"json_extract({document}, {_path(key)})"

    def keys_since(self, document: str, moment: str) -> str:
        """Return the list of the keys."""
        since = f"FROM json_each({document}) WHERE key <> '' AND value >= {moment}"
        return f"NULLIF((SELECT json_group_array(key) {since}), '[]')"

    def moment(self, text: str) -> str:
        """Return the text itself."""
        return text

    def moment_of(self, millis: str) -> str:
        """Return the ISO text."""
        return f"strftime('%Y-%m-%dT%H:%M:%fZ', ({millis}) / 1000.0, 'unixepoch')"

    def columns_of(self, object_name: str) -> tuple[str, tuple[str, ...]]:
        """Return the query for the columns of an object's table, and its parameters."""
        return "SELECT name, type FROM pragma_table_info(?)", (object_name,)

    def histogram(self, table: str, stamp: str) -> str:
        """Return the query for the number of rows per day."""
        return (
            "WITH RECURSIVE days(day) AS ("
            f" SELECT substr(MIN({stamp}), 1, 10) FROM {table} WHERE {stamp} < ?1"
            " UNION ALL"
            f" SELECT (SELECT substr(MIN({stamp}), 1, 10) FROM {table} WHERE {stamp} >= day || 'U'"
            f" AND {stamp} < ?1) FROM days WHERE day IS NOT NULL)"
            f" SELECT day, (SELECT COUNT(*) FROM {table} WHERE {stamp} >= day AND {stamp} < day || 'U'"
            f" AND {stamp} < ?1) FROM days WHERE day IS NOT NULL"
        )


def _path(key: str) -> str:
    """Return the path of a key in a JSON document, as a text of SQL."""
    path = f"$.{msgspec.json.encode(key).decode()}"
    return "'" + path.replace("'", "''") + "'"


SQLITE = Sqlite()
