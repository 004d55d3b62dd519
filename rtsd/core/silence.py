"""The meaning of silence: an idle org, filtered changes, or lost pushes.

::

    live       a push arrived within silence_after
    idle       none arrived, and a read of every object found no change
    filtered   none arrived, and the changes touched only fields that no sync condition watches
    silent     none arrived, although changes were made that a push should have delivered, or none can:
               the relay in the org is known not to pass changes on
    unknown    nothing was read yet, or the pushes for the changes found may still arrive

A heartbeat is no push: it comes from a scheduled job, and arrives although an Apex trigger is dead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rtsd.core.instant import MINUTE_MS, Millis, to_iso
from rtsd.core.plural import plural

GRACE_MS: Millis = MINUTE_MS
"""The time a push may take, unless silence is noticed sooner: younger changes do not count as missed."""


class Quiet(StrEnum):
    """The state of the push channel (contract section 5, `push.quiet`)."""

    LIVE = "live"
    IDLE = "idle"
    FILTERED = "filtered"
    SILENT = "silent"
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """Why a change came by no push."""

    MISSED = "missed"
    """A push should have delivered it."""
    UNEXPECTED = "unexpected"
    """No push was expected: the package was missing or disabled."""
    FRESH = "fresh"
    """Made within the grace period: its push may still arrive."""
    BESIDE = "beside"
    """A push for the same record arrived at about the same time, possibly for another edit."""
    UNCOVERED = "uncovered"
    """Nothing pushes changes of the object."""
    FILTERED = "filtered"
    """No sync condition watches the changed fields."""


@dataclass(frozen=True, slots=True)
class Unpushed:
    """The number of changes that no push delivered."""

    watched: int = 0
    """A push should have delivered these."""
    unwatched: int = 0
    """The sync conditions filtered these, as configured."""
    fresh: int = 0
    """Made within the grace period: their pushes may still arrive."""
    beside: int = 0
    """A push for the same record arrived at about the same time, possibly for another edit."""

    def after(self, earlier: Unpushed) -> Unpushed:
        """The sum with an `earlier` count, whose fresh changes have been judged by now."""
        return Unpushed(
            self.watched + earlier.watched,
            self.unwatched + earlier.unwatched,
            self.fresh,
            self.beside + earlier.beside,
        )


def is_watched(operation: str, changed: Sequence[str] | None, conditions: Iterable[str]) -> bool:
    """Whether the package pushes such a change: any but an update of fields that no condition names."""
    watched = {name.lower() for name in conditions}
    if operation != "update" or not watched:
        return True
    return any(name.lower() in watched for name in changed or ())


def judge(found: Unpushed, last: Millis | None, now: Millis, broken: str | None = None) -> tuple[Quiet, str]:
    """Classify a silence since the push at `last` (None: no push yet) and state the evidence.

    `broken` is why no push can arrive, if that is known.
    """
    sign = f"last push at {to_iso(last)}" if last is not None else "no push yet"
    evidence = f"{sign}, every object read at {to_iso(now)}"
    if found.watched or broken is not None:
        missed = f"no push delivered {_changes(found.watched)}" if found.watched else "nothing was missed yet"
        return Quiet.SILENT, f"{broken} {missed} ({evidence})" if broken else f"{missed} ({evidence})"
    if found.fresh:
        return Quiet.UNKNOWN, f"{_changes(found.fresh)} may still be pushed ({evidence})"
    if found.beside:
        return Quiet.UNKNOWN, f"{_changes(found.beside)} came with a push of the same record ({evidence})"
    if found.unwatched:
        what = f"{_changes(found.unwatched)} touched only fields that no sync condition watches"
        return Quiet.FILTERED, f"{what} ({evidence})"
    return Quiet.IDLE, f"nothing changed in the org ({evidence})"


def _changes(count: int) -> str:
    return plural(count, "change")
