"""TLS with an own trust root, for both ways to call: aiohttp and simple-salesforce."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from rtsd.errors import ConfigError, OrgUnreachable
from rtsd.salesforce.credentials import Auth
from rtsd.salesforce.transport import tls_context
from tests.support.certificates import self_signed
from tests.support.salesforce.bench import Bench, Script


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1."""
    return self_signed(tmp_path / "org.pem")


@pytest.fixture
async def tls_url(bench: Bench, certificate: Path) -> AsyncIterator[str]:
    """The scripted org behind TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", bench.org.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    bench.org.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    bench.org.logins({"access_token": "T1"})
    yield bench.org.url
    await runner.cleanup()


@pytest.mark.parametrize("auth", [Auth.CLIENT_CREDENTIALS, Auth.REFRESH_TOKEN])
async def test_an_own_trust_root(
    bench: Bench, script: type[Script], tls_url: str, certificate: Path, auth: Auth
) -> None:
    """With ca_file the org is trusted, by every flow and for the calls after it."""
    bench.org.on("GET /services/data/v66.0/limits/", script.answer(200, {}))
    credentials = bench.credentials(auth, ca_file=str(certificate), refresh_token="R1")
    client = await bench.client(bench.session(credentials))
    assert await client.limits(purpose="x") == {}


@pytest.mark.parametrize("auth", [Auth.CLIENT_CREDENTIALS, Auth.REFRESH_TOKEN])
async def test_without_it_nothing_is_sent(bench: Bench, tls_url: str, auth: Auth) -> None:
    """An unknown certificate is refused before any secret is on the wire, and the key to set is named."""
    session = bench.session(bench.credentials(auth, refresh_token="R1"))
    with pytest.raises(OrgUnreachable, match="certificate") as caught:
        await session.token()
    assert "ca_file" in caught.value.do
    assert bench.org.calls == []


def test_an_unusable_trust_root_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    """A missing file and a file that is no PEM are said to be so."""
    with pytest.raises(ConfigError, match="ca_file"):
        tls_context(str(tmp_path / "missing.pem"))
    (tmp_path / "wrong.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match="ca_file"):
        tls_context(str(tmp_path / "wrong.pem"))
