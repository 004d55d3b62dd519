"""What an action of the log can be undone by, or why it cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rtsd.control.client import ControlClient
from rtsd.control.protocol import Event, Status
from rtsd.errors import Conflict
from rtstui.actions import Operator, Order, give, pausing, resuming, resuming_all
from rtstui.conditions import WRITING, disabling, enabling, named
from rtstui.rows import Row

UNDONE_BY_NONE = {
    "audit": "An audit is not undone: it made the mirror equal to the org.",
    "repair": "A repair is not undone: it made the mirror equal to the org.",
    "verify": "A verification is not undone: what it repaired is equal to the org.",
    "retry": "A retry is not undone: what it applied was pushed by the org, or was sent.",
    "backup": "There is nothing to undo: a backup changes nothing.",
    "reload": "A reload is undone in the configuration: change it back, and reload again.",
}
"""Why the actions of these names cannot be undone."""

DROPPED_HERE = "A dropped dead letter is in the file that was written first; an audit finds what is missing."
DROPPED_ELSEWHERE = "A dropped dead letter is gone; an audit finds what the mirror is missing."


def detail_of(entry: Event, key: str) -> Any:
    """Return a detail of an action; None if it has no such."""
    return (entry.detail or {}).get(key)


def way_back(entry: Event, status: Status | None) -> Order | str:
    """Return how an action is undone, or why it cannot be."""
    name = str(detail_of(entry, "action") or "")
    if entry.outcome in {"refused", "failed"}:
        return "There is nothing to undo: it was not done."
    if reason := UNDONE_BY_NONE.get(name):
        return reason
    way = WAYS.get(name)
    return way(entry, status) if way else "This dashboard does not know how to undo it."


async def undo(app: Operator, entry: Event, status: Status | None) -> bool:
    """Ask, then undo an action; return True if it was undone. Without a way back, say why."""
    way = way_back(entry, status)
    if isinstance(way, str):
        app.say(way)
        return False
    return await give(app, way)


def _resumed(entry: Event, status: Status | None) -> Order | str:
    names = _names(entry)
    if not names:
        if status is not None and status.mode != "paused":
            return "There is nothing to undo: the sync is not paused any more."
        return resuming_all()
    paused = [name for name in names if _is_paused(status, name)]
    return resuming(paused) if paused else _nothing_left(names, "not paused any more")


def _paused(entry: Event, status: Status | None) -> Order | str:
    names = _names(entry)
    if not names:
        return "The log does not tell what was paused before: P pauses an object, : the whole sync."
    running = [name for name in names if not _is_paused(status, name)]
    return pausing(running) if running else _nothing_left(names, "paused again")


def _nothing_left(names: Sequence[str], now: str) -> str:
    return f"There is nothing to undo: {', '.join(names)} {'is' if len(names) == 1 else 'are'} {now}."


def _dropped(entry: Event, _status: Status | None) -> str:
    return DROPPED_HERE if detail_of(entry, "program") == "rtstui" else DROPPED_ELSEWHERE


def _conditions(entry: Event, _status: Status | None) -> Order | str:
    before, after, name = detail_of(entry, "before"), detail_of(entry, "after"), entry.object
    if not isinstance(before, list) or not isinstance(after, list) or not name:
        return "The log does not tell which fields were conditions before."
    if sorted(before) == sorted(after):
        return "There is nothing to undo: the conditions were the same before."

    async def restore(client: ControlClient) -> None:
        """Write the fields before, unless somebody has changed them since."""
        if sorted((await client.conditions(name)).fields) != sorted(after):
            raise Conflict(
                f"The sync conditions of {name} were changed since, and nothing was written.", "View 6."
            )
        await client.set_conditions(name, before)

    rows: list[Row] = [
        (("now     ", "dim"), (named(after), "")),
        (("before  ", "dim"), (named(before), "bold")),
        (),
        ((WRITING, ""),),
    ]
    done = f"The sync conditions of {name} are {named(before)}."
    return Order(f"Set the sync conditions of {name} back?", rows, "Set back", done, restore, name)


def _switched(entry: Event, status: Status | None) -> Order | str:
    was_disabled = detail_of(entry, "action") == "disable"
    verb = "disabled" if was_disabled else "enabled"
    if detail_of(entry, "changed") is False:
        return f"There is nothing to undo: it was {verb} already."
    if status is not None and status.package.disabled is not was_disabled:
        return f"There is nothing to undo: push is not {verb} any more."
    return enabling() if was_disabled else disabling()


def _names(entry: Event) -> list[str]:
    return [str(name) for name in detail_of(entry, "objects") or []]


def _is_paused(status: Status | None, name: str) -> bool:
    return status is not None and any(item.name == name and item.state == "paused" for item in status.objects)


WAYS: Mapping[str, Callable[[Event, Status | None], Order | str]] = {
    "pause": _resumed,
    "resume": _paused,
    "conditions": _conditions,
    "disable": _switched,
    "enable": _switched,
    "drop": _dropped,
}
"""What finds the way back from the actions of these names."""
