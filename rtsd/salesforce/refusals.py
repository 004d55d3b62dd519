"""Every error Salesforce sends, as a table: which of ours it is, and what to do next.

Four shapes come: REST arrays (REST API guide, Status Codes and Error Responses), OAuth objects (Salesforce
Help, OAuth 2.0 Authorization Errors), Bulk v1 objects (Bulk API guide, Errors), and web pages from the edge
(seen in live orgs). Status and code decide together, and at times only the message tells.
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


class Remedy(Enum):
    """What the client does about a refusal."""

    GIVE_UP = auto()
    RETRY = auto()
    SLOW_DOWN = auto()
    """Retry after seconds, with fewer calls at a time."""
    LOG_IN = auto()


class Refused(Exception):
    """A call that did not work: what the caller gets unless `remedy` helps. Never leaves the adapter."""

    def __init__(
        self,
        error: SalesforceError,
        remedy: Remedy,
        *,
        after_s: float | None = None,
        processed: bool = True,
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.remedy = remedy
        self.after_s = after_s
        """What Retry-After asked for."""
        self.processed = processed
        """Whether the request may have had its effect."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error answer in whichever of the four shapes, read."""

    code: str
    message: str
    web_page: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """Which answers are meant (all that is given must hold), and what they are for us.

    `codes` are in capitals without underscores: INVALID_SESSION_ID, InvalidSessionId and INVALIDSESSIONID
    are one code in three APIs. `text` is searched in the message regardless of case.
    """

    error: type[SalesforceError]
    remedy: Remedy = Remedy.GIVE_UP
    codes: tuple[str, ...] = ()
    text: str = ""
    statuses: tuple[int, ...] = ()
    bulk: bool = False
    do: str = ""
    processed: bool = True

    def matches(self, status: int, complaint: Complaint, *, bulk: bool) -> bool:
        """Whether the rule is about this answer."""
        return (
            (not self.bulk or bulk)
            and (not self.statuses or status in self.statuses)
            and (not self.codes or _plain(complaint.code) in self.codes)
            and (not self.text or re.search(self.text, complaint.message, re.IGNORECASE) is not None)
        )


_SERVER_ERRORS = tuple(range(500, 600))

RULES = (
    Rule(
        AuthenticationFailed,
        text="not valid for use with the REST API",
        do="Give the app the OAuth scope 'api', and the sync user the permission 'API Enabled'.",
    ),
    Rule(
        AuthenticationFailed,
        text="Connected app is not attached to Agent",
        do="Use an app that is meant for API access.",
    ),
    Rule(SessionExpired, Remedy.LOG_IN, codes=("INVALIDSESSIONID", "INVALIDAUTHHEADER")),
    Rule(SessionExpired, Remedy.LOG_IN, text="^(Bad|Missing)_OAuth_Token"),
    Rule(SessionExpired, Remedy.LOG_IN, statuses=(401,)),
    Rule(
        OrgUnreachable,
        Remedy.SLOW_DOWN,
        codes=("REQUESTLIMITEXCEEDED",),
        text="concurrent",
        do="Too many long calls run in the org at once; rtsd goes on by itself.",
        processed=False,
    ),
    Rule(
        QuotaExhausted,
        codes=("REQUESTLIMITEXCEEDED", "LIMITEXCEEDED", "EXCEEDEDQUOTA"),
        do="The window is 24 hours and rolls: rtsd goes on as calls free up. Raise the limit or lower use.",
    ),
    Rule(
        BulkRefused,
        bulk=True,
        statuses=(400, 403),
        text=(
            "not supported in bulk|not supported by the bulk|does not support query"
            "|implementation restriction|not supported for bulk"
        ),
        do="It is read over REST instead.",
    ),
    Rule(
        BulkRefused,
        bulk=True,
        codes=("INVALIDENTITY", "FEATURENOTENABLED", "APIERROR", "MALFORMEDQUERY", "ENTITYNOTQUERYABLE"),
        statuses=(400, 403),
        do="It is read over REST instead.",
    ),
    Rule(
        ObjectUnavailable,
        codes=("INVALIDFIELD", "INVALIDTYPE", "INVALIDTYPEFOROPERATION", "ENTITYNOTQUERYABLE"),
        do="It was removed, or the sync user may not see it: check field-level security.",
    ),
    Rule(
        ObjectUnavailable,
        codes=(
            "INSUFFICIENTACCESS",
            "INSUFFICIENTACCESSORREADONLY",
            "FUNCTIONALITYNOTENABLED",
            "TXNSECURITYNOACCESS",
        ),
        do="Give the sync user read access to it (permission set RTS_Sync).",
    ),
    Rule(
        AuthenticationFailed,
        codes=("APIDISABLEDFORORG", "CLIENTNOTACCESSIBLEFORUSER", "ORGLOCKED", "TRIALEXPIRED"),
        do="An administrator of the org has to allow API access for the sync user.",
    ),
    Rule(
        AuthenticationFailed,
        codes=("LOGINDURINGRESTRICTEDDOMAIN", "LOGINDURINGRESTRICTEDTIME"),
        do="Allow this machine's address and these hours in the sync user's profile.",
    ),
    Rule(
        OrgUnreachable,
        Remedy.RETRY,
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
    Rule(
        SalesforceError,
        codes=("QUERYTIMEOUT", "OPERATIONTOOLARGE", "EXCEEDEDIDLIMIT"),
        do="A smaller window is needed; OPERATION_TOO_LARGE ends with the permission 'View All Data'.",
    ),
    Rule(SalesforceError, codes=("QUERYTOOCOMPLICATED",), do="Fewer fields a query are needed."),
    Rule(
        SalesforceError,
        codes=("UNSUPPORTEDAPIVERSION", "GONE"),
        do="Set org.api_version to one the org still has.",
    ),
    Rule(SalesforceError, statuses=(410,), do="Set org.api_version to one the org still has."),
    Rule(ObjectUnavailable, codes=("NOTFOUND", "ENTITYISDELETED")),
    Rule(ObjectUnavailable, statuses=(404,)),
    # passing faults of the edge: 420 has no route for the host (REST API guide, Status Codes), 406 is not
    # documented (singer-io/tap-salesforce#184)
    Rule(OrgUnreachable, Remedy.RETRY, statuses=(406, 408, 420)),
    Rule(OrgUnreachable, Remedy.RETRY, statuses=(429,), processed=False),
    Rule(OrgUnreachable, Remedy.RETRY, statuses=_SERVER_ERRORS),
    Rule(
        OrgUnreachable,
        statuses=tuple(range(300, 400)),
        do="The address redirects: set org.login_url to the org's own My Domain.",
    ),
    Rule(SalesforceError),
)
"""The first that matches decides; the last matches everything."""


def refusal(status: int, body: str, *, bulk: bool = False, after_s: float | None = None) -> Refused:
    """Judge an answer that is no success. `bulk`: it answers a call that creates a Bulk job."""
    complaint = read_complaint(body)
    rule = next(rule for rule in RULES if rule.matches(status, complaint, bulk=bulk))
    error = rule.error(_sentence(status, complaint), rule.do, status=status, reason=complaint.code)
    return Refused(error, rule.remedy, after_s=after_s, processed=rule.processed)


def read_complaint(body: str) -> Complaint:
    """Read an error body in any of the four shapes; never fails."""
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError):
        return _from_text(body)
    if isinstance(data, list) and data:
        data = data[0]
    if not isinstance(data, dict):
        return Complaint("", str(data)[:300] if data else "")
    for code, message in _KEYS:
        if code in data:
            return Complaint(str(data[code]), str(data.get(message) or "").strip())
    return Complaint("", str(data.get("message") or data)[:300])


_KEYS = (
    ("errorCode", "message"),
    ("error", "error_description"),
    ("exceptionCode", "exceptionMessage"),
    ("statusCode", "message"),
)


def _from_text(body: str) -> Complaint:
    text = body.strip()
    if not text.startswith("<"):
        return Complaint("", text[:300])
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    return Complaint("", title[1].strip()[:300] if title else "", web_page=True)


def _sentence(status: int, complaint: Complaint) -> str:
    detail = ": ".join(part for part in (complaint.code, complaint.message) if part)
    if complaint.web_page:
        return f"Salesforce answered {status} with a web page" + (f" ({detail})." if detail else ".")
    return f"Salesforce answered {status}" + (f": {detail}" if detail else " without a reason.")


def _plain(code: str) -> str:
    return code.replace("_", "").upper()
