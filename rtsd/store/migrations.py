"""Schema migrations: SQL files with a number each. Each engine applies them in its own way."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources.abc import Traversable


class Migrations:
    """The migrations of a schema, in the order of their numbers."""

    def __init__(self, folder: Traversable) -> None:
        self.scripts = sorted(
            (int(entry.name.split("_")[0]), entry)
            for entry in folder.iterdir()
            if entry.name.endswith(".sql")
        )
        self.latest = self.scripts[-1][0]
        """The schema version of this rtsd."""

    def after(self, version: int) -> Iterator[tuple[int, str]]:
        """Yield the numbers and texts of the scripts that a schema of a version lacks."""
        return ((number, entry.read_text()) for number, entry in self.scripts if number > version)
