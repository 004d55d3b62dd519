"""Whether the org answers: lost by a step that it did not answer, found by any call that went well since."""

from __future__ import annotations

from rtsd.core.mode import Signal
from rtsd.errors import AuthenticationFailed, OrgUnreachable, SalesforceError
from rtsd.salesforce.exchange import Exchange
from rtsd.sync.mode import ModeMachine
from rtsd.sync.unit_of_work import UnitsOfWork


class Reachability:
    """Learns from the steps of every service; `services.StepObserver` is what it offers."""

    def __init__(self, exchange: Exchange, work: UnitsOfWork, mode: ModeMachine) -> None:
        self._exchange = exchange
        self._work = work
        self._mode = mode
        self.error: str | None = None
        """Why the org cannot be reached; None while it can."""
        self._answered = 0
        """Calls that had gone well when the org was lost."""

    async def refused(self, error: SalesforceError) -> None:
        """Show an error; the org is lost if it is one of the connection or the login."""
        if not isinstance(error, OrgUnreachable | AuthenticationFailed):
            await self._work.report(error)
            return
        self._answered = self._exchange.answered
        if self.error != str(error):
            self.error = str(error)
            await self._work.report(error)
        await self._mode.observe(Signal.ORG_UNREACHABLE, error.message)

    async def succeeded(self) -> None:
        """Find the org again if a call went well; a step that asked nothing is no sign of it."""
        if self.error is not None and self._exchange.answered > self._answered:
            self.error = None
            await self._mode.observe(Signal.ORG_REACHABLE)
