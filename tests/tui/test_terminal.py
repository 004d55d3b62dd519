"""The program in a real terminal: what reaches it, and how it is left behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from rtstui.clean import clean
from tests.support.dashboard.app import until
from tests.support.dashboard.fake_daemon import FakeDaemon
from tests.support.dashboard.papers import CONTACT
from tests.support.dashboard.scenarios import dead_letters, error_log, event, events, live
from tests.support.dashboard.terminal import Terminal, terminal
from tests.support.dashboard.tour import STOPS

TUI = [sys.executable, "-m", "rtstui"]
KEYS = {
    "question_mark": b"?",
    "colon": b":",
    "slash": b"/",
    "space": b" ",
    "enter": b"\r",
    "escape": b"\x1b[27u",
    "tab": b"\t",
    "backspace": b"\x7f",
    "up": b"\x1b[A",
    "down": b"\x1b[B",
    "ctrl+f": b"\x06",
    "ctrl+n": b"\x0e",
    "ctrl+o": b"\x0f",
    "ctrl+r": b"\x12",
}
"""The bytes that a terminal sends for keys with a name; escape as kitty sends it, without a delay."""
QUIET_S = 0.15
"""Seconds without output after which a key has had its effect: longer than between two paints."""
RESTORED = (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?2004l")
"""The ordinary screen, the cursor, and no bracketed paste: what a shell expects to find."""


HOSTILE = (
    "\x1b]52;c;cHduZWQ=\x07",
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[H",
    "\x1b[31;5m",
    "\x1bP1$q\x1b\\",
    "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
    "\x9b31m",
    "\x9d52;c;cHduZWQ=\x9c",
    "\u202e\u2066\u200b\ufeff",
    "\r\n\x08\x08\x07\x00\x7f",
    "[@click=app.quit]x[/] [/] [/x]",
    "\u2028\u2029\ue000\U000e0041",
)
TEXTUAL = re.compile(
    rb"\x1b(?:\[[0-9;:?<>=]*[A-Za-z~]|\[\?[0-9;]*\$p|[=>]|_G[^\x1b]*\x1b\\|\]22;[a-z-]+\x07)"
)
"""What Textual itself sends: CSI sequences, its probe for graphics, the shape of the pointer."""


def hostile(count: int) -> list[str]:
    """That many values, each a mixture, each with a mark that can be looked for."""
    random = Random(7)
    return ["".join((f"Q{n}Q", *random.choices(HOSTILE, k=2), f"E{n}E")) for n in range(count)]


VISITS = (
    (b"8", b"types an id"),
    (b"/", b"and id, or a name"),
    (b"003Dn00000Aq1Zx\r", b"Q1500Q"),
    (b"6", b"Q1501Q"),
    (b"7", b"Q1502Q"),
    (b"9", b"Q1503Q"),
    (b"0", b"Type a SELECT"),
    (b"x\r", b"Q1504Q"),
)
"""Keys that open a view, and what is to be seen in it then."""


def poisoned(daemon: FakeDaemon, values: list[str]) -> None:
    """Every text of every document that views ask for is hostile; moments and states stay what they are."""
    value = values[1_500]
    record = {"state": "live", "values": {value: value, "Id": value}, "seen_at": value, "source": value}
    change = {"seq": 1, "at": value, "op": value, "source": value, "changed": {value: {"from": value}}}
    history = {"object": value, "id": value, "now": record, "versions": [change]}
    why = {"object": value, "id": value, "to_be_fetched": value, "mirrored": {"state": value, "where": value}}
    for item in daemon.status.objects:
        path = f"/v1/objects/{clean(item.name)}/records/003Dn00000Aq1Zx"
        daemon.papers[f"{path}/history"] = history
    daemon.papers[f"/v1/objects/{clean(value)}/records/003Dn00000Aq1Zx/why"] = why
    value = values[1_501]
    package = {"state": value, "version": value, "problems": [{"what": value, "do": value}]}
    daemon.papers["/v1/package"] = package | {"triggers": [{"object": value, "installed": False}]}
    value = values[1_502]
    finding = {"seq": 1, "at": value, "type": "drift", "object": value, "message": value}
    daemon.papers["/v1/audits"] = {"findings": [finding | {"detail": {value: [value]}}]}
    value = values[1_503]
    rule = {"name": value, "object": value, "on": [value], "when": value, "target": value, "error": value}
    daemon.papers["/v1/rules"] = {"rules": [rule], "alerts": [rule]}
    value = values[1_504]
    daemon.papers["POST /v1/query"] = {"columns": [value], "rows": [[value]]}


async def test_no_byte_of_a_record_steers_the_terminal(socket: Path) -> None:
    """2,000 hostile values in every field that is shown: none is seen as a control sequence."""
    values = hostile(2_000)
    status = live()
    status.org.name, status.org.user = values[0], values[1]
    for item, value in zip(status.objects, values, strict=False):
        item.name, item.error = value, value
    daemon = FakeDaemon(socket, status)
    daemon.errors, daemon.letters = error_log(), dead_letters()
    for entry in daemon.errors:
        entry.error = entry.message = entry.object = values[2]
    for letter in daemon.letters:
        letter.reason = letter.message = letter.object = letter.record = values[3]
    async with daemon, terminal("--socket", str(socket), size=(200, 208)) as opened:
        await until(lambda: daemon.following, seconds=15)
        for start in range(0, 2_000, 200):
            rows = [event(401 + start + n) for n in range(200)]
            for row, value in zip(rows, values[start : start + 200], strict=True):
                row.object = row.id = row.message = row.op = value
                row.changed = [value]
            daemon.happen(rows, status=start == 0)
            mark = f"Q{start + 199}Q".encode()
            await until(lambda mark=mark: mark in opened.output[-500_000:])
        opened.press(b"4")
        await until(lambda: b"What" in opened.output or b"Dead letters" in opened.output)
        poisoned(daemon, values)
        for keys, mark in VISITS:
            start = len(opened.output)
            opened.press(keys)
            await until(lambda start=start, mark=mark: mark in opened.output[start:])
        opened.press(b"q")
        assert await opened.ended() == 0
    painted = bytes(opened.output)
    own = TEXTUAL.sub(b"", painted)
    assert b"\x1b" not in own, own[own.index(b"\x1b") - 40 :][:80]
    assert not re.search(rb"\x1b\[[0-9;]*5m", painted), "blinking"
    text = own.decode()
    assert not {character for character in text if not character.isprintable()} - {"\r", "\n"}
    assert "␛]52;c;cHduZWQ=␇" in text
    assert sum(f"Q{n}Q" in text for n in range(2_000)) > 1_900


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
async def test_a_signal_ends_it_with_the_terminal_as_it_was(
    socket: Path, number: signal.Signals, status: int
) -> None:
    """Killed politely it leaves a usable terminal and says by its status what ended it."""
    async with terminal("--socket", str(socket)) as opened:
        await until(lambda: b"NO DAEMON" in opened.output, seconds=15)
        opened.process.send_signal(number)
        assert await opened.ended() == status
        for sequence in RESTORED:
            assert sequence in opened.output


async def test_q_leaves_the_daemon_alone_and_says_so(socket: Path) -> None:
    """The last line tells that the daemon goes on; without a mouse none is asked for."""
    async with FakeDaemon(socket, live(), events(1, 400)) as daemon:
        async with terminal("--socket", str(socket), "--no-mouse") as opened:
            await until(lambda: b"connected" in opened.output, seconds=15)
            opened.press(b"q")
            assert await opened.ended() == 0
            assert b"rtsd keeps running" in opened.output
            for sequence in (*RESTORED,):
                assert sequence in opened.output
            for mouse in (b"?1000h", b"?1003h", b"?1006h"):
                assert mouse not in opened.output
        assert daemon.requests == []


async def test_no_color_means_none(socket: Path) -> None:
    """With NO_COLOR no colour is ever set; bold and reverse remain."""
    daemon = FakeDaemon(socket, live(), events(1, 400))
    async with daemon, terminal("--socket", str(socket), NO_COLOR="1") as opened:
        await until(lambda: b"real time" in opened.output, seconds=15)
        opened.press(b"q")
        assert await opened.ended() == 0
        styles = re.findall(rb"\x1b\[([0-9;]*)m", bytes(opened.output))
        codes = {code for style in styles for code in style.split(b";")}
        assert codes <= {b"", b"0", b"1", b"2", b"4", b"7", b"39", b"49"}  # 39, 49: the defaults
        assert b"1" in codes


async def test_ascii_means_ascii(socket: Path) -> None:
    """With --ascii no byte above 0x7f reaches the terminal, in any view, and the states have names."""
    daemon = FakeDaemon(socket, live(), events(1, 400))
    daemon.status.org.name = "Ĝlobex 株式会社 😀"
    async with daemon, terminal("--socket", str(socket), "--ascii", size=(160, 45)) as opened:
        await until(lambda: b"* connected" in opened.output, seconds=15)
        for key, mark in (
            (b"5", b"Daily limits"),
            (b"6", b"any change pushes"),
            (b"9", b"pager"),
            (b"?", b"IN THIS VIEW"),
        ):
            opened.press(key)
            await until(lambda mark=mark: mark in opened.output)
        opened.press(b"qq")
        assert await opened.ended() == 0
    assert b"?lobex ????????" in opened.output
    assert opened.output.isascii()


async def test_a_locale_of_ascii_means_ascii(socket: Path) -> None:
    """With LANG=C no byte above 0x7f reaches the terminal, from any view, prompt or dialog, to the end."""
    daemon = FakeDaemon(socket, live(), events(1, 400))
    daemon.errors, daemon.letters = error_log(), dead_letters()
    daemon.letters[1].record = CONTACT
    other = ("--socket", str(socket.with_name("other")))
    async with (
        daemon,
        terminal("--socket", str(socket), *other, size=(80, 24), LC_ALL="", LC_CTYPE="", LANG="C") as opened,
    ):
        await until(lambda: b"real time" in opened.output, seconds=15)
        for stop in STOPS[1:]:
            start, mark = len(opened.output), stop.seen.encode()
            for key in stop.keys:
                opened.press(KEYS.get(key, key.encode()))
                if key == stop.keys[0] and len(stop.keys) > 1:
                    await quiet(opened)  # it opens what the others go to
            try:
                await until(lambda start=start, mark=mark: mark in opened.output[start:])
            except AssertionError as error:
                raise AssertionError(f"{stop.name}: {mark!r} is not painted") from error
            for key in stop.back:
                await quiet(opened)
                opened.press(KEYS[key])
            await quiet(opened)
        opened.press(b"q")
        assert await opened.ended() == 0
    assert b"Row 1" in opened.output, "the tour has not arrived"
    assert b"rtsd keeps running" in opened.output
    assert not re.findall(rb"[ -~]{,20}[\x80-\xff]+", opened.output)


async def quiet(opened: Terminal) -> None:
    """Wait until a key has had its effect: for a moment nothing more is painted."""
    before = -1
    while len(opened.output) != before:
        before = len(opened.output)
        await asyncio.sleep(QUIET_S)


async def test_the_demo_s_dashboard_does_not_claim_that_rtsd_goes_on(socket: Path, tmp_path: Path) -> None:
    """The demo ends its daemon with the dashboard; one that is lost is not said to run either."""
    story = tmp_path / "story"
    story.write_text("Watch \x1b[31mfresh.")
    async with (
        FakeDaemon(socket, live(), events(1, 400)),
        terminal("--socket", str(socket), "--story", str(story)) as opened,
    ):
        await until(lambda: b"real time" in opened.output and b"fresh." in opened.output, seconds=15)
        assert b"DEMO" in opened.output
        story.write_text("Pushes arrive again.")
        await until(lambda: b"Pushes arrive again." in opened.output, seconds=15)
        opened.press(b"q")
        assert await opened.ended() == 0
    assert b"keeps running" not in opened.output
    assert b"The demo ends, and its rtsd" in opened.output


async def test_a_killed_daemon_is_told_within_two_seconds(socket: Path) -> None:
    """On the screen itself, and its return needs no key."""
    daemon = FakeDaemon(socket, live(), events(1, 400))
    await daemon.start()
    async with terminal("--socket", str(socket)) as opened:
        await until(lambda: b"connected" in opened.output and daemon.following, seconds=15)
        await daemon.stop()
        await until(lambda: b"LOST" in opened.output, seconds=2)
        start = len(opened.output)
        await daemon.start()
        await until(lambda: b"connected" in opened.output[start:], seconds=8)
    await daemon.stop()


async def test_a_terminal_that_goes_away_ends_it(socket: Path) -> None:
    """With SIGHUP ignored, as under nohup, it still does not spin on a dead terminal."""
    async with terminal("--socket", str(socket)) as opened:
        await until(lambda: b"NO DAEMON" in opened.output, seconds=15)
        asyncio.get_running_loop().remove_reader(opened.master)
        os.close(opened.master)
        assert await opened.ended() == 129


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The program without a terminal."""
    return subprocess.run(
        [*TUI, *arguments], capture_output=True, text=True, check=False, env=os.environ | environment
    )


def test_without_a_terminal_it_says_what_to_use() -> None:
    """In a pipe: one readable line, status 2, no escape sequence."""
    done = run(TERM="xterm")
    assert done.returncode == 2
    assert "rtsd status" in done.stderr
    assert "\x1b" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--size", "3x3"), "not a size"), (("--nonsense",), "No such option"), (("--view", "x"), "not one of")],
)
def test_wrong_options_are_explained(arguments: tuple[str, ...], said: str) -> None:
    """Usage mistakes end with status 2 and the reason."""
    done = run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_version() -> None:
    """It knows its version without loading the interface."""
    done = run("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"rtstui \d+\.\d+\.\d+\n", done.stdout)


async def test_a_screenshot_needs_no_terminal(socket: Path, tmp_path: Path) -> None:
    """One picture of the live dashboard, for a report or a page; 3 when nobody answered."""
    picture = tmp_path / "p.svg"
    command = [*TUI, "--socket", str(socket), "--screenshot", str(picture), "--size", "100x30", "--view", "3"]
    async with FakeDaemon(socket, live(), events(1, 400)):
        process = await asyncio.create_subprocess_exec(*command)
        assert await process.wait() == 0
    assert "Opportunity" in picture.read_text()
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert process.returncode == 3
    assert b"does not exist" in said
