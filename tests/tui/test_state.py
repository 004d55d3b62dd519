"""What is kept of what the daemon said: nothing twice, nothing lost unseen."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from rtsd.control.protocol import Event, Frame, Snapshot
from rtstui.state import RING, Gap, Phase, State
from tests.support.dashboard.app import Clock, state
from tests.support.dashboard.scenarios import event, events, live


def frame(rows: list[Event], *, skipped: int = 0, seq: int | None = None, total: int = 0) -> Frame:
    """A frame of the feed."""
    newest = max((row.seq for row in rows), default=0) if seq is None else seq
    return Frame(seq=newest, counters={"change": total, "change.push": total}, skipped=skipped, rows=rows)


def shown(told: State) -> list[int | Gap]:
    """The ring, entries by their number."""
    return [line if isinstance(line, Gap) else line.seq for line in told.ring]


def test_the_model_needs_no_textual() -> None:
    """The state, the connection and all that formats them run without the UI library."""
    modules = ("state", "daemon_link", "documents", "format", "verdict", "filter", "meaning", "clean", "rows")
    code = (
        "import sys, "
        + ", ".join(f"rtstui.{name}" for name in modules)
        + ";sys.exit('textual' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_rows_are_folded_in_order_and_once() -> None:
    """A row that was seen is not shown again, whatever order a frame has."""
    told = state()
    told.fold(frame(list(reversed(events(1, 3)))))
    told.fold(frame(events(2, 5)))
    assert shown(told) == [1, 2, 3, 4, 5]


def test_what_a_frame_leaves_out_is_counted_where_it_is_missing() -> None:
    """A flood shows its newest rows and a mark for the rest."""
    told = state()
    told.fold(frame(events(1, 2)))
    told.fold(frame(events(90, 91), skipped=87))
    assert shown(told) == [1, 2, Gap(87), 90, 91]
    assert told.unshown == 87


def test_a_backfill_is_not_counted_as_missing() -> None:
    """The first frame counts entries from before it; what a backfill brought is there."""
    told = state()
    told.backfill(events(1, 50))
    told.fold(frame(events(49, 52), skipped=48))
    assert shown(told) == list(range(1, 53))
    assert told.unshown == 0


def test_a_break_too_long_to_fetch_is_marked() -> None:
    """What happened while disconnected and is not fetched is said."""
    told = state()
    told.fold(frame(events(1, 2)))
    told.backfill(events(1_003, 1_004), missed=1_000)
    assert shown(told) == [1, 2, Gap(1_000, missed=True), 1_003, 1_004]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=20))
def test_every_entry_is_shown_or_counted(steps: list[tuple[int, int]]) -> None:
    """Shown rows and gaps add up to all there were, for any way of thinning."""
    told, seq, total = state(), 0, 0
    for happened, room in steps:
        kept = min(happened, room)
        rows = [event(number) for number in range(seq + happened - kept + 1, seq + happened + 1)]
        seq, total = seq + happened, total + happened
        told.fold(frame(rows, skipped=happened - kept, seq=seq, total=total))
    assert sum(line.count if isinstance(line, Gap) else 1 for line in told.ring) == seq
    numbers = [line.seq for line in told.ring if isinstance(line, Event)]
    assert numbers == sorted(set(numbers))


def test_the_ring_is_bounded() -> None:
    """A day of events costs no more memory than an hour."""
    told = state()
    told.backfill([Event(seq=number, at="", type="change") for number in range(1, RING + 500)])
    assert len(told.ring) == RING
    assert told.appended == RING + 499


def test_the_rate_is_an_average_and_survives_a_restart_of_the_daemon() -> None:
    """Counters that start again from zero do not make the rate negative or huge."""
    clock = Clock()
    told = state(clock)
    for total in (1_000, 1_050, 1_100, 30):
        told.fold(frame([], skipped=0, seq=total, total=total))
        clock.pass_(1)
    assert told.rates(4) == [0, 50, 50, 0]
    assert told.rate() == 20


def test_a_status_is_cleaned_and_dated() -> None:
    """Strings of the org cannot steer the terminal, and their age is known."""
    told, status = state(), live()
    status.org.name = "\x1b[2J"
    told.fold(Snapshot(status=status))
    assert told.status is not None
    assert told.status.org.name == "␛[2J"
    assert told.status_at == told.now()


def test_a_phase_keeps_its_start_while_attempts_pass() -> None:
    """`LOST 27s` counts from the loss, not from the last attempt."""
    clock = Clock()
    told = state(clock)
    told.relink(Phase.LOST, "gone", attempt=1)
    since = told.link.since
    clock.pass_(5)
    told.relink(Phase.LOST, "gone \x1b[31m", attempt=2)
    assert told.link.since == since
    assert told.link.message == "gone ␛[31m"
