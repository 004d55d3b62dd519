"""Loads of CSV text by the engine itself, which is many times as fast as a statement per row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from rtsd.core.change import Version
from rtsd.core.privacy import MaskedText
from rtsd.store.schema import Table

if TYPE_CHECKING:
    from rtsd.store.database import Tx


class Loader(Protocol):
    """What an engine's transactions load with."""

    async def load_text(self, tx: Tx, table: Table, text: MaskedText, version: Version) -> bool:
        """Insert the rows; return False, with nothing inserted, if not all of them can be.

        They can't if a row's id is known or deleted, or its width is wrong.
        """

    async def load_rows(
        self, tx: Tx, table: Table, columns: Sequence[str], rows: list[list[str]], version: Version
    ) -> None:
        """Insert rows of CSV text that are new to the mirror."""
