"""The org's delete log: recent deletions, including hard deletes."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from rtsd.core.change import Change, Operation, Source, Version
from rtsd.core.instant import Millis, to_iso
from rtsd.core.window import Window
from rtsd.errors import AuthenticationFailed, OrgUnreachable, QuotaExhausted, SalesforceError, SessionExpired
from rtsd.salesforce.client import Client
from rtsd.salesforce.responses import Deletions
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.reading import in_parts

KEPT_MS: Millis = 14 * 24 * 3_600_000
"""How far back to read: the log keeps 15 days, fewer once full (REST API guide, sObject Get Deleted)."""

log = structlog.get_logger("rtsd.deletions")


@dataclass(frozen=True, slots=True)
class DeleteLog:
    """The deletions of a window."""

    changes: list[Change]
    covered: Millis
    """The end of what the log covers: from here on, a transaction was still running."""


def kept(since: Millis, end: Millis) -> Window:
    """The time from `since` to `end`, as far as the log reaches back."""
    return Window(max(since, end - KEPT_MS), end)


async def read(
    client: Client, mirrored: MirroredObject, window: Window, *, source: Source, purpose: str
) -> DeleteLog | None:
    """Read the log of a window, in parts where there are too many records for one answer.

    None when the log does not answer for the object, does not reach back so far, or was purged: then it is
    no evidence, and a fingerprint is due. Raises OrgUnreachable, AuthenticationFailed or
    QuotaExhausted.
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
        mirrored.suspicions.check_now = True  # a fingerprint finds what the log would have named
        return None
    return DeleteLog(
        changes=[
            Change(mirrored.name, record_id, Operation.DELETE, source, Version(to_iso(at), *part.observed))
            for part in logs
            for record_id, at in part.records
        ],
        covered=min(part.covered for part in logs),
    )
