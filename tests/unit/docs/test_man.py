"""The manual pages: those of this version's commands, and as man(1) wants them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from website import man


def test_they_are_of_this_version() -> None:
    """Run `make man` after a change of a command."""
    assert {path.name: path.read_text() for path in man.PLACE.iterdir()} == man.pages()


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed (Debian: apt install man-db)")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rtsd.1", ("rtsd audit [OPTIONS]", "--accept-missing")),
        ("rtstui.1", ("rtstui serve", "--replay FILE")),
    ],
)
def test_man_shows_them(name: str, words: tuple[str, ...]) -> None:
    """Without a warning of the formatter's, verbs and options included."""
    done = subprocess.run(
        ["man", "--warnings=w", "-l", str(man.PLACE / name)],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "MANWIDTH": "100", "LC_ALL": "C.UTF-8"},
    )
    assert done.stderr == ""
    assert all(word in done.stdout for word in words)
