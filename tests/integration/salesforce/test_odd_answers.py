"""Whatever the org's end of the wire answers with 200, a call returns or raises a SalesforceError."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsd.errors import SalesforceError
from rtsd.salesforce.client import Client, RetryPolicy
from rtsd.salesforce.credentials import Auth
from tests.support.salesforce.bench import Answer, Bench, Pauses, ScriptedOrg, answer, token
from tests.support.salesforce.calls import CALLS, JOB, JOBS, ORG, OTHERS, QUERY, ROW, USER, CallKind, V, page
from tests.support.serving import served

EXAMPLES = 50
"""Bodies of each kind of call."""


TEXTS = (
    "",
    " ",
    "null",
    "true",
    "[]",
    "[null]",
    "[[]]",
    "{}",
    "7",
    "-0.5",
    '"x"',
    "[" * 5_000 + "]" * 5_000,
    "<html><title>Maintenance</title></html>",
    "\ufeff{}",
    '"\\ud800"',
    "9" * 5_000,
)
VALUES: tuple[Any, ...] = (None, True, -1, 10**30, 1.5, "", "x", "\0\n", "2026-13-45", "é" * 18)
VALUES += ([], {}, [[]], [None], {"a": 1})
GONE = "(removed)"


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every part of a document."""
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from paths(part, (*path, key))


def spoilt(good: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at `path`, or without it."""
    if not path:
        return None if value == GONE else value
    made = copy.deepcopy(good)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    if value == GONE:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return made


def bodies(good: Any) -> st.SearchStrategy[str]:
    """Odd bodies in the place of a right one: none, other JSON, no JSON, half of it, and one part spoilt."""
    text = good if isinstance(good, str) else json.dumps(good)
    places = st.sampled_from(list(paths(good)))
    values = st.sampled_from((*VALUES, GONE))
    return st.one_of(
        st.sampled_from(TEXTS),
        st.integers(0, len(text)).map(lambda end: text[:end]),
        st.builds(lambda path, value: json.dumps(spoilt(good, path, value)), places, values),
    )


def told(kind: CallKind, auth: Auth = Auth.CLIENT_CREDENTIALS) -> None:
    """Give a call odd bodies: it returns, or raises a SalesforceError; anything else fails the test."""
    with asyncio.Runner() as runner:
        org = ScriptedOrg()
        serving = served(org.handle)
        org.url = runner.run(serving.__aenter__())
        org.logins(token())
        for route, good in OTHERS.items():
            org.on(route, answer(200, good))
        org.on(f"GET {JOBS}/{JOB}/results", spoken(f'"Id"\n"{ROW}"\n'))
        org.on(f"PATCH {JOBS}/{JOB}", answer(204))
        org.on(f"DELETE {JOBS}/{JOB}", answer(204))

        @settings(max_examples=EXAMPLES, deadline=None)
        @given(bodies(kind.good))
        def holds(body: str) -> None:
            org.on(kind.route, spoken(body))
            runner.run(_ask(org, kind, auth))
            del org.routes[0]

        try:
            holds()
        finally:
            runner.run(serving.__aexit__(None, None, None))


def spoken(body: str) -> Answer:
    """An answer 200 with this body, whatever it is."""
    return answer(200, body, Sforce_Locator="null", Sforce_NumberOfRecords="1")


class Impatient(Pauses):
    """Waits twice: a state that never ends is asked for again, for ever."""

    async def __call__(self, seconds: float) -> None:
        """Return at once, or end the call."""
        await super().__call__(seconds)
        if len(self.seconds) > 2:
            raise SalesforceError("waited long enough")


async def _ask(org: ScriptedOrg, kind: CallKind, auth: Auth) -> None:
    bench = Bench(org, pauses=Impatient())
    async with bench.stack:
        credentials = bench.credentials(auth, username="u", password="p", refresh_token="r")
        client = await bench.client(bench.session(credentials), retries=RetryPolicy(attempts=1))
        try:
            await kind.call(client)
        except SalesforceError as error:
            assert error.message  # noqa: PT017 - that it is one of ours is the point
        finally:
            org.calls.clear()
            org.bodies.clear()


@pytest.mark.parametrize("name", CALLS)
def test_an_odd_answer_is_a_salesforce_error(name: str) -> None:
    """Empty, HTML, truncated, other JSON, keys missing or of other types: no call fails in another way."""
    told(CALLS[name])


@pytest.mark.parametrize("auth", [Auth.CLIENT_CREDENTIALS, Auth.PASSWORD, Auth.REFRESH_TOKEN])
def test_an_odd_login_is_a_salesforce_error(auth: Auth) -> None:
    """So for the token endpoint, by each library that speaks to it."""
    good = {
        "access_token": "T",
        "instance_url": "https://x.my.salesforce.com",
        "id": f"https://login/id/{ORG}/{USER}",
        "refresh_token": "R",
    }

    async def call(client: Client) -> None:
        await client.session.token()

    told(CallKind("POST /services/oauth2/token", good, call), auth)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sforce_Limit_Info": f"api-usage={'9' * 5000}/1"},
        {"Date": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"},
        {"Retry_After": "9" * 400},
    ],
)
async def test_odd_headers_do_no_harm(bench: Bench, headers: dict[str, str]) -> None:
    """Numbers beyond any limit, and dates beyond any calendar."""
    client = await bench.client(retries=RetryPolicy(attempts=1))
    bench.org.on(f"GET {V}/limits/", answer(200, "{}", **headers), answer(503, "", **headers))
    assert await client.limits(purpose="x") == {}
    assert all(most < 2**53 for usage in bench.usage for most in usage)
    with pytest.raises(SalesforceError):
        await client.limits(purpose="x")


async def test_a_refresh_with_an_unknown_charset_is_read(bench: Bench) -> None:
    """The refresh token flow has a reader of its own."""
    good = json.dumps({"access_token": "T", "instance_url": bench.org.url})
    kind = {"Content-Type": "application/json; charset=klingon"}
    bench.org.on(
        "POST /services/oauth2/token", lambda _request: web.Response(body=good.encode(), headers=kind)
    )
    session = bench.session(bench.credentials(Auth.REFRESH_TOKEN, refresh_token="r"))
    assert (await session.token()).access_token == "T"


async def test_an_org_that_hides_its_facts(bench: Bench) -> None:
    """Fields of Organization that the sync user may not see are unknown; the Id is enough."""
    hidden = {"OrganizationType", "IsSandbox", "Name"}

    def org(request: web.Request) -> web.StreamResponse:
        asked = request.query["q"].removeprefix("SELECT ").partition(" FROM")[0].split(",")
        seen = [name for name in asked if name in hidden]
        if not seen:
            return web.json_response(page({"Id": ORG}))
        message = f"No such column '{seen[0]}' on entity 'Organization'."
        return web.json_response([{"errorCode": "INVALID_FIELD", "message": message}], status=400)

    bench.org.on(QUERY, org)
    found = await (await bench.client()).organization(purpose="x")
    assert found.id == ORG
    assert (found.name, found.edition, found.sandbox, found.apex) == (None, None, None, None)
    assert len(bench.org.paths("/query")) == len(hidden) + 1
