"""Schema migrations: numbered SQL files, each one transaction, counted in PRAGMA user_version."""

from __future__ import annotations

from importlib.resources import files

from rtsd.store.sqlite import aiosqlite

SCRIPTS = sorted(
    (int(entry.name.split("_")[0]), entry)
    for entry in files("rtsd.store.migrations").iterdir()
    if entry.name.endswith(".sql")
)
LATEST = SCRIPTS[-1][0]
"""The schema version of this rtsd."""


async def run(connection: aiosqlite.Connection) -> None:
    """Apply the missing migrations; a kill in between leaves a complete earlier version."""
    ((found,),) = await connection.execute_fetchall("PRAGMA user_version")
    for number, script in SCRIPTS:
        if number > found:
            await connection.executescript(
                f"BEGIN IMMEDIATE; {script.read_text()}; PRAGMA user_version={number}; COMMIT"
            )
