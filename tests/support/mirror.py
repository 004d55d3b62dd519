"""A mirror as programs other than rtsd see it, on the engine that `RTS_TEST_STORE` names."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import pytest

from rtsd.store.engine import Engine
from rtsd.store.sqlite.engine import SqliteEngine
from rtsd.workflows.demo.compare import Difference, compare

ENGINE = os.environ.get("RTS_TEST_STORE", "sqlite")
"""The engine of this run."""

sqlite_only = pytest.mark.skipif(ENGINE != "sqlite", reason="about SQLite's file and library")
postgres_only = pytest.mark.skipif(ENGINE != "postgres", reason="about PostgreSQL's tables")


class Mirror(Protocol):
    """The mirror of a test."""

    def section(self) -> str:
        """The lines of `[store]` that name it."""

    def engine(self) -> Engine:
        """It as rtsd opens it."""

    async def compare(self, name: str, truth: AsyncIterator[dict[str, Any]]) -> Difference:
        """Compare an object with the org's records."""

    def sql(self, statement: str, *parameters: object) -> list[Any]:
        """Query it."""

    def received(self, statement: str) -> list[Any]:
        """Query its inbox."""

    def content(self) -> bytes:
        """Every byte that is stored."""


class SqliteMirror:
    """A mirror in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def section(self) -> str:
        """Return the line with the path."""
        return f"path = {json.dumps(str(self.path))}"

    def engine(self) -> SqliteEngine:
        """Return the engine of the path."""
        return SqliteEngine(self.path)

    async def compare(self, name: str, truth: AsyncIterator[dict[str, Any]]) -> Difference:
        """Compare with the standard library's SQLite."""
        return await compare(name, truth, self.path)

    def sql(self, statement: str, *parameters: object) -> list[Any]:
        """Query it with the standard library's SQLite."""
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            return database.execute(statement, parameters).fetchall()

    def received(self, statement: str) -> list[Any]:
        """Query the file beside it."""
        return SqliteMirror(self.path.with_name(f"{self.path.name}.inbox")).sql(statement)

    def content(self) -> bytes:
        """Return what its files contain."""
        return b"".join(path.read_bytes() for path in sorted(self.path.parent.glob(f"{self.path.name}*")))


def mirror_at(path: Path) -> Mirror:
    """The mirror of a test whose file, on SQLite, is at `path`; on PostgreSQL it has schemas of its own."""
    if ENGINE == "postgres":
        from tests.support.postgres import PostgresMirror

        return PostgresMirror(path)
    return SqliteMirror(path)
