"""Schema migrations: numbered SQL files, each one transaction, counted in PRAGMA user_version."""

from __future__ import annotations

from importlib.resources import files

from rtsd.store.migrations import Migrations
from rtsd.store.sqlite.library import aiosqlite


class FileMigrations(Migrations):
    """The migrations of a file."""

    async def run(self, connection: aiosqlite.Connection) -> None:
        """Apply the missing migrations; a kill in between leaves a complete earlier version."""
        ((found,),) = await connection.execute_fetchall("PRAGMA user_version")
        for number, script in self.after(found):
            await connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version={number}; COMMIT")


MIRROR = FileMigrations(files("rtsd.store.sqlite.migrations"))
INBOX = FileMigrations(files("rtsd.store.sqlite.migrations") / "inbox")
