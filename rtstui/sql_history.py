"""The statements that were run in the SQL view: kept in a file, for the next start of the dashboard.

They may name people, so only their owner can read the file.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from rtstui.saving import state_directory

KEPT = 500
"""Statements; the oldest goes first."""

LONGEST = 10_000
"""Characters of a statement that is kept."""


def path() -> Path:
    """Return the file of the history."""
    return state_directory() / "sql-history"


class SqlHistory:
    """The statements, oldest first and each once, and the place of whoever steps through them."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._kept = _read(file)
        self._place = len(self._kept)
        self._draft = ""

    @property
    def statements(self) -> list[str]:
        """The statements, oldest first."""
        return list(self._kept)

    def older(self, typed: str) -> str | None:
        """Return the statement before; `typed` is what stands in the editor. None if there is none."""
        if self._place == len(self._kept):
            self._draft = typed
        return self._go(self._place - 1)

    def newer(self) -> str | None:
        """Return the statement after, at last what was being typed; None beyond that."""
        return self._go(self._place + 1)

    def _go(self, place: int) -> str | None:
        if not 0 <= place <= len(self._kept):
            return None
        self._place = place
        return self._draft if place == len(self._kept) else self._kept[place]

    def add(self, statement: str) -> None:
        """Keep a statement as the newest, here and in the file. Raises OSError.

        The file is read again first: another dashboard may have written to it.
        """
        if len(statement) <= LONGEST:
            others = _read(self._file) or self._kept
            self._kept = [*(other for other in others if other != statement), statement][-KEPT:]
        self._place, self._draft = len(self._kept), ""
        self._write()

    def _write(self) -> None:
        """Replace the file at once: a half of it is never read."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(statement) + "\n" for statement in self._kept)
        beside.replace(self._file)


def _read(file: Path) -> list[str]:
    """Return the statements of the file; lines that are no statements are left out."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    found: dict[str, None] = {}
    for line in lines:
        try:
            statement = json.loads(line)
        except ValueError:
            continue
        if isinstance(statement, str) and statement:
            found.pop(statement, None)
            found[statement] = None
    return list(found)[-KEPT:]
