"""Tables as Heroku Connect makes them, and the same rows in a mirror.

The types are those of Heroku Connect's tables: `sfid varchar(18)`, `timestamp`, `double precision`, and texts
as `varchar(n)` or `text` (https://devcenter.heroku.com/articles/heroku-connect-database-tables, and dumps of
such tables in public repositories).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from rtsd.core.change import Version
from rtsd.core.layout import Layout
from rtsd.core.schema import Field, ObjectSchema, kind_of
from rtsd.store import mirror_writer, views
from rtsd.store.database import Database
from rtsd.store.schema import Table

VERSION = Version("", 1, 2)
_TYPES = {
    "id": "varchar(18)",
    "reference": "varchar(18)",
    "boolean": "boolean",
    "int": "integer",
    "double": "double precision",
    "currency": "double precision",
    "percent": "double precision",
    "date": "date",
    "datetime": "timestamp without time zone",
    "textarea": "text",
}


@dataclass(frozen=True)
class Sample:
    """An object: its fields with their types in Salesforce, and its rows as CSV has them."""

    name: str
    fields: Mapping[str, str]
    rows: list[list[str]]

    @property
    def schema(self) -> ObjectSchema:
        """As rtsd mirrors it."""
        fields = tuple(Field(name, kind, kind_of(kind)) for name, kind in self.fields.items())
        return ObjectSchema(self.name, fields, cursor="SystemModstamp")


async def mirrored(database: Database, sample: Sample, layouts: Mapping[Layout, str]) -> Table:
    """Make the mirror's table and its views, and load the rows."""
    table = Table(sample.schema, database.dialect)
    async with database.transaction() as tx:
        await views.ensure(tx, table, layouts)
        await mirror_writer.load_rows(tx, table, table.columns, sample.rows, VERSION)
    await database.build_indexes(table)
    return table


def made_by_hand(connection: psycopg.Connection[object], schema: str, sample: Sample) -> None:
    """Make Heroku Connect's table, with the same rows."""
    names = {name: "sfid" if name == "Id" else name.lower() for name in sample.fields}
    columns = [f"{names[name]} {_TYPES.get(kind, 'varchar(255)')}" for name, kind in sample.fields.items()]
    columns += ["id serial PRIMARY KEY", "_hc_lastop varchar(32)", "_hc_err text"]
    connection.execute(f"CREATE TABLE {schema}.{sample.name.lower()} ({', '.join(columns)})".encode())
    marks = ", ".join("%s" for _ in names)
    insert = (
        f"INSERT INTO {schema}.{sample.name.lower()} ({', '.join(names.values())}, _hc_lastop)"
        f" VALUES ({marks}, 'SYNCED')"
    )
    for row in sample.rows:
        stamps = (
            value.replace("T", " ").removesuffix("Z") if value.endswith("Z") else value for value in row
        )
        connection.execute(insert.encode(), [value or None for value in stamps])


_SYSTEM = {"Id": "id", "IsDeleted": "boolean", "CreatedDate": "datetime", "SystemModstamp": "datetime"}

SAMPLES = [
    Sample(
        "Account",
        {**_SYSTEM, "Name": "string", "ParentId": "reference", "NumberOfEmployees": "int"},
        [
            [
                f"001{place:012d}AAA",
                "false",
                f"2026-03-0{place}T10:00:00.000Z",
                f"2026-03-0{place}T23:59:59.000Z",
                *more,
            ]
            for place, more in enumerate(
                [
                    ("Acme", "", "10"),
                    ("Acme Süd \"GmbH\" & 'Co'", "001000000000001AAA", ""),
                    ("acme_low", "001000000000002AAA", "0"),
                    ("Grün 😀", "001000000000001AAA", "250000"),
                    ("100% Ltd", "", "7"),
                ],
                1,
            )
        ],
    ),
    Sample(
        "Contact",
        {
            **_SYSTEM,
            "LastName": "string",
            "FirstName": "string",
            "AccountId": "reference",
            "Email": "email",
            "Phone": "phone",
            "MobilePhone": "phone",
            "Interests__c": "multipicklist",
        },
        [
            [f"003{place:012d}AAA", "false", *more]
            for place, more in enumerate(
                [
                    # the hour that New York skips, and the one that Berlin has twice
                    (
                        "2026-03-08T02:30:00.000Z",
                        "2026-03-08T07:30:00.123Z",
                        "Ames",
                        "Ann",
                        "001000000000001AAA",
                        "ann@Example.com",
                        "",
                        "555",
                        "Golf;Wine",
                    ),
                    (
                        "2026-03-08T07:30:00.000Z",
                        "2026-03-08T07:30:00.124Z",
                        "Bell",
                        "",
                        "001000000000001AAA",
                        "b@example.org",
                        "1",
                        "2",
                        "Wine",
                    ),
                    (
                        "2025-10-26T00:30:00.000Z",
                        "2026-03-08T04:00:00.000Z",
                        "Bell",
                        "Zoë",
                        "001000000000004AAA",
                        "",
                        "",
                        "",
                        "",
                    ),
                    (
                        "2025-10-26T01:30:00.000Z",
                        "2026-03-08T04:00:00.001Z",
                        "O'Neil\nJr",
                        "x",
                        "",
                        "o@example.com",
                        "",
                        "",
                        "Golf",
                    ),
                    (
                        "2024-02-29T23:59:59.999Z",
                        "2026-03-09T00:00:00.000Z",
                        "çelik",
                        "a",
                        "001000000000999AAA",
                        "c@EXAMPLE.COM",
                        "3",
                        "",
                        "Golfing;Golf",
                    ),
                ],
                1,
            )
        ],
    ),
    Sample(
        "Opportunity",
        {
            **_SYSTEM,
            "Name": "string",
            "AccountId": "reference",
            "StageName": "picklist",
            "Amount": "currency",
            "Probability": "percent",
            "CloseDate": "date",
            "IsWon": "boolean",
            "IsClosed": "boolean",
            "Description": "textarea",
        },
        [
            [
                f"006{place:012d}AAA",
                "false",
                "2025-12-31T22:15:00.000Z",
                "2026-02-28T08:00:00.000Z",
                f"Deal {place}",
                *more,
            ]
            for place, more in enumerate(
                [
                    ("001000000000001AAA", "Closed Won", "1234.56", "100", "2026-01-31", "true", "true", "a"),
                    ("001000000000001AAA", "Closed Lost", "0.1", "0", "2026-02-28", "false", "true", ""),
                    ("001000000000002AAA", "Prospecting", "0.2", "12.5", "2026-03-31", "false", "false", ""),
                    ("001000000000004AAA", "Prospecting", "", "10", "2026-12-31", "false", "false", "b\nc"),
                    ("", "Prospecting", "98765432.1", "75", "2024-02-29", "false", "false", ""),
                    ("001000000000004AAA", "Closed Won", "1500", "100", "2026-03-01", "true", "true", ""),
                ],
                1,
            )
        ],
    ),
]
