"""Several daemons at once: the state of each, and the choice of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from rtsd.control.verdict import GLYPHS, right
from rtsd.core.figures import per_second
from rtsd.core.node import role
from rtsd.core.plural import plural
from rtstui.clusters import Cluster, clusters, node_of, shown_of
from rtstui.format import fit
from rtstui.meaning import link_sign, mode_sign
from rtstui.messages import RowOpened
from rtstui.rows import Row, Span
from rtstui.state import State
from rtstui.verdict import name_of, worst_role
from rtstui.widgets.panel import ROLE_CLASSES
from rtstui.widgets.table import Table

ORG = "org"
"""What the key of a row of an org with several daemons begins with."""


class OrgTable(Table):
    """One line per org, and below those of a cluster one line per node."""

    DATED = False

    def __init__(self, states: Sequence[State], selected: int, *, id: str) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id)
        self.states = states
        self.selected = states[selected]

    def _places(self) -> dict[str, tuple[State, Cluster, bool]]:
        """Return the rows by their keys: the state, its cluster, and whether the row is that of one node."""
        places = {id(state): str(place) for place, state in enumerate(self.states)}
        rows: dict[str, tuple[State, Cluster, bool]] = {}
        for cluster in clusters(self.states):
            shown = shown_of(cluster, self.selected)
            if len(cluster) == 1:
                rows[places[id(shown)]] = (shown, cluster, False)
                continue
            rows[f"{ORG} {places[id(shown)]}"] = (shown, cluster, False)
            rows |= {places[id(state)]: (state, cluster, True) for state in cluster}
        return rows

    def keys(self) -> Sequence[str]:
        """The daemons' places, and those of orgs with several."""
        return list(self._places())

    def header(self, width: int) -> Row:  # noqa: ARG002
        """The columns' names."""
        return ((f"  {fit('ORG', 24)} {fit('LINK', 14)} {fit('MODE', 14)} {'EV/S':>6}  RIGHT", "head"),)

    def row(self, key: str, width: int) -> Row:  # noqa: ARG002
        """One org, or one node of it."""
        state, cluster, is_node = self._places()[key]
        link = link_sign(state)
        if is_node:
            return (
                (f"    {fit(node_of(state), 22)} ", ""),
                (fit(link.text, 14) + " ", link.role),
                (_role_of(state), "dim"),
            )
        worst = worst_role(state)
        spans: list[Span] = [
            (f"{GLYPHS.get(worst, '○')} ", worst),
            (fit(name_of(state), 24) + " ", "bold"),
            _nodes(cluster) if len(cluster) > 1 else (fit(link.text, 14) + " ", link.role),
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


def _nodes(cluster: Cluster) -> Span:
    """Return how many daemons of a cluster answer."""
    live = sum(state.live for state in cluster)
    mark, look = ("●", "dim") if live == len(cluster) else ("▲", "warn")
    return fit(f"{mark} {live} of {plural(len(cluster), 'node')}", 14) + " ", look


def _role_of(state: State) -> str:
    """Return what a daemon does in its cluster, as far as that is known."""
    node = state.status.node if state.status else None
    if node is None or not state.live:
        return state.socket
    return f"{role(leader=node.leader, differs=())} · {state.socket}"


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
            daemons = plural(len(self._states), "daemon")
            box.border_title = Content(
                f"Show one of {plural(len(clusters(self._states)), 'org')} · {daemons}"
            )
            box.border_subtitle = Content("enter shows it · esc closes")
            yield OrgTable(self._states, self._selected, id="orgs")

    def on_mount(self) -> None:
        """Begin at the selected one, and keep the table up to date."""
        table = self.query_one(OrgTable)
        table.choose(str(self._selected))
        table.focus()
        self.set_interval(1.0, table.tick)

    def on_row_opened(self, message: RowOpened) -> None:
        """Select this one."""
        self.dismiss(int(message.key.removeprefix(ORG)))

    def action_leave(self) -> None:
        """Close without a choice."""
        self.dismiss(None)
