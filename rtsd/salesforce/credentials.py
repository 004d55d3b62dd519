"""How to log in, as configured."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

SaveRefreshToken = Callable[[str], Awaitable[None]]
"""Keeps a rotated refresh token durably; awaited before the access token that came with it is used."""


class Auth(StrEnum):
    """The OAuth flow (Salesforce Help, OAuth Authorization Flows)."""

    CLIENT_CREDENTIALS = "client_credentials"
    JWT = "jwt"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105  the flow's name, not a secret
    PASSWORD = "password"  # noqa: S105  likewise


async def forget(_token: str) -> None:
    """Keep a rotated refresh token nowhere: for orgs without rotation."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one flow needs; what it does not need stays empty. Secrets are not in the repr.

    `login_url` is `https://login.salesforce.com`, `https://test.salesforce.com` or the org's My Domain,
    `http://` on loopback only. `password` ends with the security token where the org wants one.
    `ca_file` is a PEM file of trust roots in addition to the system's.
    """

    auth: Auth
    login_url: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    """PEM, for JWT."""
    refresh_token: str = field(default="", repr=False)
    save_refresh_token: SaveRefreshToken = field(default=forget, repr=False)
    ca_file: str = ""

    @property
    def audience(self) -> str:
        """The JWT's audience: the login or the test host, by what kind of org the host names.

        Sandboxes and scratch orgs are `….sandbox.my.` and `….scratch.my.`, older sandboxes `acme--name.my.`.
        """
        host = urlsplit(self.login_url).hostname or ""
        testing = host.startswith("test.") or ".sandbox." in host or ".scratch." in host or "--" in host
        return "test" if testing else "login"
