"""REST calls, their replies, and the router from a path to the function that answers it.

Composite calls run other calls inside themselves, so the answering functions don't see the HTTP library:
they take a `Call` and return a `Reply`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from rtssim.interface import OrgError, not_found

if TYPE_CHECKING:
    from rtssim.login.accounts import Session
    from rtssim.soql.result_file import Page

JSON_TYPE = "application/json;charset=UTF-8"
NOTHING = object()  # no body, as opposed to the JSON value null


@dataclass(frozen=True)
class Call:
    """A REST call below `/services/data/vNN.0`, already authenticated."""

    method: str
    path: str  # decoded, without the version part, without a trailing slash
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names match with case ignored
    body: bytes
    session: Session
    version: str  # "62.0"

    @property
    def base(self) -> str:
        """Prefix of every URL in a reply."""
        return f"/services/data/v{self.version}"

    def json(self) -> Any:
        """Decode the body; raise `OrgError` JSON_PARSER_ERROR if it is not JSON."""
        try:
            return msgspec.json.decode(self.body or b"null")
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            raise OrgError(400, "JSON_PARSER_ERROR", f"Unexpected character: {problem}") from problem

    def json_object(self) -> dict[str, Any]:
        """Decode the body, which must be a JSON object."""
        value = self.json()
        if not isinstance(value, dict):
            raise OrgError(400, "JSON_PARSER_ERROR", "The HTTP entity body is required to be a JSON object")
        return value


@dataclass
class Reply:
    """Reply to a `Call`: JSON data, raw bytes, a page of a result file, or no body."""

    data: Any = NOTHING
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    page: Page | None = None

    def encoded(self, *, pretty: bool = False) -> bytes:
        """Return the body: raw bytes if there are any, otherwise JSON."""
        if self.raw is not None:
            return self.raw
        if self.data is NOTHING:
            return b""
        text = msgspec.json.encode(self.data)
        return msgspec.json.format(text, indent=2) if pretty else text


def error_body(error: OrgError) -> list[dict[str, Any]]:
    """Return an error in REST format, an array with a single item (REST API guide, Status Codes)."""
    body: dict[str, Any] = {"message": error.message, "errorCode": error.code}
    if error.fields:
        body["fields"] = list(error.fields)
    return [body]


def error_reply(error: OrgError) -> Reply:
    """Return the reply that carries an error."""
    return Reply(error_body(error), error.status)


Answer = Callable[..., Reply]


class Router:
    """Finds the function that answers a call; patterns name path parts as `{part}`."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Answer, str]] = []

    def add(self, method: str, pattern: str, answer: Answer, kind: str) -> None:
        """Route `method` on `pattern` to `answer`; `kind` names the route in statistics."""
        expression = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
        self._routes.append((method, re.compile(expression + r"\Z"), answer, kind))

    def find(self, method: str, path: str) -> tuple[Answer, dict[str, str], str]:
        """Return the function that answers, the path's named parts, and the route's kind.

        Raises `OrgError` NOT_FOUND or METHOD_NOT_ALLOWED.
        """
        path_known = False
        for verb, pattern, answer, kind in self._routes:
            match = pattern.match(path)
            if match is None:
                continue
            path_known = True
            if verb == method or (verb == "GET" and method == "HEAD"):
                return answer, match.groupdict(), kind
        if path_known:
            raise OrgError(405, "METHOD_NOT_ALLOWED", f"HTTP Method '{method}' not allowed.")
        raise not_found()

    def dispatch(self, call: Call) -> Reply:
        """Answer a call; an `OrgError` becomes the reply."""
        try:
            answer, parts, _ = self.find(call.method, call.path)
            return answer(call, **parts)
        except OrgError as error:
            return error_reply(error)
