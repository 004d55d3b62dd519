"""Bulk API 2.0 query jobs, streamed in constant memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rtsd.salesforce.client import Client
from rtsd.salesforce.ledger import Observed


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a result: cells as text, empty for null, in the order of `columns`."""

    columns: list[str]
    rows: list[list[str]]


class Job:
    """One query job: `rows` waits for it to complete, then streams its result once."""

    id: str
    columns: list[str]
    """The SELECT list as typed; header names are matched to it without regard to case."""
    observed: Observed
    """When the rows were read: whole once the first chunk has come."""
    processed: int
    """numberRecordsProcessed, once the job is complete."""

    def rows(self, chunk_rows: int = 5000) -> AsyncIterator[Rows]:
        """Yield the result in chunks of about `chunk_rows` rows, no row twice, proven whole at the end.

        Raises BulkFailed when the job fails or its result is not whole; OrgUnreachable when the
        download could not be resumed.
        """
        raise NotImplementedError


@asynccontextmanager
async def job(
    client: Client, soql: str, *, purpose: str, all_rows: bool = False, page_rows: int = 50_000
) -> AsyncIterator[Job]:
    """Create a query job for `soql`; it is deleted at the end, also after a failure or cancellation.

    Raises BulkRefused when the Bulk API does not read this object or query, QuotaExhausted when the
    day's jobs are used up.
    """
    raise NotImplementedError
    yield
