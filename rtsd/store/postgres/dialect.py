"""SQL as PostgreSQL spells it (contract section 9)."""

from __future__ import annotations

from rtsd.core.schema import Field, Kind
from rtsd.store.dialect import Key, quoted, text
from rtsd.store.postgres.dependents import DEPENDENTS
from rtsd.store.postgres.names import name_of
from rtsd.store.postgres.views import PostgresViews

_TYPES = {
    Kind.BOOLEAN: "boolean",
    Kind.INT: "integer",
    Kind.REAL: "double precision",
    Kind.DATE: "date",
    Kind.DATETIME: "timestamp with time zone",
    Kind.TIME: "time without time zone",
}
_VALUES = {
    Kind.BOOLEAN: "({})::integer::boolean",
    Kind.INT: "({})::integer",
    Kind.REAL: "({})::double precision",
    Kind.DATE: "({})::text::date",
    Kind.DATETIME: "({})::text::timestamptz",
    Kind.TIME: "rtrim(({})::text, 'Z')::time",
}
_FROM_CSV = {
    Kind.BOOLEAN: "CASE ({})::text WHEN 'true' THEN true WHEN 'false' THEN false END",
    Kind.INT: "NULLIF(({})::text, '')::numeric::integer",  # 0.0 included
    Kind.REAL: "NULLIF(({})::text, '')::double precision",
    Kind.DATE: "NULLIF(({})::text, '')::date",
    Kind.DATETIME: "NULLIF(({})::text, '')::timestamptz",
    Kind.TIME: "NULLIF(rtrim(({})::text, 'Z'), '')::time",
}
_TEXTS = {
    Kind.DATE: "to_char({}, 'YYYY-MM-DD')",
    Kind.DATETIME: "to_char(({}) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')",
    Kind.TIME: "to_char({}, 'HH24:MI:SS.MS\"Z\"')",
}
_OF_TEXTS = {kind: f"({{}})::{_TYPES[kind]}" for kind in (Kind.BOOLEAN, Kind.INT, Kind.REAL)}
"""Moments are read as they are: they have the mirror's form."""

_COLUMNS = (
    "SELECT a.attname, format_type(a.atttypid, a.atttypmod)"
    " FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid"
    " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE n.nspname = (?)::text AND c.relname = (?)::text"
    " AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
)


class Postgres:
    """PostgreSQL's `Dialect`, for a schema of mirrored objects."""

    id_type = 'text COLLATE "C"'
    millis_type = "bigint"
    largest_int = 2**31 - 1
    key = "id"
    before_keys: Key = ""

    def __init__(self, schema: str) -> None:
        self.schema = self.place = schema
        self.views = PostgresViews(schema)

    def table(self, object_name: str) -> str:
        """Return the table of a mirrored object, with its schema."""
        return f"{quoted(self.schema)}.{quoted(name_of(object_name))}"

    def qualified(self, object_name: str) -> str:
        """Return the table: it has its schema always."""
        return self.table(object_name)

    def name(self, field: str) -> str:
        """Return the field's name in lower case, cut if it is too long."""
        return name_of(field)

    def column(self, field: str) -> str:
        """Return a column of a mirrored object, quoted."""
        return quoted(name_of(field))

    def index(self, object_name: str, field: str) -> str:
        """Return the name of the index of a field's column."""
        return name_of(f"_rts_{object_name}_{field}")

    def type_of(self, kind: Kind) -> str:
        """Return the type of a column, as PostgreSQL shows it."""
        return _TYPES.get(kind, "text")

    def emptied(self, table: str, column: str, index: str, new_type: str) -> list[str]:
        """Return the statement that changes a column's type and empties it; what depends on it refuses."""
        del index
        return [f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {new_type} USING NULL"]

    def dependents(self, object_name: str, field: str) -> tuple[str, tuple[str, ...]]:
        """Return the query for what PostgreSQL would refuse to change with the column, or might."""
        return DEPENDENTS, (self.schema, name_of(object_name), name_of(field))

    def text_of(self, kind: Kind, value: str) -> str:
        """Return moments as the mirror writes them on SQLite, others as PostgreSQL does."""
        return _TEXTS.get(kind, "({})::text").format(value)

    def of_text(self, kind: Kind, column: str) -> str:
        """Return the value that such a text has."""
        return _OF_TEXTS.get(kind, "{}").format(column)

    def value(self, kind: Kind, mark: str) -> str:
        """Return a mirror value in the type of its column."""
        return _VALUES.get(kind, "({})::text").format(mark)

    def from_csv(self, kind: Kind, text: str) -> str:
        """Return a value of CSV text, in the type of its column."""
        return _FROM_CSV.get(kind, "NULLIF(({})::text, '')").format(text)

    def seconds(self, stamp: str) -> str:
        """Return a stamp in whole seconds since 1970."""
        return f"floor(extract(epoch FROM {stamp}))::bigint"

    def earlier(self, moment: str, seconds: str) -> str:
        """Return the ISO text of a moment some seconds before another."""
        shifted = f"({moment}::timestamptz - make_interval(secs => {seconds})) AT TIME ZONE 'UTC'"
        return f'to_char({shifted}, \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\')'

    def histogram(self, table: str, stamp: str) -> str:
        """Return the query for the number of rows per day."""
        day = f"(min({stamp}) AT TIME ZONE 'UTC')::date"
        start = "(day::timestamp AT TIME ZONE 'UTC')"
        end = "((day + 1)::timestamp AT TIME ZONE 'UTC')"
        until = f"{stamp} < (?1)::text::timestamptz"
        return (
            f"WITH RECURSIVE days(day) AS (SELECT {day} FROM {table} WHERE {until}"
            f" UNION ALL SELECT (SELECT {day} FROM {table} WHERE {stamp} >= {end} AND {until})"
            " FROM days WHERE day IS NOT NULL)"
            f" SELECT day::text, (SELECT count(*) FROM {table} WHERE {stamp} >= {start} AND {stamp} < {end}"
            f" AND {until}) FROM days WHERE day IS NOT NULL"
        )

    def document(self, text: str, name: str) -> tuple[str, str]:
        """Return what parses the text once a row; without OFFSET it would be parsed for every value."""
        return f" CROSS JOIN LATERAL (SELECT ({text})::jsonb AS it OFFSET 0) AS {name}", f"{name}.it"

    def has_value(self, document: str, field: str) -> str:
        """Return whether the document has the field, also as a null."""
        return f"jsonb_exists(({document})::jsonb, {text(field)})"

    def value_in(self, field: Field, document: str) -> str:
        """Return the value, made of its text."""
        value = self.value(field.kind, self.text_in(document, field.name))
        return f'{value} COLLATE "C"' if field.is_id else value

    def text_in(self, document: str, key: str) -> str:
        """Return the text at a key."""
        return f"(({document})::jsonb ->> {text(key)})"

    def keys_since(self, document: str, moment: str) -> str:
        """Return the list of the keys."""
        return (
            f"(SELECT json_agg(key)::text FROM jsonb_each_text(({document})::jsonb)"
            f" WHERE key <> '' AND value COLLATE \"C\" >= {moment})"
        )

    def moment(self, text: str) -> str:
        """Return the moment as a timestamp."""
        return f"({text})::timestamptz"

    def moment_of(self, millis: str) -> str:
        """Return the timestamp."""
        return f"to_timestamp(({millis}) / 1000.0)"

    def columns_of(self, object_name: str) -> tuple[str, tuple[str, ...]]:
        """Return the query for the columns of an object's table, and its parameters."""
        return _COLUMNS, (self.schema, name_of(object_name))
