"""Lines of text in parts, each with a role; the theme gives the roles their looks."""

from __future__ import annotations

from rich.cells import cell_len

from rtstui.format import fit

Span = tuple[str, str]
"""A text and its role: empty for plain text, or one of ROLES."""

Row = tuple[Span, ...]
"""A line of the screen."""

ROLES = ("ok", "busy", "warn", "error", "off", "dim", "bold", "accent", "head", "cursor", "tab", "track")

BLANK: Row = ()


def width_of(row: Row) -> int:
    """Return the width of a row in cells."""
    return sum([len(text) if text.isascii() else cell_len(text) for text, _ in row])


def cut(row: Row, width: int) -> Row:
    """Return the row in at most `width` cells; a cut row ends in an ellipsis."""
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


def unfinished(row: Row, width: int) -> Row:
    """Return the row with an ellipsis at its end: more rows belong below it."""
    role = row[-1][1] if row else ""
    return cut((*row, (" …", role)), width)


def spread(left: Row, right: Row, width: int) -> Row:
    """Return a line with `left` and, at its end, `right` if there is room for it."""
    room = width - width_of(left)
    if width_of(right) > room - 1:
        return cut(left, width)
    return (*left, (" " * (room - width_of(right)), ""), *right)


def plain(row: Row) -> str:
    """Return the text of a row without roles."""
    return "".join(text for text, _ in row)
