"""Sync conditions being edited: what is chosen and not applied yet. Plain data, no Textual here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Staged:
    """An object's conditions as they stand in the org (`base`) and as they are to be, with what to undo."""

    base: frozenset[str] = frozenset()
    wanted: frozenset[str] = frozenset()
    _before: list[frozenset[str]] = field(default_factory=list)

    def rebase(self, fields: Iterable[str]) -> None:
        """Take in what stands now; the edits are kept as edits: nothing is undone that others did."""
        fresh = frozenset(fields)
        if fresh != self.base:
            added, removed = self.wanted - self.base, self.base - self.wanted
            self.base, self.wanted = fresh, (fresh | added) - removed
            self._before.clear()

    def toggle(self, name: str) -> None:
        """Choose a field, or not any more."""
        self._set(self.wanted ^ {name})

    def choose(self, names: Iterable[str]) -> None:
        """Choose exactly these."""
        self._set(frozenset(names))

    def undo(self) -> None:
        """Take the last step back."""
        if self._before:
            self.wanted = self._before.pop()

    def applied(self) -> None:
        """What was wanted stands now."""
        self.base = self.wanted
        self._before.clear()

    def _set(self, wanted: frozenset[str]) -> None:
        if wanted != self.wanted:
            self._before.append(self.wanted)
            self.wanted = wanted

    @property
    def added(self) -> list[str]:
        """Fields that will push and do not yet."""
        return sorted(self.wanted - self.base)

    @property
    def removed(self) -> list[str]:
        """Fields that push and will not any more."""
        return sorted(self.base - self.wanted)

    @property
    def changed(self) -> bool:
        """Whether anything is to be applied."""
        return self.wanted != self.base
