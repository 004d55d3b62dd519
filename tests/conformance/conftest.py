"""One simulated org in a process of its own, and how foreign clients are pointed at it.

`SF_TEST_DOMAIN` (My Domain, such as `acme.my`), `SF_TEST_CLIENT_ID` and `SF_TEST_CLIENT_SECRET` aim the
simple-salesforce tests at a real org instead; `SF_TEST_USERNAME`, `SF_TEST_PASSWORD`, `SF_TEST_TOKEN` and
`SF_TEST_PRIVATE_KEY_FILE` add the flows that need them.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce

from rtssim.process import spawn

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "e2e")]

ROWS = {"Account": 300, "Contact": 2_500, "Lead": 50}


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


@pytest.fixture(scope="session")
def simulated() -> Iterator[Mapping[str, Any]]:
    """Credentials of a simulated org that runs as `rtsd simulate`."""
    with asyncio.Runner() as runner:
        running = spawn(records=ROWS)
        org = runner.run(running.__aenter__())
        try:
            yield org.info
        finally:
            runner.run(running.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Target:
    """The org the simple-salesforce tests talk to."""
    domain = os.environ.get("SF_TEST_DOMAIN")
    if domain:
        key_file = os.environ.get("SF_TEST_PRIVATE_KEY_FILE")
        return Target(
            domain,
            os.environ["SF_TEST_CLIENT_ID"],
            os.environ["SF_TEST_CLIENT_SECRET"],
            os.environ.get("SF_TEST_USERNAME"),
            os.environ.get("SF_TEST_PASSWORD"),
            os.environ.get("SF_TEST_TOKEN"),
            Path(key_file).read_text() if key_file else None,
        )
    info = request.getfixturevalue("simulated")
    return Target(
        "acme.my",
        info["client_id"],
        info["client_secret"],
        info["username"],
        info["password"],
        info["security_token"],
        info["private_key"],
        info,
    )


@pytest.fixture(scope="session")
def client(target: Target) -> Salesforce:
    """One simple-salesforce client for all tests."""
    return target.login()
