"""Changes that came by no push, by spell."""

from __future__ import annotations

import msgspec


class MissedChange(msgspec.Struct, kw_only=True):
    """A change that came by no push; `seq` is its entry in the journal."""

    seq: int
    made_at: str
    object: str
    id: str
    op: str
    source: str
    """What found it: `interval` or `repair`."""


class Spell(msgspec.Struct, kw_only=True):
    """A time in which changes came by no push, for one reason."""

    since: str
    """The last push before, else when the first change was made."""
    until: str | None
    """The first push after, else when the last change was made; null while no push has come."""
    why: str
    missed: bool
    """Whether pushes should have brought the changes."""
    changes: int
    objects: dict[str, int]
    sources: dict[str, int]
    """How many changes were found by what."""
    first: list[MissedChange]
    """The first of them, at most 100."""


class Missed(msgspec.Struct, kw_only=True):
    """`GET /v1/missed?since=T`: the earliest spell first."""

    since: str
    missed: int
    """Changes that a push should have brought."""
    spells: list[Spell]
    truncated: bool
    """Whether there were more changes than are counted here."""
