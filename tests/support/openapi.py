"""Answers of the control API against its OpenAPI document, of which they must not have one key more."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker

from rtsd import errors
from rtsd.control.openapi.document import OPERATIONS, document, may_raise
from rtsd.control.openapi.operation import JSON, NDJSON, Operation

WITHOUT_A_CLASS = {"Forbidden", "InternalError"}
"""Errors that access.py makes itself; UsageError is a class, too."""


def is_moment(found: object) -> bool:
    """Whether it is a moment in UTC as rtsd writes it."""
    return not isinstance(found, str) or (found.endswith("Z") and bool(datetime.fromisoformat(found)))


FORMATS = FormatChecker(formats=())
FORMATS.checkers["date-time"] = (is_moment, ValueError)


@cache
def strict() -> Any:
    """The document, in which no object may have keys that it doesn't name."""
    found = copy.deepcopy(document())
    for schema in found["components"]["schemas"].values():
        schema["additionalProperties"] = False
    return found


@cache
def pattern_of(path: str) -> re.Pattern[str]:
    """What the paths of a route match."""
    return re.compile(re.sub(r"{\w+}", "[^/]+", path))


def operation_of(method: str, path: str) -> Operation | None:
    """The operation that a request is; the more literal one where two match."""
    found = [
        operation
        for operation in OPERATIONS
        if operation.method == method and pattern_of(operation.path).fullmatch(path)
    ]
    return min(found, key=lambda operation: operation.path.count("{"), default=None)


@cache
def validator(path: str, method: str, status: int, media: str) -> Draft202012Validator:
    """What compares an answer with its schema. Raises KeyError where the document has no such answer."""
    shown = strict()["paths"][path][method.lower()]["responses"][str(status)]
    if reference := shown.get("$ref"):
        shown = strict()["components"]["responses"][reference.rpartition("/")[2]]
    schema = {"components": strict()["components"], **shown["content"][media]["schema"]}
    return Draft202012Validator(schema, format_checker=FORMATS)


NO_ROUTE = Draft202012Validator(
    {
        "type": "object",
        "properties": {"error": {"const": "UsageError"}, "message": {"type": "string", "minLength": 1}},
        "required": ["error", "message"],
        "additionalProperties": False,
    }
)
"""The answer where there is no route."""


def faults(method: str, url: str, status: int, media: str, body: bytes) -> Iterator[str]:
    """Where an answer is not as the document says."""
    path = urlsplit(url).path
    operation = operation_of(method, path)
    if operation is None:
        if status not in {404, 405}:
            yield f"{method} {path} is not in the document, and answers {status}"
        yield from _differences(NO_ROUTE, body)
        return
    try:
        check = validator(operation.path, method, status, media)
    except KeyError as missing:
        yield f"{method} {operation.path} answers {status} {media}: {missing} is not in the document"
        return
    if media not in {JSON, NDJSON}:
        return
    for line in body.splitlines() if media == NDJSON else [body]:
        yield from _differences(check, line)
    if status >= 400:
        yield from _undocumented(operation, json.loads(body)["error"])


def _differences(check: Draft202012Validator, body: bytes) -> Iterator[str]:
    for difference in check.iter_errors(json.loads(body)):
        causes = difference.context or [difference]
        yield "; ".join(f"{cause.json_path}: {cause.message[:300]}" for cause in causes)


def _undocumented(operation: Operation, code: str) -> Iterator[str]:
    if code not in WITHOUT_A_CLASS and not may_raise(operation, getattr(errors, code)):
        yield f"{operation.method} {operation.path} does not tell of {code}"


def check(method: str, url: str, status: int, media: str, body: bytes) -> None:
    """Fail where an answer is not as the document says."""
    assert list(faults(method, url, status, media, body)) == []
