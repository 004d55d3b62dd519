"""What it means that no push comes: the org is idle, its conditions filter, or pushes get lost.

::

    live       a push or a heartbeat came within silence_after
    idle       none came, and reading every object found that nothing changed
    filtered   none came, and all that changed were fields that no sync condition watches
    silent     none came, though changes were made that a push should have brought
    unknown    nobody could look yet, or what was found may still be on its way
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rtsd.core.instant import Millis, to_iso

GRACE_MS: Millis = 60_000
"""So long a push may take, if silence is not noticed sooner: what is found earlier is not missed yet."""


class Quiet(StrEnum):
    """How the push channel stands (contract section 5, `push.quiet`)."""

    LIVE = "live"
    IDLE = "idle"
    FILTERED = "filtered"
    SILENT = "silent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Unpushed:
    """How many changes were found that no push brought."""

    watched: int = 0
    """A push should have brought these."""
    unwatched: int = 0
    """The sync conditions held these back, as they should."""
    fresh: int = 0
    """Made within the grace: their pushes may be on their way."""
    beside: int = 0
    """A push for the same record came at about the same time: it may have been for another edit."""

    def after(self, earlier: Unpushed) -> Unpushed:
        """Both together; what was fresh then has been judged by now."""
        return Unpushed(
            self.watched + earlier.watched,
            self.unwatched + earlier.unwatched,
            self.fresh,
            self.beside + earlier.beside,
        )


def is_watched(operation: str, changed: Sequence[str] | None, conditions: Iterable[str]) -> bool:
    """Whether the package pushes such a change: every one but an update that no condition names."""
    watched = {name.lower() for name in conditions}
    if operation != "update" or not watched:
        return True
    return any(name.lower() in watched for name in changed or ())


def judge(found: Unpushed, last: Millis | None, now: Millis) -> tuple[Quiet, str]:
    """Return what it means that the last sign of life came at `last` (None: none yet), and the proof."""
    sign = f"last push or heartbeat at {to_iso(last)}" if last is not None else "no push or heartbeat yet"
    looked = f"{sign}, every object read at {to_iso(now)}"
    if found.watched:
        return Quiet.SILENT, f"{_changes(found.watched)} came by no push ({looked})"
    if found.fresh:
        return Quiet.UNKNOWN, f"{_changes(found.fresh)} may still be pushed ({looked})"
    if found.beside:
        return Quiet.UNKNOWN, f"{_changes(found.beside)} came beside a push of the same record ({looked})"
    if found.unwatched:
        what = f"{_changes(found.unwatched)} touched only fields that no sync condition watches"
        return Quiet.FILTERED, f"{what} ({looked})"
    return Quiet.IDLE, f"nothing changed in the org ({looked})"


def _changes(count: int) -> str:
    return "1 change" if count == 1 else f"{count} changes"
