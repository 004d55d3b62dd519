"""Bulk API 2.0 query jobs, streamed in constant memory and proven whole (Bulk API 2.0 guide, Query)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from rtsd.core.instant import Millis, from_iso
from rtsd.core.quota import API_REQUESTS, BULK_JOBS, BULK_MEGABYTES
from rtsd.errors import BulkFailed, ObjectUnavailable, OrgUnreachable, SalesforceError
from rtsd.salesforce import soql
from rtsd.salesforce.connection import Connection, Stream
from rtsd.salesforce.csvstream import MalformedCsv, Records
from rtsd.salesforce.ledger import Observed
from rtsd.salesforce.refusals import Refused, Remedy
from rtsd.salesforce.responses import Answer

_ENDED = ("JobComplete", "Failed", "Aborted")
_FIRST_POLL_S = 0.1
_LONGEST_POLL_S = 3.0
_SHARE_OF_WAIT = 16
"""A long job is asked about less often: after a sixteenth of the time it has taken, up to…"""
_LONGEST_LATE_POLL_S = 30.0
_CLEAN_UP_S = 10.0
_MEGABYTE = 1 << 20

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a result: cells as text, empty for null, in the order of `columns`."""

    columns: list[str]
    rows: list[list[str]]
    total: int
    """Rows of the result up to and including these."""
    next_page: str | None = None
    """With the last rows of a page, the locator of the next one: the point to go on from after a kill."""


@dataclass(frozen=True, slots=True)
class Point:
    """Where to go on reading a job's result: its pages before `locator` hold `rows` rows.

    A job and its result are kept for seven days (Bulk API 2.0 guide, Limits), and outlive the session
    that made it (not documented; seen in live orgs, airbytehq/airbyte#84302).
    """

    job: str
    locator: str
    rows: int


@dataclass(slots=True)
class _Page:
    """One result page: what was delivered of it before its download broke is not delivered again."""

    locator: str = ""
    delivered: int = 0
    records: int = 0
    """Sforce-NumberOfRecords."""
    following: str = ""
    """Sforce-Locator; `null` on the last page."""
    read: int = 0
    """Rows parsed in this download."""


class Job:
    """One query job: `rows` waits for it to complete, then streams its result once."""

    def __init__(
        self, connection: Connection, purpose: str, columns: list[str], start: Point, page_rows: int
    ) -> None:
        self.id = start.job
        self.columns = columns
        """The SELECT list as typed; header names are matched to it without regard to case."""
        self.observed = Observed(0, 0)
        """When the rows were read: from the job's creation to its completion, known with the first chunk."""
        self.processed: int | None = None
        """numberRecordsProcessed, where the completed job tells it."""
        self.ended = False
        """Whether the job is in a state in which it can be deleted."""
        self.done = False
        """Whether the whole result was delivered."""
        self._connection = connection
        self._purpose = purpose
        self._start = start
        self._page_rows = page_rows
        self._megabytes = 0
        self._bytes = 0
        self._streaming: AsyncGenerator[Rows] | None = None

    async def wait(self) -> None:
        """Poll until the job is complete. Raises BulkFailed when it ends otherwise."""
        started, pause = self._connection.clock(), _FIRST_POLL_S
        while True:
            answer = await self._poll()
            if answer.data["state"] in _ENDED:
                break
            await self._connection.exchange.patience.sleep(pause)
            pause = _next_pause(pause, self._connection.clock() - started)
        self.ended = True
        created = answer.data.get("createdDate")
        earliest = from_iso(created) if created else answer.observed.seen
        self.observed = answer.observed.union(Observed(earliest, earliest))
        if answer.data["state"] != "JobComplete":
            raise _failure(answer.data)
        processed = answer.data.get("numberRecordsProcessed")
        self.processed = None if processed is None else int(processed)

    def rows(self, chunk_rows: int = 5000) -> AsyncIterator[Rows]:
        """Yield the result in chunks of `chunk_rows` rows, no row twice, proven whole at the end.

        Raises BulkFailed when the job fails or its result is not whole, OrgUnreachable when the
        download could not be resumed: what was yielded then is right, but not all.
        """
        self._streaming = self._ahead(self._rows(chunk_rows))
        return self._streaming

    async def close(self) -> None:
        """Stop the download if it is not over."""
        if self._streaming is not None:
            await self._streaming.aclose()

    async def _ahead(self, parts: AsyncGenerator[Rows]) -> AsyncGenerator[Rows]:
        """Read the next rows while the caller stores the last ones; the job is done when those are stored."""

        async def read() -> Rows | None:
            return await anext(parts, None)

        async with aclosing(parts):
            following = asyncio.create_task(read(), name="read ahead")
            try:
                while (part := await following) is not None:
                    following = asyncio.create_task(read(), name="read ahead")
                    yield part
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
        self.done = True

    async def _rows(self, chunk_rows: int) -> AsyncGenerator[Rows]:
        if not self.ended:
            await self.wait()
        total = self._start.rows
        page = _Page(locator=self._start.locator)
        while True:
            waiting: list[list[str]] = []
            async with aclosing(self._whole_page(page)) as parts:
                async for rows in parts:
                    waiting += rows
                    while len(waiting) > chunk_rows:
                        total += chunk_rows
                        yield Rows(self.columns, waiting[:chunk_rows], total)
                        del waiting[:chunk_rows]
            total += len(waiting)
            self._check_progress(page, total)
            yield Rows(self.columns, waiting, total, page.following)
            if page.following == "null":
                return
            page = _Page(locator=page.following)

    def _check_progress(self, page: _Page, total: int) -> None:
        """After a page: the result must end exactly with the last record that the job has read."""
        if page.following == page.locator:
            raise BulkFailed(f"The result of bulk job {self.id} repeats its locator {page.locator}.")
        if page.following == "null" and self.processed not in (None, total):
            raise BulkFailed(
                f"Bulk job {self.id} read {self.processed} records, its result has {total}.",
                "It is read again; nothing that is missing was taken for deleted.",
            )

    async def _poll(self) -> Answer:
        try:
            return await self._connection.get(f"jobs/query/{self.id}", purpose=self._purpose)
        except ObjectUnavailable as gone:
            raise BulkFailed(
                f"Bulk job {self.id} is gone: it was deleted in the org, or is older than seven days.",
                "It is created again.",
                status=gone.status,
                reason=gone.reason,
            ) from gone

    async def _whole_page(self, page: _Page) -> AsyncGenerator[list[list[str]]]:
        """Download a page, again from its start after a break, until all of its rows were delivered."""
        failures, delivered = 0, 0
        while True:
            try:
                async with aclosing(self._download(page)) as parts:
                    async for rows in parts:
                        yield rows
            except (OrgUnreachable, MalformedCsv) as broken:
                failures = 1 if page.delivered > delivered else failures + 1
                delivered = page.delivered
                await self._before_resuming(failures, broken)
            else:
                return

    async def _download(self, page: _Page) -> AsyncGenerator[list[list[str]]]:
        params = {"maxRecords": str(self._page_rows)}
        if page.locator:
            params["locator"] = page.locator
        # any other Accept-Encoding than exactly this means no compression (Bulk API 2.0 guide)
        headers = {"Accept": "text/csv", "Accept-Encoding": "gzip"}
        path = f"jobs/query/{self.id}/results"
        async with self._connection.stream(
            path, purpose=self._purpose, params=params, headers=headers
        ) as stream:
            self._read_headers(page, stream)
            records = Records(compressed=stream.headers.get("Content-Encoding", "").lower() == "gzip")
            page.read = 0
            async for chunk in stream.chunks:
                # in a thread: the loop stays free while a megabyte is parsed
                rows = await asyncio.to_thread(records.feed, chunk)
                yield self._fresh(page, records, rows)
            yield self._fresh(page, records, records.finish())
        await self._count_bytes(records.bytes)
        if page.read != page.records:
            raise MalformedCsv(f"{page.records} records were announced, {page.read} came")

    def _read_headers(self, page: _Page, stream: Stream) -> None:
        locator = stream.headers.get("Sforce-Locator", "")
        records = stream.headers.get("Sforce-NumberOfRecords", "")
        if not locator or not records.isdecimal():
            # the end is said by the word null (Bulk API 2.0 guide, Get Results): taking a missing locator
            # for it would lose the rest without a word
            raise MalformedCsv("the page came without Sforce-Locator or Sforce-NumberOfRecords")
        page.following, page.records = locator, int(records)

    def _fresh(self, page: _Page, records: Records, rows: list[list[str]]) -> list[list[str]]:
        """Check the header, and drop what an earlier download of the page has delivered."""
        if records.header:
            self._check_header(records.header)
        known = max(0, min(len(rows), page.delivered - page.read))
        page.read += len(rows)
        page.delivered = max(page.delivered, page.read)
        return rows[known:]

    def _check_header(self, header: list[str]) -> None:
        if [name.lower() for name in header] != [name.lower() for name in self.columns]:
            raise BulkFailed(
                f"Bulk job {self.id} answered the columns {', '.join(header)[:300]} "
                f"where {', '.join(self.columns)[:300]} were asked for."
            )

    async def _count_bytes(self, count: int) -> None:
        self._bytes += count
        megabytes = -(-self._bytes // _MEGABYTE)
        if megabytes > self._megabytes:
            await self._connection.ledger.record(self._purpose, BULK_MEGABYTES, megabytes - self._megabytes)
        self._megabytes = megabytes

    async def _before_resuming(self, failures: int, broken: Exception) -> None:
        """Wait before the next download, by the policy and budget of any retry, or raise."""
        if isinstance(broken, OrgUnreachable):
            error: SalesforceError = broken
        else:
            error = BulkFailed(
                f"The result of bulk job {self.id} is not whole: {broken}.",
                "It is read again; nothing that is missing was taken for deleted.",
            )
        try:
            await self._connection.exchange.patience.pause(failures, Refused(error, Remedy.RETRY))
        except Refused as refused:
            raise refused.error from broken


@asynccontextmanager
async def job(
    connection: Connection,
    statement: str,
    *,
    purpose: str,
    all_rows: bool = False,
    page_rows: int = 50_000,
) -> AsyncIterator[Job]:
    """Create a query job for `statement`; it is deleted at the end, also after a failure or cancellation.

    Raises BulkRefused when the Bulk API does not read this object or query, QuotaExhausted when the
    day's jobs are used up.
    """
    start = await create(connection, statement, purpose=purpose, all_rows=all_rows)
    running = Job(connection, purpose, soql.select_list(statement), start, page_rows)
    try:
        yield running
    finally:
        await running.close()
        await _clean_up(connection, running, purpose)


async def create(connection: Connection, statement: str, *, purpose: str, all_rows: bool = False) -> Point:
    """Create a query job; its result begins at the returned point.

    Raises BulkRefused, QuotaExhausted.
    """
    body = {"operation": "queryAll" if all_rows else "query", "query": statement}
    created = await connection.request(
        "POST",
        "jobs/query",
        purpose=purpose,
        body=body | {"contentType": "CSV", "columnDelimiter": "COMMA", "lineEnding": "LF"},
        bulk=True,
        resources={API_REQUESTS: 1, BULK_JOBS: 1},
    )
    return Point(created.data["id"], "", 0)


@asynccontextmanager
async def reading(
    connection: Connection, statement: str, point: Point, *, purpose: str, page_rows: int = 50_000
) -> AsyncIterator[Job]:
    """Read on in the job of `statement` from `point`.

    The job is deleted once its result was delivered, or proved useless; after any other end it stays,
    to go on with. Rows raises BulkFailed when the job no longer exists.
    """
    running = Job(connection, purpose, soql.select_list(statement), point, page_rows)
    useless = False
    try:
        yield running
    except BulkFailed:
        useless = True
        raise
    finally:
        await running.close()
        if running.done or useless:
            await _clean_up(connection, running, purpose)


async def _clean_up(connection: Connection, running: Job, purpose: str) -> None:
    """Delete the job, aborting it first where it still runs. What fails here ends by itself in 7 days."""

    async def delete() -> None:
        path = f"jobs/query/{running.id}"
        if not running.ended:
            await connection.request("PATCH", path, purpose=purpose, body={"state": "Aborted"}, attempts=1)
        await connection.request("DELETE", path, purpose=purpose, attempts=1)

    cleaning = asyncio.create_task(asyncio.wait_for(delete(), _CLEAN_UP_S), name="delete bulk job")
    try:
        await asyncio.shield(cleaning)
    except (SalesforceError, TimeoutError) as error:
        log.info("bulk job not deleted", job=running.id, error=str(error))


def _next_pause(pause: float, waited: Millis) -> float:
    late = min(waited / 1000 / _SHARE_OF_WAIT, _LONGEST_LATE_POLL_S)
    return max(min(pause * 2, _LONGEST_POLL_S), late)


def _failure(data: dict[str, Any]) -> BulkFailed:
    told = str(data.get("errorMessage") or "Salesforce tells no reason")
    code = re.match(r"[A-Z][A-Z_]{3,}(?=:)", told)
    return BulkFailed(
        f"Bulk job {data['id']} ended {data['state']}: {told.rstrip('.')}.",
        "A smaller range of records, or REST, may still read it.",
        reason=code[0] if code else data["state"],
    )
