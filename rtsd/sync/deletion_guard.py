"""Mass disappearance: when much is gone at once, nothing is deleted, and the object says so."""

from __future__ import annotations

from rtsd.store.journal import Note
from rtsd.store.objects import ObjectState
from rtsd.sync.catalog import MirroredObject
from rtsd.sync.engine import Engine


async def guard_deletions(engine: Engine, mirrored: MirroredObject, vanished: int, rows: int) -> None:
    """Call the object incomplete: `vanished` of its `rows` rows are not seen, and nothing explains it.

    It is unfrozen by the proof that the org counts as many rows as the mirror has, or by an operator who
    accepts that they are gone.
    """
    mirrored.vanished = vanished
    reason = (
        f"{vanished} of {rows} rows are no longer visible, and nothing says they were deleted; none was"
        " removed. Check the sync user's permissions and sharing, and the filter;"
        f" if they are gone, `rtsd audit {mirrored.name} --full --accept-missing` removes them"
    )
    if mirrored.error == reason:
        return
    async with engine.unit_of_work() as unit:
        await engine.catalog.update(unit.tx, mirrored, state=ObjectState.INCOMPLETE, error=reason)
        await unit.note(Note("drift", mirrored.name, message=reason, detail={"vanished": vanished}))
