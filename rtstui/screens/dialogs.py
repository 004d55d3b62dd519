"""The dialogs: a question before an action, a long text, the help."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Protocol, cast

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.keys import format_key
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from rtsd.core.plural import plural
from rtstui.format import wrap
from rtstui.meaning import MODES, OBJECTS, PROVING
from rtstui.rows import Row, plain, width_of
from rtstui.widgets.chrome import first_key, key_name
from rtstui.widgets.panel import ROLE_CLASSES, Panel

LEAST_COLUMN = 12
"""Width in cells below which a column is cut rather than broken into lines."""


CUT = re.compile(r"… \(([\d,]+) characters\)")
"""The end of a text that was cut where it arrived (`clean.clean`)."""


class Keeper(Protocol):
    """The part of the app that a reader uses."""

    def keep(self, stem: str, suffix: str, text: str) -> bool:
        """Write text to a new file, and report where; return True if it was written."""


class Text(Panel):
    """Rows that do not change."""

    FRAMED = DATED = False

    def __init__(self, rows: Sequence[Row], *, id: str | None = None) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self.text = list(rows)
        self._broken: tuple[int, list[Row]] = (0, [])

    def show(self, rows: Sequence[Row]) -> None:
        """Show other rows."""
        self.text, self._broken = list(rows), (0, [])
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """All lines at this width."""
        return len(self._lines(width))

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """The rows, broken into lines where they are too long."""
        return self._lines(width)

    def _lines(self, width: int) -> list[Row]:
        if self._broken[0] != width:
            self._broken = (width, [line for row in self.text for line in _wrapped(row, width)])
        return self._broken[1]


class Dialog(ModalScreen[bool]):
    """A framed box over the view."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(ROLE_CLASSES)

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "no", "cancel", id="dialog.cancel")]

    def action_no(self) -> None:
        """Close; nothing is done."""
        self.dismiss(False)


class Confirm(Dialog):
    """A question with its price. Where the answer is costly `word` has to be typed; else `y` says yes.

    Enter alone never confirms: the focus is on Cancel.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "yes", "yes", id="dialog.yes"),
        Binding("n", "no", "no", id="dialog.no"),
    ]

    def __init__(
        self, question: str, rows: Sequence[Row], verb: str, word: str | None = None, *, where: str = ""
    ) -> None:
        super().__init__()
        self._where = where
        self._question, self._lines, self._verb, self._word = question, list(rows), verb, word

    def compose(self) -> ComposeResult:
        """Yield question, price, the word to type, the buttons."""
        with Vertical(id="dialog") as box:
            box.border_title = Content(self._question)
            if self._where:
                yield Text([((f"▲ {self._where}", "warn"),), ()])
            yield Text(self._lines)
            if self._word is not None:
                box.border_subtitle = Content(f"type {self._word} to go on · esc cancels")
                yield Input(placeholder=f"type {self._word} to go on", id="word", select_on_focus=False)
            with Horizontal(id="buttons"):
                hint = "" if self._word else "y  "
                yield Button(Content(f"{hint}{self._verb}"), id="yes", disabled=self._word is not None)
                yield Button(Content("esc  Cancel"), id="no", variant="primary")

    def on_mount(self) -> None:
        """Focus Cancel, or the word to type."""
        for box in self.query(Input):
            box.cursor_blink = False
        self.query_one("#word" if self._word else "#no").focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Take letters as answers only if no word has to be typed."""
        return action != "yes" or self._word is None

    def action_yes(self) -> None:
        """Close with yes."""
        self.dismiss(True)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Enable the button when the word is right, and say what enter does then."""
        is_right = event.value.strip() == self._word
        button = self.query_one("#yes", Button)
        button.disabled = not is_right
        button.label = Content(f"{'enter  ' if is_right else ''}{self._verb}")
        said = f"enter: {self._verb}" if is_right else f"type {self._word} to go on"
        self.query_one("#dialog").border_subtitle = Content(f"{said} · esc cancels")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take enter only when the word is right."""
        if event.value.strip() == self._word:
            self.dismiss(True)
        else:
            self.notify(f"Nothing is done yet: type {self._word}, then enter.", markup=False, timeout=4)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Close with the button's answer; enter on Cancel may have been meant as yes."""
        is_yes = event.button.id == "yes"
        if not is_yes and self._word is None:
            self.notify("Nothing was done: y says yes.", markup=False, timeout=4)
        self.dismiss(is_yes)


class Reader(Dialog):
    """A text that may be longer than the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,q", "no", "close", show=False, id="reader.close"),
        Binding("w", "save", "save all of it", show=False, id="reader.save"),
    ]

    def __init__(self, title: str, rows: Sequence[Row], hint: str = "") -> None:
        super().__init__()
        self._title, self._lines = title, rows
        self._hint = hint or f"{length_of(self.text)} · w saves it · esc closes"

    @property
    def text(self) -> str:
        """The whole text."""
        return "\n".join(plain(row).rstrip() for row in self._lines)

    def action_save(self) -> None:
        """Save the whole text to a file."""
        cast("Keeper", self.app).keep("text", "txt", f"{self.text}\n")

    def compose(self) -> ComposeResult:
        """Yield a scrolling text."""
        with Vertical(id="dialog") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = Content(self._hint)
            with VerticalScroll(id="reader-scroll"):
                yield Text(self._lines)


def length_of(text: str) -> str:
    """Return how long a text is; of one that was cut, how much of it is here."""
    if found := CUT.search(text):
        return f"{len(text):,} of {found[1]} characters"
    return plural(len(text), "character")


class Help(Reader):
    """The keys that work here, from the live bindings; the signs; how to copy."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "no", "close", show=False, id="help.close")
    ]

    def __init__(
        self,
        view: str,
        about: str,
        bindings: Sequence[ActiveBinding],
        elsewhere: Sequence[tuple[str, Sequence[Binding]]] = (),
    ) -> None:
        """`elsewhere`: the titles of the panels without the focus, and their bindings."""
        self._about, self._active, self._elsewhere = about, bindings, elsewhere
        super().__init__(f"Help: {view}", (), "esc closes · : finds every command")

    def on_mount(self) -> None:
        """Fill in the text: it needs the app, which is known only now."""
        self.query_one(Text).show(self._rows())

    def _rows(self) -> list[Row]:
        own, moving, everywhere = self._keys()
        return [
            ((self._about, ""),),
            (),
            *([(("IN THIS VIEW", "head"),), *own, ()] if own else []),
            *self._others(),
            (("SIGNS", "head"),),
            *_legend(),
            (),
            (("MOVING", "head"),),
            *moving,
            (),
            (("EVERYWHERE", "head"),),
            *everywhere,
            (),
            (("COPYING", "head"),),
            (("  drag with the mouse, then ctrl+c; y copies the row under the cursor.", ""),),
            (("  without the app: hold shift (option on a Mac) and drag, or start with --no-mouse.", ""),),
        ]

    def _others(self) -> list[Row]:
        """Return the keys of the panels that tab leads to."""
        known = {active.binding.action for active in self._active}
        rows: list[Row] = []
        for title, bindings in self._elsewhere:
            keys: list[Row] = [
                (
                    (f"  {each.key_display or format_key(first_key(each)):<18}", "accent"),
                    (each.description, ""),
                )
                for each in bindings
                if each.action not in known
            ]
            if keys:
                rows += [((f"IN {title.upper()}: tab leads there", "head"),), *keys, ()]
        return rows

    def _keys(self) -> tuple[list[Row], list[Row], list[Row]]:
        """Return the keys of the view itself, those of every table, and those of the app."""
        own, moving, everywhere = ([], [], [])  # type: tuple[list[Row], list[Row], list[Row]]
        seen: dict[str, tuple[str, ActiveBinding]] = {}
        for active in self._active:
            action = active.binding.action
            keys = seen[action][0] if action in seen else ""
            if key_name(active) not in keys.split():
                keys = f"{keys} {key_name(active)}".lstrip()
            seen[action] = (keys, active)
        for keys, active in seen.values():
            row: Row = ((f"  {keys:<17} ", "accent"), (active.binding.description, ""))
            # Those without an id are Textual's, of a text that is edited.
            is_moving = (active.binding.id or "view").partition(".")[0] in {"table", "view"}
            place = everywhere if active.node is self.app else moving if is_moving else own
            place.append(row)
        return own, moving, everywhere


WORDS = {
    "proven": "at that moment all rows equalled the org's: by a full read, or by counts and stamps;"
    " later changes make the rows now differ",
    "as of": "the mirror shows everything that was committed before that time",
    "p50 p95 p99": "so many of 100 changes were in the mirror within that time",
    "drift": "rows that a check found missing, stale or orphaned in the mirror",
    "fingerprint": "a check that compares counts by date, and reads only what differs",
    "spell": "a time between two pushes, with the changes that came by neither",
    "relay": "the Apex trigger that passes the package's events on to rtsd",
    "deferred": "waits for room in the daily limits",
    "describe": "reading which fields an object has",
}
"""The words of the screens, as docs/glossary.md explains them."""


def _legend() -> list[Row]:
    return [
        (("  objects  ", "dim"), *((f"{sign.text}  ", sign.role) for sign in OBJECTS.values())),
        (
            ("           ", "dim"),
            (f"{PROVING.text}  ", PROVING.role),
            ("again: it was loaded before, or paused", ""),
        ),
        (("  modes    ", "dim"), *((f"{sign.text}  ", sign.role) for sign in MODES.values())),
        (
            ("  events   ", "dim"),
            ("PUSH", "ok"),
            (" from the org's package  ", ""),
            ("PULL", "busy"),
            (" Interval Sync  ", ""),
            ("AUDIT REPAIR ", "accent"),
            ("read to prove or repair", ""),
        ),
        *(((f"  {word:<12} ", "dim"), (said, "")) for word, said in WORDS.items()),
    ]


def _wrapped(row: Row, width: int) -> list[Row]:
    """Break the last span of a row into lines of this width; they stand under its beginning."""
    if width_of(row) <= width or not row:
        return [row]
    *before, (text, role) = row
    indent = width_of(tuple(before))
    if width - indent < LEAST_COLUMN:
        return [row]
    first, *more = wrap(text, width - indent) or [""]
    return [(*before, (first, role)), *(((" " * indent, ""), (line, role)) for line in more)]
