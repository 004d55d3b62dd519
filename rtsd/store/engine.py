"""Where a mirror is kept, before it is open: for the daemon, the checks and the commands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import msgspec

from rtsd.core.layout import Layout
from rtsd.services import Service
from rtsd.store.answers import Answers
from rtsd.store.database import Database, Queries
from rtsd.store.inbox import Inbox
from rtsd.store.moving.sides import Begin, Source, Target
from rtsd.store.outage import Outage


class Refused(msgspec.Struct, frozen=True, omit_defaults=True):
    """Pushes that a node refused in the last 24 hours, and the last reason that it reported."""

    count: int = 0
    at: str | None = None
    reason: str | None = None


NONE_REFUSED = Refused()


@dataclass(frozen=True, slots=True)
class Node:
    """A process among those that share a mirror; moments are ISO, UTC."""

    name: str
    leader: bool
    epoch: int | None
    """The number of its take-over; None unless it leads."""
    since: str
    """When it began to lead, else when it started."""
    seen_at: str = ""
    differs: Sequence[str] = ()
    """The parts of the configuration in which it differs from the leader."""
    refused: Refused = NONE_REFUSED


@dataclass
class Progress:
    """The progress of a copy, in pages; set `stop` to end it."""

    copied: int = 0
    pages: int = 0
    stop: bool = False


class Stopped(Exception):
    """The copy ended at the request of `Progress.stop`."""


LOOK_EVERY_S, LOOK_ALONE_S = 0.1, 1.0


class Lease(Service):
    """What a node holds while it leads, as a service that renews it."""

    leader = ""
    """The name of the node that leads, as far as this one knows."""
    has_others = False
    """Whether other nodes were alive at the last renewal."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: Callable[[], Refused] = Refused
        """Returns the pushes that this node has refused, which a renewal tells the others."""

    @property
    def look_every_s(self) -> float:
        """Seconds between two looks for what other nodes have for the leader."""
        return LOOK_EVERY_S if self.has_others else LOOK_ALONE_S

    @property
    @abstractmethod
    def node(self) -> Node:
        """This node."""

    @abstractmethod
    async def join(self) -> bool:
        """Register this node; return whether it leads.

        Raises AnotherInstance if a node with this name is alive, and StoreError.
        """

    @abstractmethod
    async def acquire(self) -> None:
        """Wait until this node, which has joined, leads, whether the database is there or not."""

    @abstractmethod
    async def nodes(self) -> list[Node]:
        """Return the nodes that are alive. Raises StoreError."""

    @abstractmethod
    async def release(self) -> None:
        """Give it back, so that another node takes over at once."""


class Engine(ABC):
    """A place for a mirror, of one kind."""

    kind: ClassVar[str]
    """Its name in status."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What messages call the place."""

    @abstractmethod
    async def size(self, database: Database) -> int:
        """Return how many bytes the open mirror takes, with all that belongs to it. Raises StoreError."""

    @abstractmethod
    async def exists(self) -> bool:
        """Whether a mirror is there. Raises StoreError if none can be made there."""

    @abstractmethod
    async def check(self, layouts: Mapping[Layout, str], names: Sequence[str]) -> None:
        """Raise the StoreError that would keep a mirror of these objects from being there; change nothing.

        `layouts` are those of its views, with their places.
        """

    @abstractmethod
    async def open(self) -> Database:
        """Open or create the mirror; what it had counted is restored. Raises StoreError."""

    async def open_shared(self) -> Database:
        """Open or create the mirror for a node that stands by, which may write what any node may.

        Waits for a server that cannot be reached. Raises StoreError.
        """
        raise NotImplementedError(f"one process has {self.name}")

    @abstractmethod
    async def open_inbox(self, mirror: Database) -> Inbox:
        """Open or create the inbox of the open mirror. Raises StoreError."""

    @abstractmethod
    def peek(self) -> AbstractAsyncContextManager[Queries | None]:
        """Read the mirror, whether rtsd runs or not, and create nothing; None if there is none."""

    @abstractmethod
    def answers(self) -> Answers:
        """Return what runs the queries of operators."""

    @abstractmethod
    async def copy(self, progress: Progress) -> Path:
        """Copy the mirror into a new file, which the caller removes, while it is in use.

        The copy contains every commit made before the call. Raises StorageFull if too little space would be
        left, Stopped after `progress.stop`, and StoreError.
        """

    @abstractmethod
    def as_source(self) -> AbstractAsyncContextManager[Source]:
        """Read everything, to be moved, while no rtsd runs there.

        Raises StoreError, AnotherInstance, and NotFound if there is no mirror.
        """

    @abstractmethod
    def as_target(self, origin: str, begin: Begin = Begin.REFUSE) -> AbstractAsyncContextManager[Target]:
        """Create what a move from `origin` fills, or open it again as `begin` says.

        Raises StoreError, and Conflict if there is a mirror.
        """

    @property
    @abstractmethod
    def key_file(self) -> Path:
        """Where the key that signs certificates is."""

    @property
    def lease(self) -> Lease | None:
        """What a node among several holds once the mirror is open; None where one process has the mirror."""
        return None

    @property
    def outage(self) -> Outage:
        """Whether it answers: a file always does, or ends the daemon."""
        return Outage()

    @abstractmethod
    def sizes(self) -> Iterator[tuple[str, str, float]]:
        """Yield how much space it takes and has, each as (name, description, bytes), for the metrics."""
