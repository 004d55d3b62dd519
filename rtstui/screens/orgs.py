"""Several daemons at once: the state of each, and the choice of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from rtsd.core.plural import plural
from rtstui.format import fit, per_second
from rtstui.meaning import link_sign, mode_sign
from rtstui.messages import RowOpened
from rtstui.rows import Row, Span
from rtstui.state import State
from rtstui.verdict import GLYPHS, name_of, right, worst_role
from rtstui.widgets.panel import ROLE_CLASSES
from rtstui.widgets.table import Table


class OrgTable(Table):
    """One line per daemon."""

    DATED = False

    def __init__(self, states: Sequence[State], *, id: str) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self.states = states

    def keys(self) -> Sequence[str]:
        """The daemons' places."""
        return [str(place) for place in range(len(self.states))]

    def header(self, width: int) -> Row:  # noqa: ARG002
        """The columns' names."""
        return ((f"  {fit('ORG', 24)} {fit('LINK', 14)} {fit('MODE', 14)} {'EV/S':>6}  RIGHT", "head"),)

    def row(self, key: str, width: int) -> Row:  # noqa: ARG002
        """One daemon."""
        state = self.states[int(key)]
        role, link = worst_role(state), link_sign(state)
        spans: list[Span] = [
            (f"{GLYPHS.get(role, '○')} ", role),
            (fit(name_of(state), 24) + " ", "bold"),
            (fit(link.text, 14) + " ", link.role),
        ]
        if state.status is not None:
            mode = mode_sign(state.status.mode)
            said = right(state.status, state.now())
            rate = per_second(state.rate()) if state.live else "—"
            old = "" if state.live else "dim"  # outdated facts are not painted as going well
            spans += [
                (fit(mode.text, 14) + " ", old or mode.role),
                (f"{rate:>6}  ", ""),
                (said.brief, old or said.role),
            ]
        return tuple(spans)


class Orgs(ModalScreen[int | None]):
    """The choice of the daemon to show."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(ROLE_CLASSES)
    OPENS: ClassVar[frozenset[str]] = frozenset({"orgs"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "close", show=False, id="orgs.close")
    ]

    def __init__(self, states: Sequence[State], selected: int) -> None:
        super().__init__()
        self._states, self._selected = states, selected

    def compose(self) -> ComposeResult:
        """Yield the table in a box."""
        with Vertical(id="dialog") as box:
            box.border_title = Content(f"Show one of {plural(len(self._states), 'daemon')}")
            box.border_subtitle = Content("enter shows it · esc closes")
            yield OrgTable(self._states, id="orgs")

    def on_mount(self) -> None:
        """Begin at the selected one, and keep the table up to date."""
        table = self.query_one(OrgTable)
        table.choose(str(self._selected))
        table.focus()
        self.set_interval(1.0, table.tick)

    def on_row_opened(self, message: RowOpened) -> None:
        """Select this one."""
        self.dismiss(int(message.key))

    def action_leave(self) -> None:
        """Close without a choice."""
        self.dismiss(None)
