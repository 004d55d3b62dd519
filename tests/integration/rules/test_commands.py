"""Deliveries to real programs: what they get, how they end, and what is left of them."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import pytest

from rtsd.rules import command
from rtsd.rules.rule import Command, DeliveryResult

BODY = json.dumps({"v": 1, "record": {"LastName": "Ada $(id) `id`"}}).encode()


async def run(source: str, *arguments: str, timeout_ms: int = 20_000, body: bytes = BODY) -> DeliveryResult:
    """Run a Python program with these arguments."""
    argv = (sys.executable, "-c", source, *arguments)
    return await command.run(Command(argv, timeout_ms), "rts_1", body)


def is_gone(pid: int) -> bool:
    """Whether a process has ended."""
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


async def test_a_program_gets_the_document_on_its_standard_input(tmp_path: Path) -> None:
    """All of it, however large; nothing of it in arguments or environment, and no shell in between."""
    out = tmp_path / "out.json"
    source = (
        "import json, os, sys;"
        "json.dump([sys.stdin.read(), sys.argv[1:], dict(os.environ)], open(sys.argv[1], 'w'))"
    )
    large = b'{"x": "' + b"x" * 3_000_000 + b'"}'
    assert await run(source, str(out), "; exit 3", body=large) == DeliveryResult("delivered", "exit 0")
    text, arguments, environment = json.loads(out.read_text())
    assert text.encode() == large
    assert arguments == [str(out), "; exit 3"]
    assert environment["RTSD_DELIVERY_ID"] == "rts_1"


async def test_a_program_sees_nothing_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Secrets may stand there: only what a program needs to run is handed on."""
    monkeypatch.setenv("CANARY_SECRET", "hunter2")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials")
    out = tmp_path / "out"
    source = "import os, sys; open(sys.argv[1], 'w').write(' '.join(sorted(os.environ)))"
    await run(source, str(out))
    names = set(out.read_text().split()) - {"LC_CTYPE"}  # Python itself sets that one
    assert names <= {"PATH", "LANG", "TZ", "RTSD_DELIVERY_ID"}


async def test_what_it_says_is_kept_and_harmless() -> None:
    """The end of stderr explains a failure, on one line, without what steers a terminal."""
    source = r"import sys; sys.stderr.write('x' * 100_000 + '\x1b[31mdisk\nfull\x07 \u202e'); sys.exit(7)"
    tried = await run(source)
    assert (tried.outcome, tried.outage) == ("failed", False)
    assert tried.reason.startswith("exit 7: xxx")
    assert tried.reason.endswith("[31mdisk full")
    assert tried.reason.isprintable()
    assert len(tried.reason) < 500


async def test_a_program_that_does_not_end_is_ended_with_all_it_started(tmp_path: Path) -> None:
    """After its time the whole process group is gone."""
    pid_file = tmp_path / "pid"
    source = (
        "import subprocess, sys, time;"
        "child = subprocess.Popen(['sleep', '600']);"
        "open(sys.argv[1], 'w').write(str(child.pid));"
        "time.sleep(600)"
    )
    tried = await run(source, str(pid_file), timeout_ms=1_500)
    assert (tried.outcome, tried.reason) == ("failed", "killed after 1.5 s")
    child = int(pid_file.read_text())
    for _ in range(200):
        if is_gone(child):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the child runs on")


async def test_something_left_behind_does_not_hold_up_the_end() -> None:
    """A program that leaves a child with its stderr open has ended all the same."""
    begun = time.monotonic()
    tried = await run("import subprocess, sys; subprocess.Popen(['sleep', '8']); sys.exit(1)")
    assert tried == DeliveryResult("failed", "exit 1")
    assert time.monotonic() - begun < 6


async def test_a_program_need_not_read() -> None:
    """Exit 0 ends it, whether the document was read or not."""
    assert (await run("pass", body=b"x" * 3_000_000)).outcome == "delivered"


async def test_a_program_that_a_signal_ends_is_a_failure() -> None:
    """Its name is told."""
    assert (await run("import os; os.kill(os.getpid(), 15)")).reason == "killed by SIGTERM"


async def test_a_program_that_is_not_there_is_told() -> None:
    """Not a crash, and not a success."""
    tried = await command.run(Command(("/nowhere/at-all",), 1_000), "rts_1", BODY)
    assert (tried.outcome, tried.outage) == ("failed", True)
    assert tried.reason == "cannot start: No such file or directory"
