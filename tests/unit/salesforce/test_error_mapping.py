"""Every error Salesforce is known to send, and what it is for us."""

from __future__ import annotations

import json

import pytest

from rtsd.errors import (
    AuthenticationFailed,
    BulkRefused,
    ObjectUnavailable,
    OrgUnreachable,
    QuotaExhausted,
    SalesforceError,
    SessionExpired,
)
from rtsd.salesforce.error_mapping import ErrorResponse, Recovery, map_error, parse_error


def rest(code: str, message: str = "") -> str:
    return json.dumps([{"message": message, "errorCode": code}])


HTML = "<!DOCTYPE html><html><head><title>Down for Maintenance</title></head><body>…</body></html>"

REST_CASES = [
    (401, rest("INVALID_SESSION_ID", "Session expired or invalid"), SessionExpired, Recovery.LOG_IN),
    (401, rest("INVALID_AUTH_HEADER"), SessionExpired, Recovery.LOG_IN),
    (401, "", SessionExpired, Recovery.LOG_IN),
    (401, '{"error":"invalid_token"}', SessionExpired, Recovery.LOG_IN),
    (403, "Bad_OAuth_Token", SessionExpired, Recovery.LOG_IN),
    (
        401,
        rest("INVALID_SESSION_ID", "This session is not valid for use with the REST API"),
        AuthenticationFailed,
        Recovery.NONE,
    ),
    (401, rest("X", "Connected app is not attached to Agent"), AuthenticationFailed, Recovery.NONE),
    (
        403,
        rest("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
        QuotaExhausted,
        Recovery.NONE,
    ),
    (
        403,
        rest("REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded."),
        OrgUnreachable,
        Recovery.SLOW_DOWN,
    ),
    (
        403,
        rest("REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded"),
        OrgUnreachable,
        Recovery.SLOW_DOWN,
    ),
    (403, rest("API_DISABLED_FOR_ORG"), AuthenticationFailed, Recovery.NONE),
    (403, rest("API_CURRENTLY_DISABLED"), OrgUnreachable, Recovery.RETRY),
    (403, rest("INSUFFICIENT_ACCESS"), ObjectUnavailable, Recovery.NONE),
    (403, rest("TXN_SECURITY_METERING_ERROR"), OrgUnreachable, Recovery.RETRY),
    (400, rest("MALFORMED_QUERY", "unexpected token"), SalesforceError, Recovery.NONE),
    (400, rest("INVALID_FIELD", "No such column 'X__c' on entity 'Y'"), ObjectUnavailable, Recovery.NONE),
    (400, rest("INVALID_TYPE", "sObject type 'X' is not supported."), ObjectUnavailable, Recovery.NONE),
    (400, rest("QUERY_TIMEOUT", "Your query request was running"), SalesforceError, Recovery.NONE),
    (400, rest("INVALID_REPLICATION_DATE"), SalesforceError, Recovery.NONE),
    (
        400,
        rest("LIMIT_EXCEEDED", "Max bulk v2 query jobs (10000) per 24 hrs"),
        QuotaExhausted,
        Recovery.NONE,
    ),
    (404, rest("NOT_FOUND", "The requested resource does not exist"), ObjectUnavailable, Recovery.NONE),
    (406, "", OrgUnreachable, Recovery.RETRY),
    (409, "", SalesforceError, Recovery.NONE),
    (410, rest("UNSUPPORTED_API_VERSION"), SalesforceError, Recovery.NONE),
    (414, HTML, SalesforceError, Recovery.NONE),
    (420, HTML, OrgUnreachable, Recovery.RETRY),
    (429, "", OrgUnreachable, Recovery.RETRY),
    (500, rest("UNKNOWN_EXCEPTION", "An unexpected error occurred"), OrgUnreachable, Recovery.RETRY),
    (500, rest("QUERY_TIMEOUT"), SalesforceError, Recovery.NONE),
    (502, HTML, OrgUnreachable, Recovery.RETRY),
    (503, rest("SERVER_UNAVAILABLE", "Server too busy"), OrgUnreachable, Recovery.RETRY),
    (302, "", OrgUnreachable, Recovery.NONE),
    (400, '{"exceptionCode":"InvalidSessionId","exceptionMessage":"x"}', SessionExpired, Recovery.LOG_IN),
    (400, "[]", SalesforceError, Recovery.NONE),
    (400, "[null]", SalesforceError, Recovery.NONE),
    (400, "{}", SalesforceError, Recovery.NONE),
]


@pytest.mark.parametrize(("status", "body", "error", "recovery"), REST_CASES)
def test_rest(status: int, body: str, error: type[SalesforceError], recovery: Recovery) -> None:
    """Status, code and message together decide; nothing makes the reader fail."""
    refused = map_error(status, body)
    assert type(refused.error) is error
    assert refused.recovery is recovery
    assert refused.error.status == status
    assert str(status) in refused.error.message


BULK_CASES = [
    (400, rest("INVALIDENTITY", "Entity 'CaseStatus' is not supported by the Bulk API."), BulkRefused),
    (400, rest("API_ERROR", "Entity 'X' is not supported by the Bulk API."), BulkRefused),
    (400, rest("INVALID_FIELD", "Selecting compound data not supported in Bulk Query"), BulkRefused),
    (
        400,
        rest("API_ERROR", "Implementation restriction: ContentDocumentLink requires a filter"),
        BulkRefused,
    ),
    (400, rest("INVALID_FIELD", "No such column 'X__c' on entity 'Y'"), ObjectUnavailable),
    (
        400,
        rest("LIMIT_EXCEEDED", "Max bulk v2 query jobs (10000) per 24 hrs has been reached"),
        QuotaExhausted,
    ),
    (403, rest("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."), QuotaExhausted),
]


@pytest.mark.parametrize(("status", "body", "error"), BULK_CASES)
def test_bulk(status: int, body: str, error: type[SalesforceError]) -> None:
    """What the Bulk API will not read is told apart from what does not exist and from quota."""
    assert type(map_error(status, body, bulk=True).error) is error


def test_the_reason_is_kept_as_sent() -> None:
    """Callers decide by Salesforce's own code."""
    assert map_error(400, rest("QUERY_TOO_COMPLICATED", "x")).error.reason == "QUERY_TOO_COMPLICATED"


@pytest.mark.parametrize(
    ("body", "response"),
    [
        (rest("A", "\nSELECT\n^\nreason"), ErrorResponse("A", "SELECT\n^\nreason")),
        ('{"error":"invalid_grant","error_description":"x"}', ErrorResponse("invalid_grant", "x")),
        ('{"error":"invalid_client"}', ErrorResponse("invalid_client", "")),
        ('{"exceptionCode":"B","exceptionMessage":"m"}', ErrorResponse("B", "m")),
        ('[{"statusCode":"C","message":"m"}]', ErrorResponse("C", "m")),
        (HTML, ErrorResponse("", "Down for Maintenance", web_page=True)),
        ("Missing_OAuth_Token", ErrorResponse("", "Missing_OAuth_Token")),
        ("", ErrorResponse("", "")),
    ],
)
def test_all_shapes_are_read(body: str, response: ErrorResponse) -> None:
    """REST arrays, OAuth objects, Bulk v1 objects, per-record errors, web pages and plain text."""
    assert parse_error(body) == response
