"""What the dashboard's tests share: a short socket path, a fixed time zone, an app at a fixed moment."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _plain_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """The same look everywhere: UTC, colours, no settings or history of the one who runs the tests."""
    for name in ("NO_COLOR", "TEXTUAL_THEME", "RTSD_SOCKET", "XDG_RUNTIME_DIR", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.fixture
def socket() -> Iterator[Path]:
    """A path short enough for a Unix socket (108 bytes)."""
    with tempfile.TemporaryDirectory(prefix="rts") as directory:
        yield Path(directory) / "s"
