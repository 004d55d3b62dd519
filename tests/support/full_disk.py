"""A database that has no room, or refuses some rows, as on a full disk."""

from __future__ import annotations

from rtsd.store.database import Database
from tests.support.mirror import ENGINE

ROOMY = 1_000_000


async def fill_disk(database: Database, table: str) -> None:
    """Leave no room: on SQLite for another page, on PostgreSQL for a row of the table."""
    if ENGINE == "postgres":
        await refuse_rows(database, table)
        return
    ((pages,),) = await database.fetch("PRAGMA page_count")
    await _limit_pages(database, pages)


async def free_disk(database: Database, table: str) -> None:
    """Give it room again."""
    if ENGINE == "postgres":
        await accept_rows(database, table)
    else:
        await _limit_pages(database, ROOMY)


async def refuse_rows(database: Database, table: str, event: str = "INSERT", when: str = "true") -> None:
    """Refuse what happens to rows of one table, as the engine does when the disk is full."""
    async with database.transaction() as tx:
        if ENGINE == "postgres":
            await tx.execute(
                f"CREATE FUNCTION full_{table}() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE disk_full; END $$"
            )
            await tx.execute(
                f"CREATE TRIGGER full_disk BEFORE {event} ON {table} FOR EACH ROW WHEN ({when})"
                f" EXECUTE FUNCTION full_{table}()"
            )
        else:
            await tx.execute(
                f"CREATE TEMP TRIGGER full_{table} BEFORE {event} ON main.{table} WHEN {when}"
                " BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
            )


async def accept_rows(database: Database, table: str) -> None:
    """Accept them again."""
    async with database.transaction() as tx:
        if ENGINE == "postgres":
            await tx.execute(f"DROP FUNCTION full_{table} CASCADE")
        else:
            await tx.execute(f"DROP TRIGGER full_{table}")


async def _limit_pages(database: Database, pages: int) -> None:
    async with database.transaction() as tx:
        await tx.fetch(f"PRAGMA max_page_count={pages}")
