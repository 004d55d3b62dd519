"""Stored pushes, in the inbox or held in the mirror, and how many of them one transaction applies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rtsd.core.instant import Millis
from rtsd.core.privacy import MaskedPush, stored_push
from rtsd.store.database import Queries

MOST_PUSHES = 256
MOST_BYTES = 1 << 20
"""Pushes and bytes of their bodies that are applied in one transaction. A larger push is applied alone."""


class Entry(NamedTuple):
    """A stored push."""

    seq: int
    webhook_id: str
    received_at: Millis
    push: MaskedPush


async def oldest(queries: Queries, where: str, parameters: Sequence[Any] = ()) -> list[Entry]:
    """The oldest pushes, as many as one transaction applies; `where` is a table with a condition."""
    sizes = await queries.fetch(
        f"SELECT seq, LENGTH(body) FROM {where} ORDER BY seq LIMIT {MOST_PUSHES}", parameters
    )
    if not sizes:
        return []
    (last, total), *others = sizes
    for seq, size in others:
        total += size
        if total > MOST_BYTES:
            break
        last = seq
    rows = await queries.fetch(
        f"SELECT seq, webhook_id, received_at, body FROM {where} AND seq <= ? ORDER BY seq",
        (*parameters, last),
    )
    return [
        Entry(seq, webhook_id, received_at, stored_push(body)) for seq, webhook_id, received_at, body in rows
    ]
