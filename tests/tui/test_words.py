"""What the screen says: nothing is cut without a sign, every key answers, every time has its zone."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from textual.widgets import Input, TextArea

from rtsd.control.protocol import Rules
from rtsd.core.figures import zone_of
from rtstui import documents
from rtstui.clean import LONGEST, LONGEST_VALUE, clean
from rtstui.format import fit, wrap
from rtstui.meaning import LINKS
from rtstui.rows import plain, unfinished
from rtstui.screens.dialogs import Confirm, Reader, Text
from rtstui.state import Phase
from rtstui.widgets.chart import ticks
from rtstui.widgets.panel import Panel
from tests.support.dashboard.app import answered, filled, notices, still_app, text, until
from tests.support.dashboard.papers import CONTACT, HISTORY
from tests.support.dashboard.scenarios import NOW, SCENARIOS, healthy, live
from tests.support.dashboard.watching import pressed, watching

# -- prompts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", ["8 slash", "9 T", "0 slash", "2 f", "2 slash", "3 slash"])
async def test_escape_closes_a_prompt_and_the_keys_are_free_again(socket: Path, keys: str) -> None:
    """One press ends the typing and stays in the view; then a letter is a command again."""
    async with watching(socket) as (app, pilot, _):
        view, key = keys.split()
        await pressed(pilot, view)
        await until(lambda: "webinar-sequence" in text(app) or view != "9", pilot)
        await pressed(pilot, key, "x", "escape")
        await until(lambda: not isinstance(app.focused, Input | TextArea), pilot)
        assert app.current_mode == view
        assert not app.screen.query("InputLine.-open")
        await pressed(pilot, "3")
        await until(lambda: app.current_mode == "3", pilot)


async def test_a_prompt_does_not_wait_in_a_view_that_was_left(socket: Path) -> None:
    """A click on another tab leaves it closed."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "8", "slash", "x")
        app.action_view("1")
        await until(lambda: app.current_mode == "1", pilot)
        await pressed(pilot, "8")
        await until(lambda: app.current_mode == "8", pilot)
        assert not app.screen.query("InputLine.-open")
        await pressed(pilot, "5")
        await until(lambda: app.current_mode == "5", pilot)


# -- keys that cannot act ------------------------------------------------------------------------


@pytest.mark.parametrize("keys", ["3 A", "3 P", "3 F", "4 tab R", "7 V", "6 X", "8 c"])
async def test_a_dimmed_key_says_why(socket: Path, keys: str) -> None:
    """Without the daemon nothing can be done, and the key that was pressed says so."""
    async with watching(socket) as (app, pilot, daemon):
        await daemon.stop()
        await until(lambda: not app.state.live, pilot)
        await pressed(pilot, *keys.split())
        await until(lambda: "Not now: rtsd is not connected." in notices(app), pilot)
        assert not isinstance(app.screen, Confirm)
        assert daemon.requests == []


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("8 R", "No record is shown"),
        ("8 o", "No record is shown"),
        ("0 x escape R", "Nothing was run yet"),
        ("2 n", "nothing to find yet"),
        ("2 o", "Choose an entry"),
    ],
)
async def test_a_key_without_an_object_says_what_is_missing(socket: Path, keys: str, said: str) -> None:
    """A key that finds nothing to act on answers, too."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, *keys.split())
        await until(lambda: any(said in note for note in notices(app)), pilot)


async def test_read_only_says_that_it_is(socket: Path) -> None:
    """The keys are not offered; whoever knows them is told why they do nothing."""
    async with watching(socket, read_only=True) as (app, pilot, _):
        await pressed(pilot, "3", "A")
        await until(lambda: any("--read-only" in note for note in notices(app)), pilot)


# -- in full, or with a sign -----------------------------------------------------------------------


async def test_a_long_value_is_read_in_full(socket: Path) -> None:
    """All of the 131,072 characters that a field may have, one word or many, and at once."""
    body = "".join(f"{number:07} " for number in range(LONGEST_VALUE // 8))
    assert len(body) == LONGEST_VALUE
    async with watching(socket) as (app, pilot, daemon):
        values = {"Id": CONTACT, "Description": body, "Blob": "x" * LONGEST_VALUE}
        daemon.papers[f"/v1/objects/Contact/records/{CONTACT}/history"] = HISTORY | {
            "now": HISTORY["now"] | {"values": values}
        }
        app.action_record("Contact", CONTACT)
        await until(lambda: "0000000 0000001" in text(app), pilot)
        for key, wanted in (("Description", body.split()), ("Blob", ["x" * LONGEST_VALUE])):
            await pressed(pilot, "down", "enter")
            await until(lambda: isinstance(app.screen, Reader) and app.screen.is_mounted, pilot)
            shown = app.screen.query_one(Text)
            await until(lambda shown=shown: shown.size.height > 1_000)
            lines = [plain(row) for row in shown.paint(shown.size.width, shown.size.height)]
            joined = " ".join(lines).split() if key == "Description" else ["".join(lines)]
            assert joined == wanted
            await pressed(pilot, "escape")
            await until(lambda: not isinstance(app.screen, Reader), pilot)


def test_a_text_of_the_feed_that_is_cut_says_how_long_it_is() -> None:
    """Entries are kept by the thousand, so they are short; the reader must not look complete."""
    shown = clean("x" * LONGEST_VALUE)
    assert len(shown) == LONGEST
    assert shown.endswith("x… (131,072 characters)")


def test_long_words_take_no_long_time() -> None:
    """A row with such a value is painted ten times a second."""
    begun = time.process_time()
    for word in ("x" * LONGEST_VALUE, "株" * LONGEST_VALUE):
        assert "".join(wrap(word, 70)) == word
        assert fit(word, 40).rstrip().endswith("…")
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("view", "1234567890S")
async def test_no_panel_ends_in_the_middle_of_a_sentence(view: str) -> None:
    """On small screens what does not fit ends in an ellipsis; the empty views say all they have to say."""
    app = still_app(answered(filled(live())), view=view)
    async with app.run_test(size=(80, 24)) as pilot:
        for size in ((80, 24), (60, 16), (50, 12)):
            await pilot.resize_terminal(*size)
            await pilot.pause(0.12)
            for panel in app.screen.query(Panel):
                if panel.display and panel.size:
                    painted = panel.paint(panel.size.width, panel.size.height)
                    shown = panel.rows
                    if len(painted) > panel.size.height:
                        assert plain(shown[-1]).endswith("…"), (panel, size)


async def test_a_hint_that_does_not_fit_is_cut_with_a_sign() -> None:
    """The words of a filter are more than a narrow screen has room for."""
    app = still_app(filled(live()), view="2")
    async with app.run_test(size=(50, 16)) as pilot:
        await pressed(pilot, "slash")
        await until(lambda: any(line.rstrip().endswith("…") for line in text(app).splitlines()[2:6]), pilot)


async def test_the_rules_that_are_not_there_are_explained_whole() -> None:
    """The sentence on 80 columns, from its first word to its last."""
    told = answered(filled(live()))
    app = still_app(told, view="9")
    async with app.run_test(size=(80, 24)):
        told.documents.get(documents.rules()).value = Rules()
        told.rev += 1
        await until(lambda: len(re.findall(r"has an\W+example\.", text(app))) == 2)


def test_an_unfinished_row_stays_in_its_width() -> None:
    """Short or full, it ends in an ellipsis."""
    for row in ((), (("ab", ""),), (("abcdefgh", "ok"), ("ij", ""))):
        shown = plain(unfinished(row, 8))
        assert shown.endswith("…")
        assert len(shown) <= 8


def test_a_label_that_does_not_fit_is_left_out() -> None:
    """Half a time is another time."""
    labels = [(0, "12:00"), (7, "18:00")]
    assert plain(ticks(labels, 17, "UTC")).split() == ["0", "12:00", "18:00", "UTC"]
    assert plain(ticks(labels, 12, "UTC")).split() == ["0", "12:00", "UTC"]


# -- states and times ------------------------------------------------------------------------------


def test_the_connection_says_that_it_is_of_rtsd_and_is_not_green() -> None:
    """Green beside "org unreachable" would be a lie to a glance."""
    assert LINKS[Phase.LIVE].role not in {"ok", "busy"}


@pytest.mark.parametrize("scenario", ["error", "live"])
async def test_no_sign_of_the_top_line_is_green_but_the_mode(scenario: str) -> None:
    """The first word names what is connected."""
    app = still_app(filled(SCENARIOS[scenario]()))
    async with app.run_test(size=(80, 24)):
        await until(lambda: "Acme" in text(app))
        first = text(app).splitlines()[0]
    assert first.startswith(" rtsd ● connected ")
    assert "LIVE" not in first


TIME = re.compile(r"\b\d\d:\d\d(?::\d\d(?:\.\d{3})?)?\b(?! ?(?:CET|Z))")


@pytest.mark.parametrize("view", "1234567890")
async def test_every_time_has_its_zone(monkeypatch: pytest.MonkeyPatch, view: str) -> None:
    """Beside it, in the title of its panel, or at the foot of its plot."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    app = still_app(answered(filled(live())), view=view)
    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.pause(0.15)
        for panel in app.screen.query(Panel):
            if panel.display and panel.size:
                titles = " ".join(panel.titles())
                for row in panel.paint(panel.size.width, panel.size.height):
                    line = plain(row)
                    if TIME.search(line) and "T12:" not in line:
                        assert ", CET" in titles or "CET" in line, (panel, line)
                assert not TIME.search(titles), (panel, titles)


def test_a_zone_without_a_name_is_a_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-03` alone would be read as a part of the time."""
    monkeypatch.setenv("TZ", "America/Sao_Paulo")
    time.tzset()
    assert zone_of(NOW) == "UTC-03"
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    assert zone_of(NOW) == "IST"


async def test_a_dialog_fits_a_narrow_screen() -> None:
    """The question is broken into lines that fit, not cut."""
    told = filled(healthy())
    app = still_app(told)
    async with app.run_test(size=(40, 20)) as pilot:
        app.push_screen(Confirm("Sure?", [(("one two three four five six seven eight nine ten", ""),)], "Go"))
        await until(lambda: "ten" in text(app) and "…" not in text(app).partition("one two")[2][:80], pilot)
