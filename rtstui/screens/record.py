"""One record: values, history, reasons; reached by typing its id, or from an entry that names it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from rtsd.control.protocol import Event, Status
from rtstui.messages import RowOpened
from rtstui.screens.dialogs import Reader
from rtstui.screens.view import Leaf
from rtstui.widgets.prompt import InputLine
from rtstui.widgets.record import Subject, Values, Versions, WhyCard
from rtstui.widgets.table import Table

ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
"""A record's id, with or without the three characters that check its case (REST API guide, Id)."""


class RecordView(Leaf):
    """Everything about one record."""

    HELP = (
        "One record: its values in the mirror, each change with its source, and why it is so. "
        "/ filters its fields or its changes. i types an object and an id, or an id alone, which is looked "
        "for in every object; a name, address or phone number is searched for, as by ctrl+f. The history "
        "leaves out the fields that the system sets with every change, such as SystemModstamp; a shows them."
    )
    AUTO_FOCUS = "Values"
    body_id = "record-view"
    OPENS = frozenset({"values", "versions"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "type", "another record", id="record.type"),
        Binding("o", "its_events", "its events", show=False, id="record.events"),
        Binding("a", "system_fields", "all fields", show=False, id="record.system_fields"),
        Binding("e", "sparse", "hide or show empty", id="record.hide_empty"),
        Binding("c", "app.compare", "compare…", id="record.compare"),
        Binding("R", "app.repair", "fetch again…", id="record.repair"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.subject = Subject()
        self._seen = 0

    def body(self) -> ComposeResult:
        """Yield the line to type in, the values, the history, the reasons."""
        yield InputLine("object and id, or a name, address or phone number", id="which")
        yield Values(self.subject, id="values")
        yield Versions(self.subject, id="versions")
        yield WhyCard(self.subject, id="why")

    def show(self, name: str | None, record: str) -> None:
        """Show a record; without a name, of the object that has it."""
        status = self._status()
        known = tuple(item.name for item in status.objects) if status else ()
        self.subject.objects = (name,) if name else known
        self.subject.record = record if self.subject.objects else ""
        self.subject.compared = False
        for table in self.query(Table):
            table.action_clear_filter()
        self.renew()
        self.tick()

    def renew(self) -> None:
        """Have its documents loaded again."""
        documents = self.query_one(Values).state.documents
        documents.expire("record ")
        documents.expire("why ")

    def prepare(self) -> None:
        """Load its documents again when the feed names the record."""
        state = self.query_one(Values).state
        new = min(max(0, state.appended - self._seen), len(state.ring))
        self._seen = state.appended
        record = self.subject.record[:15]
        if record and any(
            isinstance(line, Event) and (line.id or "")[:15] == record
            for line in islice(reversed(state.ring), new)
        ):
            self.renew()

    def action_filter(self) -> None:
        """Filter the table in focus; without a record, ask for one."""
        if self.subject.record:
            super().action_filter()
        else:
            self.action_type()

    def action_type(self) -> None:
        """Open the line to name another record."""
        name = self.subject.name(self.query_one(Values))
        self.query_one("#which", InputLine).open(f"{name} ".lstrip())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Show the record that was typed, or explain the mistake."""
        *name, record = event.value.split() or [""]
        known = {item.name.lower() for item in status.objects} if (status := self._status()) else set()
        if len(name) > 1 or not ID.fullmatch(record):
            words = [*name, record]
            sought = words[1:] if words[0].lower() in known else words
            if any(sought):
                self.query_one("#which", InputLine).close()
                self.app.call_later(self.app.run_action, f"find_record({' '.join(sought)!r})")
            else:
                self.notify("Type an id, or a name, address or phone number to search for.", timeout=4)
            return
        self.query_one("#which", InputLine).close()
        self.show(name[0] if name else None, record)
        self.query_one(Values).focus()

    def on_row_opened(self, message: RowOpened) -> None:
        """Show a value or a change in full."""
        table = self.query_one(f"#{message.table}")
        if isinstance(table, Values | Versions):
            title = message.key if isinstance(table, Values) else "Change"
            self.app.push_screen(Reader(title, table.full(message.key)))

    def action_system_fields(self) -> None:
        """Show the fields of the system in the history, or hide them."""
        versions = self.query_one(Versions)
        versions.with_system_fields = not versions.with_system_fields
        versions.tick()

    def action_sparse(self) -> None:
        """Hide the fields without a value, or show them."""
        self.query_one(Values).action_sparse()

    def action_its_events(self) -> None:
        """Show the events of this record."""
        if self.subject.record:
            self.app.call_later(self.app.run_action, f"events_matching('id:{self.subject.record[:15]}')")
        else:
            self.notify("No record is shown yet: i types its id.", markup=False, timeout=4)

    def _status(self) -> Status | None:
        return self.query_one(Values).state.status

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the object and id of the record, once they are known."""
        values = self.query_one(Values)
        if name := self.subject.name(values):
            yield name, self.subject.record
