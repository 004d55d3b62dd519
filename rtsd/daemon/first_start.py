"""The first start, which has to learn from Salesforce which org it is: passing refusals are waited out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from rtsd import systemd
from rtsd.errors import AuthenticationFailed, ObjectUnavailable, OrgUnreachable, SalesforceError
from rtsd.services import retry_pause_s

T = TypeVar("T")

LONGEST_CALL_S = 1_200
"""How much longer systemd has to wait for a start that waits: a call with all its retries takes minutes."""
_LASTING = ("UNSUPPORTED_API_VERSION", "GONE")

log = structlog.get_logger("rtsd")


async def patiently(
    ask: Callable[[], Awaitable[T]],
    sleep: Callable[[float], Awaitable[None]],
    *,
    lasting: Callable[[SalesforceError], bool],
) -> T:
    """Ask again after every refusal that is not `lasting`, with growing pauses. Raises the lasting one."""
    refusals = 0
    while True:
        try:
            return await ask()
        except SalesforceError as error:
            if lasting(error):
                raise
            refusals += 1
            pause = retry_pause_s(refusals)
            log.warning("waiting for Salesforce", message=str(error), error=error.code, seconds=pause)
            systemd.extend_start(pause + LONGEST_CALL_S)
            systemd.status(f"waiting for Salesforce: {error.message}")
            await sleep(pause)


def ends_login(error: SalesforceError) -> bool:
    """Whether a first login is not tried again: refused, or nobody there, as with a wrong login_url."""
    return _is_refused(error) or (isinstance(error, OrgUnreachable) and error.status == 0)


def ends_start(error: SalesforceError) -> bool:
    """Whether the org, once logged in, cannot be used as configured."""
    lasting = isinstance(error, ObjectUnavailable) or error.reason in _LASTING or error.status == 410
    return lasting or _is_refused(error)


def _is_refused(error: SalesforceError) -> bool:
    """Whether the login is refused for another reason than too many logins at once."""
    return isinstance(error, AuthenticationFailed) and error.reason != "rate_limit_exceeded"
