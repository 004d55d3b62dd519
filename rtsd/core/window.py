"""The time windows that Interval Sync reads."""

from __future__ import annotations

from dataclasses import dataclass

from rtsd.core.instant import HOUR_MS, Millis

SHORTEST_MS: Millis = 120_000
"""`deleted` refuses spans up to a minute and truncates bounds to minutes (REST API guide, Get Deleted)."""

LONGEST_TRANSACTION_MS: Millis = HOUR_MS
"""More than any limit on a transaction: Bulk loads commit in batches that take minutes."""


@dataclass(frozen=True, slots=True)
class Window:
    """The stamps from `start` up to but excluding `end`, on Salesforce's clock."""

    start: Millis
    end: Millis


def lookback_for(configured: Millis, late_by: Millis) -> Millis:
    """The lookback in ms, given that rows were seen to become visible `late_by` ms late.

    Rows can be later still, so allow for twice the observed delay, up to the longest transaction.
    """
    return max(configured, min(2 * late_by, LONGEST_TRANSACTION_MS))


def halves(window: Window) -> tuple[Window, Window] | None:
    """Split the window in two, to be read separately; None for a single second."""
    middle = (window.start + window.end) // 2 // 1000 * 1000
    if middle <= window.start or middle >= window.end:
        return None
    return Window(window.start, middle), Window(middle, window.end)


def next_window(cursor: Millis, now: Millis, lookback: Millis) -> Window:
    """Return the window to read next.

    It starts `lookback` before the cursor: a row is stamped when its transaction writes it but becomes
    visible only at the commit (not documented; seen in live orgs, airbytehq/airbyte#27146). It ends with the
    current second, which the next window reads again once it is complete.
    """
    return Window(cursor - max(lookback, 0), now // 1000 * 1000 + 1000)


def complete_until(read_until: Millis, covered: Millis) -> Millis:
    """Return the time up to which a window that was read up to `read_until` shows every change.

    `covered` is the org's latestDateCovered. It stops at the start of the oldest running transaction, which
    may still commit rows stamped from then on (REST API guide, sObject Get Updated), but not for longer than
    a transaction can last: another tenant's transaction can block it for hours (Salesforce Help, article
    000199029).
    """
    return min(read_until, max(covered, read_until - LONGEST_TRANSACTION_MS))


def next_cursor(cursor: Millis, read_until: Millis, covered: Millis) -> Millis:
    """Return the cursor after a window that was read up to `read_until`; see `complete_until`."""
    return max(cursor, complete_until(read_until, covered))
