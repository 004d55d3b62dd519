"""The daemon's words on screen: a glyph, a word, a role, and a sentence for people.

Colour alone never shows a state: each role has its own glyph, with the word beside it.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import msgspec

from rtsd.control.limits import limit_name, limit_role, used_share
from rtsd.control.protocol import Event, Status
from rtsd.core.channel import CDC
from rtsd.core.figures import age, clock, day_clock, percent, span
from rtstui import channel
from rtstui.clean import MASK, masked
from rtstui.state import Phase, State


class Sign(NamedTuple):
    """The appearance of a state."""

    glyph: str
    word: str
    role: str

    @property
    def text(self) -> str:
        """Glyph and word together."""
        return f"{self.glyph} {self.word}"


LINKS = {
    Phase.CONNECTING: Sign("◌", "CONNECTING", "busy"),
    Phase.LIVE: Sign("●", "connected", "dim"),
    Phase.LOST: Sign("✖", "LOST", "error"),
    Phase.ABSENT: Sign("✖", "NO DAEMON", "error"),
    Phase.FORBIDDEN: Sign("✖", "NO PERMISSION", "error"),
    Phase.FOREIGN: Sign("✖", "OTHER VERSION", "error"),
}

MODES = {
    "awaiting_package": Sign("○", "no package", "warn"),
    "real_time": Sign("●", "real time", "ok"),
    "interval": Sign("▲", "interval", "warn"),
    "disabled": Sign("▲", "RTS disabled", "warn"),
    "unreachable": Sign("✖", "org unreachable", "error"),
    "paused": Sign("‖", "paused", "off"),
}

OBJECTS = {
    "pending": Sign("○", "pending", "off"),
    "loading": Sign("◐", "loading", "busy"),
    "live": Sign("●", "live", "ok"),
    "incomplete": Sign("▲", "incomplete", "warn"),
    "paused": Sign("‖", "paused", "off"),
    "deferred": Sign("▲", "deferred", "warn"),
    "error": Sign("✖", "error", "error"),
}

PROVING = Sign("◐", "proving", "busy")
"""A pending object that was loaded before, such as a resumed one: its rows are there."""

OBJECT_NOTES = {
    "pending": "Waits for its first full read.",
    "loading": "The initial audit reads every row through the Bulk API; pushes are taken meanwhile.",
    "live": "Its rows were proven against the org's own count.",
    "incomplete": "Its rows do not add up to the org's own count. A audits and repairs it.",
    "paused": "Changes are kept and not applied. P resumes it.",
    "deferred": "Reading it would eat into the quota's reserve: it waits until there is room again.",
    "error": "It cannot be read now.",
}

DIFFERS_NOTE = (
    "Its last check found rows that differ, and not all of them are repaired yet. A checks it again."
)

PROVING_NOTE = (
    "Its rows stay. What changed meanwhile is read, then they are proven by the org's own count again."
)

SOURCES = {"push": "PUSH", "interval": "PULL", "audit": "AUDIT", "repair": "REPAIR"}

_TAG_ROLES = {
    "PUSH": "ok",
    "PULL": "busy",
    "AUDIT": "accent",
    "REPAIR": "accent",
    "ERROR": "error",
    "DEAD": "error",
    "DRIFT": "warn",
    "MODE": "bold",
    "ACTION": "bold",
    "QUOTA": "warn",
}

TROUBLE_TYPES = frozenset({"error", "dead_letter", "drift"})
"""Types of journal entries about trouble."""


def link_sign(state: State) -> Sign:
    """Return the sign of a connection."""
    sign = LINKS[state.link.phase]
    if state.link.phase is Phase.LOST and state.link.since is not None:
        return sign._replace(word=f"LOST {span((state.now() - state.link.since).total_seconds())}")
    return sign


def as_of(state: State) -> str:
    """Return the moment of a status that is outdated; nothing for a current one."""
    return f"as of {clock(state.status_at.isoformat())}" if state.status_at and not state.live else ""


def mode_sign(mode: str) -> Sign:
    """Return the sign of a mode; an unknown mode, of a later daemon, is shown by its name."""
    return MODES.get(mode, Sign("?", mode, "warn"))


def object_sign(state: str) -> Sign:
    """Return the sign of an object's state; an unknown state, of a later daemon, is shown by its name."""
    return OBJECTS.get(state, Sign("?", state, "warn"))


def source_sign(source: str | None) -> Sign:
    """Return the source of a change, in at most six letters. The glyph is empty."""
    word = SOURCES.get(source or "?", (source or "?").upper()[:6])
    return Sign("", word, _TAG_ROLES.get(word, "dim"))


def tag(event: Event) -> Sign:
    """Return an entry's source or type, in at most six letters. The glyph is empty."""
    if event.type == "change":
        return source_sign(event.source)
    word = "DEAD" if event.type == "dead_letter" else event.type.upper()[:6]
    return Sign("", word, _TAG_ROLES.get(word, "dim"))


def veiled(event: Event, *, mask: bool) -> Event:
    """Return the entry as it may be shown: texts about trouble may contain values of records."""
    if not mask:
        return event
    detail = event.detail or {}
    if event.type == "action" and "reason" in detail:
        message = f"{detail.get('by')} could not {detail.get('what')}: {MASK}"
        return msgspec.structs.replace(event, message=message, detail=detail | {"reason": MASK})
    if event.type not in TROUBLE_TYPES:
        return event
    return msgspec.structs.replace(event, message=masked(event.message), detail=None)


def notice(state: State) -> tuple[str, str] | None:
    """Return the one thing an operator has to know first, with its role; None when all is well."""
    now, status = state.now(), state.status
    if state.link.phase is not Phase.LIVE:
        return _link_notice(state, now), "error"
    if status is None:
        return None
    if status.storage != "ok":
        return _storage_notice(status, now), "error"
    if status.org.reachable is False and status.mode != "unreachable":
        return f"✖ Salesforce does not answer rtsd: {status.org.error or 'no reason given'}.", "error"
    return _quota_notice(status, now) or _push_notice(status, now)


def _push_notice(status: Status, now: datetime) -> tuple[str, str] | None:
    """Return why changes do not come by push."""
    text = ""
    if status.mode in ("interval", "real_time"):
        text = _relay_notice(status) or channel.notice(status, now)
    if text:
        return text, "warn"
    text = _mode_notice(status, now)
    return (text, mode_sign(status.mode).role) if text else None


def _storage_notice(status: Status, now: datetime) -> str:
    store = status.store
    if store.reachable:
        return f"✖ Storage: {status.storage}. Pushes are refused until it can be written again."
    figures = "No figures are known."
    if store.as_of:
        figures = f"The figures are those of {age(store.as_of, now)} ago."
    return (
        f"✖ The database has been away since {day_clock(store.away_since, now)}: pushes are refused, and"
        f" nothing is proven. {figures} {store.error}"
    )


def _quota_notice(status: Status, now: datetime) -> tuple[str, str] | None:
    """Return what a limit that is nearly used up keeps rtsd from doing."""
    waiting = [item.name for item in status.objects if item.state == "deferred"]
    used_up = [limit for limit in status.quota.limits if limit_role(limit) == "error"]
    if not waiting and not used_up:
        return None
    said = ""
    if used_up:
        worst = max(used_up, key=used_share)
        out = f", out {day_clock(worst.exhausted_at, now)}" if worst.exhausted_at else ""
        said = f" {limit_name(worst)} {percent(used_share(worst))} used{out}."
    wait = f" {', '.join(waiting[:2])} {'wait' if len(waiting) > 1 else 'waits'} until there is room again."
    glyph, role = ("✖", "error") if used_up else ("▲", "warn")
    return f"{glyph}{said}{wait if waiting else ''} Pushes go on: they cost no call.", role


def _link_notice(state: State, now: datetime) -> str:
    link = state.link
    retry = ""
    if link.retry_at is not None:
        retry = f" Next try in {span((link.retry_at - now).total_seconds())} (r: now)."
    since = f" since {clock(link.since.isoformat())}" if link.since else ""
    if link.phase is Phase.LOST:
        return f"✖ Lost{since}. {link.message} What is shown is old.{retry}"
    return f"{LINKS[link.phase].glyph} {link.message} {link.do}{retry}".replace("  ", " ")


def _relay_notice(status: Status) -> str:
    relay = status.package.relay
    if relay is None or relay.problem is None:
        return ""
    return f"▲ {relay.problem.what} {relay.problem.do}"


def _mode_notice(status: Status, now: datetime) -> str:
    since = day_clock(status.mode_since, now)
    match status.mode:
        case "interval":
            return _interval_notice(status, since, now)
        case "awaiting_package":
            return (
                "○ The Salesforce package is not in the org yet; Interval Sync reads the changes. "
                "`rtsd package deploy` installs it."
            )
        case "disabled":
            return (
                f"▲ RTS is disabled in Salesforce (its custom setting) since {since}. "
                "Interval Sync keeps the mirror right meanwhile."
            )
        case "unreachable":
            return f"✖ Salesforce does not answer since {since}: {status.org.error or status.mode_reason}."
        case "paused":
            return f"‖ Paused since {since}: pushes are kept, nothing is applied. : finds Resume."
        case _:
            return ""


def _interval_notice(status: Status, since: str, now: datetime) -> str:
    last, by = status.push.last_at, status.push.channel
    if not by:
        return "○ No push channel is configured: Interval Sync reads the changes."
    quiet = f"No push for {age(last, now)}." if last else "No push has come yet."
    back = "response of the stream" if by == CDC else "push"
    return (
        f"▲ {quiet} Nothing is lost: Interval Sync reads the changes from Salesforce since {since}. "
        f"Real time returns with the next {back}."
    )
