"""What waits for quota says so: neither done nor failed, with how far it has come and when it goes on."""

from __future__ import annotations

from rtsd.errors import QuotaExhausted
from rtsd.store.journal import Note
from rtsd.store.objects import ObjectState
from rtsd.sync.catalog import Deferred, MirroredObject
from rtsd.sync.engine import Engine
from rtsd.sync.ledger import until


async def defer(engine: Engine, mirrored: MirroredObject, error: QuotaExhausted) -> None:
    """Show that an object waits, and try it again when that makes sense."""
    if mirrored.deferred is not None and mirrored.deferred.why is error:
        return
    was_live = mirrored.state is ObjectState.LIVE or _was_live(mirrored)
    mirrored.deferred = Deferred(error, was_live)
    mirrored.retry_at = error.try_at
    loading, expected = mirrored.loading, mirrored.expected_rows
    share = f" at {100 * min(loading.rows / expected, 1):.0f} %" if loading and expected else ""
    message = f"deferred{share}: {error.message}{until(error)}"
    if (mirrored.state, mirrored.error) != (ObjectState.DEFERRED, message):
        await _show(engine, mirrored, ObjectState.DEFERRED, message)


async def undefer(engine: Engine, mirrored: MirroredObject) -> None:
    """A window that had to wait was read: an object that was live before it is so again."""
    if _was_live(mirrored):
        await _show(engine, mirrored, ObjectState.LIVE, None)
        mirrored.deferred, mirrored.retry_at = None, 0


def _was_live(mirrored: MirroredObject) -> bool:
    waits = mirrored.deferred if mirrored.state is ObjectState.DEFERRED else None
    return waits is not None and waits.was_live


async def _show(engine: Engine, mirrored: MirroredObject, state: ObjectState, error: str | None) -> None:
    async with engine.unit_of_work() as unit:
        await engine.catalog.update(unit.tx, mirrored, state=state, error=error)
        message = error or f"{state.value} again"
        await unit.note(Note("quota", mirrored.name, message=message, detail={"state": state.value}))
