"""A table of what a document has: its rows, and what stands in for them until it is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from rtstui import documents
from rtstui.document_cache import CachedDocument
from rtstui.widgets.table import Table

D = TypeVar("D")
E = TypeVar("E")


class DocumentTable(Table, Generic[D, E]):
    """The entries of a document. Subclasses give the document, its entries by key, and a row for each."""

    def document(self) -> CachedDocument[D] | None:
        """Return the document, loaded while it is in sight; None while there is none to ask for."""
        raise NotImplementedError

    def entries_of(self, value: D) -> Mapping[str, E]:
        """Return the entries by the keys of their rows, in order."""
        raise NotImplementedError

    def nothing(self, value: D) -> str:
        """Return the text that stands in for the rows of a document without entries."""
        raise NotImplementedError

    def entries(self) -> Mapping[str, E]:
        """Return the entries by the keys of their rows; none before the document is loaded."""
        document = self.document()
        return {} if document is None or document.value is None else self.entries_of(document.value)

    def find(self, key: str | None) -> E | None:
        """Return the entry of a row."""
        return self.entries().get(key or "")

    def keys(self) -> Sequence[str]:
        """The keys of the entries."""
        return list(self.entries())

    def empty(self) -> str:
        """There are none, or they are not loaded."""
        document = self.document()
        if document is None or document.value is None:
            return documents.stand_in(document, self.state)
        return self.nothing(document.value)
