"""The pictures of docs/concepts.md, as docs/pictures/*.svg: `python -m website.pictures` writes them.

Modes and states are drawn with the arrows that matter; a test checks that each is in the tables of the code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from website.svg import Picture

PLACE = Path(__file__).parents[1] / "docs" / "pictures"
Place = tuple[float, float, float, float]
Point = tuple[float, float]
Arrow = tuple[str, str, Sequence[Point], str, Point | None]
"""From one box to another, through points, with a label at a point."""

COLUMNS = (16, 128, 240, 366)
"""Left edges of the three channels and of the reads."""
WIDE = 100


def channels() -> Picture:
    """Draw the three push channels and the reads, into one mirror."""
    shown = Picture(480, 468, "Three push channels and two ways of reading lead into one mirror")
    shown.group(4, 4, 472, 116, "Salesforce org")
    sources = (
        ("package", ["sends HTTPS"]),
        ("package", ["publishes"]),
        ("no package", ["Change Data", "Capture"]),
        ("API", ["REST, Bulk 2.0"]),
    )
    for left, (name, lines) in zip(COLUMNS, sources, strict=True):
        shown.box((left, 38, WIDE, 68), name, lines)
    shown.group(4, 192, 472, 270, "rtsd")
    for left, name, how in zip(
        COLUMNS,
        ("gateway", "stream", "cdc"),
        ("HTTPS to you", "you subscribe", "you subscribe"),
        strict=False,
    ):
        shown.line([(left + 50, 106), (left + 50, 124)], kind="way")
        shown.arrow([(left + 50, 168), (left + 50, 226)], kind="way")
        shown.text(left + 50, 140, name, "name")
        shown.text(left + 50, 158, how, "small")
    shown.line([(416, 226), (416, 168)])
    shown.arrow([(416, 124), (416, 106)])
    shown.text(416, 140, "Interval Sync", "name")
    shown.text(416, 158, "and audits", "small")
    shown.box((16, 226, 324, 52), "inbox", ["on disk before a push is answered 200"])
    shown.box((366, 226, WIDE, 52), "reads", ["the rest"])
    shown.box((16, 316, 450, 52), "apply", ["one ordering rule, one writer, one transaction"])
    shown.arrow([(178, 278), (178, 316)])
    shown.arrow([(416, 278), (416, 316)])
    shown.box((16, 402, 216, 48), "mirror", ["a table for each object"], "good")
    shown.box((250, 402, 216, 48), "journal", ["every change, with its source"])
    shown.arrow([(124, 368), (124, 402)])
    shown.arrow([(358, 368), (358, 402)])
    return shown


def engines() -> Picture:
    """Draw the two engines."""
    shown = Picture(
        480, 340, "SQLite: one process and two files. PostgreSQL: several nodes, of which one leads"
    )
    shown.group(4, 4, 226, 332, "SQLite")
    shown.box((20, 42, 194, 54), "rtsd", ["one process"])
    shown.box((20, 146, 92, 54), "mirror.db", ["the tables"], "good")
    shown.box((122, 146, 92, 54), "inbox", ["the pushes"])
    shown.arrow([(66, 96), (66, 146)])
    shown.arrow([(168, 96), (168, 146)])
    shown.box((20, 264, 194, 54), "your programs", ["read the file, while rtsd writes"])
    shown.arrow([(66, 264), (66, 200)])
    shown.group(250, 4, 226, 332, "PostgreSQL")
    for left, name, what in (
        (260, "node a", "leads"),
        (332, "node b", "stands by"),
        (404, "node c", "stands by"),
    ):
        shown.box((left, 42, 64, 54), name, [what])
    shown.box((266, 146, 92, 54), "salesforce", ["the tables"], "good")
    shown.box((368, 146, 92, 54), "rts", ["the pushes"])
    shown.arrow([(292, 96), (306, 146)], kind="way")
    for left in (364, 436):
        shown.arrow([(left, 96), (left - 2 * (left - 414) / 5, 146)])
    shown.box((266, 264, 194, 54), "your programs", ["read the schema, with SELECT"])
    shown.arrow([(312, 264), (312, 200)])
    return shown


MODES: dict[str, tuple[Place, str]] = {
    "awaiting_package": ((12, 20, 156, 52), "Interval Sync reads"),
    "real_time": ((346, 20, 162, 52), "pushes, in seconds"),
    "interval": ((170, 176, 150, 52), "Interval Sync reads"),
    "disabled": ((370, 176, 138, 52), "Interval Sync reads"),
    "unreachable": ((12, 318, 144, 52), "Salesforce is away"),
    "paused": ((362, 318, 146, 52), "by an operator"),
}
MODE_ARROWS: tuple[Arrow, ...] = (
    ("awaiting_package", "real_time", [(168, 46), (346, 46)], "a push arrives", (254, 38)),
    ("awaiting_package", "interval", [(60, 72), (60, 202), (170, 202)], "package found", (106, 140)),
    ("real_time", "interval", [(366, 72), (254, 176)], "pushes are silent", (256, 116)),
    ("interval", "real_time", [(300, 176), (404, 72)], "a push arrives", (376, 156)),
    ("real_time", "disabled", [(478, 72), (478, 176)], "switched off", (438, 120)),
    ("disabled", "interval", [(370, 202), (320, 202)], "on", (345, 196)),
    ("interval", "unreachable", [(190, 228), (96, 318)], "no answer", (104, 274)),
    ("unreachable", "interval", [(136, 318), (226, 228)], "it answers again", (208, 304)),
    ("interval", "paused", [(304, 228), (414, 318)], "paused", (388, 262)),
    ("paused", "interval", [(376, 318), (268, 228)], "resumed", (292, 282)),
)


def modes() -> Picture:
    """Draw how changes arrive, and what leads from one mode to another."""
    title = "The modes: how changes arrive, and what leads from one to another"
    return _diagram(title, MODES, MODE_ARROWS, good="real_time")


STATES: dict[str, tuple[Place, str]] = {
    "pending": ((24, 20, 140, 52), "nothing proven yet"),
    "loading": ((192, 20, 140, 52), "the initial audit"),
    "live": ((364, 20, 144, 52), "the org's count agrees"),
    "error": ((24, 190, 140, 52), "can't be mirrored"),
    "paused": ((24, 318, 140, 52), "nothing is read"),
    "deferred": ((192, 190, 140, 52), "waits for quota"),
    "incomplete": ((364, 190, 144, 52), "says what is missing"),
}
STATE_ARROWS: tuple[Arrow, ...] = (
    ("pending", "loading", [(164, 46), (192, 46)], "", None),
    ("loading", "live", [(332, 46), (364, 46)], "", None),
    ("live", "incomplete", [(456, 72), (456, 190)], "a doubt", (483, 136)),
    ("incomplete", "live", [(416, 190), (416, 72)], "a proof", (389, 136)),
    ("loading", "deferred", [(282, 72), (282, 190)], "no quota", (314, 136)),
    ("deferred", "loading", [(242, 190), (242, 72)], "continues", (210, 136)),
    ("pending", "error", [(114, 72), (114, 190)], "no access", (146, 120)),
    ("error", "pending", [(84, 190), (84, 72)], "described", (52, 150)),
    ("paused", "pending", [(24, 344), (8, 344), (8, 46), (24, 46)], "", None),
    (
        "incomplete",
        "paused",
        [(436, 242), (436, 344), (164, 344)],
        "any state, when an operator pauses it",
        (300, 336),
    ),
)


def states() -> Picture:
    """Draw how far an object is proven, and what moves it."""
    return _diagram("The states of an object: how far its rows are proven", STATES, STATE_ARROWS, good="live")


def _diagram(
    title: str, boxes: Mapping[str, tuple[Place, str]], arrows: Iterable[Arrow], *, good: str
) -> Picture:
    """Draw boxes, each with a line about it, and what leads from one to another."""
    shown = Picture(520, 384, title)
    for _, _, points, label, at in arrows:
        shown.arrow(points)
        if at is not None:
            shown.text(*at, label)
    for name, (place, said) in boxes.items():
        shown.box(place, name, [said], "good" if name == good else "box")
    return shown


DRAWN = {"channels": channels, "engines": engines, "modes": modes, "states": states}

if __name__ == "__main__":
    PLACE.mkdir(exist_ok=True)
    for name, draw in DRAWN.items():
        (PLACE / f"{name}.svg").write_text(draw().svg())
