"""Reads of an object's rows: keyset pages, the switch to a Bulk job, splits by width and by window.

Every read of rows goes through a `Reader`, which masks them (core.privacy) before it returns them.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import structlog

from rtsd.core.change import Change, Source
from rtsd.core.cost import Cost
from rtsd.core.ids import full_id
from rtsd.core.instant import normal_iso
from rtsd.core.privacy import MaskedRecord, MaskedRows, MaskedText
from rtsd.core.window import Window, halves
from rtsd.errors import BulkRefused, SalesforceError
from rtsd.salesforce import bulk, soql
from rtsd.salesforce.bulk_polls import job_cost
from rtsd.salesforce.client import Client
from rtsd.salesforce.counting import QUERY_TIMEOUT
from rtsd.salesforce.ledger import Observed
from rtsd.salesforce.responses import Page
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.rows import from_record

REST_PAGE = 2_000
"""Rows in one REST page, the most that Salesforce allows."""
BULK_ABOVE = 20_000
"""Rows above which a Bulk job costs fewer calls than REST pages."""
NEVER = sys.maxsize
"""As `bulk_after`: only REST pages."""
MAX_CELLS = 100_000
"""Values in one transaction: few enough to delay pushes by only some ms, and to keep memory small."""
MAX_ROWS = 5_000
"""Rows in one transaction, however narrow."""
MIN_FIELD_LIST = 500
"""The length of a field list, in characters, below which a refusal must have another cause."""
TOO_WIDE = "QUERY_TOO_COMPLICATED"
"""The refusal of a statement that selects too much. The limit depends on the fields: formulas expand inside a
statement, so a SELECT of 800 fields may be refused although it is far shorter than the limit of 100,000
characters (SOAP API guide, ExceptionCode)."""
TOO_LARGE = (QUERY_TIMEOUT, "OPERATION_TOO_LARGE", "EXCEEDED_ID_LIMIT")
"""Refusals of a window whose halves may be accepted (SOAP API guide, ExceptionCode)."""

Point = bulk.ResumePoint
"""A position in a Bulk result at which to resume."""

T = TypeVar("T")

log = structlog.get_logger("rtsd.reading")


@dataclass(frozen=True, slots=True)
class Query:
    """The rows to read: columns, condition, and the order of the pages."""

    columns: Sequence[str]
    where: str = ""
    stamp: str = ""
    """The field by which, with Id, pages are ordered; empty: by Id alone."""
    all_rows: bool = False
    """True to include deleted and archived rows (queryAll)."""

    def following(self, last: Mapping[str, Any]) -> str:
        """Return the condition for rows after `last`. Locators expire with their session (Client.query)."""
        last_id = full_id(str(last["Id"]))
        if not self.stamp:
            return soql.after_id(last_id)
        return soql.after_stamp(self.stamp, normal_iso(str(last[self.stamp])), last_id)


@dataclass(frozen=True, slots=True)
class Batch:
    """Masked records of one object, possibly none, and the time at which Salesforce read them."""

    mirrored: MirroredObject
    records: Sequence[MaskedRecord]
    observed: Observed

    def changes(self, source: Source) -> list[Change]:
        """Return the records as changes. Raises SalesforceError for a value that does not fit its field."""
        return [
            from_record(self.mirrored, record, source=source, seen=self.observed) for record in self.records
        ]

    def stamps(self) -> dict[str, str]:
        """Return the stamps (ISO, UTC) by id."""
        stamp = self.mirrored.described.schema.cursor or ""
        return {full_id(str(record["Id"])): normal_iso(str(record[stamp])) for record in self.records}


@dataclass(frozen=True, slots=True)
class Chunk:
    """Masked rows of a Bulk result."""

    rows: MaskedRows | MaskedText
    observed: Observed
    total: int
    """Rows of the result up to and including these."""
    next_page: str | None
    """The locator of the next page with the last rows of a page, else None."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one object; `purpose` is the purpose of its calls in the ledger.

    It remembers two refusals until the daemon exits: the Bulk API does not support the object, and a
    statement selects too much of it.
    """

    client: Client
    mirrored: MirroredObject
    purpose: str

    async def rows(
        self, query: Query, *, bulk_after: int = NEVER, last_id: str = ""
    ) -> AsyncGenerator[Batch]:
        """Yield the rows by REST pages; after `bulk_after` rows, the rest by a Bulk job unless it is refused.

        Yields at least one batch; the last one may be empty. Pages by Id resume after `last_id`. Close the
        generator, which deletes a Bulk job.
        """
        following, read = soql.after_id(last_id), 0
        while True:
            rest = replace(query, where=soql.all_of(query.where, following))
            if read >= bulk_after and not self.mirrored.learned.rest_only:
                try:
                    async with aclosing(self._by_bulk(rest)) as batches:
                        async for batch in batches:
                            yield batch
                except BulkRefused as refusal:
                    self._remember(refusal)
                else:
                    return
            page = await self._page(rest)
            yield self._batch(page.records, page.observed)
            if page.done and len(page.records) < REST_PAGE:
                return
            if not page.records:
                raise SalesforceError(f"{self.mirrored.name}: a page before the last one is empty")
            read += len(page.records)
            following = query.following(page.records[-1])

    async def retrieve(self, ids: Sequence[str]) -> Batch:
        """Return records by id with all mirrored columns; missing records are left out."""
        mirrored = self.mirrored
        answer = await retry_narrower(
            mirrored,
            lambda: self.client.retrieve(
                mirrored.name,
                ids,
                mirrored.described.columns,
                purpose=self.purpose,
                max_characters=mirrored.learned.max_characters,
            ),
        )
        return self._batch((record for record in answer.records if record is not None), answer.observed)

    async def start_job(self, query: Query) -> Point | None:
        """Create a Bulk job for `result` to read; return None if the Bulk API refuses the object."""
        if self.mirrored.learned.rest_only:
            return None
        try:
            return await bulk.create(
                self.client, self._statement(query), purpose=self.purpose, all_rows=query.all_rows
            )
        except BulkRefused as refusal:
            self._remember(refusal)
            return None

    async def result(
        self, query: Query, point: Point, *, page_rows: int, as_text: bool
    ) -> AsyncGenerator[Chunk]:
        """Yield the result of a job from `point` on, and delete the job at the end. Close the generator.

        With `as_text`, rows that no rule masks are MaskedText where possible. Raises BulkFailed if the job
        failed, after deleting it, or if it no longer exists.
        """
        async with bulk.resume(
            self.client, self._statement(query), point, purpose=self.purpose, page_rows=page_rows
        ) as job:
            async for part in job.rows(chunk_rows(len(job.columns))):
                rows = self._as_text(part) if as_text else None
                yield Chunk(rows or await self._rows(part), job.observed, part.total, part.next_page)

    def _as_text(self, part: bulk.Rows) -> MaskedText | None:
        text = part.text
        if text is None:
            return None
        return self.mirrored.privacy.text(part.columns, text, part.count, part.parsed)

    async def _rows(self, part: bulk.Rows) -> MaskedRows:
        return self.mirrored.privacy.rows(part.columns, await part.parsed())

    async def _page(self, query: Query) -> Page:
        statement = soql.select(
            query.columns,
            self.mirrored.name,
            query.where,
            order_by=soql.keyset_order(query.stamp),
            limit=REST_PAGE,
        )
        return await self.client.query(
            statement,
            purpose=self.purpose,
            all_rows=query.all_rows,
            columns=query.columns,
            stamp=self.mirrored.described.schema.cursor or "",
        )

    async def _by_bulk(self, query: Query) -> AsyncGenerator[Batch]:
        statement = self._statement(query)
        async with bulk.job(self.client, statement, purpose=self.purpose, all_rows=query.all_rows) as job:
            async for part in job.rows(chunk_rows(len(job.columns))):
                rows = await self._rows(part)
                yield Batch(self.mirrored, list(rows.records()), job.observed)

    def _statement(self, query: Query) -> str:
        return soql.select(query.columns, self.mirrored.name, query.where)

    def _batch(self, records: Iterable[dict[str, Any]], observed: Observed) -> Batch:
        return Batch(self.mirrored, [self.mirrored.privacy.record(record) for record in records], observed)

    def _remember(self, refusal: BulkRefused) -> None:
        self.mirrored.learned.rest_only = True
        log.info("bulk refused", object=self.mirrored.name, reason=refusal.message)


def read_cost(mirrored: MirroredObject, rows: int, *, bulk_after: int = NEVER) -> Cost:
    """Return the cost of `Reader.rows` for a query that so many rows match."""
    if mirrored.learned.rest_only or rows < bulk_after:
        return Cost(api_calls=rows // REST_PAGE + 1)  # the last page is not full
    first = -(-bulk_after // REST_PAGE)
    return Cost(api_calls=first) + job_cost(max(rows - first * REST_PAGE, 0))


def result_cost(mirrored: MirroredObject, rows: int, page_rows: int) -> Cost:
    """Return the cost of reading so many rows by `Reader.result`, or by pages if Bulk refuses the object."""
    return read_cost(mirrored, rows) if mirrored.learned.rest_only else job_cost(rows, page_rows)


def chunk_rows(columns: int) -> int:
    """Return how many rows of `columns` columns to store in one transaction."""
    return max(min(MAX_CELLS // max(columns, 1), MAX_ROWS), 100)


def parts(mirrored: MirroredObject) -> list[list[str]]:
    """Return the mirrored columns split to fit into statements; each part starts with Id and the stamp."""
    schema = mirrored.described.schema
    return list(
        soql.column_chunks(
            schema.names,
            max_characters=mirrored.learned.max_characters,
            always=("Id", *([schema.cursor] if schema.cursor else [])),
        )
    )


async def retry_narrower(mirrored: MirroredObject, read: Callable[[], Awaitable[T]]) -> T:
    """Run `read`; while a statement is refused as too wide, halve `max_characters` and retry."""
    while True:
        try:
            return await read()
        except SalesforceError as error:
            if error.reason != TOO_WIDE or not _narrow(mirrored):
                raise
            log.info("too wide", object=mirrored.name, parts=len(parts(mirrored)))


def _narrow(mirrored: MirroredObject) -> bool:
    """Halve the object's `max_characters`; return False if the width cannot be the cause."""
    longest = max(sum(len(name) + 1 for name in part) for part in parts(mirrored))
    if longest <= MIN_FIELD_LIST:
        return False
    mirrored.learned.max_characters = longest // 2
    return True


async def in_parts(
    name: str, window: Window, read: Callable[[Window], Awaitable[T]], *, is_part: bool = False
) -> list[T]:
    """Read a window of an object, split into halves while it is too large; return the parts' results.

    If a second of it times out, too, the org is slow: the window is not too large, and is not split.
    """
    try:
        return [await read(window)]
    except SalesforceError as error:
        found = halves(window) if error.reason in TOO_LARGE else None
        if found is None:
            raise
        if error.reason == QUERY_TIMEOUT and not is_part:
            await read(Window(window.start, window.start + 1_000))
        log.info("window halved", object=name, reason=error.reason)
    return [result for part in found for result in await in_parts(name, part, read, is_part=True)]
