"""Bulk results as the simulated org never sends them, and what exactly is asked for."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from aiohttp import web

from rtsd.errors import BulkFailed
from rtsd.salesforce import bulk
from tests.support.salesforce.bench import Bench, Script

V = "/services/data/v66.0"
JOB = f"{V}/jobs/query/750A"
DONE = {"id": "750A", "state": "JobComplete", "createdDate": "2026-03-01T10:00:00.000+0000"}


def page(body: bytes, count: int, locator: str = "null") -> Any:
    headers = {"Sforce-NumberOfRecords": str(count), "Sforce-Locator": locator}
    return lambda _request: web.Response(body=body, headers=headers)


def serve(bench: Bench, script: type[Script], *pages: Any, **job: Any) -> None:
    """Script a job that is complete at once, and its pages in turn."""
    bench.org.on(f"POST {V}/jobs/query", script.answer(200, {"id": "750A", "state": "UploadComplete"}))
    bench.org.on(f"GET {JOB}", script.answer(200, {**DONE, **job}))
    bench.org.on(f"GET {JOB}/results", *pages)
    bench.org.on(f"DELETE {JOB}", script.answer(204))


async def read(client: Any, statement: str = "SELECT Id, Name FROM Account") -> list[list[str]]:
    async with bulk.job(client, statement, purpose="audit") as job:
        return [row async for rows in job.rows() for row in await rows.parsed()]


async def test_what_goes_over_the_wire(bench: Bench, script: type[Script]) -> None:
    """One CSV form is asked for, compression with the one header that gets it, pages by locator."""
    serve(
        bench,
        script,
        page(b'"Id","Name"\n"1","a"\n', 1, "L1"),
        page(b'"Id","Name"\n"2","b"\n', 1),
        numberRecordsProcessed=2,
    )
    client = await bench.client()
    assert await read(client) == [["1", "a"], ["2", "b"]]
    created = json.loads(bench.org.bodies[1])
    assert created == {
        "operation": "query",
        "query": "SELECT Id, Name FROM Account",
        "contentType": "CSV",
        "columnDelimiter": "COMMA",
        "lineEnding": "LF",
    }
    results = [call for call in bench.org.calls if call.path.endswith("/results")]
    assert [call.headers.getall("Accept-Encoding") for call in results] == [["gzip"], ["gzip"]]
    assert [call.query.get("locator") for call in results] == [None, "L1"]
    assert bench.org.calls[-1].method == "DELETE"


async def test_compressed_and_plain_pages_mix(bench: Bench, script: type[Script]) -> None:
    """Each page says for itself whether it is compressed."""
    packed = gzip.compress(b'"Id","Name"\n"2","b"\n')

    def second(_request: Any) -> web.Response:
        headers = {"Sforce-NumberOfRecords": "1", "Sforce-Locator": "null", "Content-Encoding": "gzip"}
        return web.Response(body=packed, headers=headers)

    serve(bench, script, page(b'"Id","Name"\n"1","a"\n', 1, "L1"), second)
    assert await read(await bench.client()) == [["1", "a"], ["2", "b"]]


async def test_a_result_with_fewer_rows_than_the_job_read_is_an_error(
    bench: Bench, script: type[Script]
) -> None:
    """ac_03: pages that agree with themselves may still not be all."""
    serve(bench, script, page(b'"Id","Name"\n"1","a"\n', 1), numberRecordsProcessed=2)
    with pytest.raises(BulkFailed, match="read 2 records, but its result has 1"):
        await read(await bench.client())


async def test_other_columns_than_asked_for_are_refused(bench: Bench, script: type[Script]) -> None:
    """Columns in another order would put values under wrong names."""
    serve(bench, script, page(b'"Name","Id"\n"a","1"\n', 1))
    with pytest.raises(BulkFailed, match="returned the columns Name, Id"):
        await read(await bench.client())


async def test_a_locator_that_repeats_is_no_endless_loop(bench: Bench, script: type[Script]) -> None:
    """A page that names itself as the next one ends the reading."""
    body = b'"Id","Name"\n"1","a"\n'
    serve(bench, script, page(body, 1, "L1"), page(body, 1, "L1"))
    with pytest.raises(BulkFailed, match="repeats its locator"):
        await read(await bench.client())


async def test_a_break_in_the_last_record_of_a_page(bench: Bench, script: type[Script]) -> None:
    """What came before the break is delivered once, the rest comes from the second download."""
    rows = [[str(number), f'line\n"{number}"'] for number in range(50)]
    body = b'"Id","Name"\n' + b"".join(f'"{i}","line\n""{i}"""\n'.encode() for i in range(50))

    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                "Sforce-NumberOfRecords": "50",
                "Sforce-Locator": "null",
                "Content-Length": str(len(body)),
            }
        )
        await response.prepare(request)
        await response.write(body[:-5])
        assert request.transport is not None
        request.transport.close()
        return response

    serve(bench, script, cut, page(body, 50), numberRecordsProcessed=50)
    assert await read(await bench.client()) == rows
