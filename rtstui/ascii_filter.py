"""The screen in ASCII, for terminals and fonts without Unicode: `--ascii`, or a locale without UTF-8.

It filters the lines on their way to the terminal, so nothing that is painted can bypass it.
"""

from __future__ import annotations

import locale
from collections.abc import Mapping
from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

SIGNS: Mapping[str, str] = {
    **dict.fromkeys("●✔", "*"),
    **dict.fromkeys("◐◌", "~"),
    **dict.fromkeys("▲", "!"),
    **dict.fromkeys("‖", "="),
    **dict.fromkeys("✖", "x"),
    **dict.fromkeys("○", "o"),
    **dict.fromkeys("▶", ">"),
    **dict.fromkeys("█▇▆▅▉▊▋▌", "#"),
    **dict.fromkeys("▓▄▃▍▎", "="),
    **dict.fromkeys("▂▁▏", "_"),
    **dict.fromkeys("░·•", "."),
    **dict.fromkeys("─━╌═▔", "-"),
    **dict.fromkeys("│┃║▕", "|"),
    **dict.fromkeys("╭╮╰╯┌┐└┘┏┓┗┛├┤┬┴┼", "+"),
    **dict.fromkeys("—", "-"),
    **dict.fromkeys("→", ">"),
    "…": "~",
}
"""Replacements of the signs that the dashboard uses; each takes one cell, as the signs do."""


@lru_cache(4_096)
def to_ascii(text: str) -> str:
    """Return the text in ASCII and as wide; a character without a replacement is a question mark per cell."""
    if text.isascii():
        return text
    return "".join(
        character if character.isascii() else SIGNS.get(character, "?" * cell_len(character))
        for character in text
    )


def is_needed() -> bool:
    """Return True if the locale cannot show more than ASCII."""
    return "utf" not in locale.getpreferredencoding(do_setlocale=False).lower()


class AsciiFilter(LineFilter):
    """The last filter of a painted line."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """Replace the texts; styles stay."""
        return [
            segment
            if segment.text.isascii()
            else Segment(to_ascii(segment.text), segment.style, segment.control)
            for segment in segments
        ]
