"""Mapping of Salesforce's error responses to rtsd's errors and to the client's next step, as a table.

Error bodies come in four shapes: REST arrays (REST API guide, Status Codes and Error Responses), OAuth
objects (Salesforce Help, OAuth 2.0 Authorization Errors), Bulk v1 objects (Bulk API guide, Errors), and web
pages from the edge (seen in live orgs). Status and code decide together; sometimes only the message does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

import msgspec

from rtsd.errors import (
    AuthenticationFailed,
    BulkRefused,
    ObjectUnavailable,
    OrgUnreachable,
    QuotaExhausted,
    SalesforceError,
    SessionExpired,
)


class Recovery(Enum):
    """The client's next step after a failed call."""

    NONE = auto()
    RETRY = auto()
    SLOW_DOWN = auto()
    """Retry after a longer pause, with fewer concurrent calls."""
    LOG_IN = auto()


class CallFailed(Exception):
    """A failed call. Callers get `error` unless `recovery` succeeds; CallFailed stays in this package."""

    def __init__(
        self,
        error: SalesforceError,
        recovery: Recovery,
        *,
        after_s: float | None = None,
        processed: bool = True,
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.recovery = recovery
        self.after_s = after_s
        """Seconds requested by Retry-After."""
        self.processed = processed
        """Whether Salesforce may have processed the request."""


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """A parsed error body of any shape."""

    code: str
    message: str
    web_page: bool = False


@dataclass(frozen=True, slots=True)
class ErrorPattern:
    """A pattern for error responses, all of whose criteria must match, and the error and recovery to use.

    `codes` are in capitals without underscores: INVALID_SESSION_ID, InvalidSessionId and INVALIDSESSIONID
    are the same code in three APIs. `text` is searched in the message, ignoring case.
    """

    error: type[SalesforceError]
    recovery: Recovery = Recovery.NONE
    codes: tuple[str, ...] = ()
    text: str = ""
    statuses: tuple[int, ...] = ()
    bulk: bool = False
    do: str = ""
    processed: bool = True

    def matches(self, status: int, response: ErrorResponse, *, bulk: bool) -> bool:
        """Whether the pattern matches this response; `bulk` for a call that creates a Bulk job."""
        return (
            (not self.bulk or bulk)
            and (not self.statuses or status in self.statuses)
            and (not self.codes or _plain(response.code) in self.codes)
            and (not self.text or re.search(self.text, response.message, re.IGNORECASE) is not None)
        )


_SERVER_ERRORS = tuple(range(500, 600))

PATTERNS = (
    ErrorPattern(
        AuthenticationFailed,
        text="not valid for use with the REST API",
        do="Give the app the OAuth scope 'api', and the sync user the permission 'API Enabled'.",
    ),
    ErrorPattern(
        AuthenticationFailed,
        text="Connected app is not attached to Agent",
        do="Use an app that is meant for API access.",
    ),
    ErrorPattern(SessionExpired, Recovery.LOG_IN, codes=("INVALIDSESSIONID", "INVALIDAUTHHEADER")),
    ErrorPattern(SessionExpired, Recovery.LOG_IN, text="^(Bad|Missing)_OAuth_Token"),
    ErrorPattern(SessionExpired, Recovery.LOG_IN, statuses=(401,)),
    ErrorPattern(
        OrgUnreachable,
        Recovery.SLOW_DOWN,
        codes=("REQUESTLIMITEXCEEDED",),
        text="concurrent",
        do="Too many long calls run in the org at once; rtsd continues by itself.",
        processed=False,
    ),
    ErrorPattern(
        QuotaExhausted,
        codes=("REQUESTLIMITEXCEEDED", "LIMITEXCEEDED", "EXCEEDEDQUOTA"),
        do="The limit covers a rolling 24 hours: rtsd continues as usage expires. Raise it or reduce usage.",
    ),
    ErrorPattern(
        BulkRefused,
        bulk=True,
        statuses=(400, 403),
        text=(
            "not supported in bulk|not supported by the bulk|does not support query"
            "|implementation restriction|not supported for bulk"
        ),
        do="It is read over REST instead.",
    ),
    ErrorPattern(
        BulkRefused,
        bulk=True,
        codes=("INVALIDENTITY", "FEATURENOTENABLED", "APIERROR", "MALFORMEDQUERY", "ENTITYNOTQUERYABLE"),
        statuses=(400, 403),
        do="It is read over REST instead.",
    ),
    ErrorPattern(
        ObjectUnavailable,
        codes=("INVALIDFIELD", "INVALIDTYPE", "INVALIDTYPEFOROPERATION", "ENTITYNOTQUERYABLE"),
        do="It was removed, or the sync user may not see it: check field-level security, and the `where`"
        " of the object in [[objects]].",
    ),
    ErrorPattern(
        ObjectUnavailable,
        codes=(
            "INSUFFICIENTACCESS",
            "INSUFFICIENTACCESSORREADONLY",
            "FUNCTIONALITYNOTENABLED",
            "TXNSECURITYNOACCESS",
        ),
        do="Give the sync user read access to it (permission set RTS_Sync).",
    ),
    ErrorPattern(
        AuthenticationFailed,
        codes=("APIDISABLEDFORORG", "CLIENTNOTACCESSIBLEFORUSER", "ORGLOCKED", "TRIALEXPIRED"),
        do="An administrator of the org has to allow API access for the sync user.",
    ),
    ErrorPattern(
        AuthenticationFailed,
        codes=("LOGINDURINGRESTRICTEDDOMAIN", "LOGINDURINGRESTRICTEDTIME"),
        do="Allow this machine's address and these hours in the sync user's profile.",
    ),
    ErrorPattern(
        OrgUnreachable,
        Recovery.RETRY,
        codes=(
            "SERVERUNAVAILABLE",
            "UNKNOWNEXCEPTION",
            "INTERNALERROR",
            "INTERNALSERVERERROR",
            "APICURRENTLYDISABLED",
            "TXNSECURITYMETERINGERROR",
            "UNABLETOLOCKROW",
            "REQUESTRUNNINGTOOLONG",
            "TOOMANYAPEXREQUESTS",
        ),
    ),
    ErrorPattern(
        SalesforceError,
        codes=("QUERYTIMEOUT", "OPERATIONTOOLARGE", "EXCEEDEDIDLIMIT"),
        do="Use a smaller window; the permission 'View All Data' avoids OPERATION_TOO_LARGE.",
    ),
    ErrorPattern(
        SalesforceError,
        codes=("MALFORMEDQUERY",),
        do="Correct the `where` of the object in [[objects]]: SOQL, as it stands after WHERE.",
    ),
    ErrorPattern(SalesforceError, codes=("QUERYTOOCOMPLICATED",), do="Use fewer fields per query."),
    ErrorPattern(
        SalesforceError,
        codes=("UNSUPPORTEDAPIVERSION", "GONE"),
        do="Set org.api_version to a version that the org still supports.",
    ),
    ErrorPattern(
        SalesforceError,
        statuses=(410,),
        do="Set org.api_version to a version that the org still supports.",
    ),
    ErrorPattern(ObjectUnavailable, codes=("NOTFOUND", "ENTITYISDELETED")),
    ErrorPattern(ObjectUnavailable, statuses=(404,)),
    # transient faults of the edge: 420 means no route to the host (REST API guide, Status Codes), 406 is
    # undocumented (singer-io/tap-salesforce#184)
    ErrorPattern(OrgUnreachable, Recovery.RETRY, statuses=(406, 408, 420)),
    ErrorPattern(OrgUnreachable, Recovery.RETRY, statuses=(429,), processed=False),
    ErrorPattern(OrgUnreachable, Recovery.RETRY, statuses=_SERVER_ERRORS),
    ErrorPattern(
        OrgUnreachable,
        statuses=tuple(range(300, 400)),
        do="The address redirects: set org.login_url to the org's own My Domain.",
    ),
    ErrorPattern(SalesforceError),
)
"""The first match applies; the last pattern matches everything."""


def map_error(status: int, body: str, *, bulk: bool = False, after_s: float | None = None) -> CallFailed:
    """Map an unsuccessful response; `bulk` for a call that creates a Bulk job."""
    response = parse_error(body)
    found = next(pattern for pattern in PATTERNS if pattern.matches(status, response, bulk=bulk))
    error = found.error(_sentence(status, response), found.do, status=status, reason=response.code)
    return CallFailed(error, found.recovery, after_s=after_s, processed=found.processed)


def parse_error(body: str) -> ErrorResponse:
    """Parse an error body of any of the four shapes; never raises."""
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _from_text(body)
    if isinstance(data, list) and data:
        data = data[0]
    if not isinstance(data, dict):
        return ErrorResponse("", str(data)[:300] if data else "")
    for code, message in _KEYS:
        if code in data:
            return ErrorResponse(str(data[code]), str(data.get(message) or "").strip())
    return ErrorResponse("", str(data.get("message") or data)[:300])


_KEYS = (
    ("errorCode", "message"),
    ("error", "error_description"),
    ("exceptionCode", "exceptionMessage"),
    ("statusCode", "message"),
)


def _from_text(body: str) -> ErrorResponse:
    text = body.strip()
    if not text.startswith("<"):
        return ErrorResponse("", text[:300])
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    return ErrorResponse("", title[1].strip()[:300] if title else "", web_page=True)


def _sentence(status: int, response: ErrorResponse) -> str:
    detail = ": ".join(part for part in (response.code, response.message) if part)
    if response.web_page:
        return f"Salesforce answered {status} with a web page" + (f" ({detail})." if detail else ".")
    return f"Salesforce answered {status}" + (f": {detail}" if detail else " without a reason.")


def _plain(code: str) -> str:
    return code.replace("_", "").upper()
