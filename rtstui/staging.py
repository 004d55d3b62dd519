"""Edits of sync conditions that are not applied yet. Plain data, no Textual here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Staged:
    """An object's conditions in the org (`base`) and as edited (`wanted`), with the steps to undo."""

    base: frozenset[str] = frozenset()
    wanted: frozenset[str] = frozenset()
    _before: list[frozenset[str]] = field(default_factory=list)

    def rebase(self, fields: Iterable[str]) -> None:
        """Take in the org's conditions; the edits are kept as edits, so that changes by others stay."""
        fresh = frozenset(fields)
        if fresh != self.base:
            added, removed = self.wanted - self.base, self.base - self.wanted
            self.base, self.wanted = fresh, (fresh | added) - removed
            self._before.clear()

    def toggle(self, name: str) -> None:
        """Choose a field, or undo that."""
        self._set(self.wanted ^ {name})

    def choose(self, names: Iterable[str]) -> None:
        """Choose exactly these."""
        self._set(frozenset(names))

    def undo(self) -> None:
        """Take the last step back."""
        if self._before:
            self.wanted = self._before.pop()

    def applied(self) -> None:
        """Take the edits for applied."""
        self.base = self.wanted
        self._before.clear()

    def _set(self, wanted: frozenset[str]) -> None:
        if wanted != self.wanted:
            self._before.append(self.wanted)
            self.wanted = wanted

    @property
    def added(self) -> list[str]:
        """Fields that will become conditions."""
        return sorted(self.wanted - self.base)

    @property
    def removed(self) -> list[str]:
        """Fields that will no longer be conditions."""
        return sorted(self.base - self.wanted)

    @property
    def changed(self) -> bool:
        """True if there is something to apply."""
        return self.wanted != self.base
