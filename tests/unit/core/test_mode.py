"""The mode machine: a table without holes, and the sentences of the contract as rows of it."""

from __future__ import annotations

from itertools import product

import pytest

from rtsd.core.mode import READS_BY_INTERVAL, TRANSITIONS, Mode, Signal, next_mode

M, S = Mode, Signal


def test_every_signal_has_an_answer_in_every_mode() -> None:
    """The table is total, and holds nothing else."""
    assert set(TRANSITIONS) == set(product(Mode, Signal))


@pytest.mark.parametrize("mode", list(Mode))
def test_a_push_proves_that_push_works(mode: Mode) -> None:
    """Contract 3: real_time whatever else is known of the package; only a pause outranks it."""
    assert next_mode(mode, S.PUSH) is (M.PAUSED if mode is M.PAUSED else M.REAL_TIME)


@pytest.mark.parametrize("signal", [signal for signal in Signal if signal is not S.RESUME])
def test_only_resume_ends_a_pause(signal: Signal) -> None:
    """An operator's pause holds against everything."""
    assert next_mode(M.PAUSED, signal) is M.PAUSED


@pytest.mark.parametrize("mode", list(Mode))
def test_pause_is_possible_everywhere(mode: Mode) -> None:
    """And resuming begins with Interval Sync, which proves nothing was missed."""
    assert next_mode(mode, S.PAUSE) is M.PAUSED
    assert next_mode(M.PAUSED, S.RESUME) is M.INTERVAL


@pytest.mark.parametrize("signal", [signal for signal in Signal if signal is not S.PUSH])
def test_nothing_but_a_push_leads_to_real_time(signal: Signal) -> None:
    """Real time is claimed only on the evidence of a push."""
    entered = {mode for mode in Mode if next_mode(mode, signal) is M.REAL_TIME}
    assert entered <= {M.REAL_TIME}


SENTENCES = [
    (M.REAL_TIME, S.SILENCE, M.INTERVAL),
    (M.AWAITING_PACKAGE, S.PACKAGE_FOUND, M.INTERVAL),
    (M.INTERVAL, S.PACKAGE_MISSING, M.AWAITING_PACKAGE),
    (M.REAL_TIME, S.PACKAGE_MISSING, M.AWAITING_PACKAGE),
    (M.REAL_TIME, S.PACKAGE_DISABLED, M.DISABLED),
    (M.DISABLED, S.PACKAGE_ENABLED, M.INTERVAL),
    (M.DISABLED, S.SILENCE, M.DISABLED),
    (M.INTERVAL, S.ORG_UNREACHABLE, M.UNREACHABLE),
    (M.REAL_TIME, S.ORG_UNREACHABLE, M.REAL_TIME),
    (M.UNREACHABLE, S.ORG_REACHABLE, M.INTERVAL),
    (M.UNREACHABLE, S.SILENCE, M.UNREACHABLE),
]


@pytest.mark.parametrize(("mode", "signal", "target"), SENTENCES)
def test_what_follows_what(mode: Mode, signal: Signal, target: Mode) -> None:
    """The rows that people rely on, one by one."""
    assert next_mode(mode, signal) is target


def test_the_mirror_is_always_mirrored_right_by_something() -> None:
    """In every mode but real time and paused, windows are read; in unreachable that is the probe."""
    assert set(Mode) - READS_BY_INTERVAL == {M.REAL_TIME, M.PAUSED}
