"""A database that has no room to grow, as on a full disk."""

from __future__ import annotations

from rtsd.store.database import Database

ROOMY = 1_000_000


async def limit_pages(database: Database, pages: int = ROOMY) -> None:
    """Let the file grow to so many pages and no further; without a number it has room again."""
    async with database.transaction() as tx:
        await tx.fetch(f"PRAGMA max_page_count={pages}")


async def refuse_rows(database: Database, table: str) -> None:
    """Refuse new rows of one table, as SQLite does when the disk is full."""
    full = "SELECT RAISE(ABORT, 'database or disk is full')"
    async with database.transaction() as tx:
        await tx.execute(f"CREATE TEMP TRIGGER full BEFORE INSERT ON main.{table} BEGIN {full}; END")


async def accept_rows(database: Database) -> None:
    """Accept them again."""
    async with database.transaction() as tx:
        await tx.execute("DROP TRIGGER full")
