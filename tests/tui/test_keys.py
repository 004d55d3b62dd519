"""Keys and how they are found: help, palette, the line of keys, keys of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import OptionList

from rtstui.clean import clean
from rtstui.palette import title_of
from rtstui.rows import plain
from rtstui.screens.dialogs import Help, Reader, Text
from rtstui.settings import Preset
from rtstui.widgets.chrome import VIEWS, KeyBar
from rtstui.widgets.stream import Stream
from tests.support.dashboard.app import answered, filled, notices, still_app, text, until
from tests.support.dashboard.scenarios import live
from tests.support.dashboard.watching import kept, pressed, watching


async def test_help_lists_the_keys_that_work_here(socket: Path) -> None:
    """From the live bindings: every shown action of the view is there."""
    async with watching(socket, size=(120, 90)) as (app, pilot, _):
        await pressed(pilot, "3", "question_mark")
        await until(lambda: isinstance(app.screen, Help), pilot)
        await until(lambda: "EVERYWHERE" in text(app))
        screen = text(app)
        for words in (
            "audit…",
            "pause/resume…",
            "next panel",
            "commands",
            "interval",
            "deferred",
            "◐ proving",
        ):
            assert words in screen, words
        await pressed(pilot, "escape")
        await until(lambda: not isinstance(app.screen, Help), pilot)


async def test_help_and_palette_know_every_key_of_every_view() -> None:
    """What works in a view is in its help and in its palette, under its own name."""
    app = still_app(answered(filled(live())))
    async with app.run_test(size=(120, 35)) as pilot:
        for key in VIEWS:
            await pressed(pilot, key)
            bindings = [shortcut.binding for shortcut in app.screen.active_bindings.values()]
            active = {binding.description for binding in bindings}
            named = {title_of(binding.description, binding.action) for binding in bindings}
            lacking = named - {command.title for command in app.get_system_commands(app.screen)}
            lacking -= {"Commands"}
            assert not lacking, (key, lacking)
            await pressed(pilot, "f1")  # the editor of view 0 takes the other one
            await until(lambda: isinstance(app.screen, Help), pilot)
            said = "\n".join(plain(row) for row in app.screen.query_one(Text).text)
            assert not {name for name in active if name not in said}, key
            await pressed(pilot, "escape", "escape")


@pytest.mark.parametrize(
    ("words", "view"), [("lost", "7"), ("missed", "7"), ("webhook", "9"), ("forecast", "5")]
)
async def test_the_palette_finds_a_view_by_what_it_is_about(words: str, view: str) -> None:
    """Who looks for lost pushes need not know that they are in the view of audits."""
    app = still_app(answered(filled(live())))
    async with app.run_test(size=(120, 35)) as pilot:
        await pressed(pilot, "colon", *words)
        await until(lambda: app.screen.query("OptionList") and words in text(app).lower(), pilot)
        await until(lambda: app.screen.query_one(OptionList).option_count > 0, pilot)
        await pressed(pilot, "enter")
        await until(lambda: app.current_mode == view, pilot)


async def test_help_begins_with_the_keys_of_the_view_and_the_signs() -> None:
    """What one looks for first is in sight at 80x24."""
    app = still_app(answered(filled(live())), view="4")
    async with app.run_test(size=(80, 24)) as pilot:
        await pressed(pilot, "tab", "question_mark")
        await until(lambda: "IN THIS VIEW" in text(app), pilot)
        said = [plain(row) for row in app.screen.query_one(Text).text]
    own, signs = said.index("IN THIS VIEW"), said.index("SIGNS")
    assert own < signs < said.index("MOVING") < said.index("EVERYWHERE")
    assert any("retry…" in line for line in said[own:signs])
    assert not any("page down" in line for line in said[own:signs])


async def test_keys_of_panels_without_the_focus_are_in_sight() -> None:
    """Where there is room, the last line says what tab leads to."""
    app = still_app(answered(filled(live())))
    async with app.run_test(size=(200, 50)) as pilot:
        await until(lambda: "Objects: A audit…  P pause/resume…" in text(app), pilot)
        assert "Errors: enter open" in text(app).splitlines()[-1]


async def test_an_answer_covers_no_text() -> None:
    """It has a line above the keys; the panels give it, and take it back."""
    app = still_app(answered(filled(live())), view="2")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: "following" in text(app), pilot)
        last = [line for line in text(app).splitlines() if line.startswith("┃")][-1]
        app.say("Nothing to see here.")
        await until(lambda: "Nothing to see here." in text(app).splitlines()[-2], pilot)
        rows = [line for line in text(app).splitlines() if line.startswith("┃")]
        assert rows[-1] == last
        assert "following" in text(app).splitlines()[-3]
        await until(lambda: "Nothing to see here." not in text(app), pilot)


async def test_a_long_text_says_its_length_and_is_saved_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit on the screen is in the file; what was cut before it came is named."""
    monkeypatch.chdir(tmp_path)
    app = still_app(answered(filled(live())))
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(Reader("Contact", [((clean("x" * 131_072, 131_072), ""),)]))
        await until(lambda: "131,072 characters · w saves it" in text(app), pilot)
        await pressed(pilot, "w")
        await until(lambda: list(tmp_path.iterdir()), pilot)
        assert kept(tmp_path) == "x" * 131_072 + "\n"
        app.push_screen(Reader("Task", [((clean("y" * 131_072), ""),)]))
        await until(lambda: "2,000 of 131,072 characters" in text(app), pilot)


async def test_the_palette_finds_and_runs_a_command(socket: Path) -> None:
    """Typing part of a name and enter does what its key does."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "colon")
        await pressed(pilot, *"rts-light")
        await pilot.pause(0.4)
        await pressed(pilot, "enter")
        await until(lambda: app.theme == "rts-light")


async def test_q_quits_and_ctrl_c_quits_when_pressed_twice(socket: Path) -> None:
    """One press of ctrl+c only says how."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "ctrl+c")
        assert app.is_running
        await pilot.press("ctrl+c")
        await until(lambda: app.return_code is not None)
        assert app.return_code == 0
    async with watching(socket) as (app, pilot, _):
        await pilot.press("q")
        await until(lambda: app.return_code is not None)
        assert app.return_code == 0


async def test_find_steps_through_matches_and_leaves_the_rest_in_sight(socket: Path) -> None:
    """F looks upwards from the newest, n goes on, N comes back; nothing is filtered away."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "2", "f", *"kind:error", "enter")
        stream = app.screen.query_one(Stream)
        for key, seq in (("", 376), ("n", 335), ("N", 376)):
            await pressed(pilot, *key)
            await until(lambda seq=seq: stream.chosen is not None and stream.chosen.seq == seq, pilot)
        assert len(stream.lines) == 400
        await pressed(pilot, *"NN")
        await until(lambda: any("No more of kind:error" in note for note in notices(app)), pilot)


async def test_keys_can_be_changed_and_help_follows(socket: Path) -> None:
    """The new key works, the old one does not, and the help shows the new one."""
    async with watching(socket, size=(120, 100)) as (app, pilot, _):
        app.set_keymap({"app.mask": "ctrl+x"})
        await pressed(pilot, "m")
        assert not app.masking
        await pressed(pilot, "ctrl+x")
        await until(lambda: app.masking, pilot)
        await pressed(pilot, "question_mark")
        await until(lambda: "^x" in text(app) or "ctrl+x" in text(app))


async def test_the_line_of_keys_can_be_clicked(socket: Path) -> None:
    """The mouse does what the key does; a click beside the hints does nothing."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "2")
        line = text(app).splitlines()[-1]
        await pilot.click(KeyBar, offset=(line.index("freeze"), 0))
        await until(lambda: app.screen.query_one(Stream).frozen is not None, pilot)
        await pilot.click(KeyBar, offset=(118, 0))
        await pilot.click(KeyBar, offset=(line.index("help"), 0))
        await until(lambda: isinstance(app.screen, Help))


async def test_a_preset_is_in_force_from_the_start_and_in_the_palette() -> None:
    """View, filter, theme and mask together, by a name of one's own."""
    presets = {"trouble": Preset(view="2", filter="kind:error", theme="rts-light", mask=True)}
    app = still_app(answered(filled(live())), presets=presets, begin="trouble")
    async with app.run_test(size=(120, 35)) as pilot:
        await until(lambda: app.current_mode == "2" and "Events, UTC · kind:error" in text(app), pilot)
        assert app.theme == "rts-light"
        assert app.masking
        assert "Preset: trouble" in {command.title for command in app.get_system_commands(app.screen)}
