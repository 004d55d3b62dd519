"""Bulk API 2.0 query jobs over HTTP."""

from __future__ import annotations

import csv
import gzip
import io
from typing import Any

import aiohttp
import pytest
from aiohttp import hdrs

from rtssim.process import SimulatedOrg
from tests.support.rtssim.api import Api

JOBS = "/jobs/query"


async def job_of(api: Api, soql: str, **options: Any) -> dict[str, Any]:
    """Create a job and return it once it ended."""
    status, _, job = await api.call("POST", JOBS, json={"operation": "query", "query": soql, **options})
    assert (status, job["state"]) == (200, "UploadComplete")
    while job["state"] in ("UploadComplete", "InProgress"):
        job = await api.get(f"{JOBS}/{job['id']}")
    return dict(job)


def parsed(text: str) -> list[list[str]]:
    """Return the rows of a CSV text."""
    return list(csv.reader(io.StringIO(text, newline="")))


async def test_pages_of_any_size(org: SimulatedOrg, api: Api) -> None:
    """Pages cut anywhere put together give every row once, newlines and quotes in the values."""
    nasty = ['a\nb"', '"\n"', "", 'x","y', "\r\n", "漢字\n"]
    ids = await org.dml("create", "Contact", rows=[{"LastName": "n", "Description": text} for text in nasty])
    soql = "SELECT Id, Description FROM Contact ORDER BY Id"
    job = await job_of(api, soql)
    expected = [[row["Id"], row["Description"] or ""] async for row in org.rows("Contact")]
    assert job["numberRecordsProcessed"] == len(expected)
    for size in (1, 7, 1_000):
        rows, locator = [], ""
        while locator != "null":
            where = f"{JOBS}/{job['id']}/results?maxRecords={size}" + (
                f"&locator={locator}" if locator else ""
            )
            _, headers, text = await api.call("GET", where)
            header, *page = parsed(text)
            assert header == ["Id", "Description"]
            assert len(page) == int(headers["Sforce-NumberOfRecords"]) <= size
            rows += page
            locator = headers["Sforce-Locator"]
        assert rows == expected
    assert {row[0]: row[1] for row in expected if row[0] in ids} == dict(zip(ids, nasty, strict=True))


async def test_gzip_only_when_named_alone(api: Api) -> None:
    """Results are compressed for exactly `Accept-Encoding: gzip`, not for a list."""
    job = await job_of(api, "SELECT Id FROM Contact")
    path = f"{api.base}{JOBS}/{job['id']}/results"
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        for accepted, packed in (("gzip", True), ("gzip, deflate", False)):
            headers = {"Authorization": f"Bearer {api.token}", "Accept-Encoding": accepted}
            async with http.get(path, headers=headers) as answer:
                content = await answer.read()
                assert (answer.headers.get(hdrs.CONTENT_ENCODING) == "gzip") is packed
                assert (gzip.decompress(content) if packed else content).startswith(b'"Id"')


async def test_empty_result(api: Api) -> None:
    """No rows: the header line alone, count 0, locator null."""
    job = await job_of(api, "SELECT Id FROM Contact WHERE LastName = 'nobody at all'")
    _, headers, text = await api.call("GET", f"{JOBS}/{job['id']}/results")
    assert (headers["Sforce-NumberOfRecords"], headers["Sforce-Locator"], text) == ("0", "null", '"Id"\n')


async def test_result_pages(org: SimulatedOrg, api: Api) -> None:
    """The resultPages resource names pages that together hold every row."""
    await org.control("switches", {"bulk_page_rows": 8})
    job = await job_of(api, "SELECT Id FROM Contact")
    path, seen = f"{JOBS}/{job['id']}/resultPages", 0
    while path:
        answer = await api.get(path)
        for page in answer["resultPages"]:
            _, headers, _ = await api.call("GET", page["resultUrl"])
            seen += int(headers["Sforce-NumberOfRecords"])
        path = answer["nextRecordsUrl"]
    assert seen == job["numberRecordsProcessed"]


@pytest.mark.parametrize(
    "soql",
    [
        "SELECT COUNT(Id) FROM Contact",
        "SELECT LeadSource FROM Contact GROUP BY LeadSource",
        "SELECT Id FROM Contact LIMIT 5 OFFSET 5",
        "SELECT Id, MailingAddress FROM Contact",
        "SELECT Id, (SELECT Id FROM Contacts) FROM Account",
        "SELECT Nope FROM Contact",
    ],
)
async def test_refused_at_creation(api: Api, soql: str) -> None:
    """Queries that Bulk does not support are refused with 400 and an error array at creation."""
    status, _, body = await api.call("POST", JOBS, json={"operation": "query", "query": soql})
    assert status == 400
    assert body[0]["errorCode"]


async def test_life_of_a_job(org: SimulatedOrg, api: Api) -> None:
    """A running job can't be deleted and has no results; it can be aborted, then deleted, then it is gone."""
    await org.control("switches", {"bulk_queue_s": 60.0})
    create = {"operation": "query", "query": "SELECT Id FROM Contact"}
    job = (await api.call("POST", JOBS, json=create))[2]
    path = f"{JOBS}/{job['id']}"
    status, _, body = await api.call("DELETE", path)
    assert (status, body[0]["errorCode"]) == (400, "API_ERROR")
    assert (await api.call("GET", f"{path}/results"))[0] == 400
    assert (await api.call("PATCH", path, json={"state": "Aborted"}))[2]["state"] == "Aborted"
    assert job["id"] in [item["id"] for item in (await api.get(JOBS))["records"]]
    assert (await api.call("DELETE", path))[0] == 204
    assert (await api.call("GET", path))[0] == 404


async def test_other_version_is_a_conflict(api: Api) -> None:
    """Results asked for with another API version than the job's are a 409."""
    job = await job_of(api, "SELECT Id FROM Contact")
    status, _, _ = await api.call("GET", f"/services/data/v61.0{JOBS}/{job['id']}/results")
    assert status == 409


async def test_job_quota(org: SimulatedOrg, api: Api) -> None:
    """The day's query jobs used up: LIMIT_EXCEEDED in Salesforce's words."""
    await org.control("limits", {"DailyBulkV2QueryJobs": 1})
    await job_of(api, "SELECT Id FROM Contact")
    status, _, body = await api.call(
        "POST", JOBS, json={"operation": "query", "query": "SELECT Id FROM Lead"}
    )
    assert (status, body[0]["errorCode"]) == (400, "LIMIT_EXCEEDED")
    assert (await api.get("/limits"))["DailyBulkV2QueryJobs"]["Remaining"] == 0


async def test_failed_jobs(org: SimulatedOrg, api: Api) -> None:
    """A job fails with and without errorMessage."""
    await org.fault("job_failed", count=1, message="QUERY_TIMEOUT: too slow")
    failed = await job_of(api, "SELECT Id FROM Contact")
    assert (failed["state"], failed["errorMessage"]) == ("Failed", "QUERY_TIMEOUT: too slow")
    await org.fault("job_failed_silent", count=1)
    silent = await job_of(api, "SELECT Id FROM Contact")
    assert silent["state"] == "Failed"
    assert "errorMessage" not in silent


async def test_broken_downloads(org: SimulatedOrg, api: Api) -> None:
    """A result is cut in mid-body, tells a wrong count, or lacks the locator; the next try is whole."""
    job = await job_of(api, "SELECT Id, LastName FROM Contact")
    path = f"{JOBS}/{job['id']}/results"
    await org.fault("cut", count=1)
    with pytest.raises(aiohttp.ClientError):
        await api.call("GET", path)
    await org.fault("wrong_count", count=1)
    _, headers, text = await api.call("GET", path)
    assert int(headers["Sforce-NumberOfRecords"]) == len(parsed(text))  # the header line makes up for the lie
    await org.fault("no_locator", count=1)
    assert "Sforce-Locator" not in (await api.call("GET", path))[1]
    assert (await api.call("GET", path))[1]["Sforce-Locator"] == "null"
