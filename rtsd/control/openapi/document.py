"""The whole document: every operation with its parameters, bodies, answers and errors, and the wire types."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from rtsd import __version__
from rtsd.control import protocol
from rtsd.control.openapi.commands import COMMANDS
from rtsd.control.openapi.operation import COMMON, JSON, NDJSON, Content, Operation, Parameter
from rtsd.control.openapi.reading import READING
from rtsd.control.openapi.records import RECORDS
from rtsd.control.openapi.schemas import schemas_of
from rtsd.errors import RtsError

GROUPS: Mapping[str, tuple[str, Sequence[Operation]]] = {
    "status": ("How the mirror fares.", READING),
    "records": ("What is in the mirror.", RECORDS),
    "commands": ("What rtsd does on request.", COMMANDS),
}
OPERATIONS = [operation for _, operations in GROUPS.values() for operation in operations]

IN_PATH = {
    "object": ("An object, in any case of letters.", "Contact"),
    "id": ("A record's id, of 15 or 18 characters.", "003000000000001AAA"),
    "name": ("A rule's name.", "webinar-sequence"),
}
LETTER_ID = ("A dead letter's number.", "7")

INTRODUCTION = """The HTTP API of a running `rtsd`, on its Unix socket (`[control] socket`). The socket admits
root, rtsd's own user and the socket's group; there is no other login.

    curl --unix-socket /run/rtsd/rtsd.sock http://rtsd/v1/status

Moments are ISO 8601 in UTC with milliseconds. Names that end in `_ms` are milliseconds, in `_s` seconds, in
`_24h` counts of the last 24 hours. Fields may be added at any time: ignore what you don't know. Commands are
idempotent. Every error has the same shape."""

REFUSED = {
    403: (
        "Forbidden",
        "user 65534 may not use this socket: only root, rtsd's own user and the socket's group",
    ),
    413: ("UsageError", "Maximum request body size 1048576 exceeded, actual body size 1048577"),
    500: ("InternalError", "rtsd has a bug here (KeyError at audits.py:12); please report it"),
}
"""Errors without a class of their own: who may not come in, a body over 1 MiB, a bug."""


def document() -> Any:
    """Return the OpenAPI document, as JSON has it."""
    kinds: list[Any] = [protocol.Failure]
    for operation in OPERATIONS:
        kinds += [type(operation.body)] if operation.body is not None else []
        kinds += [kind for status in operation.answers for kind in operation.types(status)]
    kinds = list(dict.fromkeys(kinds))
    found, named = schemas_of(kinds)
    schemas = dict(zip(kinds, found, strict=True))
    refusals: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for tag, (_, operations) in GROUPS.items():
        for operation in operations:
            shown = _operation(operation, tag, schemas)
            shown["responses"] |= _errors(operation, refusals)
            paths[operation.path][operation.method.lower()] = shown
    return _plain(
        {
            "openapi": "3.1.1",
            "info": {
                "title": "rtsd control API",
                "version": __version__,
                "description": INTRODUCTION,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [
                {"url": "http://rtsd", "description": "Any host name will do: the socket is the address."}
            ],
            "tags": [{"name": name, "description": text} for name, (text, _) in GROUPS.items()],
            "paths": dict(paths),
            "components": {"schemas": named, "responses": refusals},
        }
    )


def _operation(operation: Operation, tag: str, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"operationId": operation.name, "summary": operation.summary, "tags": [tag]}
    if operation.text:
        shown["description"] = operation.text
    if parameters := [*_in_path(operation.path), *map(_in_query, operation.parameters)]:
        shown["parameters"] = parameters
    if operation.body is not None:
        required = [field for field in msgspec.structs.fields(operation.body) if field.required]
        content = {"schema": schemas[type(operation.body)], "example": _plain(operation.body)}
        shown["requestBody"] = {"required": bool(required), "content": {JSON: content}}
    shown["responses"] = {str(status): _answer(operation, status, schemas) for status in operation.answers}
    return shown


def _in_path(path: str) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", path):
        text, example = LETTER_ID if "dead-letters" in path else IN_PATH[name]
        kind = {"type": "integer"} if "dead-letters" in path else {"type": "string"}
        shown = {"name": name, "in": "path", "required": True, "description": text}
        yield {**shown, "schema": kind, "example": int(example) if kind["type"] == "integer" else example}


def _in_query(parameter: Parameter) -> dict[str, Any]:
    shown = {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.text,
        "schema": dict(parameter.kind),
        "example": parameter.example,
    }
    return shown | ({"deprecated": True} if parameter.deprecated else {})


def _answer(operation: Operation, status: int, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    """Return an answer with its types and an example of each."""
    (first, *_) = examples = operation.answers[status]
    if isinstance(first, Content):
        shown: dict[str, Any] = {"description": first.text, "content": {first.media: _content(first)}}
        if first.headers:
            shown["headers"] = {
                name: {"description": text, "schema": {"type": "string"}}
                for name, text in first.headers.items()
            }
        return shown
    kinds = [schemas[kind] for kind in operation.types(status)]
    content: dict[str, Any] = {"schema": kinds[0] if len(kinds) == 1 else {"anyOf": kinds}}
    if len(examples) == 1:
        content["example"] = _plain(first)
    else:
        content["examples"] = {type(example).__name__: {"value": _plain(example)} for example in examples}
    said = "Lines of JSON, of which each is one of these." if operation.lines else "Done."
    return {
        "description": "Accepted: it goes on." if status == 202 else said,
        "content": {NDJSON if operation.lines else JSON: content},
    }


def _content(content: Content) -> dict[str, Any]:
    if content.media == JSON:
        shown: dict[str, Any] = {"schema": {"type": "object"}}
        return shown | ({"example": msgspec.json.decode(content.example)} if content.example else {})
    if content.example is None:
        return {"schema": {"type": "string", "contentEncoding": "binary"}}
    return {"schema": {"type": "string"}, "example": content.example}


def _errors(operation: Operation, refusals: dict[str, Any]) -> dict[str, Any]:
    """Return an operation's error answers by status; each is among `refusals` afterwards."""
    by_status: dict[int, dict[str, str]] = defaultdict(dict)
    kinds: tuple[type[RtsError], ...] = (*COMMON, *operation.errors)
    for kind in kinds:
        by_status[kind.http_status][kind.__name__] = (kind.__doc__ or "").partition("\n")[0]
    for status, (code, message) in REFUSED.items():
        if status != 413 or operation.body is not None:
            by_status[status][code] = message
    answers = {}
    for status, said in sorted(by_status.items()):
        name = "-".join([str(status), *said])
        refusals[name] = _refusal(said)
        answers[str(status)] = {"$ref": f"#/components/responses/{name}"}
    return answers


def _refusal(said: Mapping[str, str]) -> dict[str, Any]:
    """Return an error answer with an example for every class that it may be."""
    examples = {code: {"value": {"error": code, "message": message}} for code, message in said.items()}
    content = {"schema": {"$ref": "#/components/schemas/Failure"}, "examples": examples}
    return {"description": ", ".join(f"`{code}`" for code in said), "content": {JSON: content}}


def _plain(example: object) -> Any:
    """Return what JSON makes of it."""
    return msgspec.json.decode(msgspec.json.encode(example))


def may_raise(operation: Operation, error: type[RtsError]) -> bool:
    """Return whether the document has this error, or one that it is a kind of, among an operation's."""
    return issubclass(error, (*COMMON, *operation.errors))
