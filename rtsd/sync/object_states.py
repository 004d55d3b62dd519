"""Transitions of the objects' states, by the table in `core.object_state`.

No other module changes a state, except that `Catalog.open` applies a restart. A transition is stored and
journalled in one transaction, and appears in memory after the commit. An event that changes nothing, such as
one for a paused object, is not journalled.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import structlog

from rtsd.core.instant import Millis, to_iso
from rtsd.core.object_state import ObjectEvent, ObjectState
from rtsd.core.plural import plural
from rtsd.errors import QuotaExhausted
from rtsd.store import held, past
from rtsd.store.journal import Note
from rtsd.sync import selection
from rtsd.sync.ledger import until
from rtsd.sync.mirrored_object import Deferred, MirroredObject
from rtsd.sync.unit_of_work import UnitOfWork, UnitsOfWork

log = structlog.get_logger("rtsd.audit")


async def load_started(work: UnitsOfWork, mirrored: MirroredObject) -> None:
    """Record that a full read starts or resumes."""
    async with work.begin() as unit:
        await _audited(unit, mirrored, ObjectEvent.LOAD_STARTED)


async def proven(work: UnitsOfWork, mirrored: MirroredObject, *, until: Millis) -> bool:
    """Record a proof: a window was read, then the org's count agreed with the mirror's.

    The window shows all changes `until` a time on Salesforce's clock (ms). A proof that does not reach to the
    last resume is void, as pushes were not applied before: False.
    """
    async with work.begin() as unit:
        if until < mirrored.retry.resumed_at:
            return False
        await _audited(unit, mirrored, ObjectEvent.PROVEN)
        await past.complete(unit.tx, mirrored.name, to_iso(unit.now()))
        unit.on_commit(mirrored.suspicions.counted)
    return True


async def doubt(work: UnitsOfWork, mirrored: MirroredObject, reason: str) -> None:
    """Record evidence against a proof: the object is incomplete until it is proven again."""
    async with work.begin() as unit:
        await _audited(unit, mirrored, ObjectEvent.DOUBTED, reason)


async def disprove(work: UnitsOfWork, mirrored: MirroredObject, reason: str) -> None:
    """Record that a read or a proof failed."""
    async with work.begin() as unit:
        await _audited(unit, mirrored, ObjectEvent.DISPROVEN, reason)


async def want_reread(work: UnitsOfWork, mirrored: MirroredObject, reason: str) -> None:
    """Record durably that the object has to be read in full, and is incomplete until then."""
    if not mirrored.loaded:
        return  # its first read is to come, or under way: the rows that it has not read yet are as they are
    async with work.begin() as unit:
        await selection.want(unit.tx, mirrored.config, reason)
        unit.on_commit(partial(mirrored.suspicions.want_reread, reason))
        await _audited(unit, mirrored, ObjectEvent.DISPROVEN, f"{reason}; it is read again")


async def guard_deletions(work: UnitsOfWork, mirrored: MirroredObject, vanished: int, rows: int) -> None:
    """Invoke the deletion guard: `vanished` of the `rows` rows are not visible, without any explanation.

    Nothing is deleted and the object is incomplete, until the org counts as many rows as the mirror, or an
    operator accepts the loss.
    """
    reason = (
        f"{vanished:,} of {plural(rows, 'row')} are no longer visible, with no evidence of their deletion;"
        " none was removed. Check the sync user's permissions and sharing, and the filter;"
        f" if they are gone, `rtsd audit {mirrored.name} --full --accept-missing` removes them"
    )
    async with work.begin() as unit:
        unit.on_commit(partial(mirrored.suspicions.guard, vanished))
        if await _move(unit, mirrored, ObjectEvent.DISPROVEN, reason):
            await unit.note(Note("drift", mirrored.name, message=reason, detail={"vanished": vanished}))


async def defer(work: UnitsOfWork, mirrored: MirroredObject, error: QuotaExhausted) -> None:
    """Record a lack of quota, with the progress so far and the time at which work resumes."""
    if mirrored.deferred is not None and mirrored.deferred.why is error:
        return
    loading, expected = mirrored.loading, mirrored.stored.expected_rows
    share = f" at {100 * min(loading.rows / expected, 1):.0f} %" if loading and expected else ""
    message = f"deferred{share}: {error.message}{until(error)}"
    async with work.begin() as unit:
        waits = mirrored.deferred is not None and mirrored.deferred.proof_holds
        proof_holds = waits or unit.stored(mirrored).state is ObjectState.LIVE
        unit.on_commit(partial(mirrored.retry.defer, Deferred(error, proof_holds)))
        if await _move(unit, mirrored, ObjectEvent.QUOTA_REFUSED, message):
            await unit.note(_waiting(mirrored, ObjectState.DEFERRED, message))


async def caught_up(work: UnitsOfWork, mirrored: MirroredObject) -> None:
    """Record that a window was read: the object is live again if only windows waited for quota."""
    if mirrored.deferred is None:
        return
    async with work.begin() as unit:
        proof_holds = mirrored.deferred is not None and mirrored.deferred.proof_holds
        if proof_holds and await _move(unit, mirrored, ObjectEvent.CAUGHT_UP):
            unit.on_commit(mirrored.retry.caught_up)
            await unit.note(_waiting(mirrored, ObjectState.LIVE, "live again"))


async def columns_to_fill(unit: UnitOfWork, mirrored: MirroredObject, names: Sequence[str]) -> None:
    """Record columns that are empty or out of date in old rows until they are filled."""
    reason = f"columns are being filled: {', '.join(names)}"
    await _move(unit, mirrored, ObjectEvent.DISPROVEN, reason)


async def hindered(unit: UnitOfWork, mirrored: MirroredObject, reason: str) -> None:
    """Record that the values of a field cannot be stored as long as its column cannot change."""
    await _move(unit, mirrored, ObjectEvent.DISPROVEN, reason)


async def unusable(work: UnitsOfWork, mirrored: MirroredObject, reason: str) -> None:
    """Record that the object cannot be described, or lacks configured fields."""
    async with work.begin() as unit:
        if await _move(unit, mirrored, ObjectEvent.UNUSABLE, reason):
            await unit.note(Note("error", mirrored.name, message=reason))


async def described(unit: UnitOfWork, mirrored: MirroredObject) -> None:
    """Record that the object was described, so that it can be used."""
    await _move(unit, mirrored, ObjectEvent.DESCRIBED)


async def pause(work: UnitsOfWork, mirrored: MirroredObject) -> None:
    """Pause the object for an operator."""
    async with work.begin() as unit:
        if await _move(unit, mirrored, ObjectEvent.PAUSED):
            await unit.note(Note("mode", mirrored.name, message=ObjectEvent.PAUSED.value))


async def resume(work: UnitsOfWork, mirrored: MirroredObject, at: Millis) -> None:
    """Resume the object for an operator at a time on Salesforce's clock (ms).

    First the pushes of the pause are applied. It is read and proven immediately, before it is live.
    """
    async with work.begin() as unit:
        if await _move(unit, mirrored, ObjectEvent.RESUMED):
            await held.release(unit.tx, mirrored.name)
            unit.on_commit(partial(mirrored.retry.resumed, at))
            await unit.note(Note("mode", mirrored.name, message=ObjectEvent.RESUMED.value))


async def _audited(
    unit: UnitOfWork, mirrored: MirroredObject, event: ObjectEvent, reason: str | None = None
) -> None:
    """Apply an event, and journal the new state as the result of a read or a proof."""
    if await _move(unit, mirrored, event, reason):
        state = unit.stored(mirrored).state.value
        message = f"{state}: {reason}" if reason else state
        await unit.note(Note("audit", mirrored.name, message=message, detail={"state": state}))
        unit.on_commit(partial(log.info, "object", object=mirrored.name, state=state, reason=reason))


async def _move(
    unit: UnitOfWork, mirrored: MirroredObject, event: ObjectEvent, reason: str | None = None
) -> bool:
    """Store the state and the reason after an event; return False if neither changes."""
    before = unit.stored(mirrored)
    after = before.after(event, reason)
    if after == before:
        return False
    await unit.store(mirrored, after)
    return True


def _waiting(mirrored: MirroredObject, state: ObjectState, message: str) -> Note:
    return Note("quota", mirrored.name, message=message, detail={"state": state.value})
