"""How far a command is: what, of how much, how fast, how long it still takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import pytest

from rtsd.cli.progress_line import ProgressLine
from tests.support.cli import Daemon, Rtsd


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the clock that the line reads, in ms."""
    now = [0]
    monkeypatch.setattr("rtsd.cli.progress_line.monotonic_ms", lambda: now[0])

    def set_to(ms: int) -> None:
        now[0] = ms

    return set_to


def test_pace_and_time_left(clock: Callable[[int], None], capsys: pytest.CaptureFixture[str]) -> None:
    """Every ten seconds a line where nobody watches; the pace is that of this work alone."""
    with ProgressLine() as line:
        line.show("Contact", 5_000, 105_000)
        clock(9_999)
        line.show("Contact", 10_000, 105_000)
        assert capsys.readouterr().err == ""
        clock(10_000)
        line.show("Contact", 25_000, 105_000)
        assert (
            capsys.readouterr().err
            == "Contact: 25,000 of 105,000 rows \u00b7 2,000 rows/s \u00b7 40 s left\n"
        )
        clock(20_000)
        line.show("Lead", 7, None)
    assert capsys.readouterr().err == "Lead: 7 rows\n"


def test_a_terminal_has_one_line(
    clock: Callable[[int], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written over twice a second, and is gone at the end."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with ProgressLine() as line:
        clock(500)
        line.show("Copying", 1, 4, "pages")
    assert capsys.readouterr().err == "\r\x1b[KCopying: 1 of 4 pages\r\x1b[K"


def until_seen(daemon: Daemon, answer: dict[str, Any], looks: dict[str, Any]) -> Callable[[], Awaitable[Any]]:
    """An answer that comes once the audits under way were asked for three times."""
    seen, enough = count(1), asyncio.Event()

    async def look() -> dict[str, Any]:
        if next(seen) == 3:
            enough.set()
        return looks

    async def work() -> dict[str, Any]:
        async with asyncio.timeout(20):
            await enough.wait()
        return answer

    daemon.answers["GET /v1/audits"] = look
    return work


def test_an_audit_says_how_far_it_is(rtsd: Rtsd, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it waits for the end; for a script that reads JSON it is silent."""
    monkeypatch.setattr("rtsd.cli.progress_line.SAID_EVERY_MS", 0)
    looks = {"running": [{"object": "Contact", "started_at": "2026-03-01T10:00:00.000Z", "rows_read": 1000}]}
    result = {"objects": [{"name": "Contact", "checked": 1234567}], "api_calls": 4}
    for options, said in (((), "Contact (1 of 1): 1,000 of 1,234,567 rows\n"), (("--json",), "")):
        daemon.answers["POST /v1/objects/Contact/audit?wait=1"] = until_seen(daemon, result, looks)
        status, _, err = rtsd("audit", "Contact", "--full", *options)
        assert status == 0
        assert err.startswith(said)
        assert bool(err) is bool(said)


def test_a_verification_says_how_far_it_is(
    rtsd: Rtsd, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The object whose values are compared now."""
    monkeypatch.setattr("rtsd.cli.progress_line.SAID_EVERY_MS", 0)
    looks = {"running": [], "findings": [], "verification": {"object": "Contact", "rows_checked": 5000}}
    found = {"ok": True, "at": "2026-03-01T10:00:00.000Z", "org": None, "faults": [], "objects": []}
    daemon.answers["POST /v1/verify"] = until_seen(daemon, found, looks)
    status, _, err = rtsd("verify")
    assert status == 0
    assert err.startswith("Contact: 5,000 of 1,234,567 rows\n")
