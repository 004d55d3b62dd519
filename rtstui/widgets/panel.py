"""The base of the dashboard's widgets: rows of text with roles, painted line by line.

A panel computes its rows from the state on every tick and repaints only the lines that differ, so its cost
follows the changes on screen, not those in the org. Nothing in it parses markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol, TypeVar, cast

from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.geometry import Region, Size
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from rtsd.core.figures import zone_of
from rtstui.clean import clean
from rtstui.document_cache import CachedDocument, DocumentRequest
from rtstui.rows import BLANK, ROLES, Row, cut, plain, unfinished, width_of
from rtstui.state import State

T = TypeVar("T")

SEPARATOR = " · "
"""Between facts in one line."""

WELL = frozenset({"ok", "busy", "accent", "track"})
"""Roles that mean that something is going well now."""

ROLE_CLASSES = frozenset(f"role--{role}" for role in ROLES)
"""The style sheet's names for the roles. Screens have them, not panels: so each is resolved once."""


class HasState(Protocol):
    """The part of the app that panels use."""

    @property
    def state(self) -> State:
        """The state of the selected daemon."""

    @property
    def masking(self) -> bool:
        """True while records' values are hidden."""

    @property
    def ages(self) -> bool:
        """True while moments are shown as ages."""

    def load(self, request: DocumentRequest[T]) -> CachedDocument[T]:
        """Return a document from the cache, and load it when it is due."""

    def look_up(self, seqs: Sequence[int]) -> None:
        """Ask for the values of the changes with these numbers, unless that was done just now."""


class Panel(Widget):
    """Rows of text. Subclasses give the rows (`paint`) and the texts in the border (`titles`)."""

    ALLOW_SELECT = True
    ALLOW_MAXIMIZE = True
    FRAMED: ClassVar[bool] = True
    """True if it has a border with titles in it."""

    DATED: ClassVar[bool] = FRAMED
    """True if it shows facts from the daemon: outdated ones are then never painted as going well."""

    _rows: list[Row]
    _looks: dict[str, Style]
    _titles: tuple[str, str] = ("", "")
    _tall: int = -1

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id, classes="framed" if self.FRAMED else None, markup=False)
        self._rows = []

    @property
    def state(self) -> State:
        """The state of the selected daemon."""
        return cast("HasState", self.app).state

    @property
    def masking(self) -> bool:
        """True while records' values are hidden, because somebody else sees the screen."""
        return cast("HasState", self.app).masking

    @property
    def ages(self) -> bool:
        """True while moments are shown as ages."""
        return cast("HasState", self.app).ages

    @property
    def rows(self) -> list[Row]:
        """The rows that are on the screen."""
        return self._rows

    def dated(self, title: str) -> str:
        """Return a title with the time zone of the times below it."""
        return title if self.ages else f"{title}, {zone_of(self.state.now())}"

    def export(self) -> tuple[str, str]:
        """Return its content for a file: the file's suffix and the text."""
        return "txt", "".join(plain(row).rstrip() + "\n" for row in self._rows)

    def load(self, request: DocumentRequest[T]) -> CachedDocument[T]:
        """Return a document from the cache, and load it when it is due."""
        return cast("HasState", self.app).load(request)

    def look_up(self, seqs: Sequence[int]) -> None:
        """Ask for the values of the changes with these numbers, unless that was done just now."""
        cast("HasState", self.app).look_up(seqs)

    def paint(self, width: int, height: int) -> list[Row]:
        """Return the rows for `width` by `height` cells; more are cut, fewer leave blank lines."""
        raise NotImplementedError

    def titles(self) -> tuple[str, str]:
        """Return the texts in the upper and the lower border."""
        return "", ""

    def border(self) -> tuple[str, str]:
        """Return the texts in the upper and the lower border, with what every such panel says there."""
        return self.titles()

    def wanted(self) -> int:
        """Return the number of rows to show, for panels whose height is `auto`."""
        return 1

    @property
    def flows(self) -> bool:
        """True while the text moves by itself: then it cannot be selected, and lines need no offsets."""
        return False

    def tick(self) -> None:
        """Compute the rows again and repaint the lines that changed."""
        if self.styles.is_auto_height and (tall := self.wanted()) != self._tall:
            self._tall = tall
            # Textual (8.2) keeps the old height while an earlier layout is pending.
            self._layout_updates += 1
            self.refresh(layout=True)
        if not self.display or not self.size:
            return
        titles = self.border()
        if self.FRAMED and not self.has_lower_border:
            titles = (self._joined(titles), "")
        if titles != self._titles:
            self._titles = titles
            # Content, because a plain string would be parsed as markup.
            self.border_title, self.border_subtitle = (_title(text) for text in titles)
        rows, old = self._painted(self.size), self._rows
        self._rows = rows
        if len(rows) != len(old):
            self.refresh()
            return
        changed = [y for y, (new, was) in enumerate(zip(rows, old, strict=True)) if new != was]
        if len(changed) > len(rows) // 2:
            self.refresh()
        elif changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    @property
    def has_lower_border(self) -> bool:
        """True if a text can stand below; a low screen gives the line to the rows."""
        return bool(self.styles.border_bottom[0])

    def _joined(self, titles: tuple[str, str]) -> str:
        """Return both titles as the one of the upper border; the one that says more if there is no room."""
        joined = SEPARATOR.join(filter(None, titles))
        return joined if len(joined) <= self.size.width else max(titles, key=len)

    def _painted(self, size: Size) -> list[Row]:
        try:
            painted = self.paint(size.width, size.height)
            rows = [cut(row, size.width) for row in painted[: size.height]]
            if len(painted) > size.height:
                rows[-1] = unfinished(rows[-1], size.width)
        except Exception as error:  # noqa: BLE001 (a bug in one panel must not blank the others)
            self.log(error)
            rows = [((clean(f"This panel failed: {error!r}. ctrl+l redraws."), "error"),)]
        if self.DATED and not self.state.live:
            rows = [tuple((text, "dim" if role in WELL else role) for text, role in row) for row in rows]
        return rows + [BLANK] * (size.height - len(rows))

    def on_resize(self) -> None:
        """Fill the new size at once, not at the next tick."""
        self._rows = []
        self.tick()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """As many lines as there are rows."""
        self._tall = self.wanted()
        return self._tall

    def get_content_width(self, container: Size, viewport: Size) -> int:  # noqa: ARG002
        """All of the container's."""
        return container.width

    def render_lines(self, crop: Region) -> list[Strip]:
        """Resolve the roles' styles once for all lines of a frame: that is half of a line's cost."""
        base = self.rich_style
        self._looks = {"": base} | {
            role: base + self.screen.get_component_rich_style(f"role--{role}", partial=True) for role in ROLES
        }
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """Return a line in the roles' styles."""
        row = self._rows[y] if y < len(self._rows) else BLANK
        looks, width = self._looks, self.size.width
        segments = [Segment(text, looks[role]) for text, role in row if text]
        if (left := width - width_of(row)) > 0:
            segments.append(Segment(" " * left, looks[""]))
        strip = Strip(segments, max(width, width - left))
        if self.flows:
            return strip
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(y)) is not None:
            strip = self._selected(strip, span)
        return strip.apply_offsets(0, y)

    def _selected(self, strip: Strip, span: tuple[int, int]) -> Strip:
        start, end = span
        end = strip.cell_length if end == -1 else end
        style = self.screen.get_component_rich_style("screen--selection")
        before, inside, after = strip.divide([start, end, strip.cell_length])
        return Strip.join([before, inside.apply_style(style), after])

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the text under a mouse selection, as it is shown."""
        return selection.extract("\n".join(plain(row) for row in self._rows)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002
        """Paint the selection."""
        self.refresh()


def _title(text: str) -> Content:
    return Content(text)
