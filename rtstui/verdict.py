"""The three verdicts of the first screen: is it right, is it fresh, what did it cost."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from rtsd.control.protocol import Object, Status
from rtsd.core.channel import channel_name
from rtsd.core.plural import plural
from rtstui import channel
from rtstui.format import UNKNOWN, age, count, millis, percent, short
from rtstui.limits import limit_role, used_share
from rtstui.meaning import Sign, link_sign, object_sign
from rtstui.state import State

GLYPHS = {"ok": "✔", "busy": "◐", "warn": "▲", "error": "✖", "off": "○"}


class Verdict(NamedTuple):
    """A verdict: its role, in a few words, with its numbers, and in as few words as can be."""

    role: str
    brief: str
    full: str
    tiny: str


WELL_STATES = frozenset({"live", "loading", "pending", "paused"})
"""States of an object that need no action."""

DIFFERS = Sign("▲", "differs", "warn")
"""An object whose rows a check found wrong, and that are not repaired: `live` is no longer true."""


def right(status: Status, now: datetime) -> Verdict:
    """Judge whether the mirror equals the org, as far as it was proven."""
    objects = status.objects
    if not status.store.reachable:
        return Verdict("error", "not known", "not known: the database is away", "not known")
    if not objects:
        return Verdict("off", "no objects", "no objects chosen in the configuration", "none")
    proven = sum(is_proven(item) for item in objects)
    said = f"{proven}/{len(objects)} proven"
    role, few, many = _rightness(status, now)
    return Verdict(role, said + few, f"{proven} of {plural(len(objects), 'object')} proven{many}", said)


def _rightness(status: Status, now: datetime) -> tuple[str, str, str]:
    """Return the role of the worst fact, and what there is to add in a few words, and in more."""
    objects = status.objects
    broken = [item.name for item in objects if item.state == "error"]
    if broken:
        return "error", ", error", f"; error: {', '.join(broken)}"
    if differing := sum(drift_of(item) for item in objects):
        return "warn", f", {short(differing)} differ", f"; {plural(differing, 'record', 'differ')}"
    if status.dead_letters:
        return (
            "warn",
            f", {short(status.dead_letters)} dead",
            f"; {plural(status.dead_letters, 'dead letter')}",
        )
    checked = [item.drift.checked_at for item in objects if item.drift and item.drift.checked_at]
    last = f", checked {age(min(checked), now)} ago" if checked else ", no check yet"
    if not all(is_proven(item) for item in objects):
        waits = {item.state for item in objects} <= {"live", "loading", "pending"}
        return "busy" if waits else "warn", "", last
    if repaired := sum(found_by_check(item) for item in objects):
        return "ok", f", {short(repaired)} repaired", f", {plural(repaired, 'record')} repaired{last}"
    return ("ok", ", no drift", f", no drift{last}") if checked else ("ok", "", "")


def fresh(status: Status, now: datetime) -> Verdict:
    """Judge how long a change takes to arrive, and whether changes arrive at all."""
    worst = max((item.freshness_ms.p95 for item in status.objects if item.freshness_ms), default=None)
    measured = f"p95 {millis(worst)}"
    last = f"push {age(status.push.last_at, now)} ago" if status.push.last_at else "no push yet"
    quiet = {"idle": "org idle (proven)", "filtered": "only unwatched fields changed"}.get(
        status.push.quiet, ""
    )
    if (stopped := _stopped(status, last)) is not None:
        return stopped
    if status.inbox.pending > 1_000:
        waiting = f"{short(status.inbox.pending)} waiting"
        long = f"{plural(status.inbox.pending, 'push', 'wait')} to be applied; {last}"
        return Verdict("busy", waiting, long, waiting)
    relay = status.package.relay
    is_broken = relay is not None and relay.problem is not None
    is_down = channel.is_down(status, now)
    if is_broken or is_down or status.mode != "real_time":
        word = "relay down" if is_broken else "stream down" if is_down else "interval"
        return Verdict("warn", f"{word}, {last}", f"by Interval Sync, {measured}; {last}", word)
    if worst is None:
        return Verdict("ok", last, f"{last}; {quiet or 'no change measured yet'}", last)
    by = f"{measured} by {channel_name(status.push.channel)}"
    return Verdict("ok", f"{measured}, {last}", "; ".join(filter(None, (by, last, quiet))), measured)


def _stopped(status: Status, last: str) -> Verdict | None:
    """Return the verdict while no change arrives at all; None while some may."""
    if not status.store.reachable:
        return Verdict("error", "database away", f"the database is away; {last}", "away")
    if status.mode == "unreachable":
        return Verdict("error", "org unreachable", f"Salesforce does not answer; {last}", "unreachable")
    if status.mode == "paused":
        return Verdict("off", f"paused, {last}", f"paused; {last}", "paused")
    return None


def cost(status: Status) -> Verdict:
    """Judge the use of the org's daily calls, by us and by others."""
    limit = next((item for item in status.quota.limits if item.name == "DailyApiRequests"), None)
    calls = sum(status.quota.calls_24h.values())
    if limit is None:
        few = f"{short(calls)} {'call' if calls == 1 else 'calls'}"
        many = f"{plural(calls, 'call')} in 24 h; limits not read yet"
        return Verdict("off", few, many, few)
    share = percent(used_share(limit))
    return Verdict(
        limit_role(limit),
        f"{share} of {short(limit.max)}, {short(limit.used_by_us)} by us",
        f"{count(limit.used_by_us)} of {count(limit.max)} API calls by us, "
        f"{count(limit.used_by_others)} by others ({share} used)",
        f"{share} used",
    )


def found_by_check(item: Object) -> int:
    """Return the number of an object's records that its last check found wrong, repaired or not."""
    return item.drift.missing + item.drift.stale + item.drift.orphaned if item.drift else 0


def drift_of(item: Object) -> int:
    """Return the number of an object's records that are known to differ: found, and not repaired."""
    return 0 if item.drift is None or item.drift.repaired else found_by_check(item)


def is_proven(item: Object) -> bool:
    """Return True if every row was proven, and no later check found one that differs."""
    return item.state == "live" and not drift_of(item)


def in_trouble(item: Object) -> bool:
    """Return True if an operator has to know of this object."""
    return item.state not in WELL_STATES or drift_of(item) > 0


def sign_of(item: Object) -> Sign:
    """Return the sign of an object's state and its drift together."""
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
    verdicts = (right(state.status, now), fresh(state.status, now), cost(state.status))
    roles = {verdict.role for verdict in verdicts}
    return next((role for role in ("error", "warn", "busy") if role in roles), "ok")


def name_of(state: State) -> str:
    """Return the name of a daemon: its org or, before that is known, its socket."""
    status = state.status
    return (status.org.name or status.org.id or state.socket) if status else state.socket
