"""Logins by Salesforce CLI, whose stand-in prints what the documented commands print."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from rtsd import config
from rtsd.config.credentials import credentials
from rtsd.errors import AuthenticationFailed
from rtsd.salesforce import sf_cli
from rtsd.salesforce.credentials import Auth
from tests.support.salesforce.bench import Desk
from tests.support.salesforce.sf import Sf

SOQL = "SELECT COUNT() FROM Contact"


@pytest.fixture
def sf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sf:
    """The CLI, alone on PATH."""
    cli = Sf(tmp_path / "sf")
    monkeypatch.setenv("PATH", str(cli.bin))
    return cli


def log_in(sf: Sf, desk: Desk) -> str:
    """Log the CLI in to the simulated org as `acme`, and return the access token."""
    accounts = desk.server.accounts
    token = accounts.open_session(accounts.sync_user).token
    info = desk.sim.info
    sf.logged_in("acme", info["username"], desk.sim.url, org_id=info["org_id"], token=token)
    return token


@pytest.mark.parametrize("shows_secrets", [False, True])
async def test_the_session_of_the_cli_is_used(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, shows_secrets: bool
) -> None:
    """Where the CLI hides the token, and where it is too old for that; by alias and by username."""
    sf = Sf(tmp_path / "sf", shows_secrets=shows_secrets)
    monkeypatch.setenv("PATH", str(sf.bin))
    token = log_in(sf, desk)
    for target in ("acme", desk.sim.info["username"]):
        session = desk.session(desk.credentials(Auth.SF, username=target))
        login = await session.token()
        assert (login.access_token, login.instance_url) == (token, desk.sim.url)
        assert login.org_id == desk.sim.info["org_id"]
        assert await (await desk.client(session)).count(SOQL, purpose="x") == 900
    shown = [f"org display --target-org {target} --json" for target in ("acme", desk.sim.info["username"])]
    assert [call for call in sf.calls if "display" in call] == shown
    assert len(sf.calls) == (2 if shows_secrets else 4)


async def test_an_expired_session_is_asked_for_again(sf: Sf, desk: Desk) -> None:
    """The CLI refreshes its token; the call that was refused then succeeds."""
    log_in(sf, desk)
    client = await desk.client(desk.session(desk.credentials(Auth.SF, username="acme")))
    assert await client.count(SOQL, purpose="x") == 900
    desk.server.accounts.expire_sessions()
    log_in(sf, desk)
    assert await client.count(SOQL, purpose="x") == 900


async def test_a_session_that_the_cli_cannot_refresh_says_how_to_log_in(sf: Sf, desk: Desk) -> None:
    """It shows the stale token again: not tried another time, and no storm of commands."""
    log_in(sf, desk)
    client = await desk.client(desk.session(desk.credentials(Auth.SF, username="acme")))
    assert await client.count(SOQL, purpose="x") == 900
    desk.server.accounts.expire_sessions()
    with pytest.raises(AuthenticationFailed) as caught:
        await client.count(SOQL, purpose="x")
    assert "no other access token for acme than the one that Salesforce rejected" in caught.value.message
    assert caught.value.do == "Run: sf org login web --alias acme"
    assert len(sf.calls) == 4


async def test_an_org_that_the_cli_does_not_know(sf: Sf, desk: Desk) -> None:
    """The command to run is said, with an alias only where one was given."""
    log_in(sf, desk)
    with pytest.raises(AuthenticationFailed) as caught:
        await sf_cli.org("beta")
    assert (caught.value.message, caught.value.do) == (
        "sf is not logged in to beta.",
        "Run: sf org login web --alias beta",
    )
    with pytest.raises(AuthenticationFailed) as caught:
        await sf_cli.org("ana@acme.com")
    assert caught.value.do == "Run: sf org login web"


async def test_a_machine_without_the_cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As under systemd, where it is not on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AuthenticationFailed, match="there is no sf on PATH"):
        await sf_cli.org("acme")


async def test_a_cli_that_hangs_is_killed(sf: Sf) -> None:
    """Within the time-out, and it is said which command it was."""
    sf.hangs()
    began = time.monotonic()
    with pytest.raises(AuthenticationFailed, match="did not end within 0") as caught:
        await sf_cli.org("acme", timeout_s=0.5)
    assert "`sf org display --target-org acme`" in caught.value.message
    assert time.monotonic() - began < 10


async def test_a_broken_cli_is_told_without_its_output(sf: Sf) -> None:
    """What it prints may hold a token, and is no JSON."""
    sf.prints("TypeError: Cannot read properties of undefined 00Dxx!SECRET")
    with pytest.raises(AuthenticationFailed) as caught:
        await sf_cli.org("acme")
    assert "ended with status 1, without the JSON of Salesforce CLI" in caught.value.message
    assert "SECRET" not in str(caught.value)


async def test_a_rotated_token_is_written_back_into_its_url(desk: Desk, tmp_path: Path) -> None:
    """An SFDX authorization URL logs in by itself, again after a rotation, and after a restart."""
    desk.server.switches.rotate_refresh_tokens = True
    info = desk.sim.info
    parts = f"{info['client_id']}:{info['client_secret']}:{info['refresh_token']}"
    file = tmp_path / "sfdx-url"
    file.touch(0o600)
    file.write_text(json.dumps({"result": {"sfdxAuthUrl": f"force://{parts}@{desk.sim.url[7:]}"}}))
    settings = tmp_path / "rtsd.toml"
    settings.write_text(
        '[org]\nauth = "sfdx_url"\nsfdx_url_file = "sfdx-url"\n'
        '[gateway]\nlisten = ""\n[[objects]]\nname = "Contact"\n'
    )
    for _ in range(2):
        client = await desk.client(desk.session(credentials(config.load(settings, {}).org)))
        assert await client.count(SOQL, purpose="x") == 900
        desk.server.accounts.expire_sessions()
        assert await client.count(SOQL, purpose="x") == 900
    assert info["refresh_token"] not in file.read_text()
    assert file.read_text().startswith(f"force://{info['client_id']}:")


async def test_what_the_cli_is_logged_in_to_is_listed(sf: Sf, desk: Desk) -> None:
    """Without tokens, and without a call to Salesforce."""
    log_in(sf, desk)
    (known,) = await sf_cli.known_orgs()
    assert (known.alias, known.username) == ("acme", desk.sim.info["username"])
    assert known.instance_url.rstrip("/") == desk.sim.url
