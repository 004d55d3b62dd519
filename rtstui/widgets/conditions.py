"""Sync conditions: the fields that make the org push, and edits that are not applied yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from textual.binding import Binding, BindingType

from rtsd.control.protocol import Conditions
from rtsd.core.figures import UNKNOWN, day_clock
from rtsd.core.plural import plural
from rtstui import channel, documents
from rtstui.document_cache import CachedDocument
from rtstui.format import fit, right, wrap
from rtstui.rows import Row
from rtstui.staging import Staged
from rtstui.widgets.panel import Panel
from rtstui.widgets.table import Table

ANY_CHANGE = "No field is chosen: any change pushes. "
"""What empty boxes mean, said where they stand."""


@dataclass(slots=True)
class Editing:
    """The chosen object, and the edits of all objects; shared by the panels."""

    chosen: str = ""
    staged: dict[str, Staged] = field(default_factory=dict)

    def document(self, panel: Panel, name: str | None = None) -> CachedDocument[Conditions] | None:
        """The conditions of an object as rtsd knows them; without a name, of the chosen one."""
        name = name or self.chosen
        document = panel.load(documents.conditions(name)) if name else None
        if document is not None and document.value is not None:
            self.of(name).rebase(document.value.fields)
        return document

    def of(self, name: str) -> Staged:
        """The edits of an object."""
        return self.staged.setdefault(name, Staged())


class Targets(Table):
    """The objects, each with the number of its conditions."""

    def __init__(self, editing: Editing, *, id: str) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self.editing = editing

    def keys(self) -> Sequence[str]:
        """The objects' names."""
        return [item.name for item in self.state.status.objects] if self.state.status else []

    def empty(self) -> str:
        """None are configured, or none are known."""
        return "No objects chosen." if self.state.status else "Waiting for rtsd…"

    def titles(self) -> tuple[str, str]:
        """The rows in sight."""
        return "Objects", self.part(self.keys()).removesuffix(" of ")

    def row(self, key: str, width: int) -> Row:
        """One object."""
        if channel.without_conditions(self.state.status):
            return ((fit(key, width), "bold"),)
        document = self.editing.document(self, key)
        staged = self.editing.of(key)
        known = document is not None and document.value is not None
        number = str(len(staged.wanted)) if staged.wanted else "any" if known else UNKNOWN
        mark = "*" if staged.changed else " "
        return ((fit(key, width - 6) + " ", "bold"), (right(number, 4), ""), (mark, "warn"))


class Fields(Table):
    """The fields of the chosen object that can be conditions."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pick", "choose", id="conditions.toggle"),
        Binding("a", "choose_all", "all", show=False, id="conditions.all"),
        Binding("n", "choose_none", "none: any change", show=False, id="conditions.none"),
        Binding("u", "undo", "undo", id="conditions.undo"),
    ]

    def __init__(self, editing: Editing, *, id: str) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self.editing = editing

    @property
    def staged(self) -> Staged:
        """The edits of the chosen object."""
        return self.editing.of(self.editing.chosen)

    def keys(self) -> Sequence[str]:
        """The fields: first those in force, then the others; none where the channel has no conditions."""
        if channel.without_conditions(self.state.status):
            return []
        document = self.editing.document(self)
        if document is None or document.value is None:
            return []
        ours = self.staged.base | self.staged.wanted
        every = {*document.value.available, *ours}
        return sorted(every, key=lambda name: (name not in self.staged.base, name))

    def empty(self) -> str:
        """The reason why there are none."""
        if reason := channel.without_conditions(self.state.status):
            return reason
        document = self.editing.document(self)
        if document is None:
            return "Choose an object on the left."
        if document.value is None:
            return documents.stand_in(document, self.state)
        return "Its fields are not known yet."

    def titles(self) -> tuple[str, str]:
        """The conditions in force, and their source."""
        name = self.editing.chosen
        if channel.without_conditions(self.state.status):
            return name or "Fields", ""
        document = self.editing.document(self)
        if document is None or document.value is None:
            return name or "Fields", ""
        value = document.value
        above = (
            f"{name}: push when one of these changes" if self.staged.wanted else f"{name}: any change pushes"
        )
        source = "as in the org" if value.source == "org" else "by the configuration, not in the org"
        fields = plural(len(self.keys()), "field")
        when = f" {day_clock(value.as_of, self.state.now())}" if value.as_of else ""
        return (
            above,
            f"{documents.as_of(document, self.state)}{self.part(self.keys())}{fields} · {source}{when}",
        )

    def row(self, key: str, width: int) -> Row:
        """One field: chosen or not, and the change that awaits it."""
        staged = self.staged
        mark, role = ("[x]", "ok") if key in staged.wanted else ("[ ]", "dim")
        note = ""
        if key in staged.wanted and key not in staged.base:
            mark, role, note = "[+]", "warn", "will be added"
        elif key in staged.base and key not in staged.wanted:
            mark, role, note = "[-]", "warn", "will be removed"
        return (
            (f"{mark} ", role),
            (fit(key, max(12, min(40, width - 24))) + " ", "bold" if key in staged.wanted else ""),
            (note, "warn"),
        )

    def action_pick(self) -> None:
        """Choose the field, or undo that; nothing is sent."""
        if self.cursor is not None:
            self.staged.toggle(self.cursor)
            self._edited()

    def action_choose_all(self) -> None:
        """Choose every field, or those that pass the filter beside the chosen ones."""
        self.staged.choose([*self.staged.wanted, *self.shown()])
        self._edited()

    def action_choose_none(self) -> None:
        """Choose none: then any change pushes."""
        self.staged.choose(())
        self._edited()

    def action_undo(self) -> None:
        """Take the last step back."""
        self.staged.undo()
        self._edited()

    def _edited(self) -> None:
        self.state.rev += 1
        self.tick()


class Pending(Panel):
    """The edits that are not applied yet."""

    def __init__(self, editing: Editing, *, id: str) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self.editing = editing

    def titles(self) -> tuple[str, str]:
        """The number of changes."""
        staged = self.editing.of(self.editing.chosen)
        number = len(staged.added) + len(staged.removed)
        return ("Not applied yet", plural(number, "change")) if number else ("No change", "")

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """The difference, and the next step."""
        rows: list[Row] = []
        for line, role in difference(self.editing.of(self.editing.chosen)):
            rows += [((text, role),) for text in wrap(line, width)]
        if not rows and channel.without_conditions(self.state.status):
            return []
        if not rows:
            any_change = "" if self.editing.of(self.editing.chosen).wanted else ANY_CHANGE
            said = f"{any_change}space chooses a field; enter asks before anything is sent."
            return [((line, "dim"),) for line in wrap(said, width)]
        return [*rows, (("enter reviews and applies… · u undoes", "accent"),)]


def difference(staged: Staged) -> list[tuple[str, str]]:
    """Return the changes in words, each with its role."""
    lines = []
    if staged.added:
        lines.append((f"+ {', '.join(staged.added)}", "ok"))
    if staged.removed:
        lines.append((f"- {', '.join(staged.removed)}", "warn"))
    if staged.changed and not staged.base:
        lines.append(("Until now any change pushes; then only a change of these fields does.", "warn"))
    if staged.changed and not staged.wanted:
        lines.append(("No field is chosen: then any change pushes, and uses async Apex.", "warn"))
    return lines
