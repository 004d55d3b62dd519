"""How far an object's rows are proven: the second small machine, as a table.

::

    pending      nothing is proven yet: not loaded, resumed, interrupted by a restart, or not configured
    loading      a full read is under way
    live         the org counts as many rows as the mirror has
    incomplete   rows or values are missing, or might be; the reason is shown beside it
    paused       an operator paused the object: its pushes and windows wait, and nothing else moves it
    deferred     it waits for quota
    error        it cannot be described, so it cannot be used; only a describe ends that
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class ObjectState(StrEnum):
    """Contract section 5. `LIVE` only once its rows were proven against the org's own count."""

    PENDING = "pending"
    LOADING = "loading"
    LIVE = "live"
    INCOMPLETE = "incomplete"
    PAUSED = "paused"
    DEFERRED = "deferred"
    ERROR = "error"


class ObjectEvent(StrEnum):
    """What happened to an object."""

    LOAD_STARTED = "a full read started"
    PROVEN = "the org's count agrees"
    DOUBTED = "something contradicts the proof"
    DISPROVEN = "a read or a proof failed, or values are missing"
    QUOTA_REFUSED = "no quota"
    CAUGHT_UP = "a deferred window was read, and the earlier proof holds"
    UNUSABLE = "it cannot be described"
    DESCRIBED = "it was described"
    PAUSED = "paused by an operator"
    RESUMED = "resumed by an operator"
    RESTARTED = "rtsd restarted"
    LEFT_OUT = "left out of the configuration"


_N, _L, _V = ObjectState.PENDING, ObjectState.LOADING, ObjectState.LIVE
_I, _P, _D, _E = ObjectState.INCOMPLETE, ObjectState.PAUSED, ObjectState.DEFERRED, ObjectState.ERROR

_ORDER = (_N, _L, _V, _I, _P, _D, _E)
_TABLE: dict[ObjectEvent, tuple[ObjectState, ...]] = {
    #                            from: _N  _L  _V  _I  _P  _D  _E
    ObjectEvent.LOAD_STARTED: (_L, _L, _L, _L, _P, _L, _E),
    ObjectEvent.PROVEN: (_V, _V, _V, _V, _P, _V, _E),
    ObjectEvent.DOUBTED: (_N, _L, _I, _I, _P, _I, _E),  # a doubt ends a proof that waits for quota, too
    ObjectEvent.DISPROVEN: (_I, _I, _I, _I, _P, _I, _E),
    ObjectEvent.QUOTA_REFUSED: (_D, _D, _D, _D, _P, _D, _E),
    ObjectEvent.CAUGHT_UP: (_N, _L, _V, _I, _P, _V, _E),
    ObjectEvent.UNUSABLE: (_E, _E, _E, _E, _P, _E, _E),
    ObjectEvent.DESCRIBED: (_N, _L, _V, _I, _P, _D, _N),
    ObjectEvent.PAUSED: (_P, _P, _P, _P, _P, _P, _P),
    ObjectEvent.RESUMED: (_N, _L, _V, _I, _N, _D, _E),  # what was missed meanwhile is proven first
    ObjectEvent.RESTARTED: (_N, _N, _V, _I, _P, _D, _E),
    ObjectEvent.LEFT_OUT: (_N, _N, _N, _N, _P, _N, _E),  # nothing follows it until it is back
}

TRANSITIONS: Mapping[tuple[ObjectState, ObjectEvent], ObjectState] = {
    (state, event): target
    for event, targets in _TABLE.items()
    for state, target in zip(_ORDER, targets, strict=True)
}

EXPLAINS: Mapping[ObjectEvent, ObjectState] = {
    ObjectEvent.DISPROVEN: _I,
    ObjectEvent.QUOTA_REFUSED: _D,
    ObjectEvent.UNUSABLE: _E,
}
"""The state that an event explains: there already, the object takes the event's reason for its own."""


def next_state(state: ObjectState, event: ObjectEvent) -> ObjectState:
    """Return the state after `event`; every pair is in the table."""
    return TRANSITIONS[state, event]
