"""What a node that stands by answers itself: the journal, followed, and the leader's status as its own."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from rtsd.control import protocol, wire
from rtsd.control.feed import Feed
from rtsd.control.forwarding import Forwarder
from rtsd.errors import LeaderAway
from rtsd.services import Service
from rtsd.store import journal
from rtsd.store.database import Database
from rtsd.store.engine import Lease

OK = 200
POLL_S = 0.1
PAGE = 1_000


class JournalTail(Service):
    """Publishes what the leader writes to the journal."""

    name = "tail"

    def __init__(self, database: Database, feed: Feed) -> None:
        super().__init__()
        self._database = database
        self._feed = feed
        self._after: int | None = None

    async def step(self) -> float:
        """Publish the entries since the last step; the first one begins at the end."""
        if self._after is None:
            self._after = await journal.newest_seq(self._database)
        entries = await journal.after(self._database, self._after, limit=PAGE)
        if entries:
            self._after = entries[-1].seq
            self._feed.publish([wire.event(entry) for entry in entries])
        return 0.0 if len(entries) == PAGE else POLL_S


class LeadersStatus:
    """The status of the leader, with what is this node's own."""

    def __init__(
        self,
        forwarder: Forwarder,
        lease: Lease,
        *,
        gateway: Callable[[], protocol.Gateway],
        started_at: str,
    ) -> None:
        self._forwarder = forwarder
        self._lease = lease
        self._gateway = gateway
        self._started_at = started_at

    async def status(self) -> protocol.Status:
        """Return the status as of now. Raises LeaderAway, StorageAway."""
        found = await self._forwarder.ask("GET", "/v1/status")
        if found.status != OK:
            raise LeaderAway(f"node {self._lease.leader} leads, and its status is an error: {found.status}")
        status = msgspec.json.decode(found.body, type=protocol.Status)
        own, leader = self._lease.node, status.node
        status.node = protocol.Node(
            name=own.name,
            leader=False,
            leader_name=self._lease.leader,
            epoch=None if leader is None else leader.epoch,
            since=self._started_at if leader is None else leader.since,
        )
        status.gateway, status.started_at = self._gateway(), self._started_at
        return status
