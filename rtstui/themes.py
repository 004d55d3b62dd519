"""The dashboard's own themes, and the role colours every other theme is given.

Meaning has its own hues, apart from the focus ring's: a focused panel must never look like an alarm.
Every role reaches 4.5:1 on its theme's backgrounds; tests/tui computes it from what is painted.
"""

from __future__ import annotations

from collections.abc import Mapping

from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from rtstui.contrast import readable

TEXT_ROLES = {
    "rts-text": "foreground",
    "rts-ok": "text-success",
    "rts-busy": "text-accent",
    "rts-warn": "text-warning",
    "rts-error": "text-error",
    "rts-off": "text-primary",
    "rts-dim": "foreground",
    "rts-accent": "text-secondary",
    "rts-focus": "primary",
}
"""The colours of texts, and the colours of a theme of Textual's that they are made of."""

ROLES = (*TEXT_ROLES, "rts-line", "rts-bar", "rts-cursor", "rts-on-cursor")
"""The names of our colours in the style sheet."""

FADED = 0.4
"""The share of the background in dim text, where that can still be read."""

ANSI = {
    True: {
        "rts-ok": "ansi_bright_green",
        "rts-busy": "ansi_bright_cyan",
        "rts-warn": "ansi_bright_yellow",
        "rts-error": "ansi_bright_red",
        "rts-accent": "ansi_bright_magenta",
        "rts-focus": "ansi_bright_cyan",
        "rts-line": "ansi_bright_black",
        "rts-cursor": "ansi_white",
        "rts-on-cursor": "ansi_black",
    },
    False: {
        "rts-ok": "ansi_blue",
        "rts-busy": "ansi_blue",
        "rts-warn": "ansi_magenta",
        "rts-error": "ansi_red",
        "rts-accent": "ansi_magenta",
        "rts-focus": "ansi_blue",
        "rts-line": "ansi_bright_black",
        "rts-cursor": "ansi_blue",
        "rts-on-cursor": "ansi_bright_white",
    },
}
"""For themes of the terminal's own colours, on a dark ground and on a light one.

Only those that terminals keep apart from that ground: green, cyan and yellow are pale on white.
"""

DARK = Theme(
    name="rts-dark",
    primary="#6ea8fe",
    secondary="#56d4dd",
    accent="#6ea8fe",
    success="#63d68f",
    warning="#f2b84b",
    error="#ff7b7b",
    foreground="#dbe2ea",
    background="#10151c",
    surface="#151b24",
    panel="#1d2530",
    variables={
        "rts-text": "#dbe2ea",
        "rts-ok": "#63d68f",
        "rts-busy": "#56d4dd",
        "rts-warn": "#f2b84b",
        "rts-error": "#ff7b7b",
        "rts-off": "#a9a3d6",
        "rts-dim": "#8a97a6",
        "rts-accent": "#c9a6ff",
        "rts-focus": "#6ea8fe",
        "rts-line": "#3a4757",
        "rts-bar": "#1d2530",
        "rts-cursor": "#2b4a78",
        "rts-on-cursor": "#ffffff",
    },
)

LIGHT = Theme(
    name="rts-light",
    dark=False,
    primary="#0b57c2",
    secondary="#00666f",
    accent="#0b57c2",
    success="#0a6b35",
    warning="#8a5200",
    error="#b3181f",
    foreground="#1b2430",
    background="#fbfbf9",
    surface="#f3f3ef",
    panel="#e6e7e3",
    variables={
        "rts-text": "#1b2430",
        "rts-ok": "#0a6b35",
        "rts-busy": "#00666f",
        "rts-warn": "#8a5200",
        "rts-error": "#b3181f",
        "rts-off": "#5b4a94",
        "rts-dim": "#5a6572",
        "rts-accent": "#6a2fb5",
        "rts-focus": "#0b57c2",
        "rts-line": "#b4bac1",
        "rts-bar": "#e6e7e3",
        "rts-cursor": "#cfe0fb",
        "rts-on-cursor": "#0b1420",
    },
)

CONTRAST = Theme(
    name="rts-contrast",
    primary="#ffffff",
    secondary="#00ffff",
    accent="#ffffff",
    success="#00ff5f",
    warning="#ffd700",
    error="#ff8c8c",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#000000",
    variables={
        "rts-text": "#ffffff",
        "rts-ok": "#00ff5f",
        "rts-busy": "#00ffff",
        "rts-warn": "#ffd700",
        "rts-error": "#ff8c8c",
        "rts-off": "#d0c4ff",
        "rts-dim": "#d0d0d0",
        "rts-accent": "#ffa6ff",
        "rts-focus": "#ffffff",
        "rts-line": "#a0a0a0",
        "rts-bar": "#000000",
        "rts-cursor": "#ffffff",
        "rts-on-cursor": "#000000",
    },
)

MONO = Theme(
    name="rts-mono",
    ansi=True,
    primary="ansi_default",
    secondary="ansi_default",
    accent="ansi_default",
    success="ansi_default",
    warning="ansi_default",
    error="ansi_default",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    variables={
        **{name: "ansi_default" for name in BUILTIN_THEMES["ansi-dark"].variables if "style" not in name},
        **dict.fromkeys(ROLES, "ansi_default"),
        "input-cursor-text-style": "reverse",
        "link-color": "ansi_default",
    },
)
"""For NO_COLOR: the terminal's own two colours; roles differ by bold, underline and reverse."""

THEMES = (DARK, LIGHT, CONTRAST, MONO)


def role_colours(theme: Theme, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the colours of our roles in a theme; `variables` are the theme's own colours.

    A theme of ours has them all. For another one they are made of its colours, and moved until a text
    can be read on each of its backgrounds: a colour such as `auto 60%`, which depends on the background,
    is white wherever the background is not known.
    """
    if theme.ansi:
        plain = dict.fromkeys(ROLES, "ansi_default")
        return plain | ANSI[theme.dark] | _given(theme)
    grounds = [Color.parse(variables[name]) for name in ("background", "surface", "panel")]
    made = {}
    for role, name in TEXT_ROLES.items():
        colour = Color.parse(variables[name])
        if role == "rts-dim":
            colour = colour.blend(grounds[0], FADED, 1.0)
        made[role] = readable(colour, grounds).hex
    cursor = Color.parse(variables["block-cursor-background"])
    made |= {
        "rts-line": variables["border-blurred"],
        "rts-bar": variables["panel"],
        "rts-cursor": cursor.hex,
        "rts-on-cursor": readable(grounds[0], [cursor]).hex,
    }
    return made | _given(theme)


def _given(theme: Theme) -> dict[str, str]:
    """Return the roles that the theme has itself."""
    return {name: value for name, value in theme.variables.items() if name in ROLES}
