"""Everything in ASCII, for terminals and fonts that have nothing else: `--ascii`, or a locale without UTF-8.

It works on what is about to be sent to the terminal, so nothing that is painted can escape it.
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
"""What stands for the signs that the dashboard itself uses; each is one cell, as they are."""


@lru_cache(4_096)
def plainly(text: str) -> str:
    """The text in ASCII, in as many cells; a character that has no stand-in is a question mark per cell."""
    if text.isascii():
        return text
    return "".join(
        character if character.isascii() else SIGNS.get(character, "?" * cell_len(character))
        for character in text
    )


def is_needed() -> bool:
    """Whether the locale cannot show more than ASCII."""
    return "utf" not in locale.getpreferredencoding(do_setlocale=False).lower()


class Ascii(LineFilter):
    """The last thing that happens to a painted line."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """Only the texts change."""
        return [
            segment
            if segment.text.isascii()
            else Segment(plainly(segment.text), segment.style, segment.control)
            for segment in segments
        ]
