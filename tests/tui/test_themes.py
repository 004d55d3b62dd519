"""Colours that can be read, and told apart from the focus ring."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from rtstui.contrast import BLACK, READABLE, WHITE, contrast, luminance, readable
from rtstui.themes import CONTRAST, DARK, LIGHT, ROLES, TEXT_ROLES, THEMES, role_colours


@pytest.mark.parametrize("theme", [DARK, LIGHT, CONTRAST], ids=lambda theme: theme.name)
def test_every_role_can_be_read(theme: Theme) -> None:
    """4.5:1 for text on the background and on the bars; the cursor's text on the cursor."""
    colours = {role: Color.parse(colour) for role, colour in theme.variables.items()}
    for role in TEXT_ROLES:
        for ground in (Color.parse(str(theme.background)), colours["rts-bar"]):
            assert contrast(colours[role], ground) >= 4.5, (role, ground)
    assert contrast(colours["rts-on-cursor"], colours["rts-cursor"]) >= 4.5


@given(st.tuples(*[st.integers(0, 255)] * 3), st.lists(st.integers(0, 255), min_size=1, max_size=2))
def test_a_colour_becomes_readable_on_grounds_that_allow_it(
    parts: tuple[int, int, int], greys: list[int]
) -> None:
    """Where black or white can be read on every ground, the result can; a readable colour stays."""
    grounds = [Color(grey, grey, grey) for grey in greys]
    made = readable(Color(*parts), grounds)
    poles = max(min(contrast(pole, ground) for ground in grounds) for pole in (BLACK, WHITE))
    assert min(contrast(made, ground) for ground in grounds) >= min(READABLE, poles)
    assert readable(made, grounds) == made


@pytest.mark.parametrize("theme", [theme for theme in BUILTIN_THEMES.values() if not theme.dark])
def test_dim_text_is_not_white_on_white(theme: Theme) -> None:
    """In a light theme every text is darker than its background."""
    variables = theme.to_color_system().generate() | theme.variables
    roles = role_colours(theme, variables)
    assert "auto" not in " ".join(roles.values())
    if not theme.ansi:
        assert luminance(Color.parse(roles["rts-dim"])) < luminance(Color.parse(variables["background"])) / 2


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_the_focus_ring_is_no_alarm(theme: Theme) -> None:
    """The ring's hue is far from those of warning and error."""
    focus = Color.parse(theme.variables["rts-focus"]).hsl.h
    for role in ("rts-warn", "rts-error"):
        distance = abs(focus - Color.parse(theme.variables[role]).hsl.h)
        assert min(distance, 1 - distance) > 0.2, role


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_every_theme_has_every_role(theme: Theme) -> None:
    """No role of ours is left to chance in a theme of ours."""
    assert set(ROLES) <= set(theme.variables)
