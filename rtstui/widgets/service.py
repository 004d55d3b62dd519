"""The store, the nodes that share it, and the streams that changes are published to."""

from __future__ import annotations

from collections.abc import Sequence

from rtsd.control.protocol import PublishedStream, SeenNode, Status
from rtsd.core.figures import UNKNOWN, age, count, day_clock, span
from rtsd.core.node import ALONE, role
from rtsd.core.plural import plural
from rtstui.format import fit, right, size
from rtstui.meaning import as_of
from rtstui.rows import Row, Span
from rtstui.widgets.panel import SEPARATOR, Panel
from rtstui.widgets.table import Table

ENGINES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}

WIDE = 100
"""Width in cells from which there is room for when a node was seen."""

TALL = 30
"""Height in cells of a screen from which there is room for one fact a line."""

WAITING = "Waiting for rtsd…"


class StoreCard(Panel):
    """Where the mirror is: the engine, the place, its size, and whether it answers."""

    def titles(self) -> tuple[str, str]:
        """The engine, and the moment of outdated facts."""
        status = self.state.status
        engine = status.store.engine if status else None
        return f"Store: {ENGINES.get(engine, engine)}" if engine else "Store", as_of(self.state)

    def wanted(self) -> int:
        """As many lines as there are."""
        return len(self._lines())

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """The place, its state, its size; on a low screen two facts a line."""
        return self._lines()

    def _lines(self) -> list[Row]:
        status = self.state.status
        if status is None:
            return [((WAITING, "dim"),)]
        store = status.store
        rows = plural(sum(item.rows for item in status.objects), "row")
        known = size(store.bytes) if store.bytes is not None else "size not known"
        waiting = plural(status.inbox.pending, "push", "wait")
        facts: list[tuple[str, Span]] = [
            ("state", self._answers(status)),
            ("place", (store.place or UNKNOWN, "")),
            ("size", (f"{known} · {rows} mirrored", "")),
            ("inbox", (f"{waiting} to be applied", "")),
        ]
        lines: list[Row] = [((f"{name:<7}", "dim"), said) for name, said in facts]
        if self.app.size.height >= TALL:
            return lines
        return [(*first, ("  ", ""), *second) for first, second in zip(lines[::2], lines[1::2], strict=True)]

    def _answers(self, status: Status) -> Span:
        store, now = status.store, self.state.now()
        if not store.reachable:
            return f"✖ away since {day_clock(store.away_since, now)}: {store.error}", "error"
        if status.storage != "ok":
            return f"✖ {status.storage}", "error"
        return ("● reachable and writable", "ok")


class Nodes(Table):
    """One line per node that shares the mirror: what it does, since when, and the pushes that it refused."""

    def _seen(self) -> dict[str, SeenNode]:
        status = self.state.status
        return {node.name: node for node in status.nodes} if status else {}

    def keys(self) -> Sequence[str]:
        """The nodes' names, the leader first."""
        nodes = self._seen()
        return sorted(nodes, key=lambda name: (not nodes[name].leader, name))

    def empty(self) -> str:
        """One process has the mirror, or nothing is known."""
        status = self.state.status
        if status is None:
            return WAITING
        if status.node is None and status.store.engine != "postgresql":
            return ALONE
        return "Which nodes there are is not known now."

    def titles(self) -> tuple[str, str]:
        """The number of nodes, the one that leads, and the one that is shown."""
        status = self.state.status
        if status is None or status.node is None:
            return "Nodes", ""
        node = status.node
        epoch = f" (epoch {node.epoch})" if node.epoch is not None else ""
        shown = "this one" if node.leader else f"shown by {node.name}"
        leads = f"{node.leader_name or 'nobody'} leads{epoch}, {shown}"
        number = f"{self.part(self.keys())}{plural(len(status.nodes), 'node')}"
        return self.dated("Nodes"), SEPARATOR.join(filter(None, (as_of(self.state), number, leads)))

    def header(self, width: int) -> Row | None:
        """The columns' names; without nodes there are none."""
        if not self.keys():
            return None
        seen = f"{'SEEN':>5} " if width >= WIDE else ""
        return (
            (f"  {fit('NODE', 16)} {fit('ROLE', 12)} {'SINCE':>11} {seen}{'REFUSED 24 H':>12}  NOTE", "head"),
        )

    def row(self, key: str, width: int) -> Row:
        """One node."""
        node, now, status = self._seen()[key], self.state.now(), self.state.status
        is_shown = status is not None and status.node is not None and status.node.name == key
        seen = f"{age(node.seen_at, now):>5} " if width >= WIDE else ""
        return (
            ("▶ " if is_shown else "  ", "accent"),
            (fit(key, 16) + " ", "bold"),
            (fit(role(leader=node.leader, differs=()), 12) + " ", "ok" if node.leader else ""),
            (right(day_clock(node.since, now, zone=False), 11) + " ", ""),
            (seen, "dim"),
            (right(count(node.refused.count), 12) + "  ", "warn" if node.refused.count else "dim"),
            *self._notes(node),
        )

    def _notes(self, node: SeenNode) -> Row:
        spans: list[Span] = []
        if node.differs and not node.leader:
            spans.append((f"▲ {role(leader=False, differs=node.differs)}  ", "warn"))
        if node.refused.reason:
            spans.append((f"{node.refused.reason}, {age(node.refused.at, self.state.now())} ago", "warn"))
        return tuple(spans)


class Outlets(Table):
    """One line per stream that changes are published to."""

    def _streams(self) -> dict[str, PublishedStream]:
        status = self.state.status
        return {stream.name: stream for stream in status.streams} if status else {}

    def keys(self) -> Sequence[str]:
        """The names of the streams."""
        return list(self._streams())

    def empty(self) -> str:
        """None is configured."""
        return "None: [[streams]] of rtsd's configuration names them." if self.state.status else WAITING

    def titles(self) -> tuple[str, str]:
        """The number of streams, and the longest lag."""
        streams = self._streams().values()
        if not streams:
            return "Streams to NATS", ""
        lag = max(stream.lag_s for stream in streams)
        behind = f"up to {span(lag)} behind" if lag else "none is behind"
        number = f"{self.part(self.keys())}{plural(len(streams), 'stream')}"
        return "Streams to NATS", SEPARATOR.join(filter(None, (as_of(self.state), number, behind)))

    def header(self, width: int) -> Row | None:  # noqa: ARG002
        """The columns' names; without streams there are none."""
        if not self.keys():
            return None
        return (
            (
                f"{fit('STREAM', 16)} {fit('LINK', 16)} {'BEHIND':>7} {'PUBLISHED':>10} {'LOST':>6}  NOTE",
                "head",
            ),
        )

    def row(self, key: str, width: int) -> Row:  # noqa: ARG002
        """One stream."""
        stream = self._streams()[key]
        link = ("● connected", "ok") if stream.connected else ("▲ not connected", "warn")
        behind = span(stream.lag_s) if stream.lag else "0s"
        return (
            (fit(key, 16) + " ", "bold"),
            (fit(link[0], 16) + " ", link[1]),
            (right(behind, 7) + " ", "warn" if stream.lag_s >= LATE_S else ""),
            (right(count(stream.published), 10) + " ", ""),
            (right(count(stream.lost), 6) + "  ", "error" if stream.lost else "dim"),
            (f"▲ {stream.error}" if stream.error else "", "warn"),
        )


LATE_S = 60
"""Seconds behind from which a stream's lag is a warning, as for a subscription that is away."""
