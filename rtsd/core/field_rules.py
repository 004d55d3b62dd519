"""Field rules: how much of each field the mirror stores, and how stricter rules apply to stored values.

`fields`, `exclude` and `privacy` of an object make its rules. Those of the last run are stored, so that the
next start notices a change (`sync.privacy_change`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rtsd.core.privacy import masks
from rtsd.core.schema import Kind, ObjectConfig
from rtsd.core.values import MirrorValue, mirror_value

WHOLE, NOTHING = "whole", "nothing"
"""The rules besides the masks of `privacy`."""

Rewrite = Callable[[Any], MirrorValue]


@dataclass(frozen=True, slots=True)
class FieldRules:
    """The rules of one object, by lower-cased field name."""

    fields: tuple[str, ...] = ("*",)
    left_out: tuple[str, ...] = ()
    masked: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, config: ObjectConfig) -> FieldRules:
        """Return the rules of a configuration."""
        rules = {name.lower(): rule for name, rule in config.privacy.items()}
        dropped = {name for name, rule in rules.items() if rule == "drop"}
        return cls(
            tuple(sorted({name.lower() for name in config.fields})),
            tuple(sorted({name.lower() for name in config.exclude} | dropped)),
            tuple(sorted((name, rule) for name, rule in rules.items() if rule != "drop")),
        )

    def rule_of(self, name: str) -> str:
        """Return the rule of a field: `whole`, `nothing`, or its mask."""
        lower = name.lower()
        if lower in self.left_out or ("*" not in self.fields and lower not in self.fields):
            return NOTHING
        return dict(self.masked).get(lower, WHOLE)


@dataclass(frozen=True, slots=True)
class Rewriter:
    """Applies an object's rules to values that were stored by earlier ones."""

    before: FieldRules | None
    """The earlier rules; None if they are unknown, as in a mirror of an older rtsd."""
    now: FieldRules
    key: bytes
    always: frozenset[str]
    """Lower-cased names of fields that are always mirrored."""
    unmaskable: frozenset[str] = frozenset()
    """Lower-cased names of fields that are no text: nothing is kept of them where a mask is asked for."""

    def is_idle(self) -> bool:
        """Return whether the rules ask for nothing that the earlier ones did not."""
        return self.now in (self.before, FieldRules())

    def values(self, values: Mapping[str, Any], *, is_push: bool = False) -> dict[str, Any]:
        """Return values by field as the rules keep them. A push leaves out what must be read again."""
        kept = {}
        for name, value in values.items():
            rewrite = self.rewrite(name)
            if rewrite is None:
                kept[name] = value
            elif self.now.rule_of(name) != NOTHING and not (is_push and rewrite is _empty):
                kept[name] = rewrite(value)
        return kept

    def rewrite(self, name: str) -> Rewrite | None:
        """Return what turns a stored value into what is kept of the field; None to leave it."""
        if name.lower() in self.always:
            return None
        before = self.before.rule_of(name) if self.before is not None else None
        now = self.now.rule_of(name)
        if now == NOTHING:
            return _empty
        if now in (before, WHOLE):
            return None  # a value that was masked stays so until it is read again
        if before != WHOLE or name.lower() in self.unmaskable:
            return _empty  # a mask cannot be applied to what another one left
        mask = masks(dict(self.now.masked), self.key)[name.lower()]
        return lambda value: mask(mirror_value(Kind.TEXT, value))

    def changed(self, names: Iterable[str]) -> dict[str, list[str]]:
        """Return those of these fields whose rule has changed, by the new rule."""
        found: dict[str, list[str]] = {}
        for name in sorted(names):
            before = self.before.rule_of(name) if self.before is not None else WHOLE
            now = self.now.rule_of(name)
            if now != before and name.lower() not in self.always:
                found.setdefault(now, []).append(name)
        return found

    def dropped(self, names: Iterable[str]) -> set[str]:
        """Return those of these fields of which nothing is kept."""
        return {
            name for name in names if name.lower() not in self.always and self.now.rule_of(name) == NOTHING
        }

    def to_read_again(self, names: Iterable[str]) -> list[str]:
        """Return those of these fields whose values the stored ones cannot tell."""
        return [
            name
            for name in names
            if self.now.rule_of(name) != NOTHING and (self.rewrite(name) is _empty or self._is_unmasked(name))
        ]

    def _is_unmasked(self, name: str) -> bool:
        return self.before is not None and self.now.rule_of(name) == WHOLE != self.before.rule_of(name)


def always_mirrored(cursor: str | None, otherwise: Collection[str]) -> frozenset[str]:
    """Return the fields that are always mirrored; `otherwise` if the cursor is not known yet."""
    return frozenset({"id", *([cursor.lower()] if cursor else otherwise)})


def _empty(_value: Any) -> MirrorValue:
    return None
