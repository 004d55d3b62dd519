"""Polls of Bulk jobs: the pauses between them, and what a job costs in calls and time."""

from __future__ import annotations

from rtsd.core.cost import Cost
from rtsd.core.instant import Millis

FIRST_POLL_S = 0.1
_LONGEST_POLL_S = 3.0
_SHARE_OF_WAIT = 16
"""Polls of a long job become rarer: the pause is a sixteenth of the time so far, up to the next constant."""
_LONGEST_LATE_POLL_S = 30.0
PAGE_ROWS = 50_000
"""Rows in a page of a result, unless the caller wants others."""
_PREPARED_PER_S = 40_000
"""The approximate number of rows that the org prepares in a second, for estimates."""
_READ_PER_S = 10_000
"""A conservative number of rows read in a second, for estimates."""
_QUEUED_S = 3
"""The time even a small job spends in the queue, for estimates."""


def job_cost(rows: int, page_rows: int = PAGE_ROWS) -> Cost:
    """Estimate a job with so many rows: its creation, polls, pages and deletion."""
    pages = max(1, -(-rows // page_rows))
    calls = 2 + _polls(rows / _PREPARED_PER_S) + pages
    return Cost(api_calls=calls, bulk_jobs=1, minutes=(rows / _READ_PER_S + _QUEUED_S) / 60)


def _polls(seconds: float) -> int:
    """Return the number of polls until a job is complete after that time: at once, then after each pause."""
    polls, waited, pause = 1, 0.0, FIRST_POLL_S
    while waited + pause < seconds:
        waited += pause
        pause = next_pause(pause, int(waited * 1000))
        polls += 1
    return polls


def next_pause(pause: float, waited: Millis) -> float:
    """Return the pause in s before the next poll, after a pause and ms of waiting in all."""
    late = min(waited / 1000 / _SHARE_OF_WAIT, _LONGEST_LATE_POLL_S)
    return max(min(pause * 2, _LONGEST_POLL_S), late)
