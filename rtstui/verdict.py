"""The verdicts about a daemon as the dashboard shows them: signs, and the worst of several."""

from __future__ import annotations

from rtsd.control.protocol import Object
from rtsd.control.verdict import cost, drift_of, fresh, is_loaded, right
from rtsd.core.figures import UNKNOWN, millis
from rtstui.meaning import PROVING, Sign, link_sign, object_sign
from rtstui.state import State

DIFFERS = Sign("▲", "differs", "warn")
"""An object whose rows a check found wrong, and that are not repaired: `live` is no longer true."""


def sign_of(item: Object) -> Sign:
    """Return the sign of an object's state, its rows and its drift together."""
    if item.state == "pending" and is_loaded(item):
        return PROVING
    return DIFFERS if item.state == "live" and drift_of(item) else object_sign(item.state)


def freshness(item: Object) -> str:
    """Return an object's freshness as `310ms / 640ms / 900ms` for p50, p95, p99."""
    measured = item.freshness_ms
    if measured is None:
        return UNKNOWN
    return f"{millis(measured.p50)} / {millis(measured.p95)} / {millis(measured.p99)}"


def worst_role(state: State) -> str:
    """Return the role of the worst verdict about a daemon, or of its connection."""
    if not state.live or state.status is None:
        return link_sign(state).role
    now = state.now()
    verdicts = (right(state.status, now), fresh(state.status, now), cost(state.status, now))
    roles = {verdict.role for verdict in verdicts}
    return next((role for role in ("error", "warn", "busy") if role in roles), "ok")


def name_of(state: State) -> str:
    """Return the name of a daemon: its org or, before that is known, its socket."""
    status = state.status
    return (status.org.name or status.org.id or state.socket) if status else state.socket
