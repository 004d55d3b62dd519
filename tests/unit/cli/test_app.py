"""The command itself: help, versions, and what errors become."""

from __future__ import annotations

import errno
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from rtsd import __version__
from rtsd.cli import app
from rtsd.errors import AnotherInstance, RtsError

Rtsd = Callable[..., Any]
VERBS = {name: text for verbs in app.SECTIONS.values() for name, text in verbs.items()}


def test_help_names_every_verb(rtsd: Rtsd) -> None:
    """Both spellings teach the same, and end well."""
    status, out, err = rtsd("--help")
    assert (status, err) == (0, "")
    assert [name for name in VERBS if f"\n  {name} " not in out] == []
    assert rtsd("-h").out == out


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_is_there_and_teaches(verb: str, rtsd: Rtsd) -> None:
    """Its module loads, its help has examples, and says first what the list of verbs says."""
    status, out, err = rtsd(verb, "--help")
    assert (status, err) == (0, "")
    assert VERBS[verb].rstrip(".") in " ".join(out.split())
    assert f"Examples:\n    rtsd {verb}" in out


def test_every_verb_file_is_a_verb() -> None:
    """A verb that is written but not listed could not be used."""
    files = {path.stem.removesuffix("_").replace("_", "-") for path in Path(app.__file__).parent.glob("*.py")}
    assert files - set(VERBS) == {
        "--init-",
        "app",
        "ask",
        "estimate",
        "event-lines",
        "export-files",
        "groups",
        "options",
        "output",
        "package-lines",
        "progress-line",
        "questions",
        "subscription",
        "talk",
        "whole-file",
    }


def test_help_loads_nothing_heavy() -> None:
    """What only the daemon needs is not imported for help: it must be there at once."""
    program = (
        "import sys; from rtsd.cli import main; main(['--help']);"
        "heavy = {'aiohttp', 'pydantic', 'structlog', 'simple_salesforce', 'lark'} & set(sys.modules);"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=20)


@pytest.mark.parametrize("words", [["--version"], ["status", "--version"], ["dead-letters", "--version"]])
def test_version_everywhere(words: list[str], rtsd: Rtsd) -> None:
    """The version is asked for in any place."""
    assert rtsd(*words) == (0, f"rtsd {__version__}\n", "")


@pytest.mark.parametrize("words", [["staus"], ["status", "--bla"], ["repair"], ["events", "--limit", "0"]])
def test_wrong_usage_is_two_lines_and_2(words: list[str], rtsd: Rtsd) -> None:
    """What is wrong, and where to read how it is right."""
    status, out, err = rtsd(*words)
    assert (status, out) == (2, "")
    assert re.fullmatch(r"rtsd: .+\n      See rtsd.* --help\.\n", err)


def test_no_verb_shows_help_and_is_2(rtsd: Rtsd) -> None:
    """A bare `rtsd` teaches, but a script did not get what it wanted."""
    status, out, _ = rtsd()
    assert status == 2
    assert "Usage: rtsd" in out


def test_no_daemon_is_3(rtsd: Rtsd, tmp_path: Path) -> None:
    """Two lines: which socket, and how to start one."""
    status, out, err = rtsd("status", "--socket", str(tmp_path / "none.sock"))
    assert (status, out) == (3, "")
    assert err.startswith(f"rtsd: No rtsd here: {tmp_path}/none.sock does not exist.\n      Start it")


def test_all_mistakes_of_a_configuration_and_2(rtsd: Rtsd, tmp_path: Path) -> None:
    """Each mistake is a line; nothing was started."""
    path = tmp_path / "rtsd.toml"
    path.write_text('[sync]\ninterval = "soon"\n[[objects]]\nnom = "Contact"\n')
    status, out, err = rtsd("run", "-c", str(path))
    assert (status, out) == (2, "")
    lines = err.splitlines()
    assert lines[0] == f"rtsd: {path} has {len(lines) - 1} mistakes:"
    assert any(line.startswith("      sync.interval: 'soon' is not a duration; such as") for line in lines)
    assert any(line.startswith("      objects[1].nom: is not a key here; name, ") for line in lines)


def with_verb(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Make `rtsd status` do `action`."""
    command = click.Command("status", callback=action)
    monkeypatch.setattr("rtsd.cli.status.status", command)


def raising(error: BaseException) -> Callable[[], object]:
    """Return what raises `error`."""

    def action() -> object:
        raise error

    return action


def test_an_error_of_ours_has_its_status(rtsd: Rtsd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also out of a task group, and cleaned of what would steer the terminal."""
    with_verb(monkeypatch, raising(AnotherInstance("held by\x1b 7", "stop it")))
    assert rtsd("status") == (75, "", "rtsd: held by\\x1b 7\n      stop it\n")
    with_verb(monkeypatch, raising(ExceptionGroup("g", [ExceptionGroup("h", [RtsError("disk", "free it")])])))
    assert rtsd("status") == (1, "", "rtsd: disk\n      free it\n")


def test_a_bug_is_two_lines_and_a_file(rtsd: Rtsd, monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback reaches a user; it is kept for the report."""
    with_verb(monkeypatch, raising(KeyError("lost")))
    status, out, err = rtsd("status")
    assert (status, out) == (1, "")
    first, second = err.splitlines()
    assert first == "rtsd: This is a bug in rtsd: KeyError: 'lost'"
    file = Path(re.search(r"in (\S+\.log);", second)[1])  # type: ignore[index]
    assert "Traceback" in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    file.unlink()


def test_a_closed_directory_is_no_bug(rtsd: Rtsd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever file it was: its name, the user, and what helps."""
    refused = PermissionError(errno.EACCES, "Permission denied", "/srv/acme/mirror.db")
    with_verb(monkeypatch, raising(ExceptionGroup("g", [refused])))
    monkeypatch.setattr("os.geteuid", lambda: 65534)
    status, out, err = rtsd("status")
    assert (status, out) == (1, "")
    assert err.splitlines() == [
        "rtsd: /srv/acme/mirror.db: no permission for the user nobody.",
        "      Give this user access, or run rtsd as one that has it.",
    ]


def test_a_developer_sees_the_traceback(rtsd: Rtsd, monkeypatch: pytest.MonkeyPatch) -> None:
    """$RTSD_DEBUG lets a bug through."""
    monkeypatch.setenv("RTSD_DEBUG", "1")
    with_verb(monkeypatch, raising(KeyError("lost")))
    with pytest.raises(KeyError):
        rtsd("status")


def test_interrupting_is_quiet_and_130(rtsd: Rtsd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C leaves nothing on the screen."""
    with_verb(monkeypatch, raising(KeyboardInterrupt()))
    status, out, err = rtsd("status")
    assert (status, out, err.strip()) == (130, "", "")


def test_a_reader_that_leaves_is_no_error(daemon: Any) -> None:
    """`rtsd events | head -1` ends without a word on stderr."""
    entries = [
        b'{"seq":%d,"at":"2026-03-01T10:00:00.000Z","type":"change"}' % seq for seq in range(1, 20_000)
    ]
    daemon.answers["GET /v1/events?after=0&limit=1000"] = entries
    rtsd = subprocess.Popen(
        [sys.executable, "-m", "rtsd", "events", "--after", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert rtsd.stdout is not None
    assert rtsd.stderr is not None
    assert rtsd.stdout.readline().startswith(b"1 ")
    rtsd.stdout.close()
    assert rtsd.stderr.read() == b""
    rtsd.stderr.close()
    rtsd.wait(10)
