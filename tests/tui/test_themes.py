"""Colours that can be read, and told apart from the focus ring."""

from __future__ import annotations

import pytest
from textual.color import Color
from textual.theme import Theme

from rtstui.themes import CONTRAST, DARK, LIGHT, ROLE_DEFAULTS, THEMES

ON_BACKGROUND = (
    "rts-ok",
    "rts-busy",
    "rts-warn",
    "rts-error",
    "rts-off",
    "rts-dim",
    "rts-accent",
    "rts-focus",
)


def contrast(colour: str, other: str) -> float:
    """The contrast ratio of two colours (WCAG 2.2)."""
    high, low = sorted((_luminance(Color.parse(colour)), _luminance(Color.parse(other))), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Color) -> float:
    parts = [part / 255 for part in (colour.r, colour.g, colour.b)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [DARK, LIGHT, CONTRAST], ids=lambda theme: theme.name)
def test_every_role_can_be_read(theme: Theme) -> None:
    """4.5:1 for text on the background and on the bars; the cursor's text on the cursor."""
    for role in (*ON_BACKGROUND, "foreground"):
        colour = str(theme.foreground) if role == "foreground" else theme.variables[role]
        for ground in (str(theme.background), theme.variables["rts-bar"]):
            assert contrast(colour, ground) >= 4.5, (role, ground)
    assert contrast(theme.variables["rts-on-cursor"], theme.variables["rts-cursor"]) >= 4.5


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
    assert set(ROLE_DEFAULTS) <= set(theme.variables)
