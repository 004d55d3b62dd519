"""Bulk API 2.0 query jobs, streamed in constant memory and checked for completeness (Bulk API 2.0 guide)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import structlog

from rtsd.core.instant import from_iso
from rtsd.core.plural import plural
from rtsd.core.quota import API_REQUESTS, BULK_JOBS, BULK_MEGABYTES
from rtsd.errors import BulkFailed, ObjectUnavailable, OrgUnreachable, SalesforceError
from rtsd.salesforce import soql
from rtsd.salesforce.bulk_polls import FIRST_POLL_S, PAGE_ROWS, next_pause
from rtsd.salesforce.csvstream import CsvParser, MalformedCsv, Records
from rtsd.salesforce.error_mapping import CallFailed, Recovery
from rtsd.salesforce.ledger import Observed
from rtsd.salesforce.responses import Response
from rtsd.salesforce.rest import RestConnection, Stream
from rtsd.salesforce.shapes import JobShape

_ENDED = ("JobComplete", "Failed", "Aborted")
_CLEAN_UP_S = 10.0
_MEGABYTE = 1 << 20
READS_AGAIN = "rtsd reads it again; missing records were not taken for deleted."
_RECORDS = re.compile(r"[0-9]{1,15}")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rows:
    """A chunk of a result's rows: values as text, empty for null, in the order of `columns`."""

    columns: list[str]
    records: list[Records]
    total: int
    """Number of rows up to and including these."""
    next_page: str | None = None
    """The locator of the next page, on the last chunk of a page: the point to resume from after a kill."""

    @property
    def count(self) -> int:
        """The number of rows."""
        return sum(part.count for part in self.records)

    @property
    def text(self) -> list[bytes] | None:
        """The rows as CSV for SQLite to read, in pieces of whole records; None if they had to be parsed."""
        if any(part.parsed is not None for part in self.records):
            return None
        return [part.data for part in self.records]

    async def parsed(self) -> list[list[str]]:
        """Return the rows' values, parsed in a thread. Raises BulkFailed for damaged records."""
        return await asyncio.to_thread(self._parse)

    def _parse(self) -> list[list[str]]:
        try:
            return [row for part in self.records for row in part.rows()]
        except MalformedCsv as cause:
            raise BulkFailed(f"The result of a Bulk job is damaged: {cause}.", READS_AGAIN) from cause


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """The place to resume reading a job's result: the pages before `locator` hold `rows` rows.

    Salesforce keeps a job and its result for seven days (Bulk API 2.0 guide, Limits), even beyond the session
    that created it (not documented; seen in live orgs, airbytehq/airbyte#84302).
    """

    job: str
    locator: str
    rows: int


@dataclass(slots=True)
class _Page:
    """The progress on a result page, so that a repeated download skips rows already delivered."""

    locator: str = ""
    delivered: int = 0
    records: int = 0
    """Sforce-NumberOfRecords."""
    following: str = ""
    """Sforce-Locator; `null` on the last page."""
    read: int = 0
    """Rows parsed in this download."""


class Job:
    """A query job: `rows` waits for its completion, then streams its result once."""

    def __init__(
        self, connection: RestConnection, purpose: str, columns: list[str], start: ResumePoint, page_rows: int
    ) -> None:
        self.id = start.job
        self.columns = columns
        """The SELECT list as written; header names match it regardless of case."""
        self.observed = Observed(0, 0)
        """The bounds of the read, from the job's creation to its completion; set before the first chunk."""
        self.processed: int | None = None
        """numberRecordsProcessed, if the completed job reports it."""
        self.ended = False
        """Whether the job's state allows its deletion."""
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
        """Poll until the job is complete. Raises BulkFailed if it fails or is aborted."""
        started, pause = self._connection.clock(), FIRST_POLL_S
        while True:
            answer = await self._poll()
            if answer.data.state in _ENDED:
                break
            await self._connection.exchange.retrier.sleep(pause)
            pause = next_pause(pause, self._connection.clock() - started)
        self.ended = True
        created = answer.data.created_date
        earliest = from_iso(created) if created else answer.observed.seen
        self.observed = answer.observed.union(Observed(earliest, earliest))
        if answer.data.state != "JobComplete":
            raise _failure(answer.data)
        self.processed = answer.data.number_records_processed

    def rows(self, chunk_rows: int = 5000) -> AsyncIterator[Rows]:
        """Yield the result in chunks of `chunk_rows` rows or a few more, each row once.

        Raises BulkFailed if the job fails or its result is incomplete, OrgUnreachable if the download cannot
        be resumed. The rows yielded until then are correct but incomplete.
        """
        self._streaming = self._read_ahead(self._rows(chunk_rows))
        return self._streaming

    async def close(self) -> None:
        """Stop a running download."""
        if self._streaming is not None:
            await self._streaming.aclose()

    async def _read_ahead(self, parts: AsyncGenerator[Rows]) -> AsyncGenerator[Rows]:
        """Read the next rows while the caller stores the previous ones; done once all are stored."""

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
            waiting: list[Records] = []
            delivered = total
            async with aclosing(self._whole_page(page)) as parts:
                async for records in parts:
                    if total - delivered >= chunk_rows:  # here, so that the page's last chunk has a row
                        yield Rows(self.columns, waiting, total)
                        waiting, delivered = [], total
                    waiting.append(records)
                    total += records.count
            self._check_progress(page, total)
            yield Rows(self.columns, waiting, total, page.following)
            if page.following == "null":
                return
            page = _Page(locator=page.following)

    def _check_progress(self, page: _Page, total: int) -> None:
        """Check after each page that locators advance, and that the result has as many rows as the job."""
        if page.following == page.locator:
            raise BulkFailed(f"The result of Bulk job {self.id} repeats its locator {page.locator}.")
        if page.following == "null" and self.processed not in (None, total):
            read = plural(self.processed or 0, "record")
            raise BulkFailed(
                f"Bulk job {self.id} read {read}, but its result has {total:,}.",
                READS_AGAIN,
            )

    async def _poll(self) -> Response[JobShape]:
        try:
            return await self._connection.get(f"jobs/query/{self.id}", JobShape, purpose=self._purpose)
        except ObjectUnavailable as gone:
            raise BulkFailed(
                f"Bulk job {self.id} no longer exists: it was deleted or is older than seven days.",
                "rtsd creates it again.",
                status=gone.status,
                reason=gone.reason,
            ) from gone

    async def _whole_page(self, page: _Page) -> AsyncGenerator[Records]:
        """Download a page, from its start again after an interruption, until all its rows are delivered."""
        failures, delivered = 0, 0
        while True:
            try:
                async with aclosing(self._download(page)) as parts:
                    async for records in parts:
                        yield records
            except (OrgUnreachable, MalformedCsv) as cause:
                failures = 1 if page.delivered > delivered else failures + 1
                delivered = page.delivered
                await self._before_resuming(failures, cause)
            else:
                return

    async def _download(self, page: _Page) -> AsyncGenerator[Records]:
        params = {"maxRecords": str(self._page_rows)}
        if page.locator:
            params["locator"] = page.locator
        # Salesforce compresses for exactly this Accept-Encoding only (Bulk API 2.0 guide)
        headers = {"Accept": "text/csv", "Accept-Encoding": "gzip"}
        path = f"jobs/query/{self.id}/results"
        async with self._connection.stream(
            path, purpose=self._purpose, params=params, headers=headers
        ) as stream:
            self._read_headers(page, stream)
            parser = CsvParser(compressed=stream.headers.get("Content-Encoding", "").lower() == "gzip")
            page.read = 0
            async for chunk in stream.chunks:
                # in a thread, so that parsing does not block the event loop
                for records in self._new(page, parser, await asyncio.to_thread(parser.feed, chunk)):
                    yield records
            for records in self._new(page, parser, parser.finish()):
                yield records
        await self._count_bytes(parser.bytes)
        if page.read != page.records:
            raise MalformedCsv(f"{plural(page.records, 'record', 'were')} announced, {page.read:,} arrived")

    def _read_headers(self, page: _Page, stream: Stream) -> None:
        locator = stream.headers.get("Sforce-Locator", "")
        records = stream.headers.get("Sforce-NumberOfRecords", "")
        if not locator or not _RECORDS.fullmatch(records):
            # the last page has the locator `null` (Bulk API 2.0 guide, Get Results): treating a missing
            # locator as the end would silently lose the rest
            raise MalformedCsv("the page has no Sforce-Locator or no Sforce-NumberOfRecords")
        page.following, page.records = locator, int(records)

    def _new(self, page: _Page, parser: CsvParser, found: list[Records]) -> Iterator[Records]:
        """Check the header and drop the rows that an earlier download of the page delivered."""
        if parser.header:
            self._check_header(parser.header)
        for records in found:
            known = max(0, min(records.count, page.delivered - page.read))
            page.read += records.count
            page.delivered = max(page.delivered, page.read)
            if known < records.count:
                yield records.after(known)

    def _check_header(self, header: list[str]) -> None:
        if [name.lower() for name in header] != [name.lower() for name in self.columns]:
            raise BulkFailed(
                f"Bulk job {self.id} returned the columns {', '.join(header)[:300]} "
                f"instead of {', '.join(self.columns)[:300]}."
            )

    async def _count_bytes(self, count: int) -> None:
        self._bytes += count
        megabytes = -(-self._bytes // _MEGABYTE)
        if megabytes > self._megabytes:
            await self._connection.ledger.record(self._purpose, BULK_MEGABYTES, megabytes - self._megabytes)
        self._megabytes = megabytes

    async def _before_resuming(self, failures: int, cause: Exception) -> None:
        """Wait before the next download, within the policy and budget for retries, or raise."""
        if isinstance(cause, OrgUnreachable):
            error: SalesforceError = cause
        else:
            error = BulkFailed(
                f"The result of Bulk job {self.id} is incomplete: {cause}.",
                READS_AGAIN,
            )
        try:
            await self._connection.exchange.retrier.pause(failures, CallFailed(error, Recovery.RETRY))
        except CallFailed as failed:
            raise failed.error from cause


@asynccontextmanager
async def job(
    connection: RestConnection,
    statement: str,
    *,
    purpose: str,
    all_rows: bool = False,
    page_rows: int = PAGE_ROWS,
) -> AsyncIterator[Job]:
    """Create a query job for `statement` and delete it at the end, also after a failure or cancellation.

    Raises BulkRefused if the Bulk API does not support this object or query, QuotaExhausted if the day's
    jobs are used up.
    """
    start = await create(connection, statement, purpose=purpose, all_rows=all_rows)
    running = Job(connection, purpose, soql.select_list(statement), start, page_rows)
    try:
        yield running
    finally:
        await running.close()
        await _clean_up(connection, running, purpose)


async def create(
    connection: RestConnection, statement: str, *, purpose: str, all_rows: bool = False
) -> ResumePoint:
    """Create a query job and return the start of its result. Raises BulkRefused or QuotaExhausted."""
    body = {"operation": "queryAll" if all_rows else "query", "query": statement}
    created = await connection.request(
        "POST",
        "jobs/query",
        JobShape,
        purpose=purpose,
        body=body | {"contentType": "CSV", "columnDelimiter": "COMMA", "lineEnding": "LF"},
        bulk=True,
        resources={API_REQUESTS: 1, BULK_JOBS: 1},
    )
    return ResumePoint(created.data.id, "", 0)


@asynccontextmanager
async def resume(
    connection: RestConnection,
    statement: str,
    point: ResumePoint,
    *,
    purpose: str,
    page_rows: int = PAGE_ROWS,
) -> AsyncIterator[Job]:
    """Resume reading the job of `statement` from `point`.

    Deletes the job once its result was delivered or proved unusable; otherwise the job remains, to be resumed
    later. `rows` raises BulkFailed if the job no longer exists.
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


async def _clean_up(connection: RestConnection, running: Job, purpose: str) -> None:
    """Delete the job, aborting it first if it still runs. A job left behind expires after 7 days."""

    async def delete() -> None:
        path = f"jobs/query/{running.id}"
        if not running.ended:
            await connection.command("PATCH", path, purpose=purpose, body={"state": "Aborted"}, attempts=1)
        await connection.command("DELETE", path, purpose=purpose, attempts=1)

    cleaning = asyncio.create_task(asyncio.wait_for(delete(), _CLEAN_UP_S), name="delete bulk job")
    try:
        await asyncio.shield(cleaning)
    except (SalesforceError, TimeoutError) as error:
        log.info("Bulk job not deleted", job=running.id, error=str(error))


def _failure(ended: JobShape) -> BulkFailed:
    message = ended.error_message or "Salesforce gives no reason"
    code = re.match(r"[A-Z][A-Z_]{3,}(?=:)", message)
    return BulkFailed(
        f"Bulk job {ended.id} ended {ended.state}: {message.rstrip('.')}.",
        "A smaller range of records, or REST, may still work.",
        reason=code[0] if code else ended.state,
    )
