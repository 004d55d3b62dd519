"""Panels that show what was asked for: each says where its answer stands, and none is ever blank."""

from __future__ import annotations

from typing import Any

from rtstui.answers import Answer
from rtstui.format import clock, span
from rtstui.state import State

PATIENCE_S = 0.3
"""An answer usually comes sooner; a word about waiting would only flicker."""


def lacking(answer: Answer[Any] | None, state: State) -> str:
    """Why there is nothing to show: still asking, an older daemon, a refusal, no connection."""
    if answer is None:
        return "Nothing asked yet."
    if answer.older:
        version = state.status.version if state.status else ""
        return (
            f"▲ This rtsd {version} is older than the dashboard: it cannot tell {answer.what}. Upgrade rtsd."
        )
    if not state.live:
        return f"Not known: rtsd is not connected, and {answer.what} was not asked before."
    if answer.problem:
        return f"✖ rtsd cannot tell {answer.what}: {answer.problem}"
    waited = (state.now() - answer.asked_at).total_seconds() if answer.asked_at else 0.0
    return f"Asking rtsd for {answer.what}… {span(waited)}" if waited >= PATIENCE_S else ""


def dated(answer: Answer[Any] | None, state: State) -> str:
    """The beginning of a border text: the moment of what is shown, where it is not of now."""
    if answer is None or answer.at is None or (state.live and not answer.problem):
        return ""
    return f"as of {clock(answer.at.isoformat())} · "
