"""A daemon among several: what it is called, and how it is at its worst."""

from __future__ import annotations

from rtstui.meaning import link_sign
from rtstui.state import State
from rtstui.verdict import cost, fresh, right


def name_of(state: State) -> str:
    """How a daemon is called: its org, or its socket before that is known."""
    status = state.status
    return (status.org.name or status.org.id or state.socket) if status else state.socket


def worst(state: State) -> str:
    """The role of what is worst about a daemon."""
    if not state.live or state.status is None:
        return link_sign(state).role
    now = state.now()
    roles = {
        verdict.role for verdict in (right(state.status, now), fresh(state.status, now), cost(state.status))
    }
    return next((role for role in ("error", "warn", "busy") if role in roles), "ok")
