"""What is published: the same bytes from the same source, whoever builds it, wherever and whenever."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Build = Callable[[Path], dict[str, bytes]]


@pytest.fixture
def source(tmp_path: Path) -> Callable[[str, int], Path]:
    """Copies the tracked files into a directory of this name, changed at this moment (s)."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip(f"not a checkout: {listed.stderr.decode().strip()}")
    files = [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]

    def copy(name: str, changed_at: int) -> Path:
        for file in files:
            target = tmp_path / name / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / file, target)
            os.utime(target, (changed_at, changed_at))
        return tmp_path / name

    return copy


def build(source: Path) -> dict[str, bytes]:
    """Build wheel and sdist from a directory; their bytes by name."""
    place = source.with_name(f"{source.name}.dist")
    environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(place)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return {path.name: path.read_bytes() for path in place.iterdir()}


def test_builds_are_the_same(source: Callable[[str, int], Path], tmp_path: Path) -> None:
    """From two places and times, and from the sdist: the same bytes."""
    first, second = build(source("here", 1_600_000_000)), build(source("there", 1_700_000_000))
    assert first == second
    (sdist,) = (name for name in first if name.endswith(".tar.gz"))
    (wheel,) = (name for name in first if name.endswith(".whl"))
    subprocess.run(["tar", "-xzf", str(tmp_path / "here.dist" / sdist), "-C", str(tmp_path)], check=True)
    again = build(tmp_path / sdist.removesuffix(".tar.gz"))
    assert again[wheel] == first[wheel]
    assert again[sdist] == first[sdist]
