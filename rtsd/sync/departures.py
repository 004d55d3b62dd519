"""Departures: mirrored rows that exist in the org but no longer pass the filter, as a full read shows.

They are no mass disappearance, so the deletion guard does not apply to them: the org still shows each one.
Rows that it does not show have vanished for another reason, and are judged as usual.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog
from msgspec.structs import replace

from rtsd.core.change import Change, Source
from rtsd.core.ids import full_id
from rtsd.core.instant import Millis, to_iso
from rtsd.core.plural import plural
from rtsd.salesforce import soql
from rtsd.store.audits import SeenIds
from rtsd.store.database import Database
from rtsd.store.journal import Note
from rtsd.sync import filters
from rtsd.sync.reading import BULK_ABOVE, Batch, Query, Reader
from rtsd.sync.unit_of_work import UnitsOfWork

log = structlog.get_logger("rtsd.audit")


async def remove(
    reader: Reader, database: Database, work: UnitsOfWork, *, seen: SeenIds, before: Millis
) -> int:
    """Remove the rows that a full read by a filter did not return although the org has them.

    `seen` has the ids that it returned, `before` is its start (ms). Return the number of removed rows; a kill
    in between repeats the rest. Raises the client's errors.
    """
    mirrored = reader.mirrored
    if not mirrored.config.where:
        return 0
    unseen = await seen.count_unseen(database)
    batches = _by_job(reader) if unseen > BULK_ABOVE else _by_id(reader, database, seen)
    removed = 0
    async with aclosing(batches):
        async for batch in batches:
            shown = {full_id(str(record["Id"])): record for record in batch.records}
            found = await seen.unseen_of(database, shown)
            recent = sorted(record_id for record_id, until in found.items() if until >= before)
            kept = await filters.matching(reader, recent)  # they may have come after the read
            changes = [
                _departure(filters.removal(mirrored, shown[record_id], Source.AUDIT, batch.observed))
                for record_id in sorted(found.keys() - kept)
            ]
            if changes:
                async with work.begin() as unit:
                    await unit.apply(changes)
            removed += len(changes)
    if removed:
        message = f"{plural(removed, 'row')} left the mirror by the filter: {mirrored.config.where}"
        await work.note(Note("audit", mirrored.name, message=message, detail={"filtered_out": removed}))
        log.info("filtered out", object=mirrored.name, rows=removed)
    return removed


def _departure(removal: Change) -> Change:
    """Date a removal after the record's last edit: within one second, their order would be unknown."""
    version = removal.version
    left_at = to_iso((version.seen - 1000) // 1000 * 1000)
    return replace(removal, version=version._replace(stamp=max(version.stamp, left_at)))


def _by_job(reader: Reader) -> AsyncGenerator[Batch]:
    """Yield id and stamp of every row of the org, by a Bulk job."""
    return reader.rows(Query(_columns(reader)), bulk_after=0)


async def _by_id(reader: Reader, database: Database, seen: SeenIds) -> AsyncGenerator[Batch]:
    """Yield id and stamp of the rows in question, as far as the org has them."""
    last_id = ""
    while ids := await seen.unseen_after(database, last_id, filters.AT_ONCE):
        async with aclosing(reader.rows(Query(_columns(reader), soql.one_of("Id", ids)))) as batches:
            async for batch in batches:
                yield batch
        last_id = ids[-1]


def _columns(reader: Reader) -> list[str]:
    cursor = reader.mirrored.described.schema.cursor
    return ["Id", cursor] if cursor else ["Id"]
