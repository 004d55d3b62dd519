"""The loop that works the outbox off: at least once, in order per record, other records meanwhile.

A try is made outside any transaction; what came of all tries that ended meanwhile is written in one. A kill
in between means one more try, with the same webhook-id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import structlog

from rtsd.core.instant import DAY_MS, Millis, to_iso
from rtsd.errors import StoreError
from rtsd.rules import circuit, command, webhook
from rtsd.rules.circuit import Circuit
from rtsd.rules.rule import Action, Command, Tried
from rtsd.store import dead_letters, outbox
from rtsd.store.dead_letters import DeadLetter
from rtsd.store.journal import Entry, Note
from rtsd.store.outbox import Delivery
from rtsd.sync.engine import Engine, UnitOfWork

AT_ONCE = {"webhook": 16, "command": 4}
"""Deliveries under way to one destination: what any receiver takes, and any machine."""
LOOK_S = 1.0
"""How long the loop sleeps without looking at what has become due; looking is one indexed query."""
GIVEN_UP_AT_ONCE = 500
PURGE_EVERY_MS: Millis = 600_000

log = structlog.get_logger("rtsd.rules")


@dataclass(slots=True)
class Destination:
    """Somewhere deliveries go: its circuit, and what is under way to it."""

    at_once: int = 1
    circuit: Circuit = field(default_factory=Circuit)
    under_way: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    """By the delivery's seq."""


class Deliverer:
    """Delivers what the outbox holds; see the module."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._actions: Mapping[str, Action] = {}
        self._destinations: dict[str, Destination] = {}
        self._ended: list[tuple[Delivery, Tried]] = []
        self._arranged = False
        self._purged_at: Millis = 0
        self._wake = asyncio.Event()
        self._http: aiohttp.ClientSession | None = None

    @property
    def under_way(self) -> int:
        """How many tries are being made now, or wait for being written down."""
        return len(self._ended) + sum(len(one.under_way) for one in self._destinations.values())

    def set_actions(self, actions: Mapping[str, Action]) -> None:
        """Take up where each rule and alert sends, by its name; what waits goes there, too."""
        self._actions = actions
        for action in actions.values():
            self._destinations.setdefault(action.destination, Destination(AT_ONCE[action.kind]))
        self._arranged = False
        self._wake.set()

    def circuit_of(self, action: Action) -> Circuit:
        """The breaker of where it sends."""
        return self._destinations[action.destination].circuit

    def saw(self, entries: Sequence[Entry]) -> None:
        """Look at once when something was fired: called with what has been committed."""
        if any(entry.note.type == "rule" and entry.note.outcome == "fired" for entry in entries):
            self._wake.set()

    def wake(self) -> None:
        """Look at once."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver, forever."""
        try:
            while True:
                self._wake.clear()
                while await self.step():
                    pass
                try:
                    await asyncio.wait_for(self._wake.wait(), LOOK_S)
                except TimeoutError:
                    continue
        finally:
            await self.close()
            with suppress(StoreError):
                await self._settle()

    async def close(self) -> None:
        """Break off what is under way: it is tried again at the next start."""
        tasks = [task for one in self._destinations.values() for task in one.under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def step(self) -> int:
        """Write down what has ended, begin what is due; return how many of both."""
        done = 0
        if not self._arranged:
            done += await self._arrange()
        done += await self._settle()
        now = self._engine.now()
        for name, destination in list(self._destinations.items()):  # a reload may bring others meanwhile
            done += await self._begin(name, destination, now)
        if now - self._purged_at >= PURGE_EVERY_MS:
            await self._purge(now)
        return done

    async def _arrange(self) -> int:
        """Bring what waits in line with the rules; what no rule is left for is a dead letter."""
        self._arranged = True  # before the first await: a reload meanwhile makes it false again
        async with self._engine.database.transaction() as tx:
            destinations = {name: action.destination for name, action in self._actions.items()}
            await outbox.arrange(tx, destinations, self._engine.now())
        found = await outbox.without_rule(self._engine.database, self._actions, GIVEN_UP_AT_ONCE)
        busy = self._busy()
        stray = [one for one in found if one.seq not in busy]
        await self._give_up(stray, "the rule is not configured any more")
        used = {action.destination for action in self._actions.values()}
        for name in [name for name, one in self._destinations.items() if not one.under_way]:
            if name not in used:
                del self._destinations[name]
        if len(found) == GIVEN_UP_AT_ONCE or len(stray) < len(found):
            self._arranged = False
        return len(stray)

    def _busy(self) -> set[int]:
        """Deliveries (by seq) that are being tried, or whose try is not written down yet."""
        under_way = {seq for one in self._destinations.values() for seq in one.under_way}
        return under_way | {delivery.seq for delivery, _ in self._ended}

    async def _begin(self, name: str, destination: Destination, now: Millis) -> int:
        room = destination.circuit.room(len(destination.under_way), destination.at_once, now)
        if not room:
            return 0
        found = await outbox.due(self._engine.database, name, now, room, self._busy())
        for delivery in found:
            task = asyncio.create_task(self._try(destination, delivery), name=f"delivery {delivery.seq}")
            destination.under_way[delivery.seq] = task
        return len(found)

    async def _try(self, destination: Destination, delivery: Delivery) -> None:
        """Make one try; whatever comes of it is written down by the next step."""
        action = self._actions.get(delivery.rule)
        try:
            if action is not None:  # else it is gone since this was picked: arranging takes it out
                self._ended.append((delivery, await self._send(action, delivery)))
        except Exception as error:  # noqa: BLE001 - shown as a failed try; the others go on
            log.warning("a try failed in an unknown way", rule=delivery.rule, error=type(error).__name__)
            self._ended.append((delivery, Tried("failed", f"rtsd itself failed: {type(error).__name__}")))
        finally:
            del destination.under_way[delivery.seq]
            self._wake.set()

    async def _send(self, action: Action, delivery: Delivery) -> Tried:
        if isinstance(action, Command):
            return await command.run(action, delivery.webhook_id, delivery.body)
        self._http = self._http or webhook.client_session()
        return await webhook.post(self._http, action, delivery.webhook_id, delivery.body, self._engine.now())

    async def _settle(self) -> int:
        """Write down what came of the tries that have ended, in one transaction."""
        ended = list(self._ended)
        if not ended:
            return 0
        now = self._engine.now()
        async with self._engine.unit_of_work() as unit:
            await unit.notes([await _write(unit, delivery, tried, now) for delivery, tried in ended])
        del self._ended[: len(ended)]
        for delivery, tried in ended:
            self._learn(delivery, tried, now)
        for name, destination in list(self._destinations.items()):
            if destination.circuit.has_been_open_for(now) >= circuit.GIVEN_UP_AFTER_MS:
                await self._give_up_old(name, now)
        return len(ended)

    def _learn(self, delivery: Delivery, tried: Tried, now: Millis) -> None:
        """Let the destination's circuit follow: it is down, or it answers."""
        destination = self._destinations.get(delivery.destination)
        if destination is None:
            return  # nothing goes there any more
        was_open = destination.circuit.is_open
        if tried.outage:
            destination.circuit.failed(delivery.seq, now)
        else:
            destination.circuit.answered()
        if destination.circuit.is_open != was_open:
            event = "destination answers again" if was_open else "destination left alone"
            log.warning(event, rule=delivery.rule, reason=tried.reason)

    async def _give_up_old(self, destination: str, now: Millis) -> None:
        """Nothing was taken for so long: what is as old is given up, tried or not, a part at a time."""
        before = now - circuit.GIVEN_UP_AFTER_MS
        found = await outbox.older(self._engine.database, destination, before, GIVEN_UP_AT_ONCE)
        busy = self._busy()
        await self._give_up([one for one in found if one.seq not in busy], "nothing was taken for a day")

    async def _give_up(self, deliveries: Sequence[Delivery], reason: str) -> None:
        if not deliveries:
            return
        async with self._engine.unit_of_work() as unit:
            now = self._engine.now()
            await unit.notes([await _bury(unit, delivery, reason, now) for delivery in deliveries])

    async def _purge(self, now: Millis) -> None:
        async with self._engine.database.transaction() as tx:
            gone = await outbox.purge(tx, now - DAY_MS)
        if not gone:
            self._purged_at = now


async def _write(unit: UnitOfWork, delivery: Delivery, tried: Tried, now: Millis) -> Note:
    """Write down one try; return what the journal is to say of it."""
    tries = delivery.tries + 1
    if tried.outcome != "failed":
        await outbox.finish(unit.tx, delivery, tried.outcome, now)
        return _note(delivery, tried.outcome, tried.reason, now)
    if circuit.is_given_up(tries, delivery.first_tried_at or now, now):
        return await _bury(unit, delivery, f"{tried.reason}; given up after {tries} tries", now)
    due_at = now + circuit.pause_ms(tries, tried.config)
    await outbox.postpone(unit.tx, delivery, now, due_at)
    return _note(delivery, "retrying", f"{tried.reason}; try {tries + 1} at {to_iso(due_at)}", now)


async def _bury(unit: UnitOfWork, delivery: Delivery, reason: str, now: Millis) -> Note:
    """Make a delivery a dead letter: the next one of its record goes on."""
    letter = DeadLetter(
        id=0,
        at=to_iso(now),
        reason="Undelivered",
        message=f"{delivery.rule}: {reason}",
        object=delivery.object or None,
        record=delivery.record,
        attempts=delivery.tries + 1,
        body=delivery.body,
        rule=delivery.rule,
        webhook_id=delivery.webhook_id,
    )
    await dead_letters.add_delivery(unit.tx, letter)
    await outbox.finish(unit.tx, delivery, "dead_letter", now, failed=True)
    return _note(delivery, "dead_letter", reason, now)


def _note(delivery: Delivery, outcome: str, reason: str, now: Millis) -> Note:
    """The journal's word on a delivery; `latency_ms` is since the change was applied."""
    return Note(
        type="rule",
        object=delivery.object or None,
        id=delivery.record if delivery.object else None,
        outcome=outcome,
        latency_ms=max(now - delivery.created_at, 0) if outcome == "delivered" else None,
        message=f"{delivery.rule} {outcome.replace('_', ' ')}: {reason}",
        detail={"rule": delivery.rule, "event": delivery.event, "try": delivery.tries + 1},
    )
