"""`rtsd move` before it touches a store: what it refuses, and how it says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import Rtsd
from tests.support.configuration import MINIMAL

URL = "postgresql://rts@127.0.0.1:1/acme"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose mirror would be a file beside it."""
    path = tmp_path / "rtsd.toml"
    path.touch(mode=0o600)
    path.write_text(f'{MINIMAL}\n[store]\npath = "mirror.db"\n')
    return path


def test_a_move_needs_a_target_of_the_other_kind(rtsd: Rtsd, config: Path) -> None:
    """Status 2, with the tool for what was meant."""
    status, _, said = rtsd("move", "-c", str(config), "--to", str(config.with_name("other.db")))
    assert (status, "rtsd backup" in said) == (2, True)
    status, _, said = rtsd("move", "-c", str(config))
    assert (status, "--to" in said) == (2, True)


def test_a_password_that_others_can_read_is_refused(rtsd: Rtsd, config: Path) -> None:
    """As every secret of rtsd's; a missing one, too."""
    secret = config.with_name("password")
    command = ("move", "-c", str(config), "--to", URL, "--password-file", str(secret))
    assert rtsd(*command).status == 2
    secret.write_text("s3cret")
    secret.chmod(0o644)
    status, _, said = rtsd(*command)
    assert (status, "chmod 600" in said) == (2, True)


def test_a_missing_mirror_is_named(rtsd: Rtsd, config: Path) -> None:
    """And nothing is created beside it."""
    status, _, said = rtsd("move", "-c", str(config), "--to", URL)
    assert status == 1
    assert f"there is no mirror at {config.with_name('mirror.db')}" in said
    assert [path.name for path in config.parent.iterdir()] == ["rtsd.toml"]
