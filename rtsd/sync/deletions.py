"""The org's delete log: what was deleted lately, hard deletes included."""

from __future__ import annotations

import structlog

from rtsd.core.instant import Millis
from rtsd.core.window import SHORTEST_MS
from rtsd.errors import AuthenticationFailed, OrgUnreachable, QuotaExhausted, SalesforceError, SessionExpired
from rtsd.salesforce.responses import Deletions
from rtsd.sync.catalog import MirroredObject
from rtsd.sync.engine import Engine

KEPT_MS: Millis = 14 * 24 * 3_600_000
"""How far back it is asked: it keeps 15 days, fewer once full (REST API guide, sObject Get Deleted)."""

log = structlog.get_logger("rtsd.deletions")


async def read(
    engine: Engine, mirrored: MirroredObject, since: Millis, end: Millis, *, purpose: str
) -> Deletions | None:
    """What was deleted between `since` and `end`, as far as the log reaches back.

    None when the log does not answer for the object, or was purged: then it is no evidence, and the next
    fingerprint has to tell. Raises OrgUnreachable, AuthenticationFailed or QuotaExhausted.
    """
    if not mirrored.described.schema.replicateable:
        return None
    start = max(min(since, end - SHORTEST_MS), end - KEPT_MS)
    try:
        return await engine.client.deleted(mirrored.name, start, end, purpose=purpose)
    except (OrgUnreachable, AuthenticationFailed, SessionExpired, QuotaExhausted):
        raise
    except SalesforceError as error:
        log.warning("delete log", object=mirrored.name, reason=error.reason, message=error.message)
        mirrored.checked_at = None  # a fingerprint is due: it finds what the log would have named
        return None
