"""Schema migrations: numbered SQL files, each one transaction, counted in PRAGMA user_version."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

from rtsd.store.sqlite.library import aiosqlite


class Migrations:
    """The migrations of a file, in the order of their numbers."""

    def __init__(self, folder: Traversable) -> None:
        self.scripts = sorted(
            (int(entry.name.split("_")[0]), entry)
            for entry in folder.iterdir()
            if entry.name.endswith(".sql")
        )
        self.latest = self.scripts[-1][0]
        """The schema version of this rtsd."""

    async def run(self, connection: aiosqlite.Connection) -> None:
        """Apply the missing migrations; a kill in between leaves a complete earlier version."""
        ((found,),) = await connection.execute_fetchall("PRAGMA user_version")
        for number, script in self.scripts:
            if number > found:
                await connection.executescript(
                    f"BEGIN IMMEDIATE; {script.read_text()}; PRAGMA user_version={number}; COMMIT"
                )


MIRROR = Migrations(files("rtsd.store.sqlite.migrations"))
INBOX = Migrations(files("rtsd.store.sqlite.migrations") / "inbox")
