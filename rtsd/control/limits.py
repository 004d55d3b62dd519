"""The org's daily limits: their names for people, and the severity of their use."""

from __future__ import annotations

from rtsd.control.protocol import Limit

NAMES = {
    "DailyApiRequests": "API requests",
    "DailyBulkApiBatches": "Bulk batches",
    "DailyBulkV2QueryJobs": "Bulk query jobs",
    "DailyBulkV2QueryFileStorageMB": "Bulk query MB",
    "DailyAsyncApexExecutions": "async Apex",
    "DailyStreamingApiEvents": "streaming events",
    "DailyDeliveredPlatformEvents": "event deliveries",
}
"""Salesforce's names of its limits (REST API guide, Limits), and ours for people."""

WARN_AT, ERROR_AT = 0.70, 0.95
"""Shares of a daily limit that make a warning, and an error."""


def limit_name(limit: Limit) -> str:
    """Return a limit's name for people."""
    return NAMES.get(limit.name, limit.name.removeprefix("Daily"))


def used_share(limit: Limit) -> float:
    """Return the used part of a limit, 0..1."""
    return used(limit) / limit.max if limit.max > 0 else 1.0


def used(limit: Limit) -> int:
    """Return how much of a limit is used, by everybody."""
    return limit.max - limit.remaining


def limit_role(limit: Limit) -> str:
    """Return the role of a limit's use; an end within a day is a warning however little is used now."""
    share = used_share(limit)
    if share >= ERROR_AT:
        return "error"
    return "warn" if share >= WARN_AT or limit.exhausted_at or limit.reached_at else "ok"


def ceiling_of(limit: Limit) -> int:
    """Return how much of a limit may be used before rtsd stops."""
    return limit.max if limit.stops_at is None else limit.stops_at


def is_stopped(limit: Limit) -> bool:
    """Return True if so much is used that rtsd uses no more."""
    return limit.stops_at is not None and used(limit) >= limit.stops_at


ENOUGH_S = 3_600
"""Seconds that have to be measured before "it lasts" means anything: every start is busy."""


def is_measured(limit: Limit) -> bool:
    """Return True if the rate of a limit's use is known well enough to say that it lasts."""
    return limit.measured_s is None or limit.measured_s >= ENOUGH_S
