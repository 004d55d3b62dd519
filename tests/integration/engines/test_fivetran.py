"""The layout of Fivetran in PostgreSQL, by what the dbt package dbt_salesforce reads."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rtsd.core.layout import Layout
from rtsd.store.database import Database
from tests.support.heroku_connect import Sample, mirrored
from tests.support.postgres import PostgresMirror

_FILE = Path(__file__).parents[2] / "golden" / "dbt_salesforce.toml"
SOURCES: dict[str, dict[str, str]] = tomllib.loads(_FILE.read_text())
OWN = {"_fivetran_synced", "_fivetran_active", "_fivetran_deleted"}
SALESFORCE = {
    "text": ("string", "x"),
    "timestamp": ("datetime", "2026-03-01T10:00:00.000Z"),
    "float": ("currency", "1.5"),
    "numeric": ("currency", "2.5"),
    "integer": ("int", "7"),
    "boolean": ("boolean", "true"),
}
"""For each type of dbt's, a field that it is read from, and a value."""
DATES = ("ActivityDate", "CloseDate", "LastActivityDate", "EndDate", "ServiceDate", "StartDateTime")


@pytest.fixture
async def database(place: PostgresMirror) -> AsyncIterator[Database]:
    """An open mirror."""
    async with await place.engine().open() as opened:
        yield opened


def camel(column: str) -> str:
    """A name as Salesforce has it, by the rule by which the package itself renames columns."""
    return "".join(word.capitalize() for word in column.split("_"))


def sample(source: str) -> Sample:
    """An object with every field that the package reads, and a row."""
    fields, row = {"Id": "id"}, ["001000000000001AAA"]
    for kind, columns in SOURCES[source].items():
        for column in columns.split():
            if column not in {"id", *OWN}:
                declared, value = SALESFORCE[kind]
                is_date = camel(column) in DATES
                fields[camel(column)] = "date" if is_date else declared
                row.append(value[:10] if is_date else value)
    if "SystemModstamp" not in fields:
        fields["SystemModstamp"] = "datetime"
        row.append("2026-03-01T10:00:00.000Z")
    return Sample(camel(source), fields, [row])


def staged(source: str, schema: str, there: set[str]) -> str:
    """The query of a staging model: both spellings of a name, and NULL where the source has no column."""
    filled, final = [], []
    for kind, columns in SOURCES[source].items():
        for column in columns.split():
            spellings = list(dict.fromkeys((camel(column).lower(), column)))
            filled += [name if name in there else f"cast(null as {kind}) as {name}" for name in spellings]
            both = ", ".join(f"cast({name} as {kind})" for name in spellings)
            final.append(f"coalesce({both}) as {column}")
    return (
        f'with fields as (select {", ".join(filled)} from {schema}."{source}")'
        f" select {', '.join(final)} from fields where coalesce(_fivetran_active, true)"
    )


@pytest.mark.parametrize("source", SOURCES)
async def test_dbts_sources_have_what_is_read(place: PostgresMirror, database: Database, source: str) -> None:
    """Every column of every source, with a value in the type that the package casts it to."""
    schema = f"f_{place.schema}"
    await mirrored(database, sample(source), {Layout.FIVETRAN: schema})
    with psycopg.connect(place.url) as connection:
        described = (
            connection.execute(f'SELECT * FROM {schema}."{source}" LIMIT 0'.encode()).description or ()
        )
        there = {column.name for column in described}
        read = {column for columns in SOURCES[source].values() for column in columns.split()}
        assert read - there == set()
        cursor = connection.execute(staged(source, schema, there).encode())
        names = [column.name for column in cursor.description or ()]
        (row,) = cursor.fetchall()
    values: dict[str, Any] = dict(zip(names, row, strict=True))
    assert [name for name, value in values.items() if value is None] == []
    assert values["_fivetran_active"] is True
    assert not values.get("_fivetran_deleted")
