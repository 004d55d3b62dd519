"""Users, sessions, refresh tokens, and the OAuth flows that issue them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import random
import secrets
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from rtssim.interface import session_expired

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from rtssim.interface import Principal
    from rtssim.org import Org
    from rtssim.switches import ApiSwitches

JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
JWT_LEEWAY_S = 10.0  # production tolerates small clock differences


class OAuthError(Exception):
    """An error of the token endpoint: `{"error", "error_description"?}`."""

    def __init__(self, error: str, description: str | None = None, status: int = 400) -> None:
        super().__init__(f"{error}: {description}")
        self.status = status
        self.body = {"error": error}
        if description is not None:
            self.body["error_description"] = description


@dataclass
class User:
    """A user who can log in; `principal` limits what the user sees and is replaceable at any time."""

    username: str
    password: str
    security_token: str
    principal: Principal


@dataclass(eq=False)
class Session:
    """An access token with a sliding lifetime."""

    token: str
    user: User
    expires_at: datetime
    alive: bool = True
    opened_by: str = ""  # the refresh token that opened it

    def is_usable(self, now: datetime) -> bool:
        """Return True if the session has neither ended nor expired."""
        return self.alive and self.expires_at > now

    @property
    def who(self) -> Principal:
        """The session's user, as the org knows it."""
        return self.user.principal


@dataclass
class TokenFamily:
    """A refresh token and the tokens that it replaced by rotation."""

    user: User
    current: str
    retired: set[str] = field(default_factory=set)


class Accounts:
    """The org's users and connected app, their sessions, and the grants of `/services/oauth2/token`."""

    def __init__(self, org: Org, switches: ApiSwitches) -> None:
        self._org = org
        self._switches = switches
        rng = random.Random(1)
        self.client_id = "3MVG9" + "".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789._", k=80))
        self.client_secret = f"{rng.getrandbits(256):064X}"
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.private_key = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        self.sync_user = self._sync_user(rng)
        self._users = {self.sync_user.username: self.sync_user}
        self._sessions: dict[str, Session] = {}
        self._families: list[TokenFamily] = []
        self.refresh_token = self._issue_refresh_token(self.sync_user)
        self.logins = 0

    def _sync_user(self, rng: random.Random) -> User:
        who = self._org.sync_user
        row = self._org.retrieve(who, "User", [who.user_id], ["Username"])[0]
        username = row["Username"] if row else "sync@acme.example"
        return User(username, f"pass-{rng.getrandbits(40):x}", f"{rng.getrandbits(96):024x}", who)

    # -- sessions -----------------------------------------------------------------------------------
    def open_session(self, user: User, opened_by: str = "") -> Session:
        """Open a session for a user."""
        token = f"{self._org.org_id[:15]}!AQ{secrets.token_urlsafe(60)}"
        session = Session(token, user, self._deadline(), opened_by=opened_by)
        self._sessions[token] = session
        self.logins += 1
        return session

    def session_of(self, token: str) -> Session:
        """Return the session of a token and renew its lifetime; raises `OrgError` 401 if it has ended."""
        session = self._sessions.get(token)
        usable = session is not None and session.is_usable(self._org.clock.now())
        if session is not None and usable and self._is_active(session.user):
            session.expires_at = self._deadline()
            return session
        if session is not None:
            session.alive = False
        raise session_expired()

    def _deadline(self) -> datetime:
        return self._org.clock.now() + timedelta(minutes=self._switches.session_minutes)

    def expire_sessions(self, opened_by: str | None = None) -> int:
        """End all sessions, or those that a refresh token opened; return how many."""
        ended = [s for s in self._sessions.values() if s.alive and opened_by in (None, s.opened_by)]
        for session in ended:
            session.alive = False
        return len(ended)

    def change_visibility(self, **changes: Any) -> Principal:
        """Replace fields of the sync user's `Principal`."""
        user = self.sync_user
        user.principal = replace(user.principal, **changes)
        return user.principal

    # -- token endpoint -----------------------------------------------------------------------------
    def grant(self, form: Mapping[str, str], basic: str | None) -> dict[str, str]:
        """Answer a token request: its form, and the credentials of a Basic header; raises `OAuthError`."""
        kind = form.get("grant_type")
        if kind == JWT_GRANT:
            return self._admit(self._assertion_user(form.get("assertion", "")))
        if kind not in ("client_credentials", "refresh_token", "password"):
            raise OAuthError("unsupported_grant_type", "grant type not supported")
        self._check_client(form, basic, secret_needed=kind != "refresh_token")
        if kind == "client_credentials":
            return self._admit(self.sync_user)
        if kind == "refresh_token":
            return self._refresh(form.get("refresh_token", ""))
        if not self._switches.password_flow:
            raise OAuthError("invalid_grant", "authentication failure")
        user = self.password_user(form.get("username", ""), form.get("password", ""))
        if user is None:
            raise OAuthError("invalid_grant", "authentication failure")
        return self._admit(user)

    def _admit(self, user: User, opened_by: str = "") -> dict[str, str]:
        """Open a session and return its answer; raises `OAuthError` for a user who has been deactivated."""
        if not self._is_active(user):
            raise OAuthError("inactive_user", "user is inactive")
        return self.token_answer(self.open_session(user, opened_by))

    def _is_active(self, user: User) -> bool:
        soql = f"SELECT IsActive FROM User WHERE Id = '{user.principal.user_id}'"
        return bool(self._org.first_column(soql)[0])

    def _check_client(self, form: Mapping[str, str], basic: str | None, *, secret_needed: bool) -> None:
        client, secret = form.get("client_id"), form.get("client_secret")
        if basic is not None:
            try:
                client, _, secret = base64.b64decode(basic, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError) as problem:
                raise OAuthError("invalid_request", "malformed Basic credentials") from problem
        status = self._switches.bad_client_status
        if client != self.client_id:
            raise OAuthError("invalid_client_id", "client identifier invalid", status)
        if secret != self.client_secret and (secret_needed or secret is not None):
            raise OAuthError("invalid_client", "invalid client credentials", status)

    def password_user(self, username: str, password: str) -> User | None:
        """Return the user with this password, with or without the security token appended."""
        user = self._users.get(username)
        if user is None or password not in (user.password, user.password + user.security_token):
            return None
        return user

    def _assertion_user(self, assertion: str) -> User:
        options: Any = {"verify_exp": False, "verify_aud": False, "verify_iat": False, "verify_nbf": False}
        try:
            claims = jwt.decode(assertion, self._key.public_key(), algorithms=["RS256"], options=options)
        except jwt.InvalidTokenError as problem:
            raise OAuthError("invalid_grant", "invalid assertion") from problem
        if claims.get("iss") != self.client_id:
            raise OAuthError(
                "invalid_client_id", "client identifier invalid", self._switches.bad_client_status
            )
        if not self._is_audience(str(claims.get("aud"))):
            raise OAuthError("invalid_grant", "Audience validation failed")
        try:  # simple-salesforce sends a string of seconds, sfdx milliseconds: refuse only the past
            expires = float(claims.get("exp", ""))
        except (TypeError, ValueError) as problem:
            raise OAuthError("invalid_grant", "invalid assertion") from problem
        if expires < self._org.clock.now().timestamp() - JWT_LEEWAY_S:
            raise OAuthError("invalid_grant", "expired authorization code")
        user = self._users.get(str(claims.get("sub")))
        if user is None:
            raise OAuthError("invalid_grant", "user hasn't approved this consumer")
        return user

    def _is_audience(self, audience: str) -> bool:
        host = "test" if self._switches.sandbox_audience else "login"
        return audience in (f"https://{host}.salesforce.com", self._org.instance_url) or audience.endswith(
            ".my.salesforce.com"
        )

    # -- refresh tokens -----------------------------------------------------------------------------
    def _issue_refresh_token(self, user: User) -> str:
        """Return a new refresh token, as a web login issues it."""
        token = "5Aep861" + secrets.token_urlsafe(60)
        self._families.append(TokenFamily(user, token))
        return token

    def _refresh(self, token: str) -> dict[str, str]:
        for family in self._families:
            if token == family.current:
                return self._renew(family)
            if token in family.retired:  # a rotated token came back: end the whole family
                self.revoke(family.current)
                break
        raise OAuthError("invalid_grant", "expired access/refresh token")

    def _renew(self, family: TokenFamily) -> dict[str, str]:
        if not self._switches.rotate_refresh_tokens:
            return self._admit(family.user, family.current)
        if self._switches.rotation_ends_session:
            self.expire_sessions(family.current)
        family.retired.add(family.current)
        family.current = "5Aep861" + secrets.token_urlsafe(60)
        answer = self._admit(family.user, family.current)
        return {**answer, "refresh_token": family.current}

    def revoke(self, token: str) -> bool:
        """Revoke an access token, or a refresh token with its sessions."""
        session = self._sessions.get(token)
        if session is not None and session.alive:
            session.alive = False
            return True
        for family in self._families:
            if token == family.current:
                for issued in (family.current, *family.retired):
                    self.expire_sessions(issued)
                self._families.remove(family)
                return True
        return False

    # -- answers ------------------------------------------------------------------------------------
    def identity_url(self, user: User) -> str:
        """Return the `id` of a token answer."""
        return f"{self._org.instance_url}/id/{self._org.org_id}/{user.principal.user_id}"

    def token_answer(self, session: Session) -> dict[str, str]:
        """Return the token endpoint's answer: only strings, and no expiry."""
        identity = self.identity_url(session.user)
        issued = str(int(self._org.clock.now().timestamp() * 1000))
        digest = hmac.new(self.client_secret.encode(), (identity + issued).encode(), hashlib.sha256).digest()
        return {
            "access_token": session.token,
            "signature": base64.b64encode(digest).decode(),
            "scope": "api refresh_token id",
            "instance_url": self._org.instance_url,
            "id": identity,
            "token_type": "Bearer",
            "issued_at": issued,
        }
