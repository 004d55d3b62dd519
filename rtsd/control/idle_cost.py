"""What a day without changes costs, and whether rtsd may use so much; said in several places."""

from __future__ import annotations

from typing import NamedTuple

from rtsd.control.limits import ceiling_of
from rtsd.control.protocol import IdleDay, Limit, Status
from rtsd.core.figures import count, short
from rtsd.core.plural import plural
from rtsd.core.quota import API_REQUESTS


def idle_calls(idle: IdleDay, mode: str) -> int:
    """Return the calls of a day without changes, if this mode lasts."""
    return {"real_time": idle.real_time, "awaiting_package": idle.awaiting_package}.get(mode, idle.interval)


def idle_sentence(idle: IdleDay, limit: Limit, status: Status) -> str:
    """Return what a day without changes costs in this mode, and whether rtsd may use so much."""
    calls = idle_calls(idle, status.mode)
    said = f"A day without changes costs about {plural(calls, 'call')} of ours"
    over = _over(calls, limit)
    if status.mode == "real_time":
        return f"{said}{over}."
    return f"{said} if all of it is read by Interval Sync{over}; with pushes {count(idle.real_time)}."


def _over(calls: int, limit: Limit) -> str:
    ceiling = ceiling_of(limit)
    return f", more than the {count(ceiling)} that rtsd may use" if calls > ceiling else ""


class Excess(NamedTuple):
    """A day without changes that costs more than rtsd may use: in words, and for little room."""

    fact: str
    brief: str
    tiny: str


def excess(status: Status) -> Excess | None:
    """Return by how much a day without changes is too dear; None if it is not."""
    limit = next((limit for limit in status.quota.limits if limit.name == API_REQUESTS), None)
    idle = status.quota.idle_day
    if limit is None or idle is None:
        return None
    calls = idle_calls(idle, status.mode)
    over = _over(calls, limit)
    if not over:
        return None
    tiny = f"idle day {short(calls)}"
    return Excess(
        f"a day without changes costs about {plural(calls, 'call')}{over}",
        f"{tiny} of {short(ceiling_of(limit))}",
        tiny,
    )
