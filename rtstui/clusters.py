"""Daemons that share a mirror: one org with its nodes, whatever the number of sockets. No Textual here."""

from __future__ import annotations

from collections.abc import Sequence

from rtsd.core.plural import plural
from rtstui.rows import Span
from rtstui.state import State
from rtstui.verdict import worst_role

Cluster = list[State]
"""The states of the sockets behind which is the same mirror, in the order of the command line."""


def clusters(states: Sequence[State]) -> list[Cluster]:
    """Return the states by mirror; one that is not known yet stands alone."""
    found: dict[str, Cluster] = {}
    for state in states:
        found.setdefault(_mirror(state) or f"socket {state.socket}", []).append(state)
    return list(found.values())


def cluster_of(states: Sequence[State], state: State) -> Cluster:
    """Return the states of the same mirror, this one among them."""
    return next(cluster for cluster in clusters(states) if is_in(state, cluster))


def is_in(state: State, cluster: Cluster) -> bool:
    """Return whether a state is in a cluster: this very one, not one with the same content."""
    return any(each is state for each in cluster)


def shown_of(cluster: Cluster, selected: State) -> State:
    """Return the state that stands for a cluster: the selected one, else one that is live."""
    if is_in(selected, cluster):
        return selected
    return next((state for state in cluster if state.live), cluster[0])


def node_of(state: State) -> str:
    """Return the name of a daemon in its cluster: its node or, before that is known, its socket."""
    node = state.status.node if state.status else None
    return node.name if node else state.socket


def mate_of(states: Sequence[State], lost: State) -> State | None:
    """Return a live state of the same mirror, to go on with: the leader's if it is there."""
    live = [state for state in cluster_of(states, lost) if state.live and state is not lost]
    return next((state for state in live if _leads(state)), live[0] if live else None)


def place_among(states: Sequence[State], selected: State) -> list[Span]:
    """Return what the top bar says of other daemons: the nodes that are lost, and the orgs in trouble."""
    found = clusters(states)
    at, own = next((at, cluster) for at, cluster in enumerate(found, start=1) if is_in(selected, cluster))
    spans: list[Span] = []
    if len(found) > 1:
        spans.append((f"{at} of {len(found)} orgs", "dim"))
        others = [shown_of(cluster, selected) for cluster in found if cluster is not own]
        if bad := sum(worst_role(state) in {"warn", "error"} for state in others):
            spans.append((f"▲ {plural(bad, 'other')}", "warn"))
    if len(own) > 1:
        live = sum(state.live for state in own)
        spans.append((f"{live} of {plural(len(own), 'node')}", "dim" if live == len(own) else "warn"))
    return spans


def _mirror(state: State) -> str:
    status = state.status
    return f"{status.org.id} {status.store.id}" if status and status.store.id else ""


def _leads(state: State) -> bool:
    return bool(state.status and state.status.node and state.status.node.leader)
