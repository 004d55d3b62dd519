"""Delivery of the outbox: at least once, in order per record, records in parallel.

Attempts run outside any transaction; the results of finished attempts are written in one. After a kill in
between, the attempt is repeated with the same webhook-id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import structlog

from rtsd.core.instant import DAY_MS, Millis, to_iso
from rtsd.errors import StoreError
from rtsd.rules import circuit, command, webhook
from rtsd.rules.circuit import Circuit
from rtsd.rules.rule import Action, Command, DeliveryResult
from rtsd.rules.webhook import Addresses
from rtsd.services import Service
from rtsd.store import dead_letters, outbox
from rtsd.store.database import Database
from rtsd.store.dead_letters import DeadLetter
from rtsd.store.journal import Note
from rtsd.store.outbox import Delivery
from rtsd.sync.unit_of_work import UnitOfWork, UnitsOfWork

MAX_PARALLEL = {"webhook": 16, "command": 4}
"""Parallel deliveries to a destination, within the capacity of any receiver and machine."""
DUE_CHECK_S = 1.0
"""Seconds between checks for due deliveries, each a single indexed query."""
BATCH = 500
PURGE_EVERY_MS: Millis = 600_000

log = structlog.get_logger("rtsd.rules")


@dataclass(slots=True)
class Destination:
    """A destination: its circuit, and the deliveries under way."""

    max_parallel: int = 1
    circuit: Circuit = field(default_factory=Circuit)
    under_way: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    """By the delivery's seq."""


class Deliverer(Service):
    """Delivers the outbox; see the module."""

    name = "deliveries"

    def __init__(
        self,
        database: Database,
        work: UnitsOfWork,
        now: Callable[[], Millis],
        fired: asyncio.Event,
        addresses: Addresses = "private",
    ) -> None:
        super().__init__(fired)
        self._addresses = addresses
        self._database = database
        self._work = work
        self._now = now
        self._actions: Mapping[str, Action] = {}
        self._destinations: dict[str, Destination] = {}
        self._ended: list[tuple[Delivery, DeliveryResult]] = []
        self._arranged = False
        self._purged_at: Millis = 0
        self._http: aiohttp.ClientSession | None = None

    @property
    def under_way(self) -> int:
        """The number of attempts that are running, or whose result is not written yet."""
        return len(self._ended) + sum(
            len(destination.under_way) for destination in self._destinations.values()
        )

    def set_actions(self, actions: Mapping[str, Action]) -> None:
        """Replace the actions, by the names of rules and alerts, and redirect pending deliveries."""
        self._actions = actions
        for action in actions.values():
            self._destinations.setdefault(action.destination, Destination(MAX_PARALLEL[action.kind]))
        self._arranged = False
        self.wake.set()

    def circuit_of(self, action: Action) -> Circuit:
        """The circuit breaker of an action's destination."""
        return self._destinations[action.destination].circuit

    async def step(self) -> float:
        """Take a turn; the next one follows immediately while there is work."""
        return 0.0 if await self.turn() else DUE_CHECK_S

    async def close(self) -> None:
        """Cancel the running attempts, and write the results of those finished by then."""
        await self.cancel_attempts()
        with suppress(StoreError):
            await self._settle()

    async def cancel_attempts(self) -> None:
        """Cancel the running attempts, which are repeated after the next start."""
        tasks = [
            task for destination in self._destinations.values() for task in destination.under_way.values()
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def turn(self) -> int:
        """Write the results of finished attempts and start due deliveries; return the number of both."""
        done = 0
        if not self._arranged:
            done += await self._arrange()
        done += await self._settle()
        now = self._now()
        for name, destination in list(self._destinations.items()):  # a reload may change them meanwhile
            done += await self._begin(name, destination, now)
        if now - self._purged_at >= PURGE_EVERY_MS:
            await self._purge(now)
        return done

    async def _arrange(self) -> int:
        """Redirect pending deliveries according to the rules; those without a rule become dead letters."""
        self._arranged = True  # before the first await: a concurrent reload resets it
        async with self._database.transaction() as tx:
            destinations = {name: action.destination for name, action in self._actions.items()}
            await outbox.arrange(tx, destinations, self._now())
        found = await outbox.without_rule(self._database, self._actions, BATCH)
        busy = self._busy()
        stray = [delivery for delivery in found if delivery.seq not in busy]
        await self._abandon(stray, "the rule is no longer configured")
        used = {action.destination for action in self._actions.values()}
        for name, destination in list(self._destinations.items()):
            if not destination.under_way and name not in used:
                del self._destinations[name]
        if len(found) == BATCH or len(stray) < len(found):
            self._arranged = False
        return len(stray)

    def _busy(self) -> set[int]:
        """The deliveries (by seq) that are being attempted, or whose result is not written yet."""
        under_way = {seq for destination in self._destinations.values() for seq in destination.under_way}
        return under_way | {delivery.seq for delivery, _ in self._ended}

    async def _begin(self, name: str, destination: Destination, now: Millis) -> int:
        room = destination.circuit.room(len(destination.under_way), destination.max_parallel, now)
        if not room:
            return 0
        found = await outbox.due(self._database, name, now, room, self._busy())
        for delivery in found:
            task = asyncio.create_task(self._try(destination, delivery), name=f"delivery {delivery.seq}")
            destination.under_way[delivery.seq] = task
        return len(found)

    async def _try(self, destination: Destination, delivery: Delivery) -> None:
        """Make an attempt; the next step writes its result."""
        action = self._actions.get(delivery.rule)
        try:
            if action is not None:  # otherwise the rule was just removed, and `_arrange` removes the delivery
                self._ended.append((delivery, await self._send(action, delivery)))
        except Exception as error:  # noqa: BLE001 - reported as a failed attempt; the others continue
            log.warning(
                "delivery attempt failed unexpectedly", rule=delivery.rule, error=type(error).__name__
            )
            self._ended.append(
                (delivery, DeliveryResult("failed", f"rtsd itself failed: {type(error).__name__}"))
            )
        finally:
            del destination.under_way[delivery.seq]
            self.wake.set()

    async def _send(self, action: Action, delivery: Delivery) -> DeliveryResult:
        if isinstance(action, Command):
            return await command.run(action, delivery.webhook_id, delivery.body)
        self._http = self._http or webhook.client_session(self._addresses)
        return await webhook.post(self._http, action, delivery.webhook_id, delivery.body, self._now())

    async def _settle(self) -> int:
        """Write the results of finished attempts in one transaction."""
        ended = list(self._ended)
        if not ended:
            return 0
        now = self._now()
        async with self._work.begin() as unit:
            arrived = [(delivery, result.outcome) for delivery, result in ended if result.outcome != "failed"]
            if arrived:
                await outbox.finish(unit.tx, arrived, now)
                await dead_letters.settle_deliveries(
                    unit.tx, [delivery.webhook_id for delivery, _ in arrived]
                )
            await unit.notes([await _result(unit, delivery, result, now) for delivery, result in ended])
        del self._ended[: len(ended)]
        for delivery, result in ended:
            self._update_circuit(delivery, result, now)
        for name, destination in list(self._destinations.items()):
            if destination.circuit.has_been_open_for(now) >= circuit.ABANDON_AFTER_MS:
                await self._abandon_old(name, now)
        return len(ended)

    def _update_circuit(self, delivery: Delivery, result: DeliveryResult, now: Millis) -> None:
        """Update the destination's circuit with a result."""
        destination = self._destinations.get(delivery.destination)
        if destination is None:
            return  # the destination is no longer configured
        was_open = destination.circuit.is_open
        if result.outage:
            destination.circuit.failed(delivery.seq, now)
        else:
            destination.circuit.answered()
        if destination.circuit.is_open != was_open:
            event = "destination answers again" if was_open else "destination is down"
            log.warning(event, rule=delivery.rule, reason=result.reason)

    async def _abandon_old(self, destination: str, now: Millis) -> None:
        """Abandon a batch of deliveries as old as the outage, attempted or not."""
        before = now - circuit.ABANDON_AFTER_MS
        found = await outbox.older(self._database, destination, before, BATCH)
        busy = self._busy()
        old = [delivery for delivery in found if delivery.seq not in busy]
        await self._abandon(old, "the destination accepted nothing for a day")

    async def _abandon(self, deliveries: Sequence[Delivery], reason: str) -> None:
        if not deliveries:
            return
        async with self._work.begin() as unit:
            now = self._now()
            await unit.notes([await _dead_letter(unit, delivery, reason, now) for delivery in deliveries])

    async def _purge(self, now: Millis) -> None:
        async with self._database.transaction() as tx:
            purged = await outbox.purge(tx, now - DAY_MS)
        if not purged:
            self._purged_at = now


async def _result(unit: UnitOfWork, delivery: Delivery, result: DeliveryResult, now: Millis) -> Note:
    """Return the journal's note on an attempt; write its result if it failed."""
    attempts = delivery.tries + 1
    if result.outcome != "failed":
        return _note(delivery, result.outcome, result.reason, now)
    if circuit.is_abandoned(attempts, delivery.first_tried_at or now, now):
        return await _dead_letter(
            unit, delivery, f"{result.reason}; abandoned after {attempts} attempts", now
        )
    due_at = now + circuit.pause_ms(attempts, result.retry_after)
    await outbox.postpone(unit.tx, delivery, now, due_at)
    return _note(delivery, "retrying", f"{result.reason}; attempt {attempts + 1} at {to_iso(due_at)}", now)


async def _dead_letter(unit: UnitOfWork, delivery: Delivery, reason: str, now: Millis) -> Note:
    """Turn a delivery into a dead letter, which makes the next one of its record due."""
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
    await outbox.finish(unit.tx, [(delivery, "dead_letter")], now, failed=True)
    return _note(delivery, "dead_letter", reason, now)


def _note(delivery: Delivery, outcome: str, reason: str, now: Millis) -> Note:
    """The journal note on a delivery; `latency_ms` counts from the change."""
    return Note(
        type="rule",
        object=delivery.object or None,
        id=delivery.record if delivery.object else None,
        outcome=outcome,
        latency_ms=max(now - delivery.created_at, 0) if outcome == "delivered" else None,
        message=f"{delivery.rule} {outcome.replace('_', ' ')}: {reason}",
        detail={"rule": delivery.rule, "event": delivery.event, "try": delivery.tries + 1},
    )
