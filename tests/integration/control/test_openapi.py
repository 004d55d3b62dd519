"""The OpenAPI document of the control API: it is what the daemon does, and made-up requests find no bug."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

import rtsd
from rtsd.control.openapi.document import OPERATIONS, document
from rtsd.control.openapi.operation import JSON, Operation
from rtsd.control.server import ControlServer
from tests.support import openapi
from tests.support.inprocess.rig import Rig, Start
from tests.support.mirror import ENGINE

RULE = """
[[rules]]
name = "webinar-sequence"
object = "Contact"
on = ["update"]
[rules.webhook]
url = "http://127.0.0.1:9/hook"
secret = "a-secret-of-the-tests-0001"
"""
CODE = Path(rtsd.__file__).parent / "control"
NAMES = [f"{operation.method} {operation.path}" for operation in OPERATIONS]


def test_it_is_an_openapi_document() -> None:
    """By the rules of OpenAPI 3.1; every operation has a name of its own."""
    validate(document())
    named = [operation.name for operation in OPERATIONS]
    assert len(set(named)) == len(named)


async def test_each_route_is_an_operation_and_each_operation_a_route(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A route that is added, moved or removed changes the document."""
    served: list[web.RouteDef] = []
    serve = ControlServer.serve

    async def noted(
        server: ControlServer, routes: Iterable[web.RouteDef], on_stop: Callable[[], None] | None = None
    ) -> None:
        served[:] = routes
        await serve(server, served, on_stop)

    monkeypatch.setattr(ControlServer, "serve", noted)
    await start({"Contact": 1})
    assert sorted(f"{route.method} {route.path}" for route in served) == sorted(NAMES)


def asked_for(module: ast.Module) -> Iterator[str]:
    """The parameters of a query that a module reads: by `query.get("x")`, `query["x"]`, `is_on(…, "x")`."""
    for node in ast.walk(module):
        match node:
            case ast.Call(
                func=ast.Attribute(value=whose, attr="get"), args=[ast.Constant(value=str(name)), *_]
            ):
                if ast.unparse(whose).endswith("query"):
                    yield name
            case ast.Subscript(value=whose, slice=ast.Constant(value=str(name))):
                if ast.unparse(whose).endswith("query"):
                    yield name
            case ast.Call(func=ast.Name(id="is_on"), args=[_, ast.Constant(value=str(name)), *_]):
                yield name


def test_each_parameter_that_is_read_is_documented() -> None:
    """And none is documented that nothing reads."""
    read = {name for path in CODE.glob("*.py") for name in asked_for(ast.parse(path.read_text()))}
    assert len(read) > 10
    assert read == {parameter.name for operation in OPERATIONS for parameter in operation.parameters}


def test_each_example_is_of_its_schema() -> None:
    """An example that has a key too many, or one of another type, misleads who copies it."""
    components = openapi.strict()["components"]
    wrong = []
    for path, methods in openapi.strict()["paths"].items():
        for method, operation in methods.items():
            answers = [answer for answer in operation["responses"].values() if "$ref" not in answer]
            contents = [content for holder in answers for content in holder["content"].values()]
            contents += operation.get("requestBody", {}).get("content", {}).values()
            for content in contents:
                check = Draft202012Validator({"components": components, **content["schema"]})
                values = [each["value"] for each in content.get("examples", {}).values()]
                values += [content["example"]] if "example" in content else []
                wrong += [
                    (method, path, fault.message) for value in values for fault in check.iter_errors(value)
                ]
    assert wrong == []


def test_fields_have_their_units_and_their_words() -> None:
    """From the docstrings below the fields, in JSON's words, those of bases included."""
    schemas = document()["components"]["schemas"]
    assert schemas["Event"]["properties"]["latency_ms"]["description"] == "Milliseconds."
    assert schemas["Event"]["properties"]["at"]["format"] == "date-time"
    assert schemas["Limit"]["properties"]["stops_at"]["description"].endswith("null if it does not use it.")
    assert (
        schemas["Record"]["properties"]["source"]["description"] == "The source that brought a live record."
    )
    assert "format" not in schemas["Limit"]["properties"]["stops_at"]
    assert schemas["Store"]["properties"]["bytes"]["description"].endswith("Bytes.")


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, {"paused": True, "by": "alice"}),
        (200, {"paused": "Contact"}),
        (200, []),
        (201, {"paused": True}),
        (409, {"error": "Conflict", "message": "paused already"}),
        (404, {"error": "QuotaExhausted", "message": "of another status, too"}),
        (404, {"error": "NotFound"}),
        (404, {"error": "NotFound", "message": "no such object", "do": "name another"}),
    ],
)
def test_an_answer_that_is_not_in_the_document_is_found(status: int, answer: object) -> None:
    """A key too many, a value of another type, a status or an error that the document does not have."""
    assert list(openapi.faults("POST", "/v1/pause", status, JSON, json.dumps(answer).encode()))
    assert list(openapi.faults("POST", "/v1/unknown", status, JSON, json.dumps(answer).encode()))


@dataclass(frozen=True)
class Request:
    """A request that was made up."""

    method: str
    path: str
    body: bytes | None = None


async def a_full_rig(start: Start) -> tuple[Rig, dict[str, str]]:
    """A mirror with an object, the package, a rule and a dead letter; and what paths name of these."""
    rig = await start({"Contact": 5}, more=RULE)
    await rig.load()
    await rig.install_package()
    change = {"object": "Spaceship__c", "op": "create", "id": "a00000000000001AAA", "fields": {"Name": "x"}}
    await rig.push(rig.changes(change))
    await rig.parts.services.realtime.apply_batch()
    ((letter,),) = await rig.rows("SELECT id FROM _rts_dead_letter")
    named = {"object": "Contact", "name": "webinar-sequence", "id": await rig.a_record("Contact")}
    return rig, named | {"letter": str(letter)}


def filled(operation: Operation, named: Mapping[str, str]) -> str:
    """The path of an operation with what there is."""
    path = operation.path.replace("dead-letters/{id}", "dead-letters/{letter}")
    return path.format(**named)


async def send(http: aiohttp.ClientSession, request: Request) -> int:
    """Send a request, compare its answer with the document, and return its status."""
    async with http.request(request.method, f"http://rtsd{request.path}", data=request.body) as answer:
        is_endless = "follow=" in request.path and answer.status == 200
        found = await (answer.content.readline() if is_endless else answer.read())
        assert b"Traceback" not in found, request
        wrong = list(openapi.faults(request.method, request.path, answer.status, answer.content_type, found))
        assert wrong == [], request
        return answer.status


def client(rig: Rig) -> aiohttp.ClientSession:
    """A client of the rig's socket that waits for no answer longer than a few seconds."""
    connector = aiohttp.UnixConnector(str(rig.place / "rtsd.sock"))
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=20))


async def test_every_operation_answers_as_documented(start: Start) -> None:
    """With the document's own example of its body and of each parameter that it demands."""
    rig, named = await a_full_rig(start)
    statuses = {}
    async with client(rig) as http:
        for operation in OPERATIONS:
            demanded = {each.name: each.example for each in operation.parameters if each.required}
            query = f"?{urlencode(demanded)}" if demanded else ""
            body = None if operation.body is None else msgspec.json.encode(operation.body)
            request = Request(operation.method, filled(operation, named) + query, body)
            statuses[operation.name] = await send(http, request)
    refused = {name: status for name, status in statuses.items() if status not in (200, 202)}
    assert refused == REFUSED[ENGINE]


REFUSED = {"sqlite": {}, "postgres": {"backup": 409}}
"""What is refused in a mirror that has everything: PostgreSQL has backups of its own."""

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ODD = st.sampled_from(
    ["", "0", "-1", "1.5", "1e400", "9" * 40, "\0", "é/..;%", "'; DROP TABLE Contact--", "true"]
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "integer": st.integers() | st.sampled_from([2**31, 2**63, 2**64]),
    "null": st.none(),
    "string": WORDS | ODD,
}


def of_schema(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values of a schema, as far as bodies and parameters have such."""
    match schema:
        case {"anyOf": kinds}:
            return st.one_of(*map(of_schema, kinds))
        case {"format": "date-time"}:
            return st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
        case {"type": "array", "items": items}:
            return st.lists(of_schema(items), max_size=3)
        case {"type": "object", "properties": fields, "required": required}:
            kinds = {name: of_schema(field) for name, field in fields.items()}
            return st.fixed_dictionaries(
                {name: kinds.pop(name) for name in required},
                optional=kinds,
            )
        case {"type": "object", "additionalProperties": values}:
            return st.dictionaries(WORDS, of_schema(values), max_size=3)
    return SCALARS[schema["type"]]


def bodies(operation: Operation) -> st.SearchStrategy[bytes | None]:
    """Bodies as the document wants them, any JSON, and bytes that are none."""
    if operation.body is None:
        return st.none() | st.binary(max_size=20)
    wanted = of_schema(document()["components"]["schemas"][type(operation.body).__name__])
    return st.one_of(
        wanted.map(lambda value: json.dumps(value).encode()),
        JSON_VALUES.map(lambda value: json.dumps(value).encode()),
        st.binary(max_size=20),
        st.none(),
    )


def requests(operation: Operation, named: Mapping[str, str]) -> st.SearchStrategy[Request]:
    """Requests that the document describes, and such that nearly are."""
    demanded = re.findall(r"{(\w+)}", operation.path.replace("dead-letters/{id}", "dead-letters/{letter}"))
    places = st.fixed_dictionaries(
        {key: st.one_of(st.just(named[key]), ODD.filter(bool), WORDS.filter(bool)) for key in demanded}
    )
    queries = st.fixed_dictionaries(
        {
            each.name: st.one_of(ODD, of_schema(each.kind), st.just(each.example), st.none(), WORDS)
            for each in operation.parameters
        }
    )
    return st.builds(
        lambda values, query, body: Request(
            operation.method,
            filled(operation, {key: quote(value, safe="") for key, value in values.items()})
            + "?"
            + urlencode({key: value for key, value in query.items() if value is not None}),
            body,
        ),
        places,
        queries,
        bodies(operation),
    )


@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
async def test_made_up_requests_find_no_bug(start: Start, operation: Operation) -> None:
    """Never a 500, never a traceback, and every error in the one shape, with a documented status."""
    rig, named = await a_full_rig(start)
    made_up: set[Request] = set()

    @given(requests(operation, named))
    @settings(max_examples=100, suppress_health_check=[*HealthCheck], database=None)
    def collect(request: Request) -> None:
        made_up.add(request)

    collect()
    async with client(rig) as http:
        for request in made_up:
            assert await send(http, request) != 500, request
    assert made_up
