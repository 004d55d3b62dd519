"""The org's delete log: recent deletions, including hard deletes."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from rtsd.core.change import Change, Operation, Source, Version
from rtsd.core.cost import Cost
from rtsd.core.instant import Millis, to_iso
from rtsd.core.window import Window
from rtsd.errors import AuthenticationFailed, OrgUnreachable, QuotaExhausted, SalesforceError, SessionExpired
from rtsd.salesforce.client import Client
from rtsd.salesforce.responses import Deletions
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.reading import in_parts

RETENTION_MS: Millis = 14 * 24 * 3_600_000
"""How far back to read. The log keeps 15 days, or fewer once full (REST API guide, sObject Get Deleted)."""


log = structlog.get_logger("rtsd.deletions")


def log_cost(mirrored: MirroredObject) -> Cost:
    """Return the cost of reading the log of a window."""
    return Cost(api_calls=1 if mirrored.described.schema.replicateable else 0)


@dataclass(frozen=True, slots=True)
class DeleteLog:
    """The logged deletions of a window."""

    changes: list[Change]
    covered: Millis
    """The end of the time that the log covers (ms): later transactions were still running."""


def retained(since: Millis, end: Millis) -> Window:
    """Return the window from `since` to `end` (ms), clamped to the log's retention."""
    return Window(max(since, end - RETENTION_MS), end)


async def read(
    client: Client, mirrored: MirroredObject, window: Window, *, source: Source, purpose: str
) -> DeleteLog | None:
    """Read the log of a window, in parts if it has too many records for one response.

    Return None if the object has no log, or if Salesforce refuses the request, as when the log does not reach
    back far enough or was purged. A refusal makes a fingerprint due. Raises OrgUnreachable,
    AuthenticationFailed, SessionExpired or QuotaExhausted.
    """
    if not mirrored.described.schema.replicateable:
        return None

    async def ask(part: Window) -> Deletions:
        return await client.deleted(mirrored.name, part.start, part.end, purpose=purpose)

    try:
        logs = await in_parts(mirrored.name, window, ask)
    except (OrgUnreachable, AuthenticationFailed, SessionExpired, QuotaExhausted):
        raise
    except SalesforceError as error:
        log.warning("delete log", object=mirrored.name, reason=error.reason, message=error.message)
        mirrored.suspicions.check_now = True  # a fingerprint finds the deletions without the log
        return None
    return DeleteLog(
        changes=[
            Change(mirrored.name, record_id, Operation.DELETE, source, Version(to_iso(at), *part.observed))
            for part in logs
            for record_id, at in part.records
        ],
        covered=min(part.covered for part in logs),
    )
