"""A configuration that works, to be spoiled one way at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsd import config
from rtsd.errors import ConfigError
from tests.support.configuration import MINIMAL, Load, Mistakes


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write a text as rtsd.toml and load it; `more` is added to the minimal one."""

    def write_and_load(text: str = MINIMAL, more: str = "", **environ: str) -> config.Config:
        path = tmp_path / "rtsd.toml"
        path.write_text(text + more)
        path.chmod(0o600)
        return config.load(path, environ)

    return write_and_load


@pytest.fixture
def mistakes(load: Load) -> Mistakes:
    """Load what must be refused and return its mistakes."""

    def refused(text: str = MINIMAL, more: str = "", **environ: str) -> tuple[str, ...]:
        with pytest.raises(ConfigError) as caught:
            load(text, more, **environ)
        assert caught.value.exit_status == 2
        return caught.value.mistakes

    return refused
