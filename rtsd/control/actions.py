"""The actions of operators: the requests of the control API that change something, and their wording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
from aiohttp import web

from rtsd.core.ids import is_id
from rtsd.core.plural import plural

LONGEST = 300
"""Characters of a description: the details have the whole."""


class Asked(msgspec.Struct):
    """The parts of a request's body that its description needs, whatever the action."""

    object: str = ""
    """From the path."""
    id: str = ""
    """From the path."""
    objects: list[str] = []
    ids: list[str] = []
    fields: list[str] = []
    since: str | None = None
    until: str | None = None
    full: bool = False
    certificate: bool = False
    dry_run: bool = False

    @property
    def record(self) -> str | None:
        """The record that the action is about, if it is about one, and is named by an id."""
        return self.ids[0] if len(self.ids) == 1 and is_id(self.ids[0]) else None


async def asked_of(request: web.Request) -> Asked:
    """Return what is asked. A malformed body says nothing: its route refuses it."""
    path = request.match_info
    try:
        asked = msgspec.json.decode(await request.read() or b"{}", type=Asked)
    except (msgspec.MsgspecError, RecursionError):
        asked = Asked()
    asked.object, asked.id = path.get("object", ""), path.get("id", "")
    return asked


@dataclass(frozen=True, slots=True)
class Action:
    """A request that changes something: its name, its verb and the past of that, and on what it acts."""

    name: str
    verb: str
    past: str
    target: Callable[[Asked], str]

    def described(self, asked: Asked, *, done: bool) -> str:
        """Return what was done, `paused Contact`, or what was to be done, `pause Contact`."""
        text = f"{self.past if done else self.verb} {self.target(asked)}"
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _objects(asked: Asked) -> str:
    return ", ".join(asked.objects) or "the whole sync"


def _audited(asked: Asked) -> str:
    return f"every row of {asked.object}" if asked.full else asked.object


def _repaired(asked: Asked) -> str:
    """Name records by their ids only: other texts may be anything, such as an address."""
    if asked.fields:
        return f"{', '.join(asked.fields)} of every {asked.object}"
    if asked.since is not None:
        return f"{asked.object} since {asked.since}" + (f" until {asked.until}" if asked.until else "")
    return f"{asked.object} {asked.record}" if asked.record else _records(asked)


def _records(asked: Asked) -> str:
    return f"{plural(len(asked.ids), 'record')} of {asked.object}"


def _verified(asked: Asked) -> str:
    return "the mirror, with a certificate" if asked.certificate else "the mirror"


def _letter(asked: Asked) -> str:
    return f"dead letter {asked.id}"


def _conditions(asked: Asked) -> str:
    return f"the sync conditions of {asked.object} to {', '.join(asked.fields) or 'none'}"


def _always(target: str) -> Callable[[Asked], str]:
    return lambda _: target


ACTIONS: Mapping[tuple[str, str], Action] = {
    ("POST", "/v1/pause"): Action("pause", "pause", "paused", _objects),
    ("POST", "/v1/resume"): Action("resume", "resume", "resumed", _objects),
    ("POST", "/v1/objects/{object}/audit"): Action("audit", "audit", "audited", _audited),
    ("POST", "/v1/objects/{object}/repair"): Action("repair", "repair", "repaired", _repaired),
    ("POST", "/v1/verify"): Action("verify", "verify", "verified", _verified),
    ("POST", "/v1/dead-letters/{id}/retry"): Action("retry", "retry", "retried", _letter),
    ("POST", "/v1/dead-letters/{id}/drop"): Action("drop", "drop", "dropped", _letter),
    ("PUT", "/v1/objects/{object}/conditions"): Action("conditions", "set", "set", _conditions),
    ("POST", "/v1/package/disable"): Action("disable", "disable", "disabled", _always("the package")),
    ("POST", "/v1/package/enable"): Action("enable", "enable", "enabled", _always("the package")),
    ("POST", "/v1/backup"): Action("backup", "take", "took", _always("a backup")),
    ("POST", "/v1/reload"): Action("reload", "reload", "reloaded", _always("the configuration")),
}
"""By method and path. Other requests read, or only tell rtsd of what was done elsewhere."""
