"""Lines of text in parts, each with the role it plays; what the roles look like is the theme's business."""

from __future__ import annotations

from rich.cells import cell_len

from rtstui.format import fit

Span = tuple[str, str]
"""A text and its role: `` (plain), or one of ROLES."""

Row = tuple[Span, ...]
"""One line of the screen."""

ROLES = ("ok", "busy", "warn", "error", "off", "dim", "bold", "accent", "head", "cursor", "tab", "track")

BLANK: Row = ()


def width_of(row: Row) -> int:
    """The cells a row takes."""
    return sum([len(text) if text.isascii() else cell_len(text) for text, _ in row])


def cut(row: Row, width: int) -> Row:
    """The row in at most `width` cells; what is cut ends in an ellipsis."""
    if width_of(row) <= width:
        return row
    taken: list[Span] = []
    left = width
    for index, (text, role) in enumerate(row):
        size = len(text) if text.isascii() else cell_len(text)
        more = any(later for later, _ in row[index + 1 :])
        if size > left or (size == left and more):
            if left > 0:
                taken.append((fit(text + " " if size <= left else text, left), role))
            break
        taken.append((text, role))
        left -= size
    return tuple(taken)


def spread(left: Row, right: Row, width: int) -> Row:
    """`left` and, at the other end of the line, as much of `right` as there is room for."""
    room = width - width_of(left)
    if width_of(right) > room - 1:
        return cut(left, width)
    return (*left, (" " * (room - width_of(right)), ""), *right)


def plain(row: Row) -> str:
    """The text alone."""
    return "".join(text for text, _ in row)
