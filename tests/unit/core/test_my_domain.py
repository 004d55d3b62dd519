"""Addresses as people have them at hand."""

from __future__ import annotations

import pytest

from rtsd.core.my_domain import login_url


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("acme", "https://acme.my.salesforce.com"),
        ("acme--dev.sandbox", "https://acme--dev.sandbox.my.salesforce.com"),
        ("acme.my.salesforce.com", "https://acme.my.salesforce.com"),
        (" https://Acme.my.salesforce.com/ ", "https://acme.my.salesforce.com"),
        ("https://acme.lightning.force.com/lightning/page/home", "https://acme.my.salesforce.com"),
        (
            "https://acme--dev.sandbox.my.salesforce-setup.com/lightning/setup/SetupOneHome/home",
            "https://acme--dev.sandbox.my.salesforce.com",
        ),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost:8080/x", "http://localhost:8080"),
        ("crm.acme.com", "https://crm.acme.com"),
    ],
)
def test_an_address_becomes_the_login_url(given: str, url: str) -> None:
    """A name, a host, a copied page of Lightning or Setup, and what is none of Salesforce's."""
    assert login_url(given) == url


@pytest.mark.parametrize("host", ["login.salesforce.com", "https://test.salesforce.com/"])
def test_hosts_of_every_org_are_refused(host: str) -> None:
    """They do not serve the client credentials flow, and do not say which org is meant."""
    with pytest.raises(ValueError, match="is every org's; your own"):
        login_url(host)
