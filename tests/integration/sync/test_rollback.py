"""Memory follows the commit: a transaction that rolls back leaves what is known of an object as it was."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rtsd.errors import QuotaExhausted, StoreError
from rtsd.salesforce.package import MAX_ERROR_IDS
from rtsd.store.database import Tx
from rtsd.sync import object_states
from rtsd.sync.ledger import Caps
from rtsd.sync.org import OrgFacts
from rtsd.sync.package import PackageState
from rtsd.sync.package_errors import PackageErrors
from tests.support.inprocess.rig import Rig

UNKNOWN = "003000000000001AAA"

Act = Callable[["Rig"], Awaitable[object]]


def memory(rig: Rig) -> list[Any]:
    """What is known in memory that must not be ahead of the disk."""
    known: list[Any] = [rig.parts.base.org.id, rig.parts.base.org.facts.name]
    for mirrored in rig.parts.base.catalog:
        freshness = copy.copy(mirrored.freshness)
        freshness.latencies = freshness.latencies.copy()
        retry = mirrored.retry
        parts = (mirrored.suspicions, mirrored.learned, mirrored.loading)
        retries = (retry, retry.loads, retry.windows, retry.checks)
        known += [mirrored.stored, mirrored.in_org, freshness, *map(copy.copy, (*parts, *retries))]
    known += [copy.copy(standing) for standing in rig.parts.rule_engine.matcher]
    return known


class RefusedError(Exception):
    """The disk refuses a transaction, when all of it has been said."""


class Refusals:
    """Lets every transaction of the test's task commit but one."""

    def __init__(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        self._rig = rig
        self._task = asyncio.current_task()
        self._begin = rig.parts.base.database.transaction
        self.passing = 0
        """How many commit before the one that is refused."""
        monkeypatch.setattr(rig.parts.base.database, "transaction", self._transaction)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Tx]:
        before = memory(self._rig)
        ours = asyncio.current_task() is self._task
        self.passing -= ours
        try:
            async with self._begin() as tx:
                yield tx
                refuse(ours and self.passing == -1)
        except RefusedError:
            assert memory(self._rig) == before
            raise


def refuse(now: bool) -> None:  # noqa: FBT001
    """Fail, if it is time."""
    if now:
        raise RefusedError


# -- what changes memory ------------------------------------------------------------------------------
async def pushed(rig: Rig) -> Act:
    """A push of an edit, and of a record that should have been in the mirror."""
    stamp = rig.org.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    edits = [
        {
            "object": "Contact",
            "op": "update",
            "id": record_id,
            "modstamp": stamp,
            "fields": {"LastName": "edited"},
        }
        for record_id in (await rig.a_record("Contact"), UNKNOWN)
    ]
    await rig.push(rig.changes(*edits))
    return lambda subject: subject.parts.services.realtime.step()


async def window(rig: Rig) -> Act:
    """A window with a change."""
    await rig.dml("create", "Contact", rows=[{"LastName": "new"}])
    rig.advance(5)
    return lambda subject: subject.parts.readers.windows.step(subject["Contact"])


async def full_read(rig: Rig) -> Act:
    """A full read, its proof included."""
    rig["Contact"].suspicions.reread = "asked for"
    rig.advance(5)
    return lambda subject: subject.parts.readers.audit.run(subject["Contact"])


async def proof(rig: Rig) -> Act:
    """A proof."""
    await object_states.doubt(rig.parts.base.work, rig["Contact"], "a test")
    rig["Contact"].suspicions.unexplained = 3
    return lambda subject: subject.parts.readers.audit.prove(subject["Contact"])


async def fingerprint(rig: Rig) -> Act:
    """A fingerprint that finds drift."""
    await rig.sim.fault("push_lost", count=1)
    await rig.dml("update", "Contact", rows=[{"Id": await rig.a_record("Contact"), "LastName": "drifted"}])
    rig.advance(120)
    return lambda subject: subject.parts.readers.fingerprinter.step(subject["Contact"])


async def clean_fingerprint(rig: Rig) -> Act:
    """A fingerprint that proves."""
    rig["Contact"].suspicions.unexplained = 3
    rig.advance(120)
    return lambda subject: subject.parts.readers.fingerprinter.step(subject["Contact"])


async def vanished_row(rig: Rig) -> Act:
    """A row that is gone without a trace."""
    rig.org.switches.hard_deletes_in_deleted_log = False
    gone = await rig.a_record("Contact")
    rig.org.hard_delete(rig.org.admin, "Contact", [gone])[0].unwrap()
    async with rig.parts.base.work.begin() as unit:
        await unit.fetch(rig["Contact"], [gone], "a test")
    return lambda subject: subject.parts.readers.repair.step()


async def new_column(rig: Rig) -> Act:
    """A describe that finds a new field."""
    field = {"name": "Region__c", "type": "string", "length": 40}
    await rig.sim.control("schema", {"op": "add_field", "object": "Contact", "field": field})
    rig.advance(4_000)
    return lambda subject: subject.parts.readers.describer.describe(subject["Contact"])


async def filling(rig: Rig) -> Act:
    """The new field's values."""
    await (await new_column(rig))(rig)
    return lambda subject: subject.parts.readers.columns.fill(subject["Contact"])


async def hidden(rig: Rig) -> Act:
    """A describe that is refused."""
    await rig.sim.control("visibility", {"hidden_objects": ["Contact"]})
    return lambda subject: subject.parts.readers.describer.describe(subject["Contact"])


async def formulas(rig: Rig) -> Act:
    """Formulas, read again."""
    rig.advance(60)
    return lambda subject: subject.parts.readers.columns.refresh(subject["Contact"])


async def conditions(rig: Rig) -> Act:
    """Sync conditions in the org."""
    return lambda subject: subject.parts.channel.conditions.refresh()


async def deferral(_rig: Rig) -> Act:
    """Quota is refused."""
    return lambda subject: object_states.defer(
        subject.parts.base.work, subject["Contact"], QuotaExhausted("no quota")
    )


async def caught_up(rig: Rig) -> Act:
    """Quota is back."""
    await object_states.defer(rig.parts.base.work, rig["Contact"], QuotaExhausted("no quota"))
    return lambda subject: object_states.caught_up(subject.parts.base.work, subject["Contact"])


async def mass_disappearance(_rig: Rig) -> Act:
    """Many rows vanish."""
    return lambda subject: object_states.guard_deletions(subject.parts.base.work, subject["Contact"], 9, 12)


async def pause(_rig: Rig) -> Act:
    """A pause."""
    return lambda subject: object_states.pause(subject.parts.base.work, subject["Contact"])


async def resume(rig: Rig) -> Act:
    """A resume."""
    await object_states.pause(rig.parts.base.work, rig["Contact"])
    return lambda subject: object_states.resume(subject.parts.base.work, subject["Contact"], subject.now())


async def package_errors(rig: Rig) -> Act:
    """The package's error log, too full to name every record."""
    ids = ",".join([UNKNOWN] * MAX_ERROR_IDS)[:MAX_ERROR_IDS]
    row = {"Object__c": "Contact", "Operation__c": "update", "Record_Ids__c": ids, "Message__c": "x"}
    rig.org.create(rig.org.admin, "RTS_Error__c", [row])[0].unwrap()
    known = PackageState(state="installed", heartbeat_at=rig.now(), errors_24h=1)

    async def act(subject: Rig) -> None:
        base = subject.parts.base
        errors = PackageErrors(
            base.client,
            base.database,
            base.catalog,
            base.work,
            now=subject.now,
            server_clock=base.server_clock,
            period_ms=60_000,
        )
        await errors.step(known)

    return act


async def first_login(rig: Rig) -> Act:
    """The org's id, learned at the first login."""
    rig.parts.base.org.id, rig.parts.base.org.facts = None, OrgFacts()
    return lambda subject: subject.parts.base.org.identify()


ACTS = [
    pushed,
    window,
    full_read,
    proof,
    fingerprint,
    clean_fingerprint,
    vanished_row,
    new_column,
    filling,
    hidden,
    formulas,
    conditions,
    deferral,
    caught_up,
    mass_disappearance,
    pause,
    resume,
    package_errors,
    first_login,
]


@pytest.mark.parametrize("prepare", ACTS, ids=[act.__name__ for act in ACTS])
async def test_a_roll_back_leaves_memory_as_it_was(
    contacts: Rig, prepare: Callable[[Rig], Awaitable[Act]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the transactions is refused once, when it has said all it has to say; then all is done."""
    act = await prepare(contacts)
    before = memory(contacts)
    refusals = Refusals(contacts, monkeypatch)
    for passing in range(40):
        refusals.passing = passing
        try:
            await act(contacts)
        except RefusedError:
            if not passing:
                assert memory(contacts) == before
        else:
            break
    assert passing > 0, "nothing was refused"
    assert memory(contacts) != before, "nothing was done"


async def test_a_write_that_the_database_refuses_leaves_memory_as_it_was(contacts: Rig) -> None:
    """The same with a real failure in the middle: rows are written, and the journal can't be."""
    act = await pushed(contacts)
    before = memory(contacts)
    database = contacts.parts.base.database
    async with database.transaction() as tx:
        await tx.execute("ALTER TABLE _rts_journal RENAME COLUMN outcome TO elsewhere")
    with pytest.raises(StoreError):
        await act(contacts)
    assert memory(contacts) == before
    async with database.transaction() as tx:
        await tx.execute("ALTER TABLE _rts_journal RENAME COLUMN elsewhere TO outcome")
    await act(contacts)
    assert contacts["Contact"].freshness.last_change_at is not None
    assert UNKNOWN in contacts["Contact"].suspicions.reason
    assert len(contacts["Contact"].freshness.latencies) == 1


async def test_a_call_whose_entry_is_refused_is_not_counted(
    contacts: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cap has room for as many calls as before."""
    ledger, resource = contacts.parts.base.ledger, "DailyStreamingApiEvents"
    await ledger.spend("describe", resource, 1)
    ledger.caps = Caps(0.0, {resource: 3})
    refusals = Refusals(contacts, monkeypatch)
    for _ in range(5):
        refusals.passing = 0
        with pytest.raises(RefusedError):
            await ledger.spend("describe", resource, 1)
    refusals.passing = 99
    await ledger.spend("describe", resource, 1)
    await ledger.spend("describe", resource, 1)
    with pytest.raises(QuotaExhausted):
        await ledger.spend("describe", resource, 1)
