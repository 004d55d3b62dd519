"""Retries with jitter and an hourly budget, and the limit on concurrent calls."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from rtsd.core.instant import HOUR_MS, Millis
from rtsd.salesforce.error_mapping import CallFailed, Recovery
from rtsd.salesforce.ledger import Clock

Sleep = Callable[[float], Awaitable[None]]

_LONGEST_RETRY_AFTER_S = 300.0
"""The longest wait on request; beyond it, the call fails."""
_SLOW_DOWN_FACTOR = 4
_SUCCESSES_TO_WIDEN = 50
"""Successful calls before a reduced limit rises by one."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Attempts per call, pauses (doubling from the first to the longest, with jitter), retries per hour."""

    attempts: int = 5
    first_pause_s: float = 0.5
    longest_pause_s: float = 60.0
    per_hour: int = 200


class Retrier:
    """Decides whether and when to retry a failed call.

    Retries cost quota like any call, and an org in trouble can fail every call. Once the hourly budget is
    exhausted, calls fail without a retry.
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
        """Iterate over the attempts of a call, at most `most`; raises CallFailed if the last one fails.

        A call that is not `repeatable` is retried only if Salesforce certainly did not process it.
        """

        def may_retry(error: BaseException) -> bool:
            return (
                isinstance(error, CallFailed)
                and error.recovery in (Recovery.RETRY, Recovery.SLOW_DOWN)
                and (repeatable or not error.processed)
                and (error.after_s or 0) <= _LONGEST_RETRY_AFTER_S
            )

        return AsyncRetrying(
            sleep=self.sleep,
            stop=stop_after_attempt(most or self.policy.attempts),
            wait=self._wait,
            retry=retry_if_exception(may_retry),
            before_sleep=self._spend,
            reraise=True,
        )

    async def pause(self, failures: int, failed: CallFailed) -> None:
        """Wait before resuming after the `failures`-th consecutive failure.

        Raises `failed` after too many failures, or if the budget is exhausted.
        """
        if failures >= self.policy.attempts:
            raise failed
        state = RetryCallState(AsyncRetrying(), None, (), {})
        state.attempt_number = failures
        state.set_exception((CallFailed, failed, None))
        self._spend(state)
        await self.sleep(self._wait(state))

    def _wait(self, state: RetryCallState) -> float:
        failed = _failure(state)
        pause = self._long_pause if failed.recovery is Recovery.SLOW_DOWN else self._pause
        return max(pause(state), failed.after_s or 0.0)

    def _spend(self, state: RetryCallState) -> None:
        failed = _failure(state)
        now = self._clock()
        while self._spent and not 0 <= now - self._spent[0] < HOUR_MS:
            self._spent.popleft()
        if len(self._spent) >= self.policy.per_hour:
            failed.error.do = (
                f"The budget of {self.policy.per_hour} retries an hour is used up; this call is not retried."
            )
            raise failed
        self._spent.append(now)
        log.info("retrying", attempt=state.attempt_number, error=failed.error.message)


def _failure(state: RetryCallState) -> CallFailed:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, CallFailed):
        raise TypeError("only a CallFailed is retried") from error
    return error


class ConcurrencyLimit:
    """Limits concurrent calls: `reduce` halves the limit, successful calls raise it step by step."""

    def __init__(self, most: int) -> None:
        self._max = most
        self._limit = most
        self._inside = 0
        self._successes = 0
        self._freed = asyncio.Event()

    @property
    def limit(self) -> int:
        """The current number of concurrent calls."""
        return self._limit

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a free slot and hold it inside the block."""
        while self._inside >= self._limit:
            self._freed.clear()
            await self._freed.wait()
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            self._freed.set()  # wakes every waiter: a cancelled one must not consume the slot

    def reduce(self) -> None:
        """Halve the limit after Salesforce reported too many calls (ConcurrentRequests Limit exceeded)."""
        self._limit = max(1, self._limit // 2)
        self._successes = 0

    def succeeded(self) -> None:
        """Count a successful call."""
        self._successes += 1
        if self._successes >= _SUCCESSES_TO_WIDEN and self._limit < self._max:
            self._limit += 1
            self._successes = 0
