"""The screen in ASCII, for terminals and fonts without Unicode: `--ascii`, or a locale without UTF-8.

It filters the lines on their way to the terminal, so nothing that is painted can bypass it.
"""

from __future__ import annotations

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
    **dict.fromkeys("▄▃▍▎", "="),
    **dict.fromkeys("▓", "/"),
    **dict.fromkeys("▂▁▏", "_"),
    **dict.fromkeys("░·•", "."),
    **dict.fromkeys("─━╌═▔", "-"),
    **dict.fromkeys("│┃║▕┊", "|"),
    **dict.fromkeys("╭╮╰╯┌┐└┘┏┓┗┛├┤┬┴┼", "+"),
    **dict.fromkeys("—", "-"),
    **dict.fromkeys("→", ">"),
    "←": "<",
    "↑": "^",
    "↓": "v",
    "⏎": "<",
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


UTF8 = frozenset({"utf8", "utf-8"})
COERCED = frozenset({"C.UTF-8", "C.utf8", "UTF-8"})
"""The values of LC_CTYPE that Python sets itself in the C locale (PEP 538)."""


def is_needed(environment: Mapping[str, str], *, utf8_mode: bool) -> bool:
    """Return True if the user's locale has no more than ASCII.

    The user's own words count, by the order of POSIX (Locale, Environment Variables). Python's encoding
    is UTF-8 in the C locale, too: it then changes LC_CTYPE and runs in its UTF-8 mode (PEP 538, PEP 540).
    """
    ctype = environment.get("LC_CTYPE", "")
    if utf8_mode and ctype in COERCED and "PYTHONUTF8" not in environment:
        ctype = ""
    name = environment.get("LC_ALL") or ctype or environment.get("LANG") or "C"
    encoding = name.partition("@")[0].rpartition(".")[2]
    return encoding.lower() not in UTF8


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
