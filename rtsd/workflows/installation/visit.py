"""A visit to the org beside the daemon: its own connection, whose calls end up in the daemon's ledger."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from rtsd.config import Config
from rtsd.config.credentials import credentials
from rtsd.control.client import ControlClient
from rtsd.core.instant import Millis
from rtsd.core.quota import API_REQUESTS
from rtsd.errors import DaemonUnreachable, QuotaExhausted, RtsError, StoreError
from rtsd.salesforce.client import Client
from rtsd.salesforce.session import Session
from rtsd.store import quota
from rtsd.store.database import Database

PURPOSE = "package"
PATIENCE_S = 60.0
"""How long the daemon may take: it looks at the org itself before it answers."""


def now_ms() -> Millis:
    """The local time: this stands beside the daemon, at the command line."""
    return time.time_ns() // 1_000_000


@dataclass
class Tally:
    """A ledger that counts; what it holds is written down at the end of the visit."""

    counts: Counter[str] = field(default_factory=Counter)

    @property
    def calls(self) -> int:
        """API calls so far."""
        return self.counts[API_REQUESTS]

    async def spend(self, _purpose: str, resource: str, count: int) -> None:
        """Count what is sent next."""
        self.counts[resource] += count

    async def record(self, _purpose: str, resource: str, count: int) -> None:
        """Count what was drawn."""
        self.counts[resource] += count

    async def refused(self, purpose: str, resources: Collection[str], error: QuotaExhausted) -> None:
        """Leave it at Salesforce's own words."""


@dataclass
class Visit:
    """An open connection, and what it has cost."""

    client: Client
    tally: Tally
    changes: bool = False
    """Whether it changes something in the org, so that the daemon has to look."""


@asynccontextmanager
async def visiting(config: Config) -> AsyncIterator[Visit]:
    """Connect to the org; afterwards tell the daemon, or its ledger if it does not run, what it cost."""
    tally = Tally()
    session = Session(credentials(config.org), tally, now_ms)
    async with Client(session, tally, now_ms, api_version=config.org.api_version) as client:
        visit = Visit(client, tally)
        try:
            yield visit
        finally:
            await _tell_daemon(config, tally.counts, look=visit.changes)


async def _tell_daemon(config: Config, counts: Counter[str], *, look: bool) -> None:
    """Have a running daemon account for the calls, and look at what has changed."""
    try:
        async with ControlClient(config.control.socket, timeout_s=PATIENCE_S) as client:
            await client.package_changed(dict(counts), look=look)
    except DaemonUnreachable:
        await _write_down(config, counts)
    except RtsError:
        return  # it could not look just now; it runs, and looks again by itself


async def _write_down(config: Config, counts: Counter[str]) -> None:
    """Put the calls into the ledger of a daemon that does not run; only as its user, whose files they are."""
    path = config.store.path
    with suppress(OSError, StoreError, RtsError):
        if path.exists() and path.stat().st_uid == os.geteuid():
            async with await Database.open(path) as database, database.transaction() as tx:
                for resource, count in counts.items():
                    await quota.spend(tx, now_ms(), PURPOSE, resource, count)
