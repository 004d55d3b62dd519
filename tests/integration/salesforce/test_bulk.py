"""Bulk query jobs against the simulated org, with its faults: every row once, or a clear error."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest

from rtsd.core.schema import ObjectSchema
from rtsd.core.values import mirror_value
from rtsd.errors import (
    BulkFailed,
    BulkRefused,
    ObjectUnavailable,
    OrgUnreachable,
    QuotaExhausted,
)
from rtsd.salesforce import bulk, soql
from tests.support.salesforce.bench import Desk, Script, described

RESULTS = "/results"
IDS = "SELECT Id FROM Contact"
WIDE = "SELECT Id, Name, Email, Description, Notes__c FROM Contact"  # pages of more than a few kilobytes


async def ids_of(client: Any, statement: str = IDS, **options: Any) -> list[str]:
    """The first column of a whole result."""
    async with bulk.job(client, statement, purpose="audit", **options) as job:
        return [row[0] async for rows in job.rows() for row in await rows.parsed()]


async def truth(sim: Any, name: str = "Contact") -> list[str]:
    """The ids that the org has, in order."""
    return [row["Id"] async for row in sim.rows(name)]


async def test_every_value_of_every_row(desk: Desk) -> None:
    """ac_45: all columns of all rows are what the org holds, hostile texts byte for byte."""
    hostile = [
        '"',
        'a"b\nc,d',
        "line\r\nbreak",
        "\n",
        "😀 Ünïcødé 漢字 עברית",
        "x" * 32_000,
        "'",
        ",",
        '""',
        "\t|",
    ]
    await desk.sim.dml(
        "create",
        "Contact",
        rows=[{"LastName": f"H{number}", "Description": text} for number, text in enumerate(hostile)],
    )
    client = await desk.client()
    schema = (await described(client)).schema
    mirror: dict[str, dict[str, Any]] = {}
    statement = soql.select(schema.names, "Contact")
    async with bulk.job(client, statement, purpose="audit", page_rows=400) as job:
        async for rows in job.rows(chunk_rows=300):
            mirror |= {
                row[0]: as_stored(schema, dict(zip(rows.columns, row, strict=True)))
                for row in await rows.parsed()
            }
    org = {row["Id"]: as_stored(schema, row) async for row in desk.sim.rows("Contact")}
    assert mirror == org
    assert {row["Description"] for row in mirror.values()} >= set(hostile)


def as_stored(schema: ObjectSchema, row: dict[str, Any]) -> dict[str, Any]:
    return {name: mirror_value(schema.by_name[name].kind, row[name]) for name in schema.names}


async def test_pages_and_chunks_hold_each_row_once(desk: Desk) -> None:
    """Page and chunk borders lose and repeat nothing; the total is told with every chunk."""
    client = await desk.client()
    async with bulk.job(client, IDS, purpose="audit", page_rows=250) as job:
        chunks = [rows async for rows in job.rows(chunk_rows=100)]
    got = [row[0] for rows in chunks for row in await rows.parsed()]
    assert sorted(got) == await truth(desk.sim)
    assert len(got) == chunks[-1].total == job.processed
    assert max(rows.count for rows in chunks) < 1_000
    assert [rows.next_page for rows in chunks][-1] == "null"


@pytest.mark.parametrize("header", ["typed", "canonical"])
async def test_header_names_match_whatever_their_case(
    desk: Desk, header: Literal["typed", "canonical"]
) -> None:
    """Columns carry the names of the statement, as we typed them."""
    desk.server.org.switches.csv_header = header
    client = await desk.client()
    async with bulk.job(client, "SELECT id, LASTNAME FROM Contact", purpose="audit") as job:
        columns = [rows.columns async for rows in job.rows()]
    assert columns[0] == ["id", "LASTNAME"]


@pytest.mark.parametrize("with_header", [True, False])
async def test_no_rows_is_a_result_too(desk: Desk, *, with_header: bool) -> None:
    """An empty object gives no rows, with or without a header line."""
    desk.server.switches.empty_result_has_header = with_header
    assert await ids_of(await desk.client(), "SELECT Id FROM Contact WHERE LastName = 'nobody'") == []


async def test_the_job_is_deleted_at_the_end(desk: Desk) -> None:
    """Also when the reader fails or is cancelled half way, and while the job still runs."""
    client = await desk.client()
    jobs = desk.server.bulk.jobs
    assert await ids_of(client)
    assert jobs == {}

    async def fail() -> None:
        async with bulk.job(client, IDS, purpose="audit") as job:
            async for _rows in job.rows():
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert jobs == {}
    await desk.sim.fault("job_stuck")
    started = asyncio.Event()

    async def read() -> None:
        async with bulk.job(client, IDS, purpose="audit") as job:
            started.set()
            async for _rows in job.rows():
                pass

    reader = asyncio.create_task(read())
    await asyncio.wait_for(started.wait(), 5)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert jobs == {}


async def test_a_cut_download_goes_on_without_a_row_twice(desk: Desk) -> None:
    """ac_46: connections that break in mid-body cost a download of that page, and no row."""
    client = await desk.client()
    await desk.sim.fault("cut", path=RESULTS, count=4, after_bytes=6_000)
    got = await ids_of(client, WIDE, page_rows=300)
    assert sorted(got) == await truth(desk.sim)


async def test_a_stalled_download_goes_on(desk: Desk, script: type[Script]) -> None:
    """ac_46: a server that silently stops sending is noticed, and the page is read again."""
    client = await desk.client(timeouts=script.timeouts(stall_s=0.2))
    await desk.sim.fault("stall", path=RESULTS, count=2, after_bytes=6_000)
    got = await ids_of(client, WIDE, page_rows=300)
    assert sorted(got) == await truth(desk.sim)


async def test_an_expired_session_in_mid_result_is_renewed(desk: Desk) -> None:
    """ac_47: result locators belong to the job: a new session reads on where the old one ended."""
    client = await desk.client()
    got: list[str] = []
    async with bulk.job(client, IDS, purpose="audit", page_rows=300) as job:
        async for rows in job.rows():
            got += [row[0] for row in await rows.parsed()]
            desk.server.accounts.expire_sessions()
    assert sorted(got) == await truth(desk.sim)


async def test_downloads_that_never_work_end(desk: Desk) -> None:
    """A download that breaks every time is given up after some tries, within the retry budget."""
    client = await desk.client()
    await desk.sim.fault("cut", path=RESULTS, after_bytes=0)
    before = desk.ledger.total("DailyApiRequests")
    with pytest.raises(OrgUnreachable, match="interrupted"):
        await ids_of(client)
    polls = sum(pause in (0.1, 0.2, 0.4, 0.8, 1.6, 3.0) for pause in desk.pauses.seconds) + 1
    assert desk.ledger.total("DailyApiRequests") - before == 1 + polls + 5 + 1  # create, polls, tries, delete


async def test_a_page_with_too_few_rows_is_not_believed(desk: Desk) -> None:
    """ac_09: Sforce-NumberOfRecords is checked; a wrong page is read again, and at last an error."""
    client = await desk.client()
    await desk.sim.fault("wrong_count", path=RESULTS, count=1)
    assert sorted(await ids_of(client)) == await truth(desk.sim)
    await desk.sim.fault("wrong_count", path=RESULTS)
    with pytest.raises(BulkFailed, match="announced"):
        await ids_of(client)


async def test_a_missing_locator_is_not_the_end(desk: Desk) -> None:
    """A page without Sforce-Locator is an error: the rows behind it would be lost."""
    client = await desk.client()
    await desk.sim.fault("no_locator", path=RESULTS)
    with pytest.raises(BulkFailed, match="Sforce-Locator"):
        await ids_of(client, page_rows=300)


@pytest.mark.parametrize("told", [True, False])
async def test_a_failed_job_is_an_error(desk: Desk, *, told: bool) -> None:
    """ac_09: Failed is never an empty result; the reason is passed on where Salesforce tells one."""
    await desk.sim.fault("job_failed" if told else "job_failed_silent", path="Contact")
    with pytest.raises(BulkFailed, match="QUERY_TIMEOUT" if told else "no reason"):
        await ids_of(await desk.client())
    assert desk.server.bulk.jobs == {}


async def test_a_job_that_is_aborted_or_deleted_by_others_is_an_error(desk: Desk) -> None:
    """What an administrator does to the job in the org is seen at the next poll."""
    client = await desk.client()
    await desk.sim.fault("job_stuck", count=1)
    async with bulk.job(client, IDS, purpose="audit") as job:
        await client.command("PATCH", f"jobs/query/{job.id}", purpose="x", body={"state": "Aborted"})
        with pytest.raises(BulkFailed, match="Aborted"):
            await job.wait()
    async with bulk.job(client, IDS, purpose="audit") as job:
        await job.wait()
        await client.command("DELETE", f"jobs/query/{job.id}", purpose="x")
        with pytest.raises(BulkFailed, match="no longer exists"):
            await job.wait()


async def test_refusals_say_whether_rest_may_help(desk: Desk) -> None:
    """What Bulk does not read, what does not exist, and what the day's quota forbids are three things."""
    client = await desk.client()
    with pytest.raises(BulkRefused):
        await ids_of(client, "SELECT MailingAddress FROM Contact")
    with pytest.raises(ObjectUnavailable):
        await ids_of(client, "SELECT Nonsense__c FROM Contact")
    with pytest.raises(ObjectUnavailable):
        await ids_of(client, "SELECT Id FROM Nonsense__c")
    await desk.sim.fault("bulk_quota", path="jobs/query")
    with pytest.raises(QuotaExhausted, match="10000"):
        await ids_of(client)


async def test_our_own_cap_of_jobs_creates_none(desk: Desk) -> None:
    """The ledger's refusal comes before the job."""
    desk.ledger.refuse.add("DailyBulkV2QueryJobs")
    with pytest.raises(QuotaExhausted, match="DailyBulkV2QueryJobs"):
        await ids_of(await desk.client())
    assert desk.server.bulk.created == 0


async def test_the_ledger_equals_the_org_s_bill(desk: Desk) -> None:
    """Every call and job that the org counts was written down, and nothing else."""
    client = await desk.client()
    await desk.sim.fault("503", count=2, path=RESULTS)
    assert await ids_of(client, page_rows=300)
    limits = desk.server.limits
    assert desk.ledger.total("DailyApiRequests") == limits.used("DailyApiRequests")
    assert desk.ledger.total("DailyBulkV2QueryJobs") == 1
    assert desk.ledger.total("DailyBulkV2QueryFileStorageMB") == 1


async def test_a_reader_goes_on_from_the_last_whole_page(desk: Desk) -> None:
    """ac_47: after a kill the same job is read on, its finished pages are not read again."""
    client = await desk.client()
    start = await bulk.create(client, IDS, purpose="audit")
    first: list[str] = []
    async with bulk.resume(client, IDS, start, purpose="audit", page_rows=400) as job:
        async for rows in job.rows(chunk_rows=100):
            first += [row[0] for row in await rows.parsed()]
            if rows.next_page is not None:
                point = bulk.ResumePoint(job.id, rows.next_page, rows.total)
                break
    served = desk.server.bulk.rows_served
    rest: list[str] = []
    async with bulk.resume(client, IDS, point, purpose="audit", page_rows=400) as job:
        async for rows in job.rows():
            rest += [row[0] for row in await rows.parsed()]
    assert sorted(first + rest) == await truth(desk.sim)
    assert desk.server.bulk.rows_served == served + len(rest)
    assert desk.server.bulk.jobs == {}


async def test_the_rows_were_read_within_the_observed_bounds(desk: Desk) -> None:
    """A row changed before the job is in it, and the bounds enclose the job on the org's own clock."""
    clock = desk.server.org.clock
    clock.set_offset(7_200)
    client = await desk.client()
    before = clock.now().timestamp() * 1000
    async with bulk.job(client, IDS, purpose="audit") as job:
        async for _rows in job.rows():
            pass
    after = clock.now().timestamp() * 1000
    assert before - 1_500 <= job.observed.seen <= after
    assert before <= job.observed.until <= after + 1_500


async def test_polls_slow_down(desk: Desk) -> None:
    """A long job costs few calls: from a tenth of a second, doubling, up to a bound."""
    desk.server.switches.bulk_run_s = 0.3
    desk.pauses.real = 0.05
    await ids_of(await desk.client())
    assert desk.pauses.seconds[:3] == [0.1, 0.2, 0.4]
    assert max(desk.pauses.seconds) <= 3.0
