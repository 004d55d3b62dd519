"""Windows: the slices of time that Interval Sync reads."""

from __future__ import annotations

from dataclasses import dataclass

from rtsd.core.instant import Millis

SHORTEST_MS: Millis = 120_000
"""`deleted` refuses a minute or less, and cuts bounds to minutes (REST API guide, sObject Get Deleted)."""

LONGEST_TRANSACTION_MS: Millis = 3_600_000
"""Bulk loads commit in pieces of minutes; an hour is beyond every limit on a transaction."""


@dataclass(frozen=True, slots=True)
class Window:
    """Everything stamped from `start` up to, but not including, `end`; on Salesforce's clock."""

    start: Millis
    end: Millis


def lookback_for(configured: Millis, late_by: Millis) -> Millis:
    """How far behind the cursor to read, when rows were seen to become visible `late_by` ms late.

    What was late once is late again, and more so: twice that, up to the longest transaction.
    """
    return max(configured, min(2 * late_by, LONGEST_TRANSACTION_MS))


def halves(window: Window) -> tuple[Window, Window] | None:
    """Return the window in two, to be read one by one; None when it is a single second."""
    middle = (window.start + window.end) // 2 // 1000 * 1000
    if middle <= window.start or middle >= window.end:
        return None
    return Window(window.start, middle), Window(middle, window.end)


def next_window(cursor: Millis, now: Millis, lookback: Millis) -> Window:
    """Return the slice to read next.

    It begins `lookback` behind the cursor: a row carries the stamp of the moment at which its transaction
    wrote it, and becomes visible only at the commit (not documented; seen in live orgs,
    airbytehq/airbyte#27146). It ends with the second that is still running, so that what is stamped in
    it is read by the next window too.
    """
    return Window(cursor - max(lookback, 0), now // 1000 * 1000 + 1000)


def next_cursor(cursor: Millis, read_until: Millis, covered: Millis) -> Millis:
    """Return the cursor after a window that was read up to `read_until`.

    `covered` is the org's latestDateCovered: it stays at the start of the oldest transaction that is still
    running, which may write rows with stamps from then on (REST API guide, sObject Get Updated). The cursor
    waits for it, for as long as a transaction can last; it may be stuck for hours because of another
    tenant's (Salesforce Help, article 000199029).
    """
    waits_until = max(covered, read_until - LONGEST_TRANSACTION_MS)
    return max(cursor, min(read_until, waits_until))
