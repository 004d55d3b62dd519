"""One simulated org in a process of its own, and how foreign clients are pointed at it.

`SF_TEST_DOMAIN` (My Domain, such as `acme.my`), `SF_TEST_CLIENT_ID` and `SF_TEST_CLIENT_SECRET` aim the
simple-salesforce tests at a real org instead; `SF_TEST_USERNAME`, `SF_TEST_PASSWORD`, `SF_TEST_TOKEN` and
`SF_TEST_PRIVATE_KEY_FILE` add the flows that need them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from simple_salesforce.api import Salesforce

from rtssim.process import spawn
from tests.support.salesforce.target import Target

ROWS = {"Account": 300, "Contact": 2_500, "Lead": 50}


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
