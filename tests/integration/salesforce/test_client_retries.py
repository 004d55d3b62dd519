"""REST over real HTTP: what is tried again, how often, and what never is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rtsd.errors import (
    ObjectUnavailable,
    OrgUnreachable,
    QuotaExhausted,
    SalesforceError,
)
from rtsd.salesforce.shapes import Row
from tests.support.salesforce.bench import Bench, Script

V = "/services/data/v66.0"
LIMITS = f"GET {V}/limits/"
QUERY = f"GET {V}/query"
PAGE = {"totalSize": 1, "done": True, "records": [{"attributes": {"type": "A"}, "Id": "001"}]}
EXPIRED = (401, "INVALID_SESSION_ID", "Session expired or invalid")


PASSING = [
    (500, "UNKNOWN_EXCEPTION"),
    (503, "SERVER_UNAVAILABLE"),
    (400, "UNABLE_TO_LOCK_ROW"),
    (403, "API_CURRENTLY_DISABLED"),
]


@pytest.mark.parametrize("case", PASSING, ids=str)
async def test_passing_errors_are_outlasted(
    bench: Bench, script: type[Script], case: tuple[int, str]
) -> None:
    """The caller does not see an error that goes away by itself."""
    bench.org.on(LIMITS, script.refused(*case), script.refused(*case), script.answer(200, {}))
    client = await bench.client()
    assert await client.limits(purpose="x") == {}
    assert len(bench.pauses.seconds) == 2


@pytest.mark.parametrize("status", [406, 420, 502, 503, 200])
async def test_web_pages_are_no_answers(bench: Bench, script: type[Script], status: int) -> None:
    """HTML from the edge, whatever its status, is a passing error and ends as OrgUnreachable."""
    page = "<html><head><title>We are down for maintenance</title></head></html>"
    bench.org.on(LIMITS, script.answer(status, page))
    client = await bench.client()
    with pytest.raises(OrgUnreachable):
        await client.limits(purpose="x")
    assert len(bench.org.paths("/limits")) == 5


async def test_a_permanent_error_is_not_repeated(bench: Bench, script: type[Script]) -> None:
    """What will not change by itself comes back at once, with Salesforce's code."""
    message = "\nSELECT X__c FROM A\n       ^\nERROR at Row:1:Column:8\nNo such column 'X__c'"
    bench.org.on(QUERY, script.refused(400, "INVALID_FIELD", message))
    client = await bench.client()
    with pytest.raises(ObjectUnavailable, match="No such column") as caught:
        await client.query("SELECT X__c FROM A", purpose="x")
    assert (caught.value.status, caught.value.reason) == (400, "INVALID_FIELD")
    assert len(bench.org.paths("/query")) == 1


async def test_a_query_timeout_is_never_no_rows(bench: Bench, script: type[Script]) -> None:
    """ac_09: the caller is told, so that it can read a smaller window."""
    bench.org.on(QUERY, script.refused(400, "QUERY_TIMEOUT", "Your query request was running for too long."))
    client = await bench.client()
    with pytest.raises(SalesforceError) as caught:
        await client.query("SELECT Id FROM A", purpose="x")
    assert caught.value.reason == "QUERY_TIMEOUT"


async def test_retry_after_is_honoured(bench: Bench, script: type[Script]) -> None:
    """A pause that Salesforce asks for is kept; one of an hour is the caller's to decide."""
    bench.org.on(LIMITS, script.answer(429, "", Retry_After="120"), script.answer(200, {}))
    client = await bench.client()
    await client.limits(purpose="x")
    assert bench.pauses.seconds == [120.0]
    bench.org.on(LIMITS, script.answer(503, "", Retry_After="3600"), script.answer(200, {}))
    with pytest.raises(OrgUnreachable):
        await client.limits(purpose="x")
    assert bench.pauses.seconds == [120.0]


async def test_retries_stop_when_the_hour_s_budget_is_spent(bench: Bench, script: type[Script]) -> None:
    """ac_35: an org in trouble does not make us spend without end; an hour later there is a new budget."""
    bench.org.on(LIMITS, script.answer(500, ""))
    client = await bench.client(retries=script.retries(per_hour=6))
    for _ in range(5):
        with pytest.raises(OrgUnreachable):
            await client.limits(purpose="x")
    assert len(bench.org.paths("/limits")) == 5 + 6
    assert len(bench.pauses.seconds) == 6
    bench.clock.advance(3601)
    with pytest.raises(OrgUnreachable):
        await client.limits(purpose="x")
    assert len(bench.pauses.seconds) == 6 + 4


async def test_pauses_grow_and_vary(bench: Bench, script: type[Script]) -> None:
    """Each pause lies below a bound that doubles; not all clients come back at once."""
    bench.org.on(LIMITS, script.answer(500, ""))
    client = await bench.client(retries=script.retries(attempts=8, first_pause_s=1.0, longest_pause_s=20.0))
    with pytest.raises(OrgUnreachable):
        await client.limits(purpose="x")
    bounds = [1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]
    assert len(bench.pauses.seconds) == len(bounds)
    assert all(0 <= pause <= bound for pause, bound in zip(bench.pauses.seconds, bounds, strict=True))
    assert len(set(bench.pauses.seconds)) == len(bounds)


async def test_daily_and_concurrent_limit_are_told_apart(bench: Bench, script: type[Script]) -> None:
    """One code, two meanings: the day's calls are gone, or there are too many long calls right now."""
    code = "REQUEST_LIMIT_EXCEEDED"
    concurrent = script.refused(403, code, "ConcurrentRequests (Concurrent API Requests) Limit exceeded.")
    bench.org.on(LIMITS, concurrent, script.answer(200, {}))
    client = await bench.client(concurrency=8)
    await client.limits(purpose="x")
    bench.org.on(LIMITS, script.refused(403, code, "TotalRequests Limit exceeded."))
    with pytest.raises(QuotaExhausted, match="TotalRequests"):
        await client.limits(purpose="x")
    assert len(bench.org.paths("/limits")) == 3


async def test_fewer_calls_at_a_time_after_the_concurrent_limit(bench: Bench, script: type[Script]) -> None:
    """The gate narrows, so the org sees fewer calls at once from then on."""
    inside, most = 0, 0

    async def slow(request: Any) -> Any:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.005)
        inside -= 1
        return script.answer(200, {})(request)

    bench.org.on(LIMITS, script.refused(403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests Limit"), slow)
    client = await bench.client(concurrency=4)
    await client.limits(purpose="x")
    most = 0
    await asyncio.gather(*(client.limits(purpose="x") for _ in range(10)))
    assert most == 2


async def test_a_call_that_must_not_repeat_is_repeated_only_when_it_was_not_processed(
    bench: Bench, script: type[Script]
) -> None:
    """A write that may have had its effect is not sent twice."""
    path = f"POST {V}/composite"
    bench.org.on(path, script.answer(503, ""), script.answer(200, {}))
    client = await bench.client()
    with pytest.raises(OrgUnreachable):
        await client.command("POST", "composite", purpose="x", body={}, repeatable=False)
    bench.org.on(path, script.answer(429, ""), script.answer(200, {}))
    assert (await client.post("composite", Row, purpose="x", body={}, repeatable=False)).data == {}


async def test_a_login_that_fails_for_now_is_waited_for(bench: Bench, script: type[Script]) -> None:
    """A login host that is down for a moment costs the caller a pause, not an error."""
    good = script.answer(200, script.token("T1", instance_url=bench.org.url))
    bench.org.on("POST /services/oauth2/token", script.answer(503, ""), good)
    bench.org.on(LIMITS, script.answer(200, {}))

    async def pause(seconds: float) -> None:
        bench.clock.advance(seconds + 2)

    client = await bench.client()
    client.exchange.retrier.sleep = pause
    assert await client.limits(purpose="x") == {}
