"""The org that foreign clients are pointed at: the simulated one, or a real one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce


class Redirected(HTTPAdapter):
    """Sends to `base` what is meant for any https host: simple-salesforce knows no other scheme."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = urlsplit(base)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        """Rewrite scheme and host, and send."""
        target = urlsplit(request.url or "")
        request.url = target._replace(scheme=self._base.scheme, netloc=self._base.netloc).geturl()
        return super().send(request, **options)


@dataclass(frozen=True)
class Target:
    """An org to test against: the simulated one or a real one."""

    domain: str
    client_id: str
    client_secret: str
    username: str | None = None
    password: str | None = None
    security_token: str | None = None
    private_key: str | None = None
    info: Mapping[str, Any] | None = None  # of the simulated org

    def session(self) -> requests.Session:
        """Return a session that reaches the org."""
        session = requests.Session()
        if self.info is not None:
            session.mount("https://", Redirected(self.info["url"]))
        return session

    def login(self) -> Salesforce:
        """Return a client logged in by client credentials."""
        return Salesforce(
            consumer_key=self.client_id,
            consumer_secret=self.client_secret,
            domain=self.domain,
            session=self.session(),
            version="62.0",
        )
