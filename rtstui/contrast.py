"""Contrast between a text and its background, and colours moved until a text can be read."""

from __future__ import annotations

from collections.abc import Iterable

from textual.color import Color

READABLE = 4.5
"""The least contrast of a text with its background (WCAG 2.2, 1.4.3)."""

STEPS = 50
"""Steps from a colour to black or white: fine enough that the hue stays."""

BLACK, WHITE = Color(0, 0, 0), Color(255, 255, 255)


def luminance(colour: Color) -> float:
    """Return the relative luminance of an opaque colour (WCAG 2.2)."""
    parts = [part / 255 for part in (colour.r, colour.g, colour.b)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(colour: Color, other: Color) -> float:
    """Return the contrast ratio of two opaque colours, 1..21 (WCAG 2.2)."""
    low, high = sorted((luminance(colour), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def readable(colour: Color, grounds: Iterable[Color]) -> Color:
    """Return the colour, moved towards black or white just so far that it can be read on each ground."""
    grounds = list(grounds)

    def worst(candidate: Color) -> float:
        return min(contrast(candidate, ground) for ground in grounds)

    pole = max((BLACK, WHITE), key=worst)
    steps = (colour.blend(pole, step / STEPS, 1.0) for step in range(STEPS + 1))
    return next((step for step in steps if worst(step) >= READABLE), pole)
