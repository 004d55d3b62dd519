"""Texts as the dashboard lays them out. Pure functions; widths are in terminal cells."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

WIDEST_CELL = 4
"""Characters that may share a cell: a letter and its combining marks, of which `clean` leaves two."""

EIGHTHS = " ▏▎▍▌▋▊▉"
SPARKS = "▁▂▃▄▅▆▇█"


def bar(share: float, width: int) -> str:
    """Return a bar of `width` cells, filled to an eighth of a cell; anything above 0 shows."""
    eighths = round(min(1.0, max(0.0, share)) * width * 8)
    if share > 0:
        eighths = max(1, eighths)
    whole, part = divmod(eighths, 8)
    return ("█" * whole + (EIGHTHS[part] if part else "")).ljust(width)


def spark(values: list[float], width: int) -> str:
    """Return the last `width` values as a line of blocks, scaled to the largest; zero is blank."""
    shown = values[-width:]
    top = max(shown, default=0.0)
    if top <= 0:
        return " " * width
    text = "".join(" " if value <= 0 else SPARKS[min(7, int(value / top * 7.999))] for value in shown)
    return text.rjust(width)


def fit(text: str, width: int) -> str:
    """Return `text` in exactly `width` cells, cut with an ellipsis or padded on the right."""
    if width <= 0:
        return ""
    if text.isascii() and len(text) <= width:
        return text.ljust(width)
    most = width * WIDEST_CELL
    if len(text) <= most and cell_len(text) <= width:
        return set_cell_size(text, width)
    text = text[:most]  # a value may have 131,072 characters, and its row is painted ten times a second
    return set_cell_size(set_cell_size(text, width - 1).rstrip() + "…", width)


def shortened(text: str, width: int) -> str:
    """Return a sentence in at most `width` cells: cut with an ellipsis, else with a full stop at its end."""
    text = text.strip()
    if cell_len(text) > width:
        return fit(text, width)
    return text if text.endswith((".", "!", "?")) or not text else f"{text}."


def right(text: str, width: int) -> str:
    """Return `text` in exactly `width` cells, padded on the left, cut on the right."""
    lacking = width - cell_len(text)
    return " " * lacking + text if lacking >= 0 else fit(text, width)


def wrap(text: str, width: int) -> list[str]:
    """Return `text` in lines of at most `width` cells, broken at spaces if there are any."""
    lines: list[str] = []
    line = ""
    most = max(1, width) * WIDEST_CELL
    for word in text.split():
        begin = 0
        while begin < len(word):
            part = word[begin : begin + most]  # a word may be longer than any line by far
            candidate = f"{line} {part}" if line else part
            if begin + len(part) == len(word) and cell_len(candidate) <= width:
                line, begin = candidate, len(word)
            elif line:
                lines.append(line)
                line = ""
            else:
                head = set_cell_size(part, width).rstrip() or part[0]
                lines.append(head)
                begin += len(head)
    return [*lines, line] if line else lines


def block(text: str, width: int, height: int) -> list[str]:
    """Return `text` in at most `height` such lines, with an ellipsis at the end if there are more."""
    lines = wrap(text, width)
    if len(lines) > height > 0:
        lines[height - 1] = fit(f"{lines[height - 1]} …", width).rstrip()
    return lines[: max(0, height)]


def size(number: float) -> str:
    """Return a number of bytes with the fitting unit, in powers of 1,024: `950 B 48 KiB 1.3 GiB`."""
    for unit, least in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if number >= least:
            value = number / least
            return f"{value:.1f} {unit}" if value < 10 else f"{value:,.0f} {unit}"
    return f"{number:.0f} B"
