"""The configured credentials of the org."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

SaveRefreshToken = Callable[[str], Awaitable[None]]
"""Stores a rotated refresh token durably; awaited before the accompanying access token is used."""


class Auth(StrEnum):
    """The OAuth flow (Salesforce Help, OAuth Authorization Flows).

    Salesforce retires `password`, the username-password flow: from 20 February 2027 on, integrations that use
    it stop working, without an extension or exception (Salesforce Help, article 005461976). External client
    apps never had it, and orgs created since Summer '23 block it.
    """

    CLIENT_CREDENTIALS = "client_credentials"
    JWT = "jwt"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105  the flow's name, not a secret
    PASSWORD = "password"  # noqa: S105  likewise
    SF = "sf"
    """No flow: the session of Salesforce CLI (`salesforce.sf_cli`)."""


async def discard(_token: str) -> None:
    """Do not store a rotated refresh token, for orgs without rotation."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of one OAuth flow; unused fields stay empty. The repr omits secrets.

    `login_url` is `https://login.salesforce.com`, `https://test.salesforce.com` or the org's My Domain, with
    `http://` on loopback only. `password` ends with the security token if the org requires one. `ca_file` is
    a PEM file of root certificates trusted in addition to the system's. For `SF`, only `username` counts: a
    username or an alias that the CLI knows.
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
    save_refresh_token: SaveRefreshToken = field(default=discard, repr=False)
    ca_file: str = ""

    @property
    def audience(self) -> str:
        """The JWT's audience, `login` or `test`, by the kind of org that the host names.

        Sandboxes and scratch orgs are `….sandbox.my.` and `….scratch.my.`, older sandboxes `acme--name.my.`.
        """
        host = urlsplit(self.login_url).hostname or ""
        testing = host.startswith("test.") or ".sandbox." in host or ".scratch." in host or "--" in host
        return "test" if testing else "login"
