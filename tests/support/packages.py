"""Programs of PyPI that no other test needs, in an environment of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ENOUGH_S = 400


def installed(place: Path, *requirements: str) -> Path:
    """Install packages, and return the directory with their programs. Skips where pip can't get them."""
    subprocess.run((sys.executable, "-m", "venv", str(place)), check=True, timeout=ENOUGH_S)
    command = (str(place / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *requirements)
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=ENOUGH_S)
    if done.returncode:
        pytest.skip(f"pip can't get {' '.join(requirements)} here: {done.stderr.strip()[-300:]}")
    return place / "bin"
