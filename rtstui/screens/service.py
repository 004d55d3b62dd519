"""The service as a whole: how changes come in, where they are kept, who leads, and where they go on."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from rtstui.messages import RowOpened
from rtstui.rows import plain
from rtstui.screens.dialogs import Reader
from rtstui.screens.view import Leaf
from rtstui.widgets.channel import ChannelCard
from rtstui.widgets.service import Nodes, Outlets, StoreCard
from rtstui.widgets.table import Table


class ServiceView(Leaf):
    """The push channel, the store, the nodes, the streams."""

    HELP = (
        "The push channel with its position and deliveries; the store with its engine and size; the nodes "
        "that share it, which of them leads, and the pushes that each refused; the streams to NATS."
    )
    AUTO_FOCUS = "Nodes"
    body_id = "service-view"
    OPENS: ClassVar[frozenset[str]] = frozenset({"nodes", "outlets"})

    def body(self) -> ComposeResult:
        """Yield the channel, the store, the nodes, the streams."""
        yield ChannelCard(id="channel")
        yield StoreCard(id="store")
        yield Nodes(id="nodes")
        yield Outlets(id="outlets")

    def on_row_opened(self, message: RowOpened) -> None:
        """Show a row in full: reasons are long."""
        table = self.query_one(f"#{message.table}")
        if isinstance(table, Table):
            text = plain(table.row(message.key, 1_000)).strip()
            self.app.push_screen(Reader(message.key, [((" ".join(text.split()), ""),)]))
