"""Retries with jitter and an hourly budget, and the gate that limits calls at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from rtsd.core.instant import Millis
from rtsd.salesforce.ledger import Clock
from rtsd.salesforce.refusals import Refused, Remedy

Sleep = Callable[[float], Awaitable[None]]

_HOUR: Millis = 3_600_000
_LONGEST_RETRY_AFTER_S = 300.0
"""Asked to wait longer, the caller is told instead of kept waiting."""
_SLOW_DOWN_FACTOR = 4
_CALM_CALLS = 50
"""Calls that went well before one more is let through at a time."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call is tried, the first pause (doubling, with jitter), and retries per hour in all."""

    attempts: int = 5
    first_pause_s: float = 0.5
    longest_pause_s: float = 60.0
    per_hour: int = 200


class Patience:
    """Decides whether and when a refused call is tried again.

    Retries cost quota like any call, and an org in trouble can make every call fail: over the hourly
    budget, calls fail at once instead.
    """

    def __init__(self, policy: RetryPolicy, clock: Clock, sleep: Sleep) -> None:
        self.policy = policy
        self.sleep = sleep
        self._clock = clock
        self._spent: deque[Millis] = deque()
        self._pause = wait_random_exponential(policy.first_pause_s, policy.longest_pause_s)
        self._long_pause = wait_random_exponential(
            policy.first_pause_s * _SLOW_DOWN_FACTOR, policy.longest_pause_s
        )

    def attempts(self, *, repeatable: bool, most: int | None = None) -> AsyncRetrying:
        """Iterate over the attempts of one call; raises Refused when the last one failed."""

        def again(error: BaseException) -> bool:
            return (
                isinstance(error, Refused)
                and error.remedy in (Remedy.RETRY, Remedy.SLOW_DOWN)
                and (repeatable or not error.processed)
                and (error.after_s or 0) <= _LONGEST_RETRY_AFTER_S
            )

        return AsyncRetrying(
            sleep=self.sleep,
            stop=stop_after_attempt(most or self.policy.attempts),
            wait=self._wait,
            retry=retry_if_exception(again),
            before_sleep=self._spend,
            reraise=True,
        )

    async def pause(self, failures: int, refused: Refused) -> None:
        """Wait after the `failures`-th failure in a row of something that is resumed, not repeated.

        Raises `refused` when it failed too often, or the budget is used up.
        """
        if failures >= self.policy.attempts:
            raise refused
        state = RetryCallState(AsyncRetrying(), None, (), {})
        state.attempt_number = failures
        state.set_exception((Refused, refused, None))
        self._spend(state)
        await self.sleep(self._wait(state))

    def _wait(self, state: RetryCallState) -> float:
        refused = _failure(state)
        pause = self._long_pause if refused.remedy is Remedy.SLOW_DOWN else self._pause
        return max(pause(state), refused.after_s or 0.0)

    def _spend(self, state: RetryCallState) -> None:
        refused = _failure(state)
        now = self._clock()
        while self._spent and not 0 <= now - self._spent[0] < _HOUR:
            self._spent.popleft()
        if len(self._spent) >= self.policy.per_hour:
            refused.error.do = (
                f"{self.policy.per_hour} retries in an hour are used up; it is not tried again now."
            )
            raise refused
        self._spent.append(now)
        log.info("retrying", attempt=state.attempt_number, error=refused.error.message)


def _failure(state: RetryCallState) -> Refused:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, Refused):
        raise TypeError("only a Refused is retried") from error
    return error


class ConcurrencyLimit:
    """Lets so many calls through at a time; fewer after `narrow`, and step by step more again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = most
        self._inside = 0
        self._calm = 0
        self._freed = asyncio.Event()

    @property
    def limit(self) -> int:
        """How many calls may run at a time now."""
        return self._limit

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Wait for a place, and keep it inside the block."""
        while self._inside >= self._limit:
            self._freed.clear()
            await self._freed.wait()
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            self._freed.set()  # wakes all who wait: one of them that is cancelled takes no other's turn

    def narrow(self) -> None:
        """Salesforce said that too many calls run at once (ConcurrentRequests Limit exceeded)."""
        self._limit = max(1, self._limit // 2)
        self._calm = 0

    def calm(self) -> None:
        """A call went well."""
        self._calm += 1
        if self._calm >= _CALM_CALLS and self._limit < self._most:
            self._limit += 1
            self._calm = 0
