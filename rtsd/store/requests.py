"""Requests of nodes that stand by to the leader, which answers them in the database they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rtsd.store.database import Database, Queries

KEPT_S = 3_600
"""Seconds after which the answer to a node that is gone is removed."""


class Request(NamedTuple):
    """A request; `path` includes the query. `author` and `program` are who asked, None if nobody did."""

    id: str
    method: str
    path: str
    body: bytes
    author: str | None = None
    program: str | None = None


class Answer(NamedTuple):
    """The answer to a request."""

    status: int
    content_type: str
    body: bytes


async def add(database: Database, request: Request) -> None:
    """Ask. Raises StoreError."""
    async with database.transaction() as tx:
        await tx.execute(
            "INSERT INTO _rts_request (id, method, path, body, author, program) VALUES (?, ?, ?, ?, ?, ?)",
            request,
        )


async def answer_to(database: Queries, request_id: str) -> Answer | bool:
    """The answer; else whether the request is being carried out. Raises LookupError once it is void."""
    found = await database.fetch(
        "SELECT epoch, status, content_type, answer FROM _rts_request WHERE id=?", (request_id,)
    )
    if not found:
        raise LookupError(request_id)
    ((epoch, status, content_type, body),) = found
    return epoch is not None if status is None else Answer(status, content_type, body)


async def withdraw(database: Database, request_id: str) -> None:
    """Remove a request and its answer. Raises StoreError."""
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM _rts_request WHERE id=?", (request_id,))


async def void(database: Database) -> None:
    """Remove what an earlier leader has begun: whether it was carried out is not known. Raises StoreError."""
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM _rts_request WHERE epoch IS NOT NULL")


async def take(database: Database, epoch: int) -> list[Request]:
    """Take the requests that wait. Raises StoreError."""
    if not await database.fetch("SELECT 1 FROM _rts_request WHERE epoch IS NULL LIMIT 1"):
        return []
    async with database.transaction() as tx:
        rows = await tx.fetch(
            "UPDATE _rts_request SET epoch=? WHERE epoch IS NULL"
            " RETURNING id, method, path, body, author, program",
            (epoch,),
        )
        await tx.execute(
            f"DELETE FROM _rts_request WHERE asked_at < clock_timestamp() - interval '{KEPT_S} s'"
            " AND status IS NOT NULL"
        )
    return [Request(*row) for row in rows]


async def answer(database: Database, request_id: str, answered: Answer) -> None:
    """Answer. Raises StoreError."""
    values: Sequence[object] = (*answered, request_id)
    async with database.transaction() as tx:
        await tx.execute("UPDATE _rts_request SET status=?, content_type=?, answer=? WHERE id=?", values)
