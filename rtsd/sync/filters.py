"""Row filters (`where`), which the org evaluates to decide which records belong to the mirror.

SOQL has its own rules for NULL, case, dates and related fields, so rtsd never evaluates a filter itself.
The cost: a window of a filtered object takes one more call per 2,000 changed rows, and pushed records are
collected for some seconds and queried by id in one call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rtsd.core.change import Change, Operation, Source, Version
from rtsd.core.ids import full_id
from rtsd.core.instant import normal_iso, to_iso
from rtsd.salesforce import soql
from rtsd.salesforce.ledger import Observed
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.reading import Query, Reader

AT_ONCE = 500
"""Ids in one statement."""
FILTERED_OUT = "it does not pass the filter of [[objects]]"


async def matching(reader: Reader, ids: Sequence[str]) -> set[str]:
    """Return the ids of the records that pass the filter now. Raises the client's errors."""
    found: set[str] = set()
    for start in range(0, len(ids), AT_ONCE):
        where = soql.all_of(soql.one_of("Id", ids[start : start + AT_ONCE]), reader.mirrored.config.where)
        batches = reader.rows(Query(("Id",), where))
        found |= {full_id(str(record["Id"])) async for batch in batches for record in batch.records}
    return found


def removal(mirrored: MirroredObject, record: Mapping[str, Any], source: Source, seen: Observed) -> Change:
    """Return the deletion of a record that no longer passes the filter, at the version that was read.

    It has the record's stamp, so that a later read wins if the unchanged record passes again. Without stamps,
    only the time of the read orders the versions.
    """
    cursor = mirrored.described.schema.cursor
    stamp = normal_iso(str(record[cursor])) if cursor else to_iso(seen[0])
    return Change(
        object=mirrored.name,
        id=full_id(str(record["Id"])),
        operation=Operation.DELETE,
        source=source,
        version=Version(stamp, *seen),
        note=FILTERED_OUT,
    )
