"""REST over real HTTP: one refresh, time-outs, what every answer tells, records and queries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from rtsd.errors import (
    AuthenticationFailed,
    ObjectUnavailable,
    OrgUnreachable,
    QuotaExhausted,
    SalesforceError,
    SessionExpired,
)
from tests.support.salesforce.bench import Bench, Script

V = "/services/data/v66.0"
LIMITS = f"GET {V}/limits/"
QUERY = f"GET {V}/query"
PAGE = {"totalSize": 1, "done": True, "records": [{"attributes": {"type": "A"}, "Id": "001"}]}
EXPIRED = (401, "INVALID_SESSION_ID", "Session expired or invalid")


async def test_every_call_is_written_down_before_it_is_sent(bench: Bench, script: type[Script]) -> None:
    """A call is on the wire only when the ledger has it; retries count too."""
    seen: list[int] = []

    def note(_request: Any) -> Any:
        seen.append(bench.ledger.total("DailyApiRequests"))
        return script.answer(503 if len(seen) < 3 else 200, {})(_request)

    bench.org.on(LIMITS, note)
    client = await bench.client()
    await client.limits(purpose="check")
    assert seen == [1, 2, 3]
    assert bench.ledger.sent_by["check", "DailyApiRequests"] == 3


async def test_a_refusal_of_the_ledger_costs_nothing(bench: Bench) -> None:
    """QuotaExhausted comes from our own cap before a byte is sent, and is not retried."""
    client = await bench.client()
    bench.ledger.refuse.add("DailyApiRequests")
    with pytest.raises(QuotaExhausted, match="used up"):
        await client.limits(purpose="audit")
    assert bench.org.paths("/limits") == []
    assert bench.ledger.total("DailyApiRequests") == 0


async def test_one_refresh_for_all_calls_that_find_the_session_dead(
    bench: Bench, script: type[Script]
) -> None:
    """Twenty parallel calls on a dead session make one login, and all succeed."""
    alive = {"T2"}

    def by_token(request: web.Request) -> web.StreamResponse | Awaitable[web.StreamResponse]:
        good = request.headers["Authorization"].removeprefix("Bearer ") in alive
        return (script.answer(200, PAGE) if good else script.refused(*EXPIRED))(request)

    bench.org.on(QUERY, by_token)
    bench.org.logins(script.token("T1"), script.token("T2"))
    client = await bench.client(concurrency=20)
    pages = await asyncio.gather(*(client.query("SELECT Id FROM A", purpose="x") for _ in range(20)))
    assert all(page.records == [{"Id": "001"}] for page in pages)
    assert len(bench.org.paths("oauth2/token")) == 2


async def test_a_second_401_is_an_answer(bench: Bench, script: type[Script]) -> None:
    """A fresh token that is refused as well ends the call: no login loop."""
    bench.org.on(LIMITS, script.refused(*EXPIRED))
    client = await bench.client()
    with pytest.raises(SessionExpired):
        await client.limits(purpose="x")
    assert len(bench.org.paths("oauth2/token")) == 2
    assert len(bench.org.paths("/limits")) == 2


async def test_a_401_that_a_login_does_not_help_makes_none(bench: Bench, script: type[Script]) -> None:
    """A token without the api scope is told as such."""
    message = "This session is not valid for use with the REST API"
    bench.org.on(LIMITS, script.refused(401, "INVALID_SESSION_ID", message))
    client = await bench.client()
    with pytest.raises(AuthenticationFailed, match="REST API") as caught:
        await client.limits(purpose="x")
    assert "scope" in caught.value.do
    assert len(bench.org.paths("oauth2/token")) == 1


async def test_usage_and_clock_come_with_every_answer(bench: Bench, script: type[Script]) -> None:
    """The free header is read in both its forms, from errors too; Date tells how the clocks differ."""
    ahead = formatdate(bench.clock() / 1000 + 7200, usegmt=True)
    bench.org.on(
        LIMITS,
        script.refused(500, "X", Sforce_Limit_Info="api-usage=17/15000", Date=ahead),
        script.answer(
            200,
            {},
            Sforce_Limit_Info="api-usage=25/5000; per-app-api-usage=17/250(appName=sample-connected-app)",
            Date=ahead,
        ),
    )
    client = await bench.client()
    await client.limits(purpose="x")
    assert bench.usage == [(17, 15000), (25, 5000)]
    assert all(abs(date - received - 7_200_000) < 2_000 for date, _, received in bench.offsets)


async def test_an_answer_says_when_it_was_read(bench: Bench, script: type[Script]) -> None:
    """The true moment on Salesforce's clock lies within the bounds, and they are about a second apart."""
    server_now: list[int] = []

    def clocked(request: Any) -> Any:
        server_now.append(bench.clock() + 3_600_000)
        return script.answer(200, PAGE, Date=formatdate(server_now[0] // 1000, usegmt=True))(request)

    bench.org.on(QUERY, clocked)
    client = await bench.client()
    seen, until = (await client.query("SELECT Id FROM A", purpose="x")).observed
    assert seen <= server_now[0] <= until
    assert until - seen < 2_000


async def test_without_a_date_the_bounds_are_wide(bench: Bench, script: type[Script]) -> None:
    """Where the server's clock is not told, doubt leads to a repair instead of a wrong order."""
    bench.org.on(QUERY, script.answer(200, PAGE, Date="soon"))
    client = await bench.client()
    before = bench.clock()
    seen, until = (await client.query("SELECT Id FROM A", purpose="x")).observed
    assert seen <= before - 60_000
    assert until >= bench.clock() + 60_000


async def test_a_silent_server_is_given_up(bench: Bench, script: type[Script]) -> None:
    """No first byte in time is a passing error, not a hang."""
    never = asyncio.Event()

    async def hang(_request: Any) -> Any:
        await never.wait()

    bench.org.on(LIMITS, hang, script.answer(200, {}))
    client = await bench.client(timeouts=script.timeouts(first_byte_s=0.05))
    assert await client.limits(purpose="x") == {}
    never.set()


async def test_a_stalled_or_broken_body_is_read_again(bench: Bench, script: type[Script]) -> None:
    """An answer that stops half way is not taken for whole."""
    never = asyncio.Event()

    async def half(request: web.Request, *, stall: bool) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"a":')
        if stall:
            await never.wait()
        assert request.transport is not None
        request.transport.close()
        return response

    bench.org.on(
        LIMITS,
        lambda request: half(request, stall=True),
        lambda request: half(request, stall=False),
        script.answer(200, {}),
    )
    client = await bench.client(timeouts=script.timeouts(stall_s=0.05))
    assert await client.limits(purpose="x") == {}
    never.set()


async def test_a_redirect_does_not_get_the_token(bench: Bench, script: type[Script]) -> None:
    """Another host is never shown the access token."""
    bench.org.on(LIMITS, script.answer(302, "", Location=f"{bench.org.url}/elsewhere"))
    client = await bench.client()
    with pytest.raises(OrgUnreachable, match="302"):
        await client.limits(purpose="x")
    assert bench.org.paths("elsewhere") == []


async def test_long_queries_go_inside_a_composite_call(bench: Bench, script: type[Script]) -> None:
    """ac_44: a statement too long for a URI is one POST, with the part's own errors."""
    statement = f"SELECT {','.join(f'Field_{n}__c' for n in range(1500))} FROM Wide__c WHERE Name = 'a+b & ü'"

    def composite(request: Any) -> Any:
        part = json.loads(bench.org.bodies[-1])["compositeRequest"][0]
        target = urlsplit(part["url"])
        good = parse_qs(target.query)["q"] == [statement] and target.path == f"{V}/queryAll"
        body = PAGE if good else [{"errorCode": "INVALID_FIELD", "message": "No such column"}]
        status = 200 if good else 400
        return script.answer(200, {"compositeResponse": [{"httpStatusCode": status, "body": body}]})(request)

    bench.org.on(f"POST {V}/composite", composite)
    client = await bench.client()
    page = await client.query(statement, purpose="x", all_rows=True)
    assert page.records == [{"Id": "001"}]
    assert bench.ledger.total("DailyApiRequests") == 1
    with pytest.raises(ObjectUnavailable, match="No such column"):
        await client.query(statement + " LIMIT 1", purpose="x")


async def test_short_queries_arrive_as_they_were(bench: Bench, script: type[Script]) -> None:
    """Quotes, plus signs and foreign letters survive the URI."""
    bench.org.on(QUERY, script.answer(200, PAGE))
    client = await bench.client()
    statement = "SELECT Id FROM A WHERE Name = 'ü+&%\\'' AND X > 2026-03-01T10:00:00+00:00"
    await client.query(statement, purpose="x")
    assert bench.org.calls[-1].query["q"] == statement


IDS = ["0015g00000Gh1IJAAZ", "0015g00000Gh1IKAAZ", "0015g00000Gh1ILAAZ"]


async def test_retrieve_aligns_records_with_ids(bench: Bench, script: type[Script]) -> None:
    """What is gone is None in its place; 15-character ids are the same records."""
    body = [
        {"attributes": {}, "Id": IDS[0], "Name": "a"},
        None,
        {"attributes": {}, "Id": IDS[2], "Name": "c"},
    ]
    bench.org.on(f"POST {V}/composite/sobjects/Account", script.answer(200, body))
    client = await bench.client()
    got = await client.retrieve("Account", [IDS[0][:15], *IDS[1:]], ["Name"], purpose="repair")
    assert got.records == [{"Id": IDS[0], "Name": "a"}, None, {"Id": IDS[2], "Name": "c"}]
    assert json.loads(bench.org.bodies[-1])["fields"] == ["Id", "Name"]


async def test_retrieve_refuses_records_that_do_not_align(bench: Bench, script: type[Script]) -> None:
    """A record in another's place would be written to the wrong row."""
    client = await bench.client()
    bodies: tuple[Any, ...] = ([{"Id": IDS[1]}, {"Id": IDS[0]}], [{"Id": IDS[0]}], {"records": []})
    for body in bodies:
        bench.org.on(f"POST {V}/composite/sobjects/Account", script.answer(200, body))
        with pytest.raises(SalesforceError, match=r"Salesforce (did not return|returned|sent an unusable)"):
            await client.retrieve("Account", IDS[:2], ["Id"], purpose="repair")


async def test_retrieve_takes_two_thousand_ids_a_call(bench: Bench) -> None:
    """More ids are more calls, in order."""

    def echo(_request: Any) -> web.Response:
        return web.json_response([{"Id": each} for each in json.loads(bench.org.bodies[-1])["ids"]])

    bench.org.on(f"POST {V}/composite/sobjects/Account", echo)
    client = await bench.client()
    ids = (IDS * 1334)[:4001]
    got = await client.retrieve("Account", ids, ["Id"], purpose="repair")
    assert [record and record["Id"] for record in got.records] == ids
    assert bench.ledger.total("DailyApiRequests") == 3


async def test_a_record_read_in_parts_never_mixes_two_versions(bench: Bench) -> None:
    """ac_44: when the stamp moves between two column parts, the record is read again."""
    edits = iter([1, 2, 2, 2, 2, 2])

    def versioned(_request: Any) -> web.Response:
        asked = json.loads(bench.org.bodies[-1])
        version = next(edits)
        row = dict.fromkeys(asked["fields"], f"v{version}")
        return web.json_response([row | {"Id": IDS[0], "SystemModstamp": f"2026-03-01T10:00:0{version}Z"}])

    bench.org.on(f"POST {V}/composite/sobjects/Wide__c", versioned)
    client = await bench.client()
    fields = ["SystemModstamp", *(f"{'x' * 30}_{n:04d}__c" for n in range(2000))]
    (record,) = (await client.retrieve("Wide__c", IDS[:1], fields, purpose="repair")).records
    assert record is not None
    assert set(record) == {"Id", *fields}
    assert {value for name, value in record.items() if name.endswith("__c")} == {"v2"}


async def test_deleted_reads_the_log_with_its_bounds(bench: Bench, script: type[Script]) -> None:
    """Ids become 18 characters, times milliseconds; a window too short is widened to the past."""
    bench.org.on(
        f"GET {V}/sobjects/Account/deleted/",
        script.answer(
            200,
            {
                "deletedRecords": [{"id": IDS[0][:15], "deletedDate": "2026-03-01T10:00:00.000+0000"}],
                "earliestDateAvailable": "2026-02-20T00:00:00.000+0000",
                "latestDateCovered": "2026-03-01T10:01:00.000+0000",
            },
        ),
    )
    client = await bench.client()
    end = 1_772_359_260_000
    deletions = await client.deleted("Account", end - 1_000, end, purpose="interval")
    assert deletions.records == [(IDS[0], 1_772_359_200_000)]
    assert deletions.covered == end
    query = bench.org.calls[-1].query
    assert (query["start"], query["end"]) == ("2026-03-01T09:59:00+00:00", "2026-03-01T10:01:00+00:00")


async def test_limits_reads_what_it_knows(bench: Bench, script: type[Script]) -> None:
    """Nested entries and keys of other shapes do no harm."""
    body = {
        "DailyApiRequests": {"Max": 5000, "Remaining": 4990, "Dataloader Bulk": {"Max": 0, "Remaining": 0}},
        "MonthlyPlatformEventsUsageEntitlement": {"Max": 10, "Remaining": -3},
        "SomethingNew": "text",
    }
    bench.org.on(LIMITS, script.answer(200, body))
    client = await bench.client()
    limits = await client.limits(purpose="check")
    assert set(limits) == {"DailyApiRequests", "MonthlyPlatformEventsUsageEntitlement"}
    assert limits["DailyApiRequests"].remaining == 4990
    assert limits["MonthlyPlatformEventsUsageEntitlement"].remaining == -3


async def test_a_bad_row_filter_is_named(bench: Bench, script: type[Script]) -> None:
    """The only part of a query that people write is `where`: a query that is refused says so."""
    bench.org.on(QUERY, script.refused(400, "MALFORMED_QUERY", "unexpected token: FOO"))
    client = await bench.client()
    with pytest.raises(SalesforceError, match="unexpected token") as caught:
        await client.query("SELECT Id FROM A WHERE FOO", purpose="x")
    assert "`where` of the object" in caught.value.do
