"""The dashboard's own themes, and the role colours every other theme is given.

Meaning has its own hues, apart from the focus ring's: a focused panel must never look like an alarm.
Every role reaches 4.5:1 on its theme's background; tests/tui computes it.
"""

from __future__ import annotations

from textual.theme import BUILTIN_THEMES, Theme

ROLE_DEFAULTS = {
    "rts-ok": "text-success",
    "rts-busy": "text-accent",
    "rts-warn": "text-warning",
    "rts-error": "text-error",
    "rts-off": "text-muted",
    "rts-dim": "text-muted",
    "rts-accent": "text-secondary",
    "rts-focus": "primary",
    "rts-line": "border-blurred",
    "rts-bar": "panel",
    "rts-cursor": "block-cursor-background",
    "rts-on-cursor": "block-cursor-foreground",
}
"""Textual's own colours for our roles, for themes that lack them."""

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
    variables=dict.fromkeys((*BUILTIN_THEMES["ansi-dark"].variables, *ROLE_DEFAULTS), "ansi_default"),
)
"""For NO_COLOR: the terminal's own two colours; roles differ by bold, underline and reverse."""

THEMES = (DARK, LIGHT, CONTRAST, MONO)
