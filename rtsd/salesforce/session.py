"""The shared access token: one login at a time, back-off after failures, rotation of refresh tokens."""

from __future__ import annotations

import asyncio
from collections import deque

from rtsd.core.backoff import pause_ms
from rtsd.core.instant import MINUTE_MS, Millis
from rtsd.core.quota import LOGINS
from rtsd.errors import AuthenticationFailed, SalesforceError
from rtsd.salesforce import sf_cli
from rtsd.salesforce.credentials import Auth, Credentials
from rtsd.salesforce.ledger import Clock, Ledger, NullLedger, OnServerTime, ignore_server_time
from rtsd.salesforce.login import Login, Token, log_in
from rtsd.salesforce.transport import Timeouts

_PURPOSE = "login"
_TIMEOUTS = Timeouts(first_byte_s=30.0)
_MAX_PER_MINUTE = 6
"""Sessions last at least 15 minutes (Salesforce Help, Session Security Settings): more logins are a loop."""
_REFUSED_PAUSE: Millis = 30_000
_UNREACHABLE_PAUSE: Millis = 1_000
_LONGEST_PAUSE: Millis = 15 * MINUTE_MS

ANOTHER_ORG = "ANOTHER_ORG"
"""The reason of a login that leads to another org than the mirror's."""


class Session:
    """Logs in on demand, once for all concurrent callers.

    Responses carry no `expires_in` (seen in live orgs), so a token is used until Salesforce rejects it.
    """

    def __init__(
        self,
        credentials: Credentials,
        ledger: Ledger,
        clock: Clock,
        *,
        timeouts: Timeouts | None = None,
        login: Login | None = None,
        on_server_time: OnServerTime = ignore_server_time,
    ) -> None:
        """`login` is an earlier login whose refresh token is saved."""
        self.credentials = credentials
        self.org_id: str | None = None
        """The org that every login must lead to, once known."""
        self._ledger = ledger
        self._clock = clock
        self._timeouts = timeouts or _TIMEOUTS
        self._on_server_time = on_server_time
        self._token = login.token if login else None
        self._rejected = ""
        """The last access token that Salesforce rejected."""
        self._login: asyncio.Task[Token] | None = None
        self._refresh_token = login.refresh_token if login else credentials.refresh_token
        self._unsaved: Login | None = None
        self._recent: deque[Millis] = deque(maxlen=_MAX_PER_MINUTE)
        self._failure: SalesforceError | None = None
        self._failures = 0
        self._failed_at: Millis = 0

    async def login(self) -> Login:
        """Return the current token with the next refresh token. Raises as `token`."""
        return Login(await self.token(), self._refresh_token)

    async def token(self) -> Token:
        """Return the current token, logging in if there is none.

        Raises AuthenticationFailed or OrgUnreachable. During the back-off after a failure it raises the same
        error again without contacting Salesforce.
        """
        if self._token is not None:
            return self._token
        if self._login is None:
            self._check_back_off()
            self._login = asyncio.create_task(self._log_in(), name="salesforce login")
            self._login.add_done_callback(_mark_seen)
        # shielded: cancelling a caller must not interrupt a rotation half way
        return await asyncio.shield(self._login)

    def expire(self, token: Token) -> None:
        """Discard a token that Salesforce rejected, unless it was already replaced."""
        if self._token is token:
            self._token = None
            self._rejected = token.access_token

    async def close(self) -> None:
        """Cancel a running login, or wait for it if it may rotate the refresh token."""
        if self._login is None:
            return
        if self.credentials.auth is not Auth.REFRESH_TOKEN:
            self._login.cancel()
        await asyncio.wait([self._login])

    async def _log_in(self) -> Token:
        try:
            token = await self._ask()
            self._require_org(token)
            self._require_another(token)
        except SalesforceError as error:
            self._failure, self._failed_at = error, self._clock()
            self._failures += 1
            raise
        finally:
            self._login = None
        self._failure, self._failures = None, 0
        self._token = token
        return token

    def _require_org(self, token: Token) -> None:
        """Reject the token of another org, whose data must not reach the mirror."""
        if self.org_id and token.org_id and token.org_id != self.org_id:
            raise AuthenticationFailed(
                f"The login now leads to org {token.org_id}, but this mirror is of org {self.org_id};"
                " nothing of the other org was applied.",
                "Correct [org]; or, as after a sandbox refresh, give the org a store of its own:"
                " another [store] path, or other schemas.",
                reason=ANOTHER_ORG,
            )

    def _require_another(self, token: Token) -> None:
        """Reject what `sf` shows again, because it could not refresh it."""
        if self.credentials.auth is Auth.SF and token.access_token == self._rejected:
            target = self.credentials.username
            raise AuthenticationFailed(
                f"sf has no other access token for {target} than the one that Salesforce rejected.",
                sf_cli.log_in_again(target),
            )

    async def _ask(self) -> Token:
        if self._unsaved is None:
            await self._ledger.spend(_PURPOSE, LOGINS, 1)
            began = self._clock()
            self._recent.append(began)
            self._unsaved = await log_in(self.credentials, self._refresh_token, self._timeouts)
            if self._unsaved.date is not None:
                self._on_server_time(self._unsaved.date, began, self._clock())
        rotated = self._unsaved.refresh_token
        if rotated and rotated != self._refresh_token:
            # the old token is void: using it again would revoke the new one (Salesforce Help, OAuth 2.0
            # Refresh Token Flow)
            self._refresh_token = rotated
            await self._save(rotated)
        login, self._unsaved = self._unsaved, None
        return login.token

    async def _save(self, rotated: str) -> None:
        try:
            await self.credentials.save_refresh_token(rotated)
        except BaseException as error:
            self._refresh_token = ""  # so that the next attempt saves it again, without a login
            if isinstance(error, OSError):
                raise AuthenticationFailed(
                    f"The rotated refresh token could not be saved: {error}.",
                    "Make the directory of org.refresh_token_file writable before you stop rtsd, which holds"
                    " the only valid token and retries.",
                ) from error
            raise

    def _check_back_off(self) -> None:
        """Raise if a login would come too soon after a failure, or too often."""
        now = self._clock()
        if self._failure is not None and 0 <= now - self._failed_at < self._pause():
            raise self._failure.with_traceback(None)
        if len(self._recent) == _MAX_PER_MINUTE and 0 <= now - self._recent[0] < MINUTE_MS:
            raise AuthenticationFailed(
                f"{_MAX_PER_MINUTE} logins within a minute: Salesforce ends each session immediately.",
                "Check the org's session settings and the app's IP and session policies.",
            )

    def _pause(self) -> Millis:
        first = _REFUSED_PAUSE if isinstance(self._failure, AuthenticationFailed) else _UNREACHABLE_PAUSE
        return pause_ms(self._failures, first, _LONGEST_PAUSE)


async def first_login(credentials: Credentials, clock: Clock) -> Login:
    """Log in before there is a ledger. Raises as `Session.token`."""
    session = Session(credentials, NullLedger(), clock)
    try:
        return await session.login()
    finally:
        await session.close()


def _mark_seen(login: asyncio.Task[Token]) -> None:
    """Retrieve the error, in case every waiter was cancelled; `Session` keeps it for the next caller."""
    if not login.cancelled():
        login.exception()  # noqa: LOG004  a task's, not a logger's
