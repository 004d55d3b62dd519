"""Every view, prompt and dialog, opened by keys, in every look: it stands, and it can be read.

A theme change costs a tenth of a second, so a tour in each theme would take minutes. One tour in a theme
whose colours name themselves tells which colour is painted on which; each theme's colours are then compared
in these pairs. The places with the most colours are also painted in every theme.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.color import ColorType
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from rtstui.contrast import READABLE, contrast
from rtstui.screens.view import View
from rtstui.themes import CONTRAST, DARK, LIGHT, MONO, ROLES, role_colours
from rtstui.widgets.panel import Panel
from tests.support.dashboard.app import text, until
from tests.support.dashboard.contrast import TERMINALS, colours, segments, unreadable
from tests.support.dashboard.tour import tour, toured
from tests.support.dashboard.watching import pressed

GROUNDS = ("background", "surface", "panel")
NAMED = {name: Color(1, 10 * place, 5).hex for place, name in enumerate((*GROUNDS, *ROLES))}
PROBE = Theme(
    name="probe",
    primary="#ff0000",
    foreground=NAMED["rts-text"],
    background=NAMED["background"],
    surface=NAMED["surface"],
    panel=NAMED["panel"],
    variables={name: colour for name, colour in NAMED.items() if name in ROLES},
)
"""A theme in which a painted colour tells its own name."""

THEMES = (DARK, LIGHT, CONTRAST, *BUILTIN_THEMES.values())

TURNS = 100
"""Of the event loop: milliseconds, in which a timer ticks once at most."""

PLACES = (("3", "A", "type Account"), ("1", "colon", "key "))
"""A view, a key there, and words that are on the screen then."""


async def test_every_text_can_be_read_in_every_theme(socket: Path) -> None:
    """No text of any view, prompt or dialog has a contrast under 4.5:1 in any theme there is."""
    names = {Color.parse(colour): name for name, colour in NAMED.items()}
    pairs: set[tuple[str, str]] = set()
    async with toured(socket) as (app, pilot):
        app.register_theme(PROBE)
        app.theme = PROBE.name
        async for stop in tour(app, pilot):
            for segment in segments(app):
                assert segment.style is not None
                pair = colours(segment.style, TERMINALS[True])
                assert names.keys() >= {*pair}, f"{stop.name}: {segment.text!r} has a colour of no theme"
                pairs.add((names[pair[0]], names[pair[1]]))
    assert len(pairs) > len(ROLES), "the tour has seen little"
    bad = {theme.name: found for theme in THEMES if (found := too_weak(theme, pairs))}
    assert bad == {}


def too_weak(theme: Theme, pairs: set[tuple[str, str]]) -> dict[tuple[str, str], float]:
    """The pairs of colours that are too much alike in a theme."""
    own = theme.to_color_system().generate() | theme.variables
    own |= role_colours(theme, own)
    shown = {name: on_screen(own[name], name, theme) for pair in pairs for name in pair}
    ratios = {pair: contrast(shown[pair[0]], shown[pair[1]]) for pair in pairs}
    return {pair: round(ratio, 2) for pair, ratio in ratios.items() if ratio < READABLE}


def on_screen(colour: str, name: str, theme: Theme) -> Color:
    """A colour as a terminal shows it: the default ones, and those with a number, are its own."""
    terminal = TERMINALS[theme.dark]
    if colour in {"ansi_default", "transparent"}:
        ground = name in {*GROUNDS, "rts-bar"}
        return Color(*(terminal.background_color if ground else terminal.foreground_color))
    parsed = Color.parse(colour)
    return Color(*terminal.ansi_colors[parsed.ansi]) if parsed.ansi is not None else parsed


async def test_every_theme_paints_texts_that_can_be_read(socket: Path) -> None:
    """The same from what is painted: a prompt in a dialog, the list of commands."""
    bad: dict[str, list[str]] = {}
    async with toured(socket) as (app, pilot):
        for view, key, seen in PLACES:
            await pressed(pilot, view)
            for theme in THEMES:
                app.theme = theme.name
                await pressed(pilot, key)
                await until(lambda seen=seen: seen in text(app), pilot)
                if found := unreadable(app):
                    bad[f"{theme.name}: {key}"] = found
                await pressed(pilot, "escape")
                await until(lambda: isinstance(app.screen, View), pilot)
    assert bad == {}


@pytest.mark.parametrize("size", [(40, 10), (60, 16), (120, 35), (200, 50)], ids=str)
async def test_every_stop_stands_at_every_size(socket: Path, size: tuple[int, int]) -> None:
    """Nothing crashes, no panel fails, and no line is wider than the screen."""
    async with toured(socket) as (app, pilot):
        await pilot.resize_terminal(*size)
        async for stop in tour(app, pilot, fits=False):
            screen = text(app)
            assert "This panel failed" not in screen, stop.name
            assert all(cell_len(line) <= size[0] for line in screen.splitlines()), stop.name
        assert app.is_running


async def test_what_nobody_touches_comes_to_rest(socket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No view or dialog computes its rows again and again: a tick that causes the next would take a core."""
    ticks: Counter[Panel] = Counter()
    tick = Panel.tick

    def counted(panel: Panel) -> None:
        ticks[panel] += 1
        tick(panel)

    monkeypatch.setattr(Panel, "tick", counted)
    busy = {}
    async with toured(socket) as (app, pilot):
        async for stop in tour(app, pilot):
            ticks.clear()
            for _ in range(TURNS):
                await asyncio.sleep(0)
            if found := [str(panel) for panel, number in ticks.items() if number > TURNS / 10]:
                busy[stop.name] = found
    assert busy == {}


async def test_without_colours_everything_stands(socket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR nothing crashes and nothing has a colour, in any view, prompt or dialog."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with toured(socket) as (app, pilot):
        async for stop in tour(app, pilot):
            assert "failed" not in text(app)
            assert app.theme == MONO.name
            for segment in segments(app):
                style = segment.style
                for colour in (style.color, style.bgcolor) if style else ():
                    assert colour is None or colour.type is ColorType.DEFAULT, (stop.name, segment)
