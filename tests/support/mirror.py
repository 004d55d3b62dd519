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


def sqlite_only(reason: str) -> pytest.MarkDecorator:
    """Mark what means nothing on PostgreSQL, and say why."""
    return pytest.mark.skipif(ENGINE != "sqlite", reason=f"SQLite only: {reason}")


def postgres_only(reason: str) -> pytest.MarkDecorator:
    """Mark what means nothing on SQLite, and say why."""
    return pytest.mark.skipif(ENGINE != "postgres", reason=f"PostgreSQL only: {reason}")


class Mirror(Protocol):
    """The mirror of a test."""

    views: str
    """Where the views of a layout may be."""

    def section(self) -> str:
        """The lines of `[store]` that name it."""

    def engine(self) -> Engine:
        """It as rtsd opens it."""

    async def compare(self, name: str, truth: AsyncIterator[dict[str, Any]]) -> Difference:
        """Compare an object with the org's records."""

    def sql(self, statement: str, *parameters: object) -> list[Any]:
        """Query it."""

    def columns(self, name: str) -> dict[str, str]:
        """The columns of a table or view with their types, in order, in lower case."""

    def view(self, object_name: str) -> str:
        """The name of an object's view there."""

    def occupied(self, object_name: str) -> list[str]:
        """The statements that make a table in its place."""

    def received(self, statement: str) -> list[Any]:
        """Query its inbox."""

    def content(self) -> bytes:
        """Every byte that is stored."""

    def saved(self) -> bytes:
        """It as a copy, while nobody has it open."""

    def restore(self, copy: bytes) -> None:
        """Have what another mirror saved, where nothing is stored yet."""


class SqliteMirror:
    """A mirror in a file."""

    views = "hc"

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

    def columns(self, name: str) -> dict[str, str]:
        """Return them as declared."""
        found = self.sql("SELECT lower(name), lower(type) FROM pragma_table_info(?)", name)
        return dict(found)

    def view(self, object_name: str) -> str:
        """Return the name, which begins with the place."""
        return f"{self.views}_{object_name.lower()}"

    def occupied(self, object_name: str) -> list[str]:
        """Return the one statement."""
        return [f"CREATE TABLE {self.view(object_name)} (id int)"]

    def received(self, statement: str) -> list[Any]:
        """Query the file beside it."""
        return SqliteMirror(self.path.with_name(f"{self.path.name}.inbox")).sql(statement)

    def content(self) -> bytes:
        """Return what its files contain."""
        return b"".join(path.read_bytes() for path in sorted(self.path.parent.glob(f"{self.path.name}*")))

    def saved(self) -> bytes:
        """Return the file, without the one beside it: nothing waits there."""
        return self.path.read_bytes()

    def restore(self, copy: bytes) -> None:
        """Write the file."""
        self.path.touch(mode=0o600)
        self.path.write_bytes(copy)


def mirror_at(path: Path) -> Mirror:
    """The mirror of a test whose file, on SQLite, is at `path`; on PostgreSQL it has schemas of its own."""
    if ENGINE == "postgres":
        from tests.support.postgres import PostgresMirror

        return PostgresMirror(path)
    return SqliteMirror(path)
