"""SQLite's csv virtual table, which reads CSV text without Python.

It is SQLite's own extension (`ext/misc/csv.c`, https://www.sqlite.org/csv.html), which the apsw package ships
as a shared object. apsw itself is never imported: a second SQLite library in the process would break its
file locks (https://www.sqlite.org/howtocorrupt.html, 2.2.1).
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import structlog

from rtsd.store.sqlite.library import Error, aiosqlite

log = structlog.get_logger("rtsd.store")


def extension() -> Path | None:
    """Return the extension's file, or None where the apsw package has none."""
    package = importlib.util.find_spec("apsw")  # finds, does not import
    for place in (package and package.submodule_search_locations) or ():
        file = Path(place, "sqlite_extra_binaries", "csv.so")
        if file.is_file():
            return file
    return None


async def enable(connection: aiosqlite.Connection) -> None:
    """Give a connection the csv virtual table, if it is to be had; loads are slower without it."""
    file = extension()
    if file is None or not hasattr(os, "memfd_create"):
        log.info("no csv extension: loads are parsed in Python")
        return
    try:
        await connection.enable_load_extension(True)
        await connection.load_extension(str(file))
    except Error as error:
        log.warning("csv extension not loaded: loads are parsed in Python", error=str(error))
    finally:
        await connection.enable_load_extension(False)
