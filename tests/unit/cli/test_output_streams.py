"""Where stdout is closed, full, or nobody reads it any more: an exit status, and no talk of bugs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

VERBS = (("--help",), ("status",), ("status", "--json"), ("objects",), ("quota",))


def run(redirection: str, *words: str) -> tuple[int, str]:
    """Run rtsd in a shell with a redirection; return its exit status and stderr."""
    command = f'exec "$0" -m rtsd "$@" {redirection}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[3],
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_a_full_disk_is_told(daemon: Any, words: tuple[str, ...]) -> None:
    """/dev/full takes nothing: status 1 and one clear line, whatever the verb."""
    status, told = run(">/dev/full", *words)
    assert (status, "No space left on device" in told) == (1, True), told
    assert "bug" not in told
    assert "Traceback" not in told
    assert "Exception ignored" not in told


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_a_reader_that_went_away_is_no_mistake(daemon: Any, words: tuple[str, ...]) -> None:
    """As in `rtsd events | head -1`: nothing is said."""
    status, told = run("| { exec <&-; sleep 0.5; }", *words)
    assert told == "", told
    assert status == 0  # of the pipe's end


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_no_stdout_at_all(daemon: Any, words: tuple[str, ...]) -> None:
    """`>&-`: there is nothing to write to, and nothing to complain about."""
    status, told = run(">&-", *words)
    assert status in (0, 1), told
    assert "bug" not in told
    assert "Traceback" not in told


def test_stderr_may_be_full_too(daemon: Any) -> None:
    """The exit status is all that can be told then."""
    assert run(">/dev/full 2>/dev/full", "status")[0] == 1
