"""The main job from end to end, as `make demo` runs it, only smaller."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.dashboard.app import until
from tests.support.dashboard.terminal import terminal

DEMO = [
    sys.executable,
    "-m",
    "rtsd",
    "demo",
    "--headless",
    "--records",
    "Contact=300",
    "--records",
    "Lead=100",
]


def is_alive(pid: int) -> bool:
    """Whether there is still a process `pid`."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    "channel",
    ["gateway", pytest.param("stream", marks=pytest.mark.slow), pytest.param("cdc", marks=pytest.mark.slow)],
)
def test_the_demo_ends_equal(tmp_path: Path, channel: str) -> None:
    """Load, imports, edits, deletes, a silent spell: in the end the mirror is the org."""
    done = subprocess.run(
        [*DEMO, "--seconds", "4", "--dir", str(tmp_path / "demo"), "--channel", channel],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["equal"] is True
    assert set(result["objects"]) == {"Contact", "Lead"}
    assert result["objects"]["Contact"]["rows"] >= 300 + 4 * 200
    assert result["by_source"]["push"] >= 4 * 200
    assert result["freshness_ms"]["p50"] <= 2_000
    assert "mode      interval" in done.stdout
    assert done.stdout.count("mode      real_time") >= 2


@pytest.mark.slow
@postgres.NEEDED
def test_the_demo_ends_equal_in_a_database(tmp_path: Path) -> None:
    """The same with the mirror in PostgreSQL; a second time it is refused, as its org is gone."""
    with postgres.cluster("-F") as url:
        command = [*DEMO, "--seconds", "2", "--store", url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        result = json.loads(done.stdout.splitlines()[-1])
        assert result["equal"] is True
        assert result["objects"]["Contact"]["rows"] >= 300 + 4 * 200
        again = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert again.returncode == 1
    assert "has a mirror already" in again.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_the_demo_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM stop the daemon and the org too, without a traceback."""
    demo = subprocess.Popen(
        [*DEMO, "--seconds", "600"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - ignored in `… &`
    )
    assert demo.stdout is not None
    daemon = None
    for line in demo.stdout:
        if line.startswith("daemon"):
            daemon = int(line.split()[2].strip(","))
        if line.startswith("edits"):
            break
    demo.send_signal(number)
    _, errors = demo.communicate(timeout=90)
    assert demo.returncode == 130
    assert "Traceback" not in errors
    assert daemon is not None
    assert not is_alive(daemon)
    assert list(tmp_path.iterdir()) == []


async def test_the_demo_tells_its_story_and_proves_it(tmp_path: Path) -> None:
    """Each step has a line in the dashboard; at its end the mirror is compared, value by value."""
    options = ("demo", "--records", "Contact=300", "--records", "Lead=100", "--dir", str(tmp_path / "demo"))
    async with terminal(*options, program="rtsd") as opened:
        for told in STORY:
            await until(lambda told=told: told in opened.output, seconds=180)
        opened.press(b"q")
        assert await opened.ended(seconds=120) == 0
    text = opened.output.decode().rpartition("\x1b[?1049l")[2]
    assert b"DEMO" in opened.output
    lost = re.search(
        r"pushes lost +(\d+); ([\d,]+) changes came without a push\s+changes lost +(\d+)\s+"
        r"dead letters +1, not applied: Survey__c is not mirrored",
        text,
    )
    assert lost is not None, text
    assert int(lost[1]) > 0
    assert int(lost[2].replace(",", "")) > 0
    assert lost[3] == "0"
    assert re.search(r"API calls +[\d,]+ in all, the first load included; [\d,]+ since the dashboard", text)
    rows, values = re.findall(r"(?m)^all +([\d,]+) +([\d,]+)  0", text)[0]
    assert int(values.replace(",", "")) > int(rows.replace(",", "")) > 400
    with closing(sqlite3.connect(tmp_path / "demo" / "mirror.db")) as mirror:
        (phone,) = mirror.execute("SELECT Phone FROM Contact WHERE Phone IS NOT NULL LIMIT 1").fetchone()
    assert re.fullmatch("[0-9a-f]{32}", phone), "the field is not hashed"
    assert (tmp_path / "demo" / "leads.log").read_text().count("new-lead") > 0
    assert "silent" in (tmp_path / "demo" / "alerts.log").read_text()


STORY = (
    b"People edit the org.",
    b"That is one push.",
    b"A rule runs a command",
    b"In a second terminal: rtsd status",
    b"The org now loses every push",
    b"Interval Sync has read what was lost",
    b"without any Apex trigger",
    b"rtsd now audits Contact",
    b"The audit found and repaired",
)
"""What is told again and again; a dashboard that starts slowly misses what is told once, before it."""
