"""Sync conditions: which fields make the org push, what is chosen and not applied yet; the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from textual.binding import Binding, BindingType

from rtsd.control.protocol import Conditions, PackageDetails
from rtstui import documents
from rtstui.answers import Answer
from rtstui.format import UNKNOWN, age, count, day_clock, fit, plural, right, wrap
from rtstui.rows import Row, Span
from rtstui.staging import Staged
from rtstui.widgets.asked import dated, lacking
from rtstui.widgets.panel import Panel
from rtstui.widgets.table import Table


@dataclass(slots=True)
class Editing:
    """Which object's conditions are looked at, and the edits of all of them; shared by the panels."""

    chosen: str = ""
    staged: dict[str, Staged] = field(default_factory=dict)

    def told(self, panel: Panel, name: str | None = None) -> Answer[Conditions] | None:
        """What rtsd knows of an object's conditions; of the chosen one without a name."""
        name = name or self.chosen
        answer = panel.answer(documents.conditions(name)) if name else None
        if answer is not None and answer.value is not None:
            self.of(name).rebase(answer.value.fields)
        return answer

    def of(self, name: str) -> Staged:
        """The edits of one object."""
        return self.staged.setdefault(name, Staged())


class Targets(Table):
    """The objects, each with how many conditions it has."""

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
        """How many."""
        return "Objects", self.part(self.keys()).removesuffix(" of ")

    def row(self, key: str, width: int) -> Row:
        """One object."""
        told = self.editing.told(self, key)
        staged = self.editing.of(key)
        known = told is not None and told.value is not None
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
        """The fields: those that are chosen or were, then the others."""
        told = self.editing.told(self)
        if told is None or told.value is None:
            return []
        ours = self.staged.base | self.staged.wanted
        return sorted({*told.value.available, *ours}, key=lambda name: (name not in self.staged.base, name))

    def empty(self) -> str:
        """Why there are none."""
        told = self.editing.told(self)
        if told is None:
            return "Choose an object on the left."
        return lacking(told, self.state) if told.value is None else "Its fields are not known yet."

    def titles(self) -> tuple[str, str]:
        """What is in force, and where that is known from."""
        told = self.editing.told(self)
        name = self.editing.chosen
        if told is None or told.value is None:
            return name or "Fields", ""
        value = told.value
        above = (
            f"{name}: push when one of these changes" if self.staged.wanted else f"{name}: any change pushes"
        )
        source = "as in the org" if value.source == "org" else "by the configuration, not in the org"
        fields = plural(len(self.keys()), "field")
        when = f" {day_clock(value.as_of, self.state.now())}" if value.as_of else ""
        return above, f"{dated(told, self.state)}{self.part(self.keys())}{fields} · {source}{when}"

    def row(self, key: str, width: int) -> Row:
        """One field: chosen or not, and what will become of it."""
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
        """Choose the field, or not any more; nothing is sent."""
        if self.cursor is not None:
            self.staged.toggle(self.cursor)
            self._edited()

    def action_choose_all(self) -> None:
        """Choose every field."""
        self.staged.choose(self.keys())
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
    """What is chosen and not applied yet."""

    def __init__(self, editing: Editing, *, id: str) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self.editing = editing

    def titles(self) -> tuple[str, str]:
        """How many changes."""
        staged = self.editing.of(self.editing.chosen)
        number = len(staged.added) + len(staged.removed)
        return ("Not applied yet", plural(number, "change")) if number else ("No change", "")

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """The difference, and how to go on."""
        rows: list[Row] = []
        for line, role in difference(self.editing.of(self.editing.chosen)):
            rows += [((text, role),) for text in wrap(line, width)]
        if not rows:
            return [(("space chooses a field; nothing is sent before enter and a question.", "dim"),)]
        return [*rows, (("enter reviews and applies… · u undoes", "accent"),)]


def difference(staged: Staged) -> list[tuple[str, str]]:
    """What would change, in words and roles."""
    lines = []
    if staged.added:
        lines.append((f"+ {', '.join(staged.added)}", "ok"))
    if staged.removed:
        lines.append((f"- {', '.join(staged.removed)}", "warn"))
    if staged.changed and not staged.wanted:
        lines.append(("No field is chosen: then any change pushes, and uses async Apex.", "warn"))
    return lines


class PackageCard(Panel):
    """The Salesforce package: what is there, what is missing, what contradicts the configuration."""

    def told(self) -> Answer[PackageDetails]:
        """What is known of it."""
        return self.answer(documents.package())

    def titles(self) -> tuple[str, str]:
        """When that was."""
        told = self.told()
        if told.value is None:
            return "Salesforce package", ""
        seen = f"seen {age(told.value.last_seen_at, self.state.now())} ago" if told.value.last_seen_at else ""
        return "Salesforce package", dated(told, self.state) + seen

    def wanted(self) -> int:
        """A line of facts, and one for each problem."""
        told = self.told()
        return 2 + min(3, len(told.value.problems)) if told.value else 2

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """State, triggers, what async Apex is left, problems."""
        told = self.told()
        if told.value is None:
            return [((line, "dim"),) for line in wrap(lacking(told, self.state), width)]
        known = told.value
        rows: list[Row] = [(self._state(known), *self._facts(known))]
        missing = [one.object for one in known.triggers if one.installed is False]
        unknown = [one.object for one in known.triggers if one.installed is None]
        if missing:
            rows.append(
                ((f"▲ no trigger for {', '.join(missing)}: its changes come by Interval Sync", "warn"),)
            )
        else:
            said = "triggers not known yet" if unknown else f"✔ {plural(len(known.triggers), 'trigger')}"
            rows.append(((said, "dim" if unknown else "ok"),))
        rows += [((f"▲ {problem.what} {problem.do}", "warn"),) for problem in known.problems]
        return rows

    def _state(self, known: PackageDetails) -> Span:
        if known.state == "installed":
            if known.disabled:
                return ("▲ RTS disabled ", "warn")
            return (f"● installed {known.version or ''} ", "ok")
        return (f"○ {known.state} ", "warn")

    def _facts(self, known: PackageDetails) -> Row:
        spans: list[Span] = []
        if known.async_max:
            spans.append((f"  async Apex {count(known.async_used)} of {count(known.async_max)}", ""))
        if known.errors_24h is not None:
            spans.append(
                (f"  {plural(known.errors_24h, 'error')} in its log", "warn" if known.errors_24h else "")
            )
        return tuple(spans)
