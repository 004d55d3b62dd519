"""Faults of REST calls: each takes effect, exactly as often as requested."""

from __future__ import annotations

import aiohttp
import pytest

from rtssim.process import SimulatedOrg
from tests.support.rtssim.api import Api, Login


@pytest.mark.parametrize(
    ("kind", "refusal"),
    [
        ("429", (429, "TOO_MANY_REQUESTS")),
        ("500", (500, "UNKNOWN_EXCEPTION")),
        ("503", (503, "SERVER_UNAVAILABLE")),
        ("quota", (403, "REQUEST_LIMIT_EXCEEDED")),
        ("concurrent", (403, "REQUEST_LIMIT_EXCEEDED")),
        ("query_timeout", (400, "QUERY_TIMEOUT")),
        ("expire_session", (401, "INVALID_SESSION_ID")),
        ("not_rest", (401, "INVALID_SESSION_ID")),
    ],
)
async def test_refusals(
    org: SimulatedOrg, api: Api, login: Login, kind: str, refusal: tuple[int, str]
) -> None:
    """An API error comes once, with its code; the next call (in a new session) is good."""
    await org.fault(kind, count=1)
    got, _, body = await api.call("GET", "/sobjects")
    assert (got, body[0]["errorCode"]) == refusal
    _, answer = await login(grant_type="client_credentials")
    api.token = answer["access_token"]
    assert (await api.call("GET", "/sobjects"))[0] == 200


@pytest.mark.parametrize(
    ("kind", "status"), [("html_502", 502), ("html_503", 503), ("html_420", 420), ("406", 406)]
)
async def test_edge_answers(org: SimulatedOrg, api: Api, kind: str, status: int) -> None:
    """The network edge answers HTML or nothing, never JSON."""
    await org.fault(kind, count=1)
    got, headers, text = await api.call("GET", "/sobjects")
    assert got == status
    assert "json" not in headers.get("Content-Type", "")
    assert text == "" or text.startswith("<!DOCTYPE html>")


async def test_broken_connections(org: SimulatedOrg, api: Api) -> None:
    """A connection is reset before the answer, cut in its middle, or stalls."""
    for kind in ("reset", "cut"):
        await org.fault(kind, count=2)  # a GET on a kept connection is tried again by the client itself
        with pytest.raises(aiohttp.ClientError):
            await api.call("GET", "/sobjects")
        await org.control("faults", method="DELETE")
    await org.fault("stall", count=1)
    with pytest.raises(TimeoutError):
        await api.call("GET", "/sobjects", timeout=aiohttp.ClientTimeout(total=0.3))
    assert (await api.call("GET", "/sobjects"))[0] == 200


async def test_rules_are_picky(org: SimulatedOrg, api: Api) -> None:
    """A rule hits only its paths, with its probability and seed, until it is taken out of force."""
    number = await org.fault("500", path="/describe$", probability=0.5, seed=7)
    assert (await api.call("GET", "/sobjects"))[0] == 200
    hits = [(await api.call("GET", "/sobjects/Lead/describe"))[0] for _ in range(20)]
    assert 3 < hits.count(500) < 17
    (rule,) = (await org.control("faults", method="GET"))["faults"]
    assert (rule["id"], rule["hits"]) == (number, hits.count(500))
    assert await org.control(f"faults?id={number}", method="DELETE") == {"removed": 1}
    assert (await api.call("GET", "/sobjects/Lead/describe"))[0] == 200


async def test_unknown_fault_is_refused(org: SimulatedOrg) -> None:
    """A typo in a fault is an error that lists the known kinds."""
    with pytest.raises(RuntimeError, match="html_502"):
        await org.fault("html_501")


async def test_quota_is_counted_and_frees_itself(org: SimulatedOrg, api: Api) -> None:
    """The daily quota runs out, answers REQUEST_LIMIT_EXCEEDED, and is back 24 hours later."""
    await org.control("limits", {"DailyApiRequests": 2})
    await org.control("switches", {"session_minutes": 3_000})
    assert [(await api.call("GET", "/limits"))[0] for _ in range(3)] == [200, 200, 403]
    await org.control("clock", {"advance": 86_401})
    assert (await api.call("GET", "/limits"))[0] == 200


async def test_visibility(org: SimulatedOrg, api: Api) -> None:
    """Hidden objects, fields and records are gone for the sync user and there in the truth."""
    hidden = (await api.query("SELECT Id FROM Lead LIMIT 1"))["records"][0]["Id"]
    sight = {"hidden_objects": ["Account"], "hidden_fields": ["Contact.Email"], "hidden_records": [hidden]}
    await org.control("visibility", sight)
    names = [entry["name"] for entry in (await api.get("/sobjects"))["sobjects"]]
    assert "Account" not in names
    fields = [field["name"] for field in (await api.get("/sobjects/Contact/describe"))["fields"]]
    assert "Email" not in fields
    assert (await api.call("GET", "/query?q=SELECT+Email+FROM+Contact"))[2][0]["errorCode"] == "INVALID_FIELD"
    assert (await api.query(f"SELECT Id FROM Lead WHERE Id = '{hidden}'"))["totalSize"] == 0
    assert hidden in [row["Id"] async for row in org.rows("Lead")]
