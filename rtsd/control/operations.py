"""What an operator can have done: audit, repair, pause, dead letters."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rtsd.core.cost import Cost, fingerprint, full_read
from rtsd.core.instant import DAY_MS, Millis, to_iso
from rtsd.core.quota import API_REQUESTS, BULK_JOBS
from rtsd.errors import Conflict, RtsError
from rtsd.rules.engine import RuleEngine
from rtsd.store import dead_letters, journal, mirror, quota
from rtsd.store.inbox import Arrival, Inbox
from rtsd.store.journal import Note
from rtsd.store.objects import ObjectState
from rtsd.sync.catalog import MirroredObject
from rtsd.sync.controller import Controller
from rtsd.sync.engine import Engine
from rtsd.sync.estimate import measure
from rtsd.sync.ledger import StoredLedger
from rtsd.sync.verify import Verifier


@dataclass(frozen=True)
class Run:
    """An audit that was asked for."""

    number: int
    result: asyncio.Task[dict[str, Any]]


class Operations:
    """Carries out what the control API is asked."""

    def __init__(
        self,
        engine: Engine,
        controller: Controller,
        inbox: Inbox,
        ledger: StoredLedger,
        rule_engine: RuleEngine,
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._controller = controller
        self._inbox = inbox
        self._rule_engine = rule_engine
        self._verifier = Verifier(engine, controller)
        self._verifying = asyncio.Lock()
        self._runs = 0
        self._running: dict[str, Run] = {}

    def audit(self, mirrored: MirroredObject, *, full: bool, accept_missing: bool = False) -> Run:
        """Begin an audit of one object; one that is running already is joined."""
        running = self._running.get(mirrored.name)
        if running is not None and not running.result.done():
            return running
        self._runs += 1
        task = asyncio.create_task(
            self._audit(mirrored, full=full, accept_missing=accept_missing), name=f"audit {mirrored.name}"
        )
        task.add_done_callback(_take_exception)
        run = Run(self._runs, task)
        self._running[mirrored.name] = run
        return run

    async def _audit(self, mirrored: MirroredObject, *, full: bool, accept_missing: bool) -> dict[str, Any]:
        engine = self._engine
        if mirrored.table is None:
            await self._controller.describer.describe(mirrored)
        if mirrored.loading is not None:
            raise Conflict(f"{mirrored.name} is being loaded", "wait until it is live")
        began, seq = engine.now(), engine.journal.last_seq
        before = await self.spent(began)
        try:
            if full or not mirrored.loaded:
                await self._controller.audit.run(mirrored, accept_missing=accept_missing)
                checked = mirrored.expected_rows or 0
            else:
                checked = (await self._controller.check(mirrored)).checked
        except RtsError as error:
            await engine.report(error, mirrored.name)
            raise
        if mirrored.state is not ObjectState.LIVE:
            await self._controller.audit.prove(mirrored)
        spent = await self.spent(began) - before
        found = await self._found_since(mirrored, seq)
        result = {
            "name": mirrored.name,
            "state": mirrored.state.value,
            "error": mirrored.error,
            "checked": checked,
            **found,
            "api_calls": spent[API_REQUESTS],
            "bulk_jobs": spent[BULK_JOBS],
            "seconds": round((engine.now() - began) / 1000, 3),
        }
        return {"objects": [result], "api_calls": spent[API_REQUESTS]}

    async def _found_since(self, mirrored: MirroredObject, seq: int) -> dict[str, Any]:
        """What the audit had to correct, out of the journal."""
        kinds: dict[str, list[str]] = {"create": [], "update": [], "delete": []}
        for operation, record_id in await journal.corrections(self._engine.database, mirrored.name, seq):
            kinds.setdefault(operation, []).append(record_id)
        missing = kinds["create"] + kinds.get("undelete", [])
        stale, orphaned = kinds["update"], kinds["delete"]
        return {
            "missing": missing[:1000],
            "stale": stale[:1000],
            "orphaned": orphaned[:1000],
            "missing_count": len(missing),
            "stale_count": len(stale),
            "orphaned_count": len(orphaned),
            "repaired": len(missing) + len(stale) + len(orphaned),
        }

    async def price(self, mirrored: MirroredObject, *, full: bool) -> dict[str, Any]:
        """What an audit would cost: a fingerprint while nothing is wrong, or a full read.

        To price a full read costs two calls.
        """
        if not full and mirrored.loaded and mirrored.described.schema.cursor is not None:
            return await self.priced(
                fingerprint(await mirror.count(self._engine.database, mirrored.described))
            )
        if mirrored.table is None:
            await self._controller.describer.describe(mirrored)
        size = await measure(
            self._engine.client, mirrored.described.schema, mirrored.config.where, purpose="estimate"
        )
        return await self.priced(full_read([size]))

    async def priced(self, cost: Cost) -> dict[str, Any]:
        """Put a price beside what the org's limits have left: `{"estimate": …, "problems": […]}`."""
        limits = {
            one.usage.name: (one.usage.max, one.usage.max - one.usage.used)
            for one in await self._ledger.standings()
        }
        problems = [
            {
                "what": f"It takes {share:.1f} % of {name}; {left:.1f} % can be used now.",
                "do": "It pauses and goes on as calls free up; a lower [quota] reserve helps.",
            }
            for name, share, left in cost.beyond(limits, self._ledger.reserve)
        ]
        maxima = {name: highest for name, (highest, _) in limits.items()}
        return {"estimate": cost.document(maxima), "problems": problems}

    async def verify(self, *, certify: bool) -> dict[str, Any]:
        """Verify the mirror, one at a time; `certify` adds a signed statement."""
        async with self._verifying:
            return await self._verifier.verify(certify=certify)

    async def pause(self, objects: Sequence[MirroredObject]) -> None:
        """Pause the whole sync, or the reading of some objects."""
        if not objects:
            await self._controller.pause()
        for mirrored in objects:
            await self._set_paused(mirrored, paused=True)

    async def resume(self, objects: Sequence[MirroredObject]) -> None:
        """Go on; without names, with everything."""
        if not objects:
            await self._controller.resume()
        for mirrored in objects or self._engine.catalog:
            await self._set_paused(mirrored, paused=False)
        self._controller.catch_up()

    async def _set_paused(self, mirrored: MirroredObject, *, paused: bool) -> None:
        if mirrored.paused == paused:
            return
        async with self._engine.unit_of_work() as unit:
            await self._engine.catalog.update(unit.tx, mirrored, paused=paused)
            message = "paused by an operator" if paused else "resumed by an operator"
            await unit.note(Note("mode", mirrored.name, message=message))

    async def retry(self, letter_id: int) -> None:
        """Put a dead letter into the inbox once more, under an id of its own; a delivery into the outbox."""
        letter = await dead_letters.get(self._engine.database, letter_id)
        if letter.kind == dead_letters.DELIVERY:
            await self._rule_engine.send_again(letter)
            return
        again = f"retry-{letter_id}-{secrets.token_hex(8)}"
        await self._inbox.append(Arrival(again, self._engine.now(), letter.body))
        await self._forget(letter_id, "retried")

    async def drop(self, letter_id: int) -> None:
        """Forget a dead letter."""
        await dead_letters.get(self._engine.database, letter_id)
        await self._forget(letter_id, "dropped")

    async def _forget(self, letter_id: int, how: str) -> None:
        async with self._engine.unit_of_work() as unit:
            await dead_letters.drop(unit.tx, letter_id)
            message = f"dead letter {letter_id} {how} at {to_iso(self._engine.now())}"
            await unit.note(Note("dead_letter", message=message))

    async def spent(self, began: Millis) -> Counter[str]:
        """What was spent so far, of each resource; differences tell what something took."""
        return Counter(await quota.spent_by_resource(self._engine.database, began - DAY_MS))


def _take_exception(task: asyncio.Task[dict[str, Any]]) -> None:
    """A failed run was reported already; nobody else may be waiting for it."""
    if not task.cancelled():
        task.exception()
