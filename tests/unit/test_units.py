"""The systemd units as files: their exposure, their spelling, and how `rtsd service` puts them in place."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from rtsd.cli import main, service

CONFIG = Path(__file__).parents[2] / "config"
SERVICES = ("rtsd.service", "rtsd@.service")
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze, which needs no running systemd for this."""
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


@needs_systemd
@pytest.mark.parametrize("unit", SERVICES)
def test_the_service_is_well_enclosed(unit: str) -> None:
    """Charter 38: an exposure of at most 1.5, where 10 is none of systemd's protection."""
    done = analyze("security", "--offline=true", "--threshold=15", str(CONFIG / unit))
    assert done.returncode == 0, done.stdout[-300:]


@needs_systemd
@pytest.mark.parametrize("unit", [*SERVICES, "rtsd.socket"])
def test_systemd_has_nothing_to_say_against_it(unit: str, tmp_path: Path) -> None:
    """No unknown key, no bad value; with a program that is there."""
    for file_name in service.UNITS:
        text = (CONFIG / file_name).read_text().replace("/opt/rtsd/bin/rtsd", shutil.which("true") or "")
        (tmp_path / file_name.replace("@.", "@acme.")).write_text(text)
    done = analyze("verify", "--man=no", str(tmp_path / unit.replace("@.", "@acme.")))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_both_services_are_the_same_but_for_the_name() -> None:
    """What is changed in one must be changed in the other."""

    def lines(unit: str) -> Sequence[str]:
        text = re.sub(r"(?m)^#.*\n", "", (CONFIG / unit).read_text())
        return text.replace("-%i", "").replace(" (%i)", "").replace("%i.toml", "rtsd.toml").replace("/%i", "")

    assert lines("rtsd.service") == lines("rtsd@.service")


def test_install_and_uninstall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Units, an example configuration and a closed directory for secrets; what was there is kept."""
    monkeypatch.setattr(service, "HIDDEN", ())
    assert main(["service", "install", "--root", str(tmp_path)]) == 0
    units = tmp_path / service.UNIT_DIRECTORY
    assert sorted(path.name for path in units.iterdir()) == sorted(service.UNITS)
    (command,) = re.findall(
        r"(?m)^ExecStart=(\S+) run -c /etc/rtsd/rtsd.toml$", (units / "rtsd.service").read_text()
    )
    assert Path(command).exists()
    home = tmp_path / service.CONFIG_DIRECTORY
    assert stat.S_IMODE((home / "credentials").stat().st_mode) == 0o700
    assert (home / "rtsd.toml").read_text() == (CONFIG / "rtsd.toml").read_text()

    assert "1. sudo rtsd init " in capsys.readouterr().out

    (home / "rtsd.toml").write_text("mine")
    assert main(["service", "install", "--root", str(tmp_path)]) == 0
    assert (home / "rtsd.toml").read_text() == "mine"
    assert "1. sudo systemctl enable --now rtsd" in capsys.readouterr().out

    assert main(["service", "uninstall", "--root", str(tmp_path)]) == 0
    assert list(units.iterdir()) == []
    assert (home / "rtsd.toml").read_text() == "mine"


def test_uninstall_lists_what_an_administrator_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Drop-ins of `systemctl edit` stay, and would count again: they are named, those of others not."""
    monkeypatch.setattr(service, "HIDDEN", ())
    assert main(["service", "install", "--root", str(tmp_path)]) == 0
    units = tmp_path / service.UNIT_DIRECTORY
    names = ("rtsd.service.d", "rtsd@.service.d", "rtsd@acme.service.d", "rtsd.socket.d")
    for name in (*names, "other.service.d"):
        (units / name).mkdir()
        (units / name / "override.conf").touch()
    assert main(["service", "uninstall", "--root", str(tmp_path)]) == 0
    left = capsys.readouterr().out.partition("These stay")[2]
    assert [name for name in names if f"  {units / name}\n" not in left] == []
    assert "other" not in left
    assert all((units / name / "override.conf").exists() for name in names)


def test_a_service_is_not_installed_with_the_login_of_a_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`sf` needs the home of who logged in: it is said, and no unit is written."""
    monkeypatch.setattr(service, "HIDDEN", ())
    home = tmp_path / service.CONFIG_DIRECTORY
    home.mkdir(parents=True)
    (home / "rtsd.toml").write_text('[org]\nauth = "sf"\nusername = "acme"\n')
    assert main(["service", "install", "--root", str(tmp_path)]) == 2
    assert "which a service cannot use" in capsys.readouterr().err
    assert not (tmp_path / service.UNIT_DIRECTORY).exists()


def test_an_rtsd_that_a_service_could_not_see_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """ProtectHome= hides it: that is said before, and not by a unit that fails."""
    monkeypatch.setattr(service, "HIDDEN", (Path("/"),))
    assert main(["service", "install", "--root", str(tmp_path)]) == 2
    assert "/opt/rtsd" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
