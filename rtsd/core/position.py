"""The position in a stream of events: where to resume, and from when that is."""

from __future__ import annotations

from typing import NamedTuple

from rtsd.core.instant import Millis


class Position(NamedTuple):
    """What a stream resumes after: an event, or the end of the bus at a keepalive."""

    replay_id: bytes
    at: Millis | None
    """The local time (ms) of the event or the keepalive; None if an earlier version stored the position."""
