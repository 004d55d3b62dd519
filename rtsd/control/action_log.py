"""The action log: who changed what through the control API, what it cost and how it ended, in the journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import msgspec
import structlog
from aiohttp import web

from rtsd.control import protocol
from rtsd.control.access import Handler
from rtsd.control.actions import ACTIONS, Action, Asked, asked_of
from rtsd.control.author import Author, author_of
from rtsd.control.documents import answer
from rtsd.control.wire import event
from rtsd.core import dead_letter
from rtsd.core.instant import Millis
from rtsd.core.quota import API_REQUESTS
from rtsd.errors import RtsError
from rtsd.store import journal
from rtsd.store.database import Database
from rtsd.store.journal import Note
from rtsd.sync.catalog import Catalog
from rtsd.sync.ledger import tallied
from rtsd.sync.unit_of_work import UnitsOfWork

MOST_REFUSED, REFUSED_WITHIN_MS = 30, 60_000
"""Refusals that are journalled in a minute: a program that repeats one must not fill the journal."""

DONE, RUNNING, REFUSED, FAILED = "done", "running", "refused", "failed"
"""How an action ends: its outcome in the journal."""

ACCEPTED = 202

log = structlog.get_logger("rtsd.control")


class _Facts(msgspec.Struct, omit_defaults=True):
    """The parts of answers that the log keeps."""

    api_calls: int | None = None
    bulk_jobs: int | None = None
    fetched: int | None = None
    repaired: int | None = None
    run: int | None = None
    ok: bool | None = None
    changed: bool | None = None
    before: list[str] | None = None
    outcome: str | None = None
    error: str | None = None
    reason: str | None = None


class ActionLog:
    """Journals what routes do that change something, and answers `/v1/actions`."""

    def __init__(
        self, database: Database, catalog: Catalog, work: UnitsOfWork, now: Callable[[], Millis]
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._work = work
        self._now = now
        self._refused: deque[Millis] = deque(maxlen=MOST_REFUSED)

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get("/v1/actions", self._list)]

    def journalled(self, routes: Iterable[web.RouteDef]) -> list[web.RouteDef]:
        """Return the routes; those that change something journal it."""
        return [self._journalled(route) for route in routes]

    async def _list(self, _request: web.Request) -> web.Response:
        found = await journal.actions(self._database)
        return answer(protocol.Actions(actions=[event(entry) for entry in found]))

    def _journalled(self, route: web.RouteDef) -> web.RouteDef:
        action = ACTIONS.get((route.method, route.path))
        if action is None:
            return route
        handler = cast("Handler", route.handler)

        async def handle(request: web.Request) -> web.StreamResponse:
            attempt = _Attempt(action, self._spelled(await asked_of(request)), author_of(request))
            return await self._carry_out(attempt, handler, request)

        return web.RouteDef(route.method, route.path, handle, route.kwargs)

    async def _carry_out(
        self, attempt: _Attempt, handler: Handler, request: web.Request
    ) -> web.StreamResponse:
        if attempt.asked.dry_run:
            return await handler(request)
        with tallied() as spent:
            try:
                response = await handler(request)
            except Exception as error:
                if self._may_note_refusal():
                    await self._write(attempt.refused(error))
                raise
        await self._write(attempt.answered(response, spent[API_REQUESTS]))
        return response

    def _spelled(self, asked: Asked) -> Asked:
        """Return what is asked, with the names of objects as the org spells them."""
        asked.object, *asked.objects = (
            found.name if (found := self._catalog.find(name)) else name
            for name in (asked.object, *asked.objects)
        )
        return asked

    def _may_note_refusal(self) -> bool:
        """Return True unless there were too many refusals lately."""
        now, times = self._now(), self._refused
        if len(times) == MOST_REFUSED and now - times[0] < REFUSED_WITHIN_MS:
            return False
        times.append(now)
        return True

    async def _write(self, note: Note) -> None:
        """Journal an action; it has ended, so that a failure to write changes nothing of it."""
        try:
            await self._work.note(note)
        except RtsError as error:
            log.warning("action not journalled", action=note.message, reason=error.code)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """An action that somebody asks for."""

    action: Action
    asked: Asked
    author: Author

    def answered(self, response: web.StreamResponse, spent: int) -> Note:
        """Return the entry of an action that was done, or that has begun."""
        facts = msgspec.to_builtins(_facts(response))
        if response.status == ACCEPTED:
            what = self.action.described(self.asked, done=False)
            return self._note(RUNNING, f"began to {what}", what, facts)
        ended = facts.pop("outcome", None)
        if ended == dead_letter.WAITING:
            what = self.action.described(self.asked, done=False)
            return self._note(RUNNING, f"began to {what}", what, facts)
        if spent:
            facts.setdefault("api_calls", spent)
        if self.action.name == "conditions":
            facts["after"] = self.asked.fields
        what = self.action.described(self.asked, done=True)
        if ended == dead_letter.FAILED:
            return self._note(FAILED, f"{what}; it failed again: {facts['reason']}", what, facts)
        if ended is not None:
            return self._note(DONE, f"{what}: {ended}", what, {**facts, "ended": ended})
        return self._note(DONE, what, what, facts)

    def refused(self, error: Exception) -> Note:
        """Return the entry of an action that was refused, or that a bug ended."""
        what = self.action.described(self.asked, done=False)
        code, reason = _reason(error, self.asked)
        outcome = REFUSED if isinstance(error, RtsError | web.HTTPException) else FAILED
        return self._note(outcome, f"could not {what}: {reason}", what, {"error": code, "reason": reason})

    def _note(self, outcome: str, said: str, what: str, facts: Mapping[str, Any]) -> Note:
        author, asked = self.author, self.asked
        detail = {
            "action": self.action.name,
            "what": what,
            "by": author.user,
            "program": author.program,
            "objects": asked.objects or None,
            **facts,
        }
        return Note(
            "action",
            asked.object or (asked.objects[0] if len(asked.objects) == 1 else None),
            asked.record,
            outcome=outcome,
            message=f"{author.user} {said}",
            detail={key: value for key, value in detail.items() if value is not None},
        )


def _reason(error: Exception, asked: Asked) -> tuple[str, str]:
    """Return an error's name and text, without what was given in place of an id: it may be a value."""
    if isinstance(error, web.HTTPException):
        return "UsageError", error.reason
    if not isinstance(error, RtsError):
        return "InternalError", "rtsd has a bug here; its log says where"
    text = str(error)
    for given in asked.ids:
        text = text if given == asked.record else text.replace(given, "…")
    return error.code, text


def _facts(response: web.StreamResponse) -> _Facts:
    """Return what an answer tells; a stream, such as a backup, tells nothing."""
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return _Facts()
    try:
        return msgspec.json.decode(response.body, type=_Facts)
    except msgspec.MsgspecError:
        return _Facts()
