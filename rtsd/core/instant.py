"""Instants: whole milliseconds since 1970 (UTC) in memory, one ISO form on disk and on the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

Millis = int
"""Milliseconds since 1970-01-01T00:00Z, or a duration in milliseconds."""

MINUTE_MS: Millis = 60_000
HOUR_MS: Millis = 60 * MINUTE_MS
DAY_MS: Millis = 24 * HOUR_MS

_Z_LENGTH = 24  # 2026-03-01T10:00:00.123Z
_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999  # the years 1 to 9999, the range of ISO text


@lru_cache(maxsize=1_024)  # several values of a change share a moment, and so do records edited together
def to_iso(moment: Millis) -> str:
    """`1772359200123` -> `2026-03-01T10:00:00.123Z`."""
    return f"{_to_second(moment)}.{moment % 1000:03d}Z"


def to_minute(moment: Millis) -> str:
    """`1772359200123` -> `2026-03-01 10:00 UTC`, for people."""
    return f"{_to_second(moment)[:16].replace('T', ' ')} UTC"


@lru_cache(maxsize=1_024)  # a stamp is parsed several times, and records edited together share one
def from_iso(text: str) -> Millis:
    """Parse an ISO 8601 date-time with a zone, such as `…Z`, `…+0000` or `…+00:00`.

    Raises ValueError for anything else, also for a date-time without a zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    found = (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000
    if not _FIRST <= found <= _LAST:
        raise ValueError(f"{text!r} is outside the years 1 to 9999")
    return found


def from_http_date(text: str) -> Millis | None:
    """Parse the value of an HTTP `Date`, of whole seconds; None for anything else."""
    try:
        return int(parsedate_to_datetime(text).timestamp()) * 1000
    except (ValueError, TypeError, OverflowError):
        return None


def normal_iso(text: str) -> str:
    """Return `text` in the mirror's form `YYYY-MM-DDTHH:MM:SS.mmmZ`.

    Salesforce's two spellings take a fast path: `.000+0000` from REST (REST API guide, sObject Get Updated)
    and `.000Z` (Bulk API 2.0 guide, Valid Date Format in Records). The docs do not say which of them Bulk
    results use; rtsd accepts both.
    Raises ValueError for text that is not a date-time.
    """
    if text[7:20:3] == "-T::.":
        if len(text) == _Z_LENGTH and text[-1] == "Z":
            datetime.fromisoformat(text)
            return text
        if len(text) == _Z_LENGTH + 4 and text.endswith("+0000"):
            datetime.fromisoformat(text)
            return text[:-5] + "Z"
    return to_iso(from_iso(text))


def soql_literal(moment: Millis) -> str:
    """A SOQL date-time literal in whole seconds, the resolution of stamps (SOQL Reference, Date Formats)."""
    return f"{_to_second(moment)}Z"


def _to_second(moment: Millis) -> str:
    """`2026-03-01T10:00:00`; not by strftime, whose years before 1000 are shorter than four digits."""
    return datetime.fromtimestamp(moment // 1000, UTC).isoformat()[:19]
