"""What is published: the wheel, in an environment that has nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.packages import installed

ROOT = Path(__file__).parents[2]
ENOUGH_S = 300


def run(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=ENOUGH_S, cwd=cwd)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """The wheel, built from this checkout. Skipped where pip can get no packages."""
    built = run(sys.executable, "-m", "venv", str(tmp_path / "build"))
    assert built.returncode == 0, built.stderr
    pip = str(tmp_path / "build" / "bin" / "pip")
    done = run(pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT))
    if done.returncode and "hatchling" in done.stderr:
        pytest.skip(f"pip can't get hatchling here: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr[-2000:]
    (found,) = tmp_path.glob("*.whl")
    return found


def test_the_wheel_plays_the_demo(wheel: Path, tmp_path: Path) -> None:
    """Installed alone it has all it needs: data files, units, dashboard; and ends with an equal mirror."""
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "rtsd/examples/rtsd.service",
        "rtsd/examples/rtsd.toml",
        "rtstui/rtstui.tcss",
        "rtsd/py.typed",
    ):
        assert needed in names
    assert not [name for name in names if name.startswith(("tests", "docs"))]
    home = tmp_path / "home"
    assert run(sys.executable, "-m", "venv", str(home)).returncode == 0
    installed = run(str(home / "bin" / "pip"), "install", "--quiet", str(wheel))
    if "Could not find a version" in installed.stderr and "Connection" in installed.stderr:
        pytest.skip(f"pip can't get the dependencies here: {installed.stderr[-300:]}")
    assert installed.returncode == 0, installed.stderr[-2000:]
    rtsd = str(home / "bin" / "rtsd")
    assert run(rtsd, "--version", cwd=tmp_path).stdout.startswith("rtsd ")
    assert run(str(home / "bin" / "rtstui"), "--version", cwd=tmp_path).returncode == 0
    played = run(rtsd, "demo", "--headless", "--seconds", "8", "--records", "Contact=2000", cwd=tmp_path)
    assert played.returncode == 0, played.stdout[-1000:] + played.stderr[-2000:]
    last = json.loads(played.stdout.splitlines()[-1])
    assert last["equal"] is True, last
    image = tmp_path / "image"
    done = run(rtsd, "service", "install", "--root", str(image), cwd=tmp_path)
    assert done.returncode == 0 or "where a service may not look" in done.stderr


def test_pipx_installs_it(wheel: Path, tmp_path: Path) -> None:
    """One command brings the commands and their manual pages, in an environment of their own."""
    programs = installed(tmp_path / "pipx", "pipx")
    places = {f"PIPX_{what}": str(tmp_path / what.lower()) for what in ("HOME", "BIN_DIR", "MAN_DIR")}
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **places}
    environment |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
    done = subprocess.run(
        [str(programs / "pipx"), "install", "--python", sys.executable, str(wheel)],
        capture_output=True,
        text=True,
        check=False,
        timeout=ENOUGH_S,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert run(str(tmp_path / "bin_dir" / "rtsd"), "--version", cwd=tmp_path).stdout.startswith("rtsd ")
    assert (tmp_path / "man_dir" / "man1" / "rtsd.1").read_text().startswith(".TH RTSD 1")
