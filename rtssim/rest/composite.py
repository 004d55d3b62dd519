"""/composite: sObject collections, composite calls and batches."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from rtssim.interface import OrgError, not_found
from rtssim.routing import NOTHING, Call, Reply, Router, error_reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtssim.interface import SaveResult
    from rtssim.limits import Limits
    from rtssim.org import Org

SUBREQUESTS = 25
QUERY_SUBREQUESTS = 5
COLLECTION_ROWS = 200
RETRIEVE_IDS = 2_000
REFERENCE = re.compile(r"@\{(\w+)\.([^}]+)\}")
HALTED = "The transaction was rolled back since another operation in the same transaction failed."


class _RollbackError(Exception):
    """Leaves a transaction so that it rolls back."""


class Composite:
    """Answers everything below `/composite`."""

    def __init__(self, org: Org, limits: Limits, router: Router) -> None:
        self._org = org
        self._limits = limits
        self._router = router

    def routes(self, router: Router) -> None:
        """Serve collections, composite and batch."""
        router.add("GET", "/composite/sobjects/{name}", self.retrieve, "collection_read")
        router.add("POST", "/composite/sobjects/{name}", self.retrieve, "collection_read")
        router.add("POST", "/composite/sobjects", self.create, "collection_write")
        router.add("PATCH", "/composite/sobjects", self.update, "collection_write")
        router.add("DELETE", "/composite/sobjects", self.delete, "collection_write")
        router.add("PATCH", "/composite/sobjects/{name}/{field}", self.upsert, "collection_write")
        router.add("POST", "/composite", self.composite, "composite")
        router.add("POST", "/composite/batch", self.batch, "composite_batch")

    # -- collections --------------------------------------------------------------------------------
    def retrieve(self, call: Call, name: str) -> Reply:
        """Return up to 2,000 records aligned with their ids, null for missing or hidden records."""
        if call.method == "POST":
            body = call.json_object()
            ids, fields = body.get("ids"), body.get("fields")
        else:
            ids = [part for part in call.query.get("ids", "").split(",") if part]
            fields = [part.strip() for part in call.query.get("fields", "").split(",") if part.strip()]
        if not isinstance(ids, list) or not isinstance(fields, list) or not fields:
            raise OrgError(400, "JSON_PARSER_ERROR", "The ids and fields parameters are required")
        if len(ids) > RETRIEVE_IDS:
            raise OrgError(
                400, "EXCEEDED_ID_LIMIT", f"record limit reached. cannot submit more than {RETRIEVE_IDS} ids"
            )
        return Reply(self._org.retrieve(call.session.who, name, ids, fields, call.base))

    def _records(self, call: Call) -> tuple[list[dict[str, Any]], bool]:
        body = call.json_object()
        records = body.get("records")
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise OrgError(400, "JSON_PARSER_ERROR", "records: a list of objects is required")
        if len(records) > COLLECTION_ROWS:
            text = f"record limit reached. cannot submit more than {COLLECTION_ROWS} records into this call"
            raise OrgError(400, "EXCEEDED_ID_LIMIT", text)
        return records, bool(body.get("allOrNone", False))

    def create(self, call: Call) -> Reply:
        """Create up to 200 records of any types in a transaction."""
        records, all_or_none = self._records(call)
        results: list[SaveResult] = []
        with self._org.transaction(call.session.who):
            for name, rows in _by_type(records):
                results += self._org.create(call.session.who, name, rows, all_or_none=all_or_none)
        return Reply([_save_result(result) for result in results])

    def update(self, call: Call) -> Reply:
        """Update up to 200 records of any types in a transaction."""
        records, all_or_none = self._records(call)
        results: list[SaveResult] = []
        with self._org.transaction(call.session.who):
            for name, rows in _by_type(records):
                renamed = [
                    {("Id" if key == "id" else key): value for key, value in row.items()} for row in rows
                ]
                results += self._org.update(call.session.who, name, renamed, all_or_none=all_or_none)
        return Reply([_save_result(result) for result in results])

    def upsert(self, call: Call, name: str, field: str) -> Reply:
        """Create or update up to 200 records of the same type by an external id."""
        records, all_or_none = self._records(call)
        rows = [_plain(record) for record in records]
        results = self._org.upsert(call.session.who, name, field, rows, all_or_none=all_or_none)
        return Reply([{**_save_result(result), "created": result.created} for result in results])

    def delete(self, call: Call) -> Reply:
        """Delete up to 200 records of any types (`?ids=a,b`) in a transaction."""
        ids = [part for part in call.query.get("ids", "").split(",") if part]
        if len(ids) > COLLECTION_ROWS:
            raise OrgError(
                400, "EXCEEDED_ID_LIMIT", f"cannot submit more than {COLLECTION_ROWS} records into this call"
            )
        all_or_none = call.query.get("allOrNone", "false").lower() == "true"
        prefixes = {
            entry["keyPrefix"]: entry["name"] for entry in self._org.describe_global(call.session.who)
        }
        results: list[SaveResult] = []
        with self._org.transaction(call.session.who):
            for prefix, group in groupby(ids, key=lambda record_id: record_id[:3]):
                if prefix not in prefixes:
                    raise OrgError(400, "MALFORMED_ID", f"no object has ids that start with {prefix}", ["Id"])
                results += self._org.delete(
                    call.session.who, prefixes[prefix], list(group), all_or_none=all_or_none
                )
        return Reply([_save_result(result) for result in results])

    # -- composite ----------------------------------------------------------------------------------
    def composite(self, call: Call) -> Reply:
        """Run up to 25 calls in order, at most 5 of them queries or collections; counts as a single call."""
        body = call.json_object()
        requests = _subrequests(body.get("compositeRequest"))
        heavy = sum(
            bool(re.search(r"/(query|queryAll|composite/sobjects)\b", item.get("url", "")))
            for item in requests
        )
        if heavy > QUERY_SUBREQUESTS:
            text = f"Cannot have more than {QUERY_SUBREQUESTS} query or sObject Collections subrequests"
            raise OrgError(400, "LIMIT_EXCEEDED", text)
        answers: list[dict[str, Any]] = []
        if not body.get("allOrNone"):
            answers.extend(self._run_all(call, requests, halt=False))
            return Reply({"compositeResponse": answers})
        try:
            with self._org.transaction(call.session.who):
                answers.extend(self._run_all(call, requests, halt=True))
                if answers[-1]["httpStatusCode"] >= 400:
                    raise _RollbackError  # noqa: TRY301 - leaving the transaction rolls it back
        except _RollbackError:
            answers = self._halted(requests, answers)
        return Reply({"compositeResponse": answers})

    def _run_all(self, call: Call, requests: Sequence[dict[str, Any]], *, halt: bool) -> list[dict[str, Any]]:
        bodies: dict[str, Any] = {}
        answers = []
        for item in requests:
            reference = str(item.get("referenceId"))
            reply = self._run(call, _resolved(item, bodies))
            bodies[reference] = None if reply.data is NOTHING else reply.data
            answers.append(
                {
                    "body": bodies[reference],
                    "httpHeaders": reply.headers,
                    "httpStatusCode": reply.status,
                    "referenceId": reference,
                }
            )
            if halt and reply.status >= 400:
                break
        return answers

    def _halted(
        self, requests: Sequence[dict[str, Any]], answers: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        halted = [{"errorCode": "PROCESSING_HALTED", "message": HALTED}]
        failed = answers[-1]
        return [
            failed
            if str(item.get("referenceId")) == failed["referenceId"]
            else {
                "body": halted,
                "httpHeaders": {},
                "httpStatusCode": 400,
                "referenceId": item.get("referenceId"),
            }
            for item in requests
        ]

    def batch(self, call: Call) -> Reply:
        """Run up to 25 independent calls; each of them counts."""
        body = call.json_object()
        requests = _subrequests(body.get("batchRequests"))
        for _ in requests[1:]:
            self._limits.take_api_call("composite_batch_part")
        results: list[dict[str, Any]] = []
        for item in requests:
            reply = self._run(call, {**item, "body": item.get("richInput")})
            results.append(
                {"statusCode": reply.status, "result": None if reply.data is NOTHING else reply.data}
            )
            if reply.status >= 400 and body.get("haltOnError"):
                break
        return Reply({"hasErrors": any(item["statusCode"] >= 400 for item in results), "results": results})

    def _run(self, call: Call, item: dict[str, Any]) -> Reply:
        url = urlsplit(str(item.get("url", "")))
        match = re.match(r"(?:/?services/data)?/?v(\d+\.\d)(/.*)?\Z", unquote(url.path))
        if match is None:
            return error_reply(not_found())
        part = replace(
            call,
            method=str(item.get("method", "GET")).upper(),
            path=(match[2] or "").rstrip("/"),
            version=match[1],
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            headers={**call.headers, **(item.get("httpHeaders") or {})},
            body=b"" if item.get("body") is None else msgspec.json.encode(item["body"]),
        )
        return self._router.dispatch(part)


def _subrequests(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        raise OrgError(400, "JSON_PARSER_ERROR", "a list of subrequests is required")
    if len(value) > SUBREQUESTS:
        raise OrgError(400, "LIMIT_EXCEEDED", f"Cannot have more than {SUBREQUESTS} subrequests")
    return value


def _resolved(item: dict[str, Any], bodies: dict[str, Any]) -> dict[str, Any]:
    """Replace each `@{reference.path}` by a value from an earlier answer."""

    def look_up(match: re.Match[str]) -> str:
        value: Any = bodies.get(match[1])
        for name, index in re.findall(r"(\w+)|\[(\d+)\]", match[2]):
            try:
                value = value[int(index)] if index else value[name]
            except (KeyError, IndexError, TypeError):
                return ""
        return str(value)

    text = msgspec.json.encode({key: item.get(key) for key in ("url", "body")}).decode()
    resolved: dict[str, Any] = msgspec.json.decode(REFERENCE.sub(look_up, text)) if "@{" in text else {}
    return {**item, **resolved}


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "attributes"}


def _by_type(records: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Group consecutive records of the same type."""

    def type_of(record: dict[str, Any]) -> str:
        try:
            return str(record["attributes"]["type"])
        except (KeyError, TypeError) as problem:
            raise OrgError(400, "INVALID_TYPE", "sObject type is required in attributes") from problem

    return [(name, [_plain(row) for row in rows]) for name, rows in groupby(records, key=type_of)]


def _save_result(result: SaveResult) -> dict[str, Any]:
    """Return a row's result; errors carry `statusCode`, not `errorCode`."""
    if result.success:
        return {"id": result.id, "success": True, "errors": []}
    errors = [{"statusCode": e.code, "message": e.message, "fields": list(e.fields)} for e in result.errors]
    return {"success": False, "errors": errors}
