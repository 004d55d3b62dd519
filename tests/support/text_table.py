"""A table of the mirror with a text in each row."""

from __future__ import annotations

from rtsd.core.schema import Field, Kind, ObjectSchema
from rtsd.store import schema as tables
from rtsd.store.database import Database
from rtsd.store.schema import Table

STAMP = "2026-03-01T10:00:00.000Z"
COLUMNS = ("Id", "Name", "SystemModstamp")


async def text_table(database: Database) -> Table:
    """Create the table `Thing`."""
    texts = (Field("Id", "id", Kind.TEXT), Field("Name", "string", Kind.TEXT))
    stamp = Field("SystemModstamp", "datetime", Kind.DATETIME)
    table = Table(ObjectSchema("Thing", (*texts, stamp), cursor="SystemModstamp"), database.dialect)
    async with database.transaction() as tx:
        await tables.ensure(tx, table)
    return table


def record_id(place: int) -> str:
    """The id of a row."""
    return f"003{place:012d}AAA"


def text_row(place: int, text: str) -> list[str]:
    """One row, as CSV has it."""
    return [record_id(place), text, STAMP]
