"""One access token for everybody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rtsd.salesforce.credentials import Credentials
from rtsd.salesforce.ledger import Clock, Ledger
from rtsd.salesforce.login import Token

Sleep = Callable[[float], Awaitable[None]]


class Session:
    """Logs in when a token is needed, once for all who wait; never more than one login in flight."""

    def __init__(
        self, credentials: Credentials, ledger: Ledger, clock: Clock, *, sleep: Sleep = asyncio.sleep
    ) -> None:
        raise NotImplementedError

    async def token(self) -> Token:
        """Return the current token, logging in if there is none.

        Raises AuthenticationFailed (Salesforce's own reason, and what to change) or OrgUnreachable.
        """
        raise NotImplementedError

    def expire(self, token: Token) -> None:
        """Salesforce refused `token`: the next `token()` logs in. A token already replaced is ignored."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let a login that is under way finish (its refresh token may have been rotated)."""
        raise NotImplementedError
