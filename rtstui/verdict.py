"""The three verdicts of the first screen: is it right, is it fresh, what did it cost."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from rtsd.control.protocol import Limit, Object, Status
from rtstui.format import UNKNOWN, age, count, millis, percent, plural, short
from rtstui.meaning import link_sign
from rtstui.state import State

GLYPHS = {"ok": "✔", "busy": "◐", "warn": "▲", "error": "✖", "off": "○"}

WARN_AT, ERROR_AT = 0.70, 0.95
"""Shares of a daily limit that make a warning, and an error."""


class Verdict(NamedTuple):
    """A verdict: its role, in a few words, and with its numbers."""

    role: str
    brief: str
    full: str


def right(status: Status, now: datetime) -> Verdict:
    """Judge whether the mirror equals the org, as far as it was proven."""
    objects = status.objects
    if not objects:
        return Verdict("off", "no objects", "no objects chosen in the configuration")
    proven = sum(item.state == "live" for item in objects)
    drift = sum(drift_of(item) for item in objects)
    checked = [item.drift.checked_at for item in objects if item.drift and item.drift.checked_at]
    said = f"{proven}/{len(objects)} proven"
    known = f"{proven} of {plural(len(objects), 'object')} proven"
    if any(item.state == "error" for item in objects):
        broken = ", ".join(item.name for item in objects if item.state == "error")
        return Verdict("error", f"{said}, error", f"{known}; error: {broken}")
    if drift:
        return Verdict("warn", f"{said}, {short(drift)} drift", f"{known}; {plural(drift, 'record')} differ")
    last = f", checked {age(min(checked), now)} ago" if checked else ", no check yet"
    if status.dead_letters:
        letters = plural(status.dead_letters, "dead letter")
        return Verdict("warn", f"{said}, {short(status.dead_letters)} dead", f"{known}; {letters}")
    if proven < len(objects):
        states = {item.state for item in objects}
        role = "busy" if states <= {"live", "loading", "pending"} else "warn"
        return Verdict(role, said, known + last)
    return Verdict(
        "ok", f"{said}, no drift" if checked else said, f"{known}, no drift{last}" if checked else known
    )


def fresh(status: Status, now: datetime) -> Verdict:
    """Judge how long a change takes to arrive, and whether changes arrive at all."""
    worst = max((item.freshness_ms.p95 for item in status.objects if item.freshness_ms), default=None)
    measured = f"p95 {millis(worst)}"
    last = f"push {age(status.push.last_at, now)} ago" if status.push.last_at else "no push yet"
    quiet = {"idle": "org idle (proven)", "filtered": "only unwatched fields changed"}.get(
        status.push.quiet, ""
    )
    if status.mode == "unreachable":
        return Verdict("error", "org unreachable", f"Salesforce does not answer; {last}")
    if status.mode == "paused":
        return Verdict("off", f"paused, {last}", f"paused; {last}")
    if status.inbox.pending > 1_000:
        waiting = f"{short(status.inbox.pending)} waiting"
        return Verdict("busy", waiting, f"{count(status.inbox.pending)} pushes wait to be applied; {last}")
    if status.mode != "real_time":
        return Verdict("warn", f"interval, {last}", f"by Interval Sync, {measured}; {last}")
    if worst is None:
        return Verdict("ok", last, f"{last}; {quiet or 'no change measured yet'}")
    return Verdict("ok", f"{measured}, {last}", "; ".join(filter(None, (measured, last, quiet))))


def cost(status: Status) -> Verdict:
    """Judge the use of the org's daily calls, by us and by others."""
    limit = next((item for item in status.quota.limits if item.name == "DailyApiRequests"), None)
    calls = sum(status.quota.calls_24h.values())
    if limit is None:
        return Verdict("off", f"{short(calls)} calls", f"{count(calls)} calls in 24 h; limits not read yet")
    share = used_share(limit)
    return Verdict(
        limit_role(limit),
        f"{short(limit.used_by_us)}/{short(limit.max)}",
        f"{count(limit.used_by_us)} of {count(limit.max)} API calls by us, "
        f"{count(limit.used_by_others)} by others ({percent(share)} used)",
    )


def drift_of(item: Object) -> int:
    """Return the number of an object's records that its last check found wrong."""
    return item.drift.missing + item.drift.stale + item.drift.orphaned if item.drift else 0


def used_share(limit: Limit) -> float:
    """Return the used part of a limit, 0..1."""
    return 1 - limit.remaining / limit.max if limit.max > 0 else 1.0


def limit_role(limit: Limit) -> str:
    """Return the role of a limit's use; running out today is a warning however little is used now."""
    share = used_share(limit)
    if share >= ERROR_AT:
        return "error"
    return "warn" if share >= WARN_AT or limit.exhausted_at else "ok"


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
    verdicts = (right(state.status, now), fresh(state.status, now), cost(state.status))
    roles = {verdict.role for verdict in verdicts}
    return next((role for role in ("error", "warn", "busy") if role in roles), "ok")


def name_of(state: State) -> str:
    """Return the name of a daemon: its org or, before that is known, its socket."""
    status = state.status
    return (status.org.name or status.org.id or state.socket) if status else state.socket
