"""The documents that views load: a request for each, and the texts that stand in until one is there."""

from __future__ import annotations

from typing import Any

from rtsd.control.client import ControlClient
from rtsd.control.protocol import (
    Actions,
    Audits,
    Conditions,
    History,
    Missed,
    ObjectFields,
    PackageDetails,
    QueryResult,
    QuotaHistory,
    Rules,
    RuleTest,
    Why,
)
from rtsd.core.figures import clock, span
from rtsd.errors import NotFound
from rtstui.document_cache import CachedDocument, DocumentRequest
from rtstui.state import State

PATIENCE_S = 0.3
"""A document usually arrives sooner; a word about waiting would only flicker."""


def actions() -> DocumentRequest[Actions]:
    """What operators did; others act while somebody watches."""
    return DocumentRequest("actions", "the action log", lambda client: client.actions(), max_age_s=2)


def audits() -> DocumentRequest[Audits]:
    """The audits under way, and findings; they come while somebody watches."""
    return DocumentRequest("audits", "the list of audits", lambda client: client.audits(), max_age_s=5)


def quota_history() -> DocumentRequest[QuotaHistory]:
    """Calls by hour, and the use of each limit over the last days."""
    return DocumentRequest(
        "quota history", "the quota's history", lambda client: client.quota_history(), max_age_s=60
    )


def missed(hours: int, since: str) -> DocumentRequest[Missed]:
    """The changes of the last hours that came by no push, by spell."""
    return DocumentRequest(
        f"missed {hours}",
        "the list of missed pushes",
        lambda client: client.missed(since),
        max_age_s=10,
    )


def history(objects: tuple[str, ...], record: str) -> DocumentRequest[History]:
    """A record's past; of several objects, in the first that has the record."""

    async def find(client: ControlClient) -> History:
        for name in objects[:-1]:
            try:
                return await client.history(name, record)
            except NotFound:
                continue
        return await client.history(objects[-1], record)

    return DocumentRequest(f"record {objects} {record}", "this record's history", find)


def why(name: str, record: str, *, ask_org: bool) -> DocumentRequest[Why]:
    """Everything that touched a record; with `ask_org`, for one API call, also how the org shows it."""
    return DocumentRequest(
        f"why {name} {record} {ask_org}",
        "the reasons for this record",
        lambda client: client.why(name, record, ask_org=ask_org),
    )


def query(sql: str) -> DocumentRequest[QueryResult]:
    """The rows of a SELECT."""
    return DocumentRequest(f"sql {sql}", "the result of this query", lambda client: client.query(sql))


def schema() -> DocumentRequest[list[ObjectFields]]:
    """The mirrored tables and their columns."""
    return DocumentRequest("schema", "the tables of the mirror", lambda client: client.schema(), max_age_s=60)


def package() -> DocumentRequest[PackageDetails]:
    """The known facts about the Salesforce package; the org is not asked."""
    return DocumentRequest("package", "the Salesforce package", lambda client: client.package(), max_age_s=10)


def conditions(name: str) -> DocumentRequest[Conditions]:
    """An object's sync conditions as rtsd last read them, for no call."""
    return DocumentRequest(
        f"conditions {name}",
        f"the sync conditions of {name}",
        lambda client: client.conditions(name, ask_org=False),
    )


def rules() -> DocumentRequest[Rules]:
    """Rules and alerts."""
    return DocumentRequest("rules", "rules and alerts", lambda client: client.rules(), max_age_s=5)


def rule_test(name: str, since: str) -> DocumentRequest[RuleTest]:
    """The changes that would have fired a rule."""
    return DocumentRequest(
        f"test {name} {since}",
        "the test of this rule",
        lambda client: client.test_rule(name, since),
    )


def stand_in(document: CachedDocument[Any] | None, state: State) -> str:
    """Return the text to show without a value: still loading, an old daemon, a refusal, no connection."""
    if document is None:
        return "Nothing requested yet."
    if document.unsupported:
        version = state.status.version if state.status else ""
        return (
            f"▲ This rtsd {version} is older than the dashboard: it cannot provide {document.label}. "
            "Upgrade rtsd."
        )
    if not state.live:
        return f"Unknown: rtsd is not connected, and {document.label} was not loaded before."
    if document.problem:
        return f"✖ rtsd cannot provide {document.label}: {document.problem}"
    requested = document.requested_at
    waited = (state.now() - requested).total_seconds() if requested else 0.0
    return f"Asking rtsd for {document.label}… {span(waited)}" if waited >= PATIENCE_S else ""


def as_of(document: CachedDocument[Any] | None, state: State) -> str:
    """Return the beginning of a border text: the moment of an outdated value, nothing for a current one."""
    if document is None or document.at is None or (state.live and not document.problem):
        return ""
    return f"as of {clock(document.at.isoformat())} · "
