"""Log lines: their form, and what never gets into them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from rtsd import logs


def log_of(program: str, **environ: str) -> list[str]:
    """Run a program that logs, in a process of its own as logging is global, and return its stderr lines."""
    result = subprocess.run(
        [sys.executable, "-c", "import logging, structlog\nfrom rtsd import logs\n" + program],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert result.stdout == ""
    return result.stderr.splitlines()


def test_a_line_is_logfmt_with_a_time() -> None:
    """On a terminal each line has its moment, level and values."""
    (line,) = log_of(
        "logs.setup(form='text')\nstructlog.get_logger('x').info('push committed', n=2, name='a b')"
    )
    assert line.startswith("at=20")
    assert line.endswith('level=info event="push committed" n=2 name="a b"')


def test_under_journald_it_has_a_priority_and_no_time() -> None:
    """The journal knows the time and files a line by its first characters."""
    lines = log_of(
        "logs.setup(form='text')\nlog = structlog.get_logger('x')\nlog.warning('slow')\nlog.error('gone')",
        JOURNAL_STREAM="8:1",
    )
    assert lines == ["<4>level=warning event=slow", "<3>level=error event=gone"]


def test_the_journal_gets_entries_with_fields(tmp_path: Path) -> None:
    """Where stderr leads there: by the native protocol; and by the stream while nobody takes them."""
    with (
        (tmp_path / "stream").open("w+") as stream,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal,
    ):
        journal.bind(str(tmp_path / "journal"))
        journal.settimeout(10)
        found = os.fstat(stream.fileno())
        program = (
            "import pathlib, structlog\nfrom rtsd import logs\n"
            f"journal = pathlib.Path({str(tmp_path / 'journal')!r})\n"
            "logs.setup(journal=journal)\nlog = structlog.get_logger('x')\n"
            r"log.warning('window', object='Contact', rows=3, note='a\nPRIORITY=0')"
            "\njournal.unlink()\nlog.error('gone')"
        )
        stream_id = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        command = [sys.executable, "-c", program]
        subprocess.run(command, env=stream_id, stderr=stream, check=True, timeout=20)
        sent = dict(line.split("=", 1) for line in journal.recv(1 << 16).decode().splitlines())
        stream.seek(0)
        assert stream.read() == '<3>{"level": "error", "event": "gone"}\n'
    assert json.loads(sent.pop("MESSAGE"))["object"] == "Contact"
    assert sent == {
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "rtsd",
        "RTS_EVENT": "window",
        "RTS_OBJECT": "Contact",
        "RTS_ROWS": "3",
        "RTS_NOTE": r"a\nPRIORITY=0",
    }


def test_for_programs_a_line_is_json() -> None:
    """Whatever is no terminal reads objects: time, level, event, values; nothing for what has none."""
    lines = log_of(
        "logs.setup()\nlog = structlog.get_logger('x')\n"
        "log.info('push', n=2, ms=0.5, name='Zoë \\n', gone=None)\n"
        "logging.getLogger('y').warning('plain %s', 1)"
    )
    first, second = (json.loads(line) for line in lines)
    assert first.pop("at").startswith("20")
    assert first == {"level": "info", "event": "push", "n": 2, "ms": 0.5, "name": "Zoë \\n"}
    assert second["event"] == "plain 1"
    (line,) = log_of("logs.setup()\nstructlog.get_logger('x').error('gone')", JOURNAL_STREAM="8:1")
    assert line == '<3>{"level": "error", "event": "gone"}'


def test_the_level_is_the_least_that_is_logged() -> None:
    """--log-level warning drops what is below, from structlog and logging alike."""
    lines = log_of(
        "logs.setup('warning', 'text')\nstructlog.get_logger('x').info('no')\n"
        "logging.getLogger('y').info('no')\n"
        "logging.getLogger('y').warning('yes %s', 1)"
    )
    assert [line.partition(" ")[2] for line in lines] == ['level=warning event="yes 1"']


def test_secrets_are_redacted_wherever_they_are() -> None:
    """In the event, in a value, in a traceback, and line by line in a PEM key."""
    lines = log_of(
        "logs.setup(form='text')\n"
        "logs.conceal(['canary-1', '-----BEGIN KEY-----\\nMIIEvQIBADANBgkqh\\n-----END KEY-----'])\n"
        "log = structlog.get_logger('x')\n"
        "log.info('login canary-1', token='canary-1', both=['xcanary-1x'])\n"
        "log.info('key', line='MIIEvQIBADANBgkqh')\n"
        "try:\n    raise ValueError('canary-1')\nexcept ValueError:\n    log.exception('failed')\n"
        "logging.getLogger('lib').error('lib %s', 'canary-1')\n"
    )
    text = "\n".join(lines)
    assert "canary" not in text
    assert "MIIE" not in text
    assert text.count("[redacted]") >= 6
    assert len(lines) == 4


def test_control_characters_are_escaped() -> None:
    """A record's value can neither forge a line nor steer the terminal."""
    (line,) = log_of(
        "logs.setup(form='text')\n"
        "structlog.get_logger('x').info('v', value='a\\nlevel=error\\x1b]0;x\\x07\\u202e')"
    )
    assert line.endswith(r'value="a\\nlevel=error\\x1b]0;x\\x07\\u202e"')


@pytest.mark.parametrize("text", ["plain", "Zoë 李雷 😀", 'quotes " and = signs', ""])
def test_clean_leaves_what_can_be_read(text: str) -> None:
    """Names in any script stay as they are."""
    assert logs.clean(text) == text


def test_clean_leaves_nothing_that_steers() -> None:
    """C0, C1, DEL, bidi overrides, line separators and lone surrogates are spelled out."""
    dirty = "\x00\x07\x1b\x7f\x9b\r\n\u2028\u2029\u202e\u2066\ud800\ue000"
    assert logs.clean(dirty).isascii()
    assert logs.clean(dirty).isprintable()
