"""The use of the mirror by assistants: each call is journalled before it is answered."""

from __future__ import annotations

import re

from aiohttp import web

from rtsd.control import protocol
from rtsd.control.documents import answer, body_of
from rtsd.store.journal import Note
from rtsd.sync.unit_of_work import UnitsOfWork

_TEXT = re.compile(r"'(?:[^']|'')*'|(\$\w*\$).*?\1", re.DOTALL)
LONGEST = 1_000
"""Characters of a query that are kept."""


class AssistantRoute:
    """Answers `POST /v1/assistant`."""

    def __init__(self, work: UnitsOfWork) -> None:
        self._work = work

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.post("/v1/assistant", self._note)]

    async def _note(self, request: web.Request) -> web.Response:
        body = await body_of(request, protocol.AssistantBody)
        detail = {"tool": body.tool} | ({"sql": without_texts(body.sql)} if body.sql else {})
        message = f"an assistant used {body.tool}"
        await self._work.note(Note("assistant", body.object, body.id, message=message, detail=detail))
        return answer({})


def without_texts(sql: str) -> str:
    """Return a query without its texts, which may be personal data."""
    return _TEXT.sub("'…'", sql)[:LONGEST]
