"""Reachability of the org: lost when a step gets no answer, restored by any later call that succeeds."""

from __future__ import annotations

from rtsd.core.mode import Signal
from rtsd.errors import AuthenticationFailed, OrgUnreachable, SalesforceError
from rtsd.salesforce.exchange import Exchange
from rtsd.sync.mode import ModeMachine
from rtsd.sync.unit_of_work import UnitsOfWork


class Reachability:
    """Tracks whether the org answers, as the `services.StepObserver` of every service."""

    def __init__(self, exchange: Exchange, work: UnitsOfWork, mode: ModeMachine) -> None:
        self._exchange = exchange
        self._work = work
        self._mode = mode
        self.error: str | None = None
        """Why the org cannot be reached; None while it can."""
        self._answered = 0
        """The number of successful calls when the org became unreachable."""

    async def refused(self, error: SalesforceError) -> None:
        """Report an error; one of the connection or the login means that the org is unreachable."""
        if not isinstance(error, OrgUnreachable | AuthenticationFailed):
            await self._work.report(error)
            return
        self._answered = self._exchange.answered
        if self.error != str(error):
            self.error = str(error)
            await self._work.report(error)
        await self._mode.observe(Signal.ORG_UNREACHABLE, error.message)

    async def succeeded(self) -> None:
        """Record that the org answers again if a call has succeeded; a step without a call proves nothing."""
        if self.error is not None and self._exchange.answered > self._answered:
            self.error = None
            await self._mode.observe(Signal.ORG_REACHABLE)
