"""What each way to log in needs in `[org]`."""

from __future__ import annotations

import pytest

from tests.support.configuration import Load, Mistakes


@pytest.mark.parametrize(
    ("auth", "missing"),
    [
        ("client_credentials", ["client_secret"]),
        ("jwt", ["username", "private_key"]),
        ("refresh_token", ["refresh_token"]),
        ("password", ["client_secret", "username", "password"]),
        ("sf", ["username", "login_url"]),
        ("sfdx_url", ["sfdx_url", "login_url"]),
    ],
)
def test_each_login_says_what_it_needs(auth: str, missing: list[str], mistakes: Mistakes) -> None:
    """The keys that a way to log in needs are required with it only."""
    found = mistakes(
        f"""
        [org]
        login_url = "https://acme.my.salesforce.com"
        auth = "{auth}"
        client_id = "app"
        [gateway]
        listen = ""
        [[objects]]
        name = "Contact"
        """
    )
    assert [mistake.partition(": ")[0] for mistake in found] == [f"org.{name}" for name in missing]


def test_a_login_that_knows_the_address_needs_none(load: Load, mistakes: Mistakes) -> None:
    """An SFDX authorization URL has address, app and token; what is no such URL is a mistake."""
    rest = '[gateway]\nlisten = ""\n[[objects]]\nname = "Contact"\n'
    url = "force://PlatformCLI::5Aep861.token@acme.my.salesforce.com"
    org = load(f'[org]\nauth = "sfdx_url"\nsfdx_url = "{url}"\n{rest}').org
    assert org.address == "https://acme.my.salesforce.com"
    assert {secret.reveal() for secret in org.secrets()} == {url, "5Aep861.token"}
    assert load(f'[org]\nauth = "sf"\nusername = "acme"\n{rest}').org.address == ""
    (found,) = mistakes(f'[org]\nauth = "sfdx_url"\nsfdx_url = "https://acme.my.salesforce.com"\n{rest}')
    assert found.startswith("org.sfdx_url_file: is not an SFDX authorization URL; force://<clientId>:")
