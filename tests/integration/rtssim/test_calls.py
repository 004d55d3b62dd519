"""Behaviour common to all REST calls, and queries and composites that other clients don't send."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from rtssim.process import SimulatedOrg
from tests.support.rtssim.api import Api, Login


async def test_versions_are_free(org: SimulatedOrg, api: Api) -> None:
    """/services/data needs no session, isn't counted and has no limit header; everything else is and has."""
    async with org.http.get(f"{org.url}/services/data") as answer:
        versions = await answer.json()
        assert "Sforce-Limit-Info" not in answer.headers
    assert {"label": "Winter '25", "url": "/services/data/v62.0", "version": "62.0"} in versions
    _, headers, _ = await api.call("GET", "/limits/")
    assert headers["Sforce-Limit-Info"] == "api-usage=1/100000"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/services/data/v62.0//sobjects", 404, "NOT_FOUND"),
        ("/services/data/v62.0/nothing", 404, "NOT_FOUND"),
        ("/services/data/v20.0/sobjects", 410, "UNSUPPORTED_API_VERSION"),
        ("/services/data/v99.0/sobjects", 404, "NOT_FOUND"),
        ("/services/data/v62.0/sobjects/Nope/describe", 404, "NOT_FOUND"),
        ("/services/data/v62.0/query/0r8000000000000AAA-2000", 400, "INVALID_QUERY_LOCATOR"),
    ],
)
async def test_errors(api: Api, path: str, status: int, code: str) -> None:
    """Errors are an array with message and errorCode, with the documented status."""
    got, _, body = await api.call("GET", path)
    assert (got, body[0]["errorCode"]) == (status, code)


async def test_wrong_verb_and_missing_session(org: SimulatedOrg, api: Api) -> None:
    """A wrong verb is 405, no session 401."""
    status, _, body = await api.call("PUT", "/sobjects")
    assert (status, body[0]["errorCode"]) == (405, "METHOD_NOT_ALLOWED")
    async with org.http.get(f"{api.base}/sobjects") as answer:
        assert answer.status == 401


async def test_conditional_describe(api: Api) -> None:
    """A describe that did not change since its Last-Modified is a 304 without a body."""
    for path in ("/sobjects", "/sobjects/Contact/describe"):
        _, headers, _ = await api.call("GET", path)
        since = {"If-Modified-Since": headers["Last-Modified"]}
        status, _, body = await api.call("GET", path, headers=since)
        assert (status, body) == (304, "")


async def test_gzip_and_pretty_print(api: Api) -> None:
    """Answers are compressed when the list of encodings has gzip, and indented on demand."""
    headers = {
        "Authorization": f"OAuth {api.token}",
        "Accept-Encoding": "gzip, deflate",
        "X-PrettyPrint": "1",
    }
    async with (
        aiohttp.ClientSession(auto_decompress=False) as http,
        http.get(f"{api.base}/sobjects", headers=headers) as answer,
    ):
        text = gzip.decompress(await answer.read())
    assert b'\n  "encoding": "UTF-8"' in text
    assert json.loads(text)["maxBatchSize"] == 200


async def test_locators_die_with_their_session(org: SimulatedOrg, api: Api, login: Login) -> None:
    """A next page asked for in a new session after the old one ended is a 401, though the session is good."""
    await org.control("switches", {"page_rows": 25})
    first = await api.query("SELECT Id FROM Contact ORDER BY Id")
    assert (len(first["records"]), first["done"], first["totalSize"]) == (25, False, 60)
    again = [await api.get(first["nextRecordsUrl"], params={"q": "ignored"}) for _ in range(2)]
    assert again[0] == again[1]
    last = await api.get(again[0]["nextRecordsUrl"])
    ids = [row["Id"] for page in (first, again[0], last) for row in page["records"]]
    assert len(ids) == len(set(ids)) == 60
    assert last["done"]
    assert "nextRecordsUrl" not in last
    await org.control("sessions/expire")
    _, answer = await login(grant_type="client_credentials")
    api.token = answer["access_token"]
    status, _, body = await api.call("GET", first["nextRecordsUrl"])
    assert (status, body[0]["errorCode"]) == (401, "INVALID_SESSION_ID")
    assert (await api.call("GET", "/limits"))[0] == 200


async def test_locators_live_two_days(org: SimulatedOrg, api: Api) -> None:
    """After two days a locator is INVALID_QUERY_LOCATOR."""
    await org.control("switches", {"page_rows": 50, "session_minutes": 10_000})
    first = await api.query("SELECT Id FROM Contact")
    await org.control("clock", {"advance": 47 * 3600})
    assert (await api.call("GET", first["nextRecordsUrl"]))[0] == 200
    await org.control("clock", {"advance": 2 * 3600})
    assert (await api.call("GET", first["nextRecordsUrl"]))[2][0]["errorCode"] == "INVALID_QUERY_LOCATOR"


async def test_composite_counts_one_and_batch_each(org: SimulatedOrg, api: Api) -> None:
    """/composite is one API call whatever it holds, /composite/batch one per subrequest."""
    used = (await org.stats())["api_calls_24h"]
    parts = [
        {"method": "GET", "url": "/services/data/v62.0/sobjects/Lead/describe", "referenceId": f"r{n}"}
        for n in range(4)
    ]
    _, _, answer = await api.call("POST", "/composite", json={"compositeRequest": parts})
    assert [part["httpStatusCode"] for part in answer["compositeResponse"]] == [200] * 4
    batch = [{"method": "GET", "url": "v62.0/sobjects/Lead/describe"}, {"method": "GET", "url": "v62.0/nope"}]
    _, _, answer = await api.call("POST", "/composite/batch", json={"batchRequests": batch})
    assert answer["hasErrors"]
    assert [part["statusCode"] for part in answer["results"]] == [200, 404]
    assert (await org.stats())["api_calls_24h"] == used + 3


async def test_composite_limits(api: Api) -> None:
    """More than 25 subrequests, or more than 5 queries, are refused."""
    query = {"method": "GET", "url": "/services/data/v62.0/query?q=SELECT+Id+FROM+Lead", "referenceId": "q"}
    for parts in ([query] * 6, [{**query, "url": "/services/data/v62.0/limits"}] * 26):
        status, _, body = await api.call("POST", "/composite", json={"compositeRequest": parts})
        assert (status, body[0]["errorCode"]) == (400, "LIMIT_EXCEEDED")


async def test_composite_all_or_none(org: SimulatedOrg, api: Api) -> None:
    """With allOrNone a failed subrequest takes the others back."""
    before = await org.count("Account")
    url = "/services/data/v62.0/sobjects/Account"
    parts = [
        {"method": "POST", "url": url, "referenceId": "good", "body": {"Name": "good"}},
        {"method": "POST", "url": url, "referenceId": "bad", "body": {}},
    ]
    body = {"allOrNone": True, "compositeRequest": parts}
    _, _, answer = await api.call("POST", "/composite", json=body)
    codes = [part["body"][0]["errorCode"] for part in answer["compositeResponse"]]
    assert codes == ["PROCESSING_HALTED", "REQUIRED_FIELD_MISSING"]
    assert await org.count("Account") == before


async def test_collection_writes(org: SimulatedOrg, api: Api) -> None:
    """Collections of mixed types save the valid rows and report each row's error."""
    records = [
        {"attributes": {"type": "Account"}, "Name": "one"},
        {"attributes": {"type": "Contact"}, "FirstName": "no last name"},
        {"attributes": {"type": "Account"}, "Name": "two"},
    ]
    _, _, results = await api.call("POST", "/composite/sobjects", json={"records": records})
    assert [row["success"] for row in results] == [True, False, True]
    assert results[1]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    ids = ",".join(row["id"] for row in results if row["success"])
    _, _, gone = await api.call("DELETE", f"/composite/sobjects?ids={ids}")
    assert [row["success"] for row in gone] == [True, True]


async def test_upsert_by_external_id(api: Api) -> None:
    """PATCH by an external id creates with 201, then updates with 200."""
    path = "/sobjects/Invoice__c/Number__c/INV-1"
    status, _, made = await api.call("PATCH", path, json={"Name": "first"})
    assert (status, made["created"]) == (201, True)
    status, _, again = await api.call("PATCH", path, json={"Name": "second"})
    assert (status, again["created"], again["id"]) == (200, False, made["id"])
    assert (await api.get(path))["Name"] == "second"


async def test_retrieve_limit(api: Api) -> None:
    """More than 2,000 ids in one collection read are refused."""
    body = {"ids": ["003000000000000AAA"] * 2_001, "fields": ["Id"]}
    status, _, answer = await api.call("POST", "/composite/sobjects/Contact", json=body)
    assert (status, answer[0]["errorCode"]) == (400, "EXCEEDED_ID_LIMIT")


async def test_long_uri(api: Api) -> None:
    """URI and headers beyond 16,384 bytes are 414 or 431."""
    status, _, _ = await api.call("GET", "/query", params={"q": "SELECT Id FROM Contact " + " " * 17_000})
    assert status in (414, 431)


async def test_date_header_is_the_orgs_clock(org: SimulatedOrg, api: Api) -> None:
    """The Date header follows the org's clock, that of a login and of the network edge, too."""
    await org.control("clock", {"advance": 40 * 86_400})
    now = (await org.control("clock", {}))["now"]
    assert now[8:10] == (await api.call("GET", "/limits"))[1]["Date"][5:7]
    async with org.http.post(f"{org.url}/services/oauth2/token") as refused:
        assert now[8:10] == refused.headers["Date"][5:7]
    await org.fault("html_503", count=1)
    assert now[8:10] == (await api.call("GET", "/limits"))[1]["Date"][5:7]


async def test_compressed_and_chunked_requests(org: SimulatedOrg, api: Api) -> None:
    """A body may come compressed, and in chunks without a length."""
    body = gzip.compress(json.dumps({"Name": "packed"}).encode())

    async def pieces() -> AsyncIterator[bytes]:
        yield body[:10]
        yield body[10:]

    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    status, _, made = await api.call("POST", "/sobjects/Account/", data=pieces(), headers=headers)
    assert (status, made["success"]) == (201, True)
    short = made["id"][:15]
    assert (await api.get(f"/sobjects/Account/{short}/"))["Name"] == "packed"
    assert (await api.call("PATCH", f"/sobjects/Account/{short}", json={"Name": "changed"}))[0] == 204
    assert (await api.call("DELETE", f"/sobjects/Account/{short}"))[0] == 204
    status, _, gone = await api.call("GET", f"/sobjects/Account/{short}")
    assert (status, gone[0]["errorCode"]) == (404, "ENTITY_IS_DELETED")


@pytest.mark.parametrize(
    ("record_id", "refusal"),
    [("0030000000000zzAAA", (404, "NOT_FOUND")), ("001000000000001", (400, "MALFORMED_ID"))],
)
async def test_absent_and_malformed_ids(api: Api, record_id: str, refusal: tuple[int, str]) -> None:
    """An unknown id is NOT_FOUND, another object's id MALFORMED_ID with the field's name."""
    status, _, body = await api.call("GET", f"/sobjects/Contact/{record_id}")
    assert (status, body[0]["errorCode"]) == refusal
