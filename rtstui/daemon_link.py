"""The link to a daemon: keeps its `State` true, and connects again after a break.

No Textual here. `run` is a task that ends only when it is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import aclosing
from datetime import timedelta
from itertools import chain, repeat

from rtsd.control.client import ControlClient, SocketForbidden, WrongProtocol
from rtsd.control.protocol import PROTOCOL, Frame, Snapshot, Status
from rtsd.errors import DaemonUnreachable, RtsError
from rtstui.clean import clean
from rtstui.meaning import TROUBLE_TYPES
from rtstui.state import Phase, State

BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 5.0)
"""Seconds before each attempt; the last value repeats."""

BACKFILL = 1_000
"""Entries fetched when a feed begins: a few screens at the start, the missing ones after a break."""

QUIET_S = 3.0
"""Seconds without a line after which the daemon is probed; also the limit for its answer."""

LOG_EVERY_S = 1.0
"""Seconds between two reads of the error log, at least."""


class DaemonLink:
    """The link to one daemon. `hz` and `rows` thin its feed."""

    def __init__(self, client: ControlClient, state: State, *, hz: int = 10, rows: int = 200) -> None:
        self.client = client
        self.state = state
        self._hz, self._rows = hz, rows
        self._hurry = asyncio.Event()
        self._log_due = asyncio.Event()
        self._heard = 0.0

    def try_now(self) -> None:
        """Start the next attempt at once."""
        self._hurry.set()

    def read_log(self) -> None:
        """Read the error log and the dead letters again, such as after a retry."""
        self._log_due.set()

    async def run(self) -> None:
        """Connect and stay connected, until cancelled."""
        try:
            attempt = 0
            while True:
                was_live = self.state.live
                # A task of its own: before Python 3.11.4 a group that fails leaves its task marked as
                # cancelled, and a later time-out in that task ends it.
                error = await asyncio.create_task(self._session(), name="session")
                attempt = 1 if self.state.live or was_live else attempt + 1
                await self._wait(error, attempt)
        finally:
            await self.client.close()

    async def _session(self) -> RtsError:
        """Hold a connection until it ends; return the reason."""
        ended: RtsError = DaemonUnreachable("rtsd ended the connection.")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow(), name="feed")
                tasks.create_task(self._watch(), name="watch")
                tasks.create_task(self._keep_log(), name="log")
        except* RtsError as group:
            ended = _first(group)
        return ended

    async def _follow(self) -> None:
        self._heard = asyncio.get_running_loop().time()
        async with aclosing(self.client.frames(self._hz, self._rows)) as lines:
            async for line in lines:
                self._heard = asyncio.get_running_loop().time()
                if isinstance(line, Snapshot):
                    await self._hello(line)
                else:
                    self._take(line)
        raise DaemonUnreachable("rtsd ended the connection.")

    async def _hello(self, snapshot: Snapshot) -> None:
        """Check the protocol, and fetch entries from before the feed began."""
        status = snapshot.status
        if status.protocol != PROTOCOL:
            newer = "rtstui" if status.protocol > PROTOCOL else "rtsd"
            raise WrongProtocol(
                f"rtsd {clean(status.version)} speaks protocol {status.protocol}, "
                f"this rtstui speaks {PROTOCOL}.",
                f"Upgrade {newer}.",
            )
        await self._backfill(status)
        self.state.fold(snapshot)
        self.state.relink(Phase.LIVE)
        self._log_due.set()

    async def _backfill(self, status: Status) -> None:
        state = self.state
        if status.last_seq < state.newest:
            state.restart()
        first_time = not state.newest
        after = max(state.newest, status.last_seq - BACKFILL)
        events = await self.client.events(after, limit=BACKFILL) if status.last_seq > after else []
        state.backfill(events, 0 if first_time else after - state.newest)
        state.newest = max(state.newest, status.last_seq)

    def _take(self, frame: Frame) -> None:
        before = self.state.status
        self.state.fold(frame)
        after = self.state.status
        if any(event.type in TROUBLE_TYPES for event in frame.rows) or (
            before is not None
            and after is not None
            and (before.errors_24h, before.dead_letters) != (after.errors_24h, after.dead_letters)
        ):
            self._log_due.set()

    async def _watch(self) -> None:
        """Probe the daemon after a silence: a stopped or stuck one keeps its socket open."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(max(0.1, self._heard + QUIET_S - loop.time()))
            if loop.time() - self._heard < QUIET_S:
                continue
            try:
                async with asyncio.timeout(QUIET_S):
                    status = await self.client.status()
            except TimeoutError:
                raise DaemonUnreachable(f"rtsd has not answered for {2 * QUIET_S:.0f} s.") from None
            self._heard = loop.time()
            if self.state.live:
                self.state.fold(Snapshot(status=status))

    async def _keep_log(self) -> None:
        """Read errors and dead letters when they may have changed."""
        while True:
            await self._log_due.wait()
            self._log_due.clear()
            try:
                self.state.take_log(await self.client.errors(), await self.client.dead_letters())
            except DaemonUnreachable:
                raise
            except RtsError as error:
                self.state.log_error = clean(str(error))
                self.state.rev += 1
            await asyncio.sleep(LOG_EVERY_S)

    async def _wait(self, error: RtsError, attempt: int) -> None:
        """Show the error, and pause before the next attempt."""
        pause = next(
            value
            for number, value in enumerate(chain(BACKOFF_S, repeat(BACKOFF_S[-1])), start=1)
            if number >= attempt
        )
        self._hurry.clear()
        self.state.relink(
            _phase(error, ever_live=self.state.status is not None),
            error.message,
            error.do,
            attempt=attempt,
            retry_at=self.state.now() + timedelta(seconds=pause),
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._hurry.wait()


def _phase(error: RtsError, *, ever_live: bool) -> Phase:
    if isinstance(error, SocketForbidden):
        return Phase.FORBIDDEN
    if isinstance(error, WrongProtocol):
        return Phase.FOREIGN
    return Phase.LOST if ever_live else Phase.ABSENT


def _first(group: BaseExceptionGroup[RtsError]) -> RtsError:
    """Return the first error in nested groups."""
    for error in group.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    raise AssertionError("an exception group is never empty")
