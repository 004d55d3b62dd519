"""Detection of a relay that does not pass changes on, by its heartbeats, or by asking the org.

Heartbeats take the way of the changes, and cost no call. Where that way is broken they say so. The org is
asked, for up to three calls, when neither a push nor such a heartbeat has come for `silence_after`, and to
find out as whom the relay runs when nothing comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog

from rtsd.core.instant import Millis
from rtsd.core.mode import Signal
from rtsd.core.payload import Changes, Heartbeat, Push
from rtsd.core.problem import Problem
from rtsd.core.silence import Quiet
from rtsd.salesforce.client import Client
from rtsd.salesforce.relay import read_relay
from rtsd.sync.missed_pushes import NOTHING_EXPECTED, MissedPushes, PushActivity
from rtsd.sync.mode import ModeMachine
from rtsd.sync.package import PackageWatch
from rtsd.sync.schedule import CurrentSchedule

log = structlog.get_logger("rtsd.relay")


class RelayWatch:
    """Tracks whether changes can leave the org, and what keeps them from it."""

    def __init__(
        self,
        client: Client,
        package: PackageWatch,
        push: PushActivity,
        mode: ModeMachine,
        *,
        missed_pushes: MissedPushes,
        schedule: CurrentSchedule,
        now: Callable[[], Millis],
        monotonic: Callable[[], Millis],
    ) -> None:
        self._client = client
        self._package = package
        self._push = push
        self._mode = mode
        self._missed_pushes = missed_pushes
        self._schedule = schedule
        self._now = now
        self._monotonic = monotonic
        self._known_at = monotonic()
        """Monotonic ms of the last push or heartbeat through the relay, or of the last question."""
        self._was_asked = False
        """True if the org was asked since the last failure began."""

    @property
    def failure(self) -> Problem | None:
        """What keeps changes from leaving the org; None while nothing is known to, or nothing is pushed."""
        known = self._package.known
        if known.relay is None or known.state != "installed" or known.disabled:
            return None
        return known.relay.failure

    async def observe(self, push: Push, at: Millis) -> None:
        """Learn from a push or a heartbeat, which `PackageWatch` has recorded."""
        known = self._package.known
        if isinstance(push, Heartbeat):
            if push.relay is None:
                return  # of an older version: it takes another way
            proven = push.relay.get("relayed") is True
        else:
            is_first = isinstance(push, Changes) and push.attempt <= 1
            proven = is_first and (known.relay is None or known.relay.refused is None)
            if proven and self.failure is not None:
                known.relay = None
        if proven:
            self._known_at, known.relayed_at = self._monotonic(), at
        if self._is_unexplained():
            self._package.wake.set()  # the org tells more, and then it is judged
        else:
            await self._judge()

    async def step(self) -> None:
        """Ask the org if that is due, and judge."""
        try:
            if self._is_due():
                await self._ask()
        finally:
            await self._judge()

    def _is_due(self) -> bool:
        known = self._package.known
        if known.state != "installed" or known.disabled:
            return False
        is_quiet = self._monotonic() - self._known_at >= self._schedule().silence_after
        return is_quiet or self._is_unexplained()

    def _is_unexplained(self) -> bool:
        """Whether the org has to be asked why the relay fails, once for each failure."""
        relay = self._package.known.relay
        is_new = self.failure is not None and not self._was_asked
        return is_new and relay is not None and relay.may_have_lost_its_user

    async def _ask(self) -> None:
        """Read the relay's state; what only a heartbeat can tell stays."""
        found, known = await read_relay(self._client, self._now()), self._package.known
        if known.relay is not None:
            found = replace(found, refused=known.relay.refused, unanswered_since=known.relay.unanswered_since)
        known.relay = found
        self._known_at, self._was_asked = self._monotonic(), True

    async def _judge(self) -> None:
        """Signal the begin of a failure, or take back what it led to."""
        failure, push = self.failure, self._push
        self._was_asked &= failure is not None
        was_broken, push.broken = push.broken is not None, failure.what if failure else None
        if failure is not None and not was_broken:
            log.warning("relay", problem=failure.what)
            push.quiet, push.quiet_proof = Quiet.SILENT, failure.what
            await self._mode.observe(Signal.RELAY_FAILED, failure.what)
        elif failure is None and was_broken:
            log.info("relay", problem=None)
            await self._missed_pushes.restart()
            if push.quiet is Quiet.SILENT:
                push.quiet, push.quiet_proof = Quiet.UNKNOWN, self._after_failure()

    def _after_failure(self) -> str:
        known = self._package.known
        if known.state != "installed" or known.disabled:
            return NOTHING_EXPECTED
        return "the relay is not known to fail any more: every object is being read"
