"""The three answers about a mirror: is it right, is it fresh, what did it cost.

The dashboard and `rtsd status` begin with them; they come from the status alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from rtsd.control.idle_cost import excess
from rtsd.control.limits import is_stopped, limit_name, limit_role, used_share
from rtsd.control.protocol import Drift, Limit, Object, Status
from rtsd.core.channel import channel_name
from rtsd.core.figures import UNKNOWN, age, count, day_clock, millis, moment, percent, short, span
from rtsd.core.plural import plural
from rtsd.core.quota import API_REQUESTS

GLYPHS = {"ok": "✔", "busy": "◐", "warn": "▲", "error": "✖", "off": "○"}


class Verdict(NamedTuple):
    """An answer: its role, its facts, what to press about it, and its forms for little room."""

    role: str
    facts: tuple[str, ...]
    """The most important first; the last ones are left out where there is no room."""
    brief: str
    tiny: str
    key: str = ""
    """A key and what it does about it, such as `A repairs`; empty if there is nothing to do."""
    subject: str = ""
    """What the key is about: the culprit, to be said where a further fact stands between the two."""


class Finding(NamedTuple):
    """One fact that bears on an answer."""

    role: str
    fact: str
    brief: str = ""
    key: str = ""
    subject: str = ""
    """What the key is about."""


WELL_STATES = frozenset({"live", "loading", "pending", "paused"})
"""States of an object that need no action."""

DOWN_AFTER_S = 60
"""A subscription that is away for less is not worth a warning: every one ends daily, and is reopened."""

MANY_WAITING = 1_000
"""Pushes in the inbox from which the mirror is behind; fewer are applied before anybody could read it."""


def right(status: Status, now: datetime) -> Verdict:
    """Judge whether the mirror equals the org, as far as it was proven."""
    objects = status.objects
    if not status.store.reachable:
        return Verdict("error", ("not known: the database is away",), "not known", "not known")
    if not objects:
        return Verdict("off", ("no objects are chosen in the configuration",), "no objects", "none")
    proven, found = sum(is_proven(item) for item in objects), list(_findings(status, now))
    said = f"{proven}/{len(objects)} proven"
    culprit = found[0]
    return Verdict(
        culprit.role,
        (f"{proven} of {len(objects)} proven{_oldest(objects, now)}", *(finding.fact for finding in found)),
        said + culprit.brief,
        said,
        culprit.key,
        culprit.subject,
    )


def _oldest(objects: Sequence[Object], now: datetime) -> str:
    """Return when the proofs were made, by the oldest: a proof is one of a moment."""
    proofs = [item.proven_at for item in objects if is_proven(item) and item.proven_at]
    if not proofs:
        return ""
    return f", {'oldest ' if len(proofs) > 1 else ''}{age(min(proofs), now)} ago"


def _findings(status: Status, now: datetime) -> Iterator[Finding]:
    """Yield what speaks against the mirror, the worst first; if nothing does, the last check."""
    objects, is_well = status.objects, True
    for finding in (
        _broken([item for item in objects if item.state == "error"]),
        _differing([item for item in objects if drift_of(item)], now),
        _dead(status.dead_letters),
        _unproven([item for item in objects if item.state not in {"live", "error"}]),
    ):
        if finding is not None:
            is_well = False
            yield finding
    if is_well:
        yield _checked(objects, now)


def _broken(broken: Sequence[Object]) -> Finding | None:
    if not broken:
        return None
    worst = broken[0]
    return Finding("error", f"{worst.name}: {worst.error}{_others(broken)}", ", error", "3 shows", worst.name)


def worst_object(status: Status) -> Object | None:
    """Return the object that an audit would help most; None if none needs it."""
    wrong = [item for item in status.objects if drift_of(item) or item.state == "incomplete"]
    return max(wrong, key=drift_of, default=None)


def _differing(differing: Sequence[Object], now: datetime) -> Finding | None:
    if not differing:
        return None
    worst = max(differing, key=drift_of)
    when = age(worst.drift.checked_at, now) if worst.drift else UNKNOWN
    brief = f", {short(sum(drift_of(item) for item in differing))} differ"
    fact = f"{worst.name}: {_kinds(worst)}, {when} ago{_others(differing)}"
    return Finding("warn", fact, brief, "A repairs", worst.name)


def _kinds(item: Object) -> str:
    """Return how many of an object's records differ, and how if all differ in one way."""
    drift = item.drift or Drift()
    kinds = {"missing": drift.missing, "stale": drift.stale, "orphaned": drift.orphaned}
    found = [f"{count(number)} {kind}" for kind, number in kinds.items() if number]
    return found[0] if len(found) == 1 else f"{count(drift_of(item))} differ"


def _dead(letters: int) -> Finding | None:
    if not letters:
        return None
    fact = f"{plural(letters, 'dead letter')}: changes not applied"
    return Finding("warn", fact, f", {short(letters)} dead", "4 lists", "dead letters")


def _unproven(items: Sequence[Object]) -> Finding | None:
    if not items:
        return None
    waits = {item.state for item in items} <= {"loading", "pending"}
    role = "busy" if waits else "warn"
    worst = next((item for item in items if in_trouble(item)), items[0])
    fact, key = f"{worst.name}: {worst.state}", "3 shows"
    match worst.state:
        case "loading":
            eta = f", eta {span(worst.eta_s)}" if worst.eta_s is not None else ""
            fact += f" {percent(worst.progress)}{eta}"
        case "incomplete":
            fact += f", {count(worst.rows)} here, {count(worst.expected_rows)} in the org"
            key = "A repairs"
        case "deferred":
            fact, key = f"{worst.name}: deferred, {worst.error or 'the quota has no room'}", "5 shows"
        case "paused":
            key = "P resumes"
        case "pending" if is_loaded(worst):
            fact = f"{worst.name}: proving again"
    return Finding(role, fact + _others(items), "", key)


def _others(items: Sequence[Object]) -> str:
    return f" and {plural(len(items) - 1, 'more object')}" if len(items) > 1 else ""


def _checked(objects: Sequence[Object], now: datetime) -> Finding:
    """Return when the last check of every object was, and what was repaired after it.

    A load is no check, nor is a check of one object one of all.
    """
    checked = [item.drift.checked_at for item in objects if item.drift and item.drift.checked_at]
    last = f"checked {age(min(checked), now)} ago" if checked else "no check since the start"
    if checked and len(checked) < len(objects):
        last = f"{len(checked)} of {len(objects)} {last}"
    if repaired := sum(repaired_by_check(item) for item in objects):
        return Finding(
            "ok", f"{plural(repaired, 'record')} repaired, {last}", f", {short(repaired)} repaired"
        )
    return Finding("ok", f"no drift, {last}" if checked else last, ", no drift" if checked else "")


def fresh(status: Status, now: datetime) -> Verdict:
    """Judge how long a change takes to arrive, and whether changes arrive at all.

    Green only while the goal of `[sync] fresh_goal` is met, or nothing changed in the org (proven).
    """
    last = f"push {age(status.push.last_at, now)} ago" if status.push.last_at else "no push yet"
    if (stopped := _stopped(status, last)) is not None:
        return stopped
    goal, missed, detour = _goal(status, now), _missed(status), _detour(status, now)
    way = _arrival(status, now, last, detour)
    if status.inbox.pending > MANY_WAITING:
        waiting = f"{short(status.inbox.pending)} waiting"
        fact = f"{plural(status.inbox.pending, 'push', 'wait')} to be applied"
        return Verdict("busy", _said(fact, goal.fact, way), waiting, waiting)
    if detour is not None:
        facts = _said(way, missed, _newest(status), goal.fact, _quiet(status))
        return Verdict("warn", facts, f"{detour.word}, {last}", detour.word, detour.key)
    brief = f"{goal.brief}, {last}" if goal.brief else last
    newest = _newest(status)
    # The long culprit may be cut where there is little room: the short way stands before it.
    first = (f"{newest}, {way}", goal.fact) if goal.key and newest else (newest, goal.fact, way)
    facts = _said(*first, missed, _quiet(status))
    key = goal.key or ("7 lists" if missed else "")
    return Verdict(goal.role, facts, brief, goal.brief or last, key)


def _said(*facts: str) -> tuple[str, ...]:
    return tuple(filter(None, facts))


HOUR = timedelta(hours=1)
"""The percentiles are of the changes within it, of an object that had some."""


def _slowest(status: Status, now: datetime) -> tuple[Object | None, str]:
    """Return the object whose changes took longest, and in which time; none while no change was measured."""
    measured = [item for item in status.objects if item.freshness_ms]
    recent = [item for item in measured if (at := moment(item.last_change_at)) and now - at < HOUR]
    slowest = max(
        recent or measured, key=lambda item: item.freshness_ms.p95 if item.freshness_ms else 0, default=None
    )
    return slowest, " of the last hour" if recent else ""


def _goal(status: Status, now: datetime) -> Finding:
    """Compare the slowest object of the last hour with the goal."""
    (slowest, when), goal = _slowest(status, now), status.fresh_goal_ms
    if slowest is None or slowest.freshness_ms is None:
        is_idle = status.push.quiet == "idle"
        return Finding("ok" if is_idle else "off", "" if is_idle else "no change measured yet")
    p95, role, key = millis(slowest.freshness_ms.p95), "ok", ""
    said = f"{p95} (p95), goal {millis(goal)}"
    if goal is None:
        role, said = "off", f"{p95} (p95), no goal is stated"
    elif slowest.freshness_ms.p95 > goal:
        role, said, key = "warn", f"worst {slowest.name} {p95} (p95{when}), goal {millis(goal)}", "3 shows"
    newest = _newest(status)
    return Finding(role, said, newest if newest and role == "ok" else f"p95 {p95}", key)


def _newest(status: Status) -> str:
    """Return how long the newest changes took: what is measured of an outage outlasts it."""
    return "" if status.fresh_now_ms is None else f"{millis(status.fresh_now_ms)} now"


class Detour(NamedTuple):
    """Why Interval Sync reads what should be pushed."""

    word: str
    key: str


DETOURS = {
    "interval": Detour("interval", "7 lists"),
    "awaiting_package": Detour("no package", "6 shows"),
    "disabled": Detour("RTS disabled", "6 shows"),
}


def _detour(status: Status, now: datetime) -> Detour | None:
    """Return why changes come by Interval Sync; None if they come as they should."""
    relay = status.package.relay
    if relay is not None and relay.problem is not None:
        return Detour("relay down", "6 shows")
    if is_down(status, now):
        return Detour("stream down", "6 shows")
    if status.mode == "real_time" or (status.mode == "interval" and not status.push.channel):
        return None
    return DETOURS.get(status.mode, Detour(status.mode, ""))


def is_down(status: Status, now: datetime) -> bool:
    """Return True if the channel is a subscription that has ended, and has not come back for a while."""
    stream = status.push.stream
    if stream is None or stream.connected is True or not stream.error:
        return False
    since = moment(stream.since)
    return since is None or (now - since).total_seconds() >= DOWN_AFTER_S


def _arrival(status: Status, now: datetime, last: str, detour: Detour | None) -> str:
    """Return by which way changes arrive, and since when pushes do not."""
    if not status.push.channel:
        return "by Interval Sync"
    if detour is None:
        return f"{last} by {channel_name(status.push.channel)}"
    since = (
        f"no push since {day_clock(status.push.last_at, now, seconds=True)}" if status.push.last_at else last
    )
    return f"{since}, Interval Sync reads" if detour.word == "interval" else f"{detour.word}, {since}"


def _missed(status: Status) -> str:
    missed = status.push.missed_24h
    return f"{plural(missed, 'change')} came without a push in 24 h" if missed else ""


def _quiet(status: Status) -> str:
    known = {"idle": "org idle (proven)", "filtered": "only unwatched fields changed"}
    return known.get(status.push.quiet, "")


def _stopped(status: Status, last: str) -> Verdict | None:
    """Return the verdict while no change arrives at all; None while some may."""
    if not status.store.reachable:
        return Verdict("error", ("the database is away", last), "database away", "away")
    if status.mode == "unreachable":
        return Verdict("error", ("Salesforce does not answer", last), "org unreachable", "unreachable")
    if status.mode == "paused":
        waiting = plural(status.inbox.pending, "push", "wait") if status.inbox.pending else ""
        return Verdict("off", _said("paused", waiting, last), f"paused, {last}", "paused", ": resumes")
    return None


def cost(status: Status, now: datetime) -> Verdict:
    """Judge the use of the org's daily limits, by us and by others: of the one in the most trouble."""
    limits, calls = status.quota.limits, sum(status.quota.calls_24h.values())
    if not limits:
        few = f"{short(calls)} {'call' if calls == 1 else 'calls'}"
        return Verdict("off", (f"{plural(calls, 'call')} in 24 h", "limits not read yet"), few, few)
    limit = min(limits, key=lambda limit: (-_SEVERITY[limit_role(limit)], limit.name != API_REQUESTS))
    role, share = limit_role(limit), percent(used_share(limit))
    name = "" if limit.name == API_REQUESTS else f"{limit_name(limit)} "
    ours, others = count(limit.used_by_us), count(limit.used_by_others)
    used = f"{name}{share} used: {ours} ours, {others} others"
    idle = excess(status)
    if idle is not None and role == "ok":  # no tick for a configuration that will not last a day
        return Verdict("warn", (idle.fact, used), idle.brief, idle.tiny, "5 shows")
    return Verdict(
        role,
        _said(used, *_ends(limit, now), idle.fact if idle else ""),
        f"{name}{share} of {short(limit.max)}, {short(limit.used_by_us)} ours",
        f"{name}{share} used",
        "5 shows" if role != "ok" else "",
    )


def _ends(limit: Limit, now: datetime) -> Iterator[str]:
    """Yield when the limit runs out and when rtsd stops, at the present rate."""
    if limit.exhausted_at:
        yield f"out {day_clock(limit.exhausted_at, now)}"
    if is_stopped(limit):
        yield "rtsd has stopped"
    elif limit.reached_at:
        yield f"rtsd stops {day_clock(limit.reached_at, now)}"


_SEVERITY = {"ok": 0, "warn": 1, "error": 2}


def found_by_check(item: Object) -> int:
    """Return the number of an object's records that its last check found wrong, repaired or not."""
    return item.drift.missing + item.drift.stale + item.drift.orphaned if item.drift else 0


def repaired_by_check(item: Object) -> int:
    """Return the number of an object's records that its last check repaired.

    Those that changed only in fields that no sync condition watches are no drift, but repaired, too.
    """
    if item.drift is None:
        return 0
    return item.drift.held_back + (found_by_check(item) if item.drift.repaired else 0)


def drift_of(item: Object) -> int:
    """Return the number of an object's records that are known to differ: found, and not repaired."""
    return 0 if item.drift is None or item.drift.repaired else found_by_check(item)


def is_proven(item: Object) -> bool:
    """Return True if every row was proven, and no later check found one that differs."""
    return item.state == "live" and not drift_of(item)


def is_loaded(item: Object) -> bool:
    """Return True if an object was read in full before: a pending one keeps its rows, and is proven again."""
    return item.progress >= 1


def in_trouble(item: Object) -> bool:
    """Return True if an operator has to know of this object."""
    return item.state not in WELL_STATES or drift_of(item) > 0
