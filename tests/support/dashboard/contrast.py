"""What is painted, judged: the contrast of each piece of text with the ground that it stands on."""

from __future__ import annotations

from collections.abc import Iterator

from rich.color import Color as RichColor
from rich.color import ColorType
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from textual._ansi_theme import ALABASTER, MONOKAI
from textual.color import Color

from rtstui.app import RtsTui
from rtstui.contrast import READABLE, contrast
from tests.support.dashboard.app import painted

TERMINALS = {True: MONOKAI, False: ALABASTER}
"""The palettes of a dark and of a light terminal, for themes that leave the colours to it."""

BORDERS_AND_BLOCKS = range(0x2500, 0x25A0)
"""Box drawings and blocks: lines and bars, not text."""


def unreadable(app: RtsTui) -> list[str]:
    """The pieces of text on the screen whose contrast is too low, each with its colours."""
    terminal = TERMINALS[app.current_theme.dark]
    found = []
    for segment in segments(app):
        front, ground = colours(segment.style or Style.null(), terminal)
        ratio = contrast(front, ground)
        if ratio < READABLE:
            found.append(f"{segment.text!r}: {ratio:.1f}, {front.hex} on {ground.hex}")
    return found


def segments(app: RtsTui) -> Iterator[Segment]:
    """The pieces of text on the screen."""
    for strip in painted(app):
        for segment in strip:
            if any(not letter.isspace() and ord(letter) not in BORDERS_AND_BLOCKS for letter in segment.text):
                yield segment


def colours(style: Style, terminal: TerminalTheme) -> tuple[Color, Color]:
    """The colours of text and ground, as a terminal with this palette shows them."""
    front = _shown(style.color, terminal, foreground=True)
    ground = _shown(style.bgcolor, terminal, foreground=False)
    if style.dim:
        front = ground.blend(front, 0.66)
    return (ground, front) if style.reverse else (front, ground)


def _shown(colour: RichColor | None, terminal: TerminalTheme, *, foreground: bool) -> Color:
    if colour is None or colour.type is ColorType.DEFAULT:
        return Color(*(terminal.foreground_color if foreground else terminal.background_color))
    return Color(*colour.get_truecolor(terminal))
