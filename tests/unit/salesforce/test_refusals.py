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
from rtsd.salesforce.refusals import Complaint, Remedy, read_complaint, refusal


def rest(code: str, message: str = "") -> str:
    return json.dumps([{"message": message, "errorCode": code}])


HTML = "<!DOCTYPE html><html><head><title>Down for Maintenance</title></head><body>…</body></html>"

REST_CASES = [
    (401, rest("INVALID_SESSION_ID", "Session expired or invalid"), SessionExpired, Remedy.LOG_IN),
    (401, rest("INVALID_AUTH_HEADER"), SessionExpired, Remedy.LOG_IN),
    (401, "", SessionExpired, Remedy.LOG_IN),
    (401, '{"error":"invalid_token"}', SessionExpired, Remedy.LOG_IN),
    (403, "Bad_OAuth_Token", SessionExpired, Remedy.LOG_IN),
    (
        401,
        rest("INVALID_SESSION_ID", "This session is not valid for use with the REST API"),
        AuthenticationFailed,
        Remedy.GIVE_UP,
    ),
    (401, rest("X", "Connected app is not attached to Agent"), AuthenticationFailed, Remedy.GIVE_UP),
    (
        403,
        rest("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
        QuotaExhausted,
        Remedy.GIVE_UP,
    ),
    (
        403,
        rest("REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded."),
        OrgUnreachable,
        Remedy.SLOW_DOWN,
    ),
    (
        403,
        rest("REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded"),
        OrgUnreachable,
        Remedy.SLOW_DOWN,
    ),
    (403, rest("API_DISABLED_FOR_ORG"), AuthenticationFailed, Remedy.GIVE_UP),
    (403, rest("API_CURRENTLY_DISABLED"), OrgUnreachable, Remedy.RETRY),
    (403, rest("INSUFFICIENT_ACCESS"), ObjectUnavailable, Remedy.GIVE_UP),
    (403, rest("TXN_SECURITY_METERING_ERROR"), OrgUnreachable, Remedy.RETRY),
    (400, rest("MALFORMED_QUERY", "unexpected token"), SalesforceError, Remedy.GIVE_UP),
    (400, rest("INVALID_FIELD", "No such column 'X__c' on entity 'Y'"), ObjectUnavailable, Remedy.GIVE_UP),
    (400, rest("INVALID_TYPE", "sObject type 'X' is not supported."), ObjectUnavailable, Remedy.GIVE_UP),
    (400, rest("QUERY_TIMEOUT", "Your query request was running"), SalesforceError, Remedy.GIVE_UP),
    (400, rest("INVALID_REPLICATION_DATE"), SalesforceError, Remedy.GIVE_UP),
    (
        400,
        rest("LIMIT_EXCEEDED", "Max bulk v2 query jobs (10000) per 24 hrs"),
        QuotaExhausted,
        Remedy.GIVE_UP,
    ),
    (404, rest("NOT_FOUND", "The requested resource does not exist"), ObjectUnavailable, Remedy.GIVE_UP),
    (406, "", OrgUnreachable, Remedy.RETRY),
    (409, "", SalesforceError, Remedy.GIVE_UP),
    (410, rest("UNSUPPORTED_API_VERSION"), SalesforceError, Remedy.GIVE_UP),
    (414, HTML, SalesforceError, Remedy.GIVE_UP),
    (420, HTML, OrgUnreachable, Remedy.RETRY),
    (429, "", OrgUnreachable, Remedy.RETRY),
    (500, rest("UNKNOWN_EXCEPTION", "An unexpected error occurred"), OrgUnreachable, Remedy.RETRY),
    (500, rest("QUERY_TIMEOUT"), SalesforceError, Remedy.GIVE_UP),
    (502, HTML, OrgUnreachable, Remedy.RETRY),
    (503, rest("SERVER_UNAVAILABLE", "Server too busy"), OrgUnreachable, Remedy.RETRY),
    (302, "", OrgUnreachable, Remedy.GIVE_UP),
    (400, '{"exceptionCode":"InvalidSessionId","exceptionMessage":"x"}', SessionExpired, Remedy.LOG_IN),
    (400, "[]", SalesforceError, Remedy.GIVE_UP),
    (400, "[null]", SalesforceError, Remedy.GIVE_UP),
    (400, "{}", SalesforceError, Remedy.GIVE_UP),
]


@pytest.mark.parametrize(("status", "body", "error", "remedy"), REST_CASES)
def test_rest(status: int, body: str, error: type[SalesforceError], remedy: Remedy) -> None:
    """Status, code and message together decide; nothing makes the reader fail."""
    refused = refusal(status, body)
    assert type(refused.error) is error
    assert refused.remedy is remedy
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
    assert type(refusal(status, body, bulk=True).error) is error


def test_the_reason_is_kept_as_sent() -> None:
    """Callers decide by Salesforce's own code."""
    assert refusal(400, rest("QUERY_TOO_COMPLICATED", "x")).error.reason == "QUERY_TOO_COMPLICATED"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (rest("A", "\nSELECT\n^\nreason"), Complaint("A", "SELECT\n^\nreason")),
        ('{"error":"invalid_grant","error_description":"x"}', Complaint("invalid_grant", "x")),
        ('{"error":"invalid_client"}', Complaint("invalid_client", "")),
        ('{"exceptionCode":"B","exceptionMessage":"m"}', Complaint("B", "m")),
        ('[{"statusCode":"C","message":"m"}]', Complaint("C", "m")),
        (HTML, Complaint("", "Down for Maintenance", web_page=True)),
        ("Missing_OAuth_Token", Complaint("", "Missing_OAuth_Token")),
        ("", Complaint("", "")),
    ],
)
def test_all_shapes_are_read(body: str, complaint: Complaint) -> None:
    """REST arrays, OAuth objects, Bulk v1 objects, per-record errors, web pages and plain text."""
    assert read_complaint(body) == complaint
