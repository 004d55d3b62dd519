"""Migrations: numbered SQL files, each in one transaction, counted in PRAGMA user_version."""

from __future__ import annotations

from importlib.resources import files

from rtsd.store.sqlite import aiosqlite

SCRIPTS = sorted(
    (int(entry.name.split("_")[0]), entry)
    for entry in files("rtsd.store.migrations").iterdir()
    if entry.name.endswith(".sql")
)
LATEST = SCRIPTS[-1][0]
"""The schema version this rtsd knows."""


async def run(connection: aiosqlite.Connection) -> None:
    """Run what is missing; a kill in between leaves a whole earlier version."""
    ((found,),) = await connection.execute_fetchall("PRAGMA user_version")
    for number, script in SCRIPTS:
        if number > found:
            await connection.executescript(
                f"BEGIN IMMEDIATE; {script.read_text()}; PRAGMA user_version={number}; COMMIT"
            )
