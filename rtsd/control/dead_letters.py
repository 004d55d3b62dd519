"""Dead letters on the control socket: listed, shown with their document, retried, dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from aiohttp import web

from rtsd.control import protocol
from rtsd.control.documents import answer, is_on, whole_number
from rtsd.core.dead_letter import APPLIED, DELIVERED, FAILED, explanation
from rtsd.core.instant import Millis, to_iso
from rtsd.core.privacy import stored_push
from rtsd.errors import Conflict
from rtsd.rules.engine import RuleEngine
from rtsd.store import dead_letters, held, outbox
from rtsd.store.database import Database
from rtsd.store.dead_letters import DELIVERY, DeadLetter
from rtsd.store.inbox import Inbox
from rtsd.store.journal import Note
from rtsd.sync.unit_of_work import UnitsOfWork

WAIT_S, POLL_S = 2.0, 0.02
"""The longest wait for the outcome of a retry, and between two looks: most are applied in milliseconds."""


class DeadLetters:
    """Retries and drops dead letters."""

    def __init__(
        self,
        database: Database,
        work: UnitsOfWork,
        *,
        now: Callable[[], Millis],
        inbox: Inbox,
        rule_engine: RuleEngine,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._work = work
        self._now = now
        self._inbox = inbox
        self._rule_engine = rule_engine
        self._random_bytes = random_bytes

    async def retry(self, letter_id: int) -> DeadLetter:
        """Have a push applied again, under an id of its own; put a delivery into the outbox.

        A dead letter keeps its number until it has been applied or delivered, and when it fails again.
        Return it as it was before.

        Raises NotFound, and Conflict for a delivery whose rule is gone.
        """
        letter = await dead_letters.get(self._database, letter_id)
        if letter.kind == DELIVERY:
            await self._rule_engine.send_again(letter)
            return letter
        async with self._work.begin() as unit:
            if await dead_letters.is_being_retried(unit.tx, letter_id):
                return letter
            message = f"dead letter {letter_id} is tried again at {to_iso(self._now())}"
            await unit.note(Note("dead_letter", message=message))
            webhook_id = dead_letters.retry_id(letter, self._random_bytes(8).hex())
            await held.requeue(unit.tx, self._now(), [(webhook_id, stored_push(letter.body))])
            unit.on_commit(self._inbox.arrived.set)
        return letter

    async def outcome(self, letter: DeadLetter) -> protocol.Retried:
        """Return how the retry of a letter ended, as soon as that is known, or that it still waits."""
        try:
            async with asyncio.timeout(WAIT_S):
                while (now := await dead_letters.find(self._database, letter.id)) is not None:
                    if now.attempts > letter.attempts:
                        return _failed_again(now)
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            return protocol.Retried()
        return protocol.Retried(outcome=DELIVERED if letter.kind == DELIVERY else APPLIED)

    async def drop(self, letter_id: int) -> None:
        """Delete a dead letter. Raises NotFound, and Conflict for a delivery that is being sent again."""
        letter = await dead_letters.get(self._database, letter_id)
        async with self._work.begin() as unit:
            if letter.webhook_id is not None and await outbox.is_pending(unit.tx, letter.webhook_id):
                raise Conflict(
                    f"dead letter {letter_id} is being sent again",
                    "wait until it has arrived or failed again; `rtsd rules` counts what is pending",
                )
            await dead_letters.drop(unit.tx, letter_id)
            message = f"dead letter {letter_id} dropped at {to_iso(self._now())}"
            await unit.note(Note("dead_letter", message=message))


class DeadLetterRoutes:
    """Answers `/v1/dead-letters`."""

    def __init__(self, database: Database, letters: DeadLetters) -> None:
        self._database = database
        self._letters = letters

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/v1/dead-letters", self._list),
            web.get("/v1/dead-letters/{id}", self._show),
            web.post("/v1/dead-letters/{id}/retry", self._retry),
            web.post("/v1/dead-letters/{id}/drop", self._drop),
        ]

    async def _list(self, _request: web.Request) -> web.Response:
        found = await dead_letters.newest(self._database)
        shown = msgspec.convert(found, list[protocol.DeadLetter], from_attributes=True)
        return answer(protocol.DeadLetters(dead_letters=shown))

    async def _show(self, request: web.Request) -> web.Response:
        letter = await dead_letters.get(self._database, _id_of(request))
        document = msgspec.Raw(letter.body)
        shown = msgspec.convert(letter, protocol.DeadLetterDetails, from_attributes=True)
        if letter.kind == DELIVERY:
            shown.delivery = document
        else:
            shown.push = document
        return answer(shown)

    async def _retry(self, request: web.Request) -> web.Response:
        letter = await self._letters.retry(_id_of(request))
        waits = is_on(request, "wait")
        return answer(await self._letters.outcome(letter) if waits else protocol.Retried())

    async def _drop(self, request: web.Request) -> web.Response:
        await self._letters.drop(_id_of(request))
        return answer(protocol.Dropped())


def _failed_again(letter: DeadLetter) -> protocol.Retried:
    why, do = explanation(letter.reason, letter.object)
    return protocol.Retried(outcome=FAILED, error=letter.reason, reason=why, do=do)


def _id_of(request: web.Request) -> int:
    return whole_number(request.match_info["id"], "the dead letter's id")
