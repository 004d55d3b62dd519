"""A result is read ahead while its rows are stored, and nothing counts as read before it is stored."""

from __future__ import annotations

import asyncio

import pytest

from rtsd.salesforce import bulk
from tests.support.salesforce.bench import Desk

IDS = "SELECT Id FROM Contact"


async def test_the_next_page_comes_while_the_last_is_stored(desk: Desk) -> None:
    """The reader has asked for the second page before the caller asks for more than the first."""
    client = await desk.client()
    served = desk.server.bulk
    async with bulk.job(client, IDS, purpose="audit", page_rows=400) as job:
        async for _rows in job.rows():
            async with asyncio.timeout(5):
                while served.rows_served <= 400:  # noqa: ASYNC110 - the org has no event for it
                    await asyncio.sleep(0.01)
            break


async def test_a_job_stays_until_its_last_rows_are_stored(desk: Desk) -> None:
    """Whoever fails with the very last rows in hand can go on in the same job."""
    client = await desk.client()
    start = await bulk.create(client, IDS, purpose="audit")

    async def fail() -> None:
        async with bulk.resume(client, IDS, start, purpose="audit") as job:
            async for rows in job.rows():
                assert rows.next_page == "null"
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert len(desk.server.bulk.jobs) == 1
    async with bulk.resume(client, IDS, start, purpose="audit") as job:
        assert [rows.next_page async for rows in job.rows()] == ["null"]
    assert desk.server.bulk.jobs == {}
