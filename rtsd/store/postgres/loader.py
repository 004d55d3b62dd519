"""Loads of CSV text by COPY, into a table that the transaction drops, and from there into the mirror."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import psycopg

from rtsd.core.change import Source, Version
from rtsd.core.privacy import MaskedText
from rtsd.store.database import Tx
from rtsd.store.schema import OWN_COLUMNS, Table

if TYPE_CHECKING:
    from rtsd.store.postgres.database import PostgresTx

_PAGE = "_rts_page"


class CopyLoader:
    """Loads pages of a Bulk result."""

    async def load_text(self, tx: Tx, table: Table, text: MaskedText, version: Version) -> bool:
        """Insert the rows; return False, with nothing inserted, if not all of them can be.

        They can't if a row's id is known or deleted, its width is wrong, or COPY does not read a value, such
        as an integer written as 5.0; nor if a column stays text, as its values have a form of their own.
        """
        if table.kept:
            return False
        await tx.execute("SAVEPOINT load")
        try:
            await _copy(cast("PostgresTx", tx), table, text)
            is_loaded = await _insert(tx, table, text, version)
        except (psycopg.DataError, psycopg.IntegrityError):
            is_loaded = False
        await tx.execute(f"{'RELEASE' if is_loaded else 'ROLLBACK TO'} SAVEPOINT load")
        if is_loaded:
            await tx.execute(f"DROP TABLE pg_temp.{_PAGE}")
        return is_loaded

    async def load_rows(
        self, tx: Tx, table: Table, columns: Sequence[str], rows: list[list[str]], version: Version
    ) -> None:
        """Insert rows of CSV text that are new to the mirror; PostgreSQL converts the values."""
        own = (version.seen, version.until, Source.AUDIT.value, 0)
        values = ", ".join([*(table.from_csv(name, "?") for name in columns), *"?" * len(own)])
        await tx.executemany(
            f"INSERT INTO {table.sql_name} ({table.list_of((*columns, *OWN_COLUMNS))}) VALUES ({values})",
            [(*row, *own) for row in rows],
        )


async def _copy(tx: PostgresTx, table: Table, text: MaskedText) -> None:
    names = table.list_of(text.columns)
    await tx.execute(
        f"CREATE TEMPORARY TABLE {_PAGE} ON COMMIT DROP AS SELECT {names} FROM {table.sql_name} WITH NO DATA"
    )
    # the empty text is NULL, quoted or not: Salesforce stores no empty text
    copy = f"COPY pg_temp.{_PAGE} ({names}) FROM STDIN (FORMAT csv, FORCE_NULL ({names}))"
    async with tx.connection.cursor() as cursor, cursor.copy(copy.encode()) as sink:
        for piece in text.pieces:
            await sink.write(piece)


async def _insert(tx: Tx, table: Table, text: MaskedText, version: Version) -> bool:
    names, own = table.list_of(text.columns), ", ".join(OWN_COLUMNS)
    inserted = await tx.executemany(
        f"INSERT INTO {table.sql_name} ({names}, {own})"
        f" SELECT {names}, ?1, ?2, ?3, 0 FROM pg_temp.{_PAGE} AS page WHERE NOT EXISTS"
        " (SELECT 1 FROM _rts_tombstone AS stone WHERE stone.object=?4 AND stone.id=page.id)",
        [(version.seen, version.until, Source.AUDIT.value, table.name)],
    )
    return inserted == text.count
