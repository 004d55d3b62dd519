"""What follows from the configured login."""

from __future__ import annotations

import pytest

from rtsd.salesforce.credentials import Auth, Credentials


@pytest.mark.parametrize(
    ("login_url", "audience"),
    [
        ("https://login.salesforce.com", "login"),
        ("https://test.salesforce.com", "test"),
        ("https://acme.my.salesforce.com", "login"),
        ("https://acme--dev.sandbox.my.salesforce.com", "test"),
        ("https://acme--dev.my.salesforce.com", "test"),
        ("https://brave-fox-1.scratch.my.salesforce.com", "test"),
        ("https://acme-dev-ed.develop.my.salesforce.com", "login"),
        ("http://127.0.0.1:8080", "login"),
    ],
)
def test_the_audience_follows_from_the_host(login_url: str, audience: str) -> None:
    """Sandboxes and scratch orgs want the test audience, all else the login audience."""
    assert Credentials(Auth.JWT, login_url, "id").audience == audience


def test_secrets_are_not_in_the_repr() -> None:
    """A log line with credentials in it tells nothing."""
    credentials = Credentials(
        Auth.PASSWORD,
        "https://login.salesforce.com",
        "id",
        client_secret="hush-1",
        password="hush-2",
        private_key="hush-3",
        refresh_token="hush-4",
    )
    assert "hush" not in repr(credentials)
