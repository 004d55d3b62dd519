"""A connection to the org independent of the daemon, whose calls are reported to the daemon's ledger."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from rtsd.config import Config
from rtsd.config.credentials import credentials
from rtsd.config.engine import engine_of
from rtsd.control.client import ControlClient
from rtsd.core.quota import API_REQUESTS
from rtsd.errors import DaemonUnreachable, QuotaExhausted, RtsError, StoreError
from rtsd.machine import wall_ms
from rtsd.salesforce.client import Client
from rtsd.salesforce.session import Session
from rtsd.store import quota

PURPOSE = "package"
TIMEOUT_S = 60.0
"""Seconds for the daemon's answer, before which it probes the org itself."""


@dataclass
class CallCounter:
    """A ledger that counts calls, to be reported at the end of the session."""

    counts: Counter[str] = field(default_factory=Counter)

    @property
    def calls(self) -> int:
        """Number of API calls so far."""
        return self.counts[API_REQUESTS]

    async def spend(self, _purpose: str, resource: str, count: int) -> None:
        """Count calls about to be sent."""
        self.counts[resource] += count

    async def record(self, _purpose: str, resource: str, count: int) -> None:
        """Count usage that has occurred."""
        self.counts[resource] += count

    async def refused(self, purpose: str, resources: Collection[str], error: QuotaExhausted) -> None:
        """Leave the error as Salesforce worded it."""


@dataclass
class OrgSession:
    """An open connection and its cost."""

    client: Client
    counter: CallCounter
    changes: bool = False
    """True if the session changes the package, so that the daemon has to probe it."""


@asynccontextmanager
async def org_session(config: Config) -> AsyncIterator[OrgSession]:
    """Connect to the org. Afterwards report the calls to the daemon, or to its ledger if it does not run."""
    counter = CallCounter()
    login = Session(credentials(config.org), counter, wall_ms)
    async with Client(login, counter, wall_ms, api_version=config.org.api_version) as client:
        session = OrgSession(client, counter)
        try:
            yield session
        finally:
            await _report(config, counter.counts, probe=session.changes)


async def _report(config: Config, counts: Counter[str], *, probe: bool) -> None:
    """Report the calls to a running daemon and have it probe the package, or write to its ledger."""
    try:
        async with ControlClient(config.control.socket, timeout_s=TIMEOUT_S) as client:
            await client.package_changed(dict(counts), probe=probe)
    except DaemonUnreachable:
        await _write_to_ledger(config, counts)
    except RtsError:
        return  # the daemon runs but could not probe now; it does so later by itself


async def _write_to_ledger(config: Config, counts: Counter[str]) -> None:
    """Add the calls to the ledger of a stopped daemon, if this user owns its files.

    Not where nodes share a mirror, which its leader alone may write.
    """
    path = config.store.path
    with suppress(OSError, StoreError, RtsError):
        engine = engine_of(config)
        if engine.lease is None and path.exists() and path.stat().st_uid == os.geteuid():
            async with await engine.open() as database, database.transaction() as tx:
                for resource, count in counts.items():
                    await quota.spend(tx, wall_ms(), PURPOSE, resource, count)
