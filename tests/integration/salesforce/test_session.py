"""Logins over real HTTP: four flows, one login for all who wait, rotation, refusals, no storm."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from rtsd.core.instant import from_iso
from rtsd.errors import AuthenticationFailed, OrgUnreachable
from rtsd.salesforce.credentials import Auth
from rtsd.salesforce.session import Session
from rtsd.salesforce.transport import Timeouts
from tests.support.salesforce.bench import Bench, Script

LOGINS = "/services/oauth2/token"


def form(body: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(body).items()}


def rotating(bench: Bench, save: Any) -> Any:
    """Credentials whose refresh token is R1 and changes with each login."""
    return bench.credentials(Auth.REFRESH_TOKEN, refresh_token="R1", save_refresh_token=save)


async def test_client_credentials(bench: Bench) -> None:
    """The app's key and secret go in the Basic header; the answer's instance_url is used."""
    bench.org.logins({"access_token": "A1", "instance_url": "https://acme.my.salesforce.com/"})
    token = await bench.session().token()
    assert (token.access_token, token.instance_url) == ("A1", "https://acme.my.salesforce.com")
    assert form(bench.org.bodies[0]) == {"grant_type": "client_credentials"}
    assert bench.org.calls[0].headers["Authorization"].startswith("Basic ")
    assert "A1" not in repr(token)


async def test_jwt(bench: Bench) -> None:
    """The assertion is signed with our key, for our user, for the right audience."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    session = bench.session(bench.credentials(Auth.JWT, username="o'sync@acme.com", private_key=pem))
    await session.token()
    sent = form(bench.org.bodies[0])
    assert sent["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    claims = jwt.decode(
        sent["assertion"], key.public_key(), algorithms=["RS256"], audience="https://login.salesforce.com"
    )
    assert (claims["iss"], claims["sub"]) == ("the-key", "o'sync@acme.com")


async def test_password(bench: Bench) -> None:
    """User and password go as they are, whatever characters they hold."""
    credentials = bench.credentials(Auth.PASSWORD, username="sync@acme.com", password="p&<ß>+token")
    session = bench.session(credentials)
    await session.token()
    sent = form(bench.org.bodies[0])
    assert (sent["grant_type"], sent["username"], sent["password"]) == (
        "password",
        "sync@acme.com",
        "p&<ß>+token",
    )


@pytest.mark.parametrize("auth", [Auth.CLIENT_CREDENTIALS, Auth.REFRESH_TOKEN])
async def test_a_login_tells_salesforces_time(bench: Bench, script: type[Script], auth: Auth) -> None:
    """Before any call, however the login is made."""
    told: list[tuple[int, int, int]] = []
    body = script.token(instance_url=bench.org.url)
    bench.org.on(f"POST {LOGINS}", script.answer(200, body, Date="Sun, 01 Mar 2026 10:00:00 GMT"))
    credentials = bench.credentials(auth, refresh_token="R1")
    began = bench.clock()
    session = Session(
        credentials, bench.ledger, bench.clock, on_server_time=lambda *times: told.append(times)
    )
    await session.token()
    ((date, sent, received),) = told
    assert date == from_iso("2026-03-01T10:00:00Z")
    assert began <= sent <= received <= bench.clock()


async def test_a_rotated_refresh_token_is_saved_before_the_access_token_is_used(
    bench: Bench, script: type[Script]
) -> None:
    """ac_47: each refresh presents the newest token, and nobody gets an access token before it is saved."""
    saved: list[str] = []
    asked, release = asyncio.Event(), asyncio.Event()

    async def save(token: str) -> None:
        asked.set()
        await release.wait()
        saved.append(token)

    bench.org.logins(script.token("A1", refresh_token="R2"), script.token("A2", refresh_token="R3"))
    session = bench.session(rotating(bench, save))
    waiter = asyncio.create_task(session.token())
    await asyncio.wait_for(asked.wait(), 5)
    assert not waiter.done()
    release.set()
    first = await waiter
    session.expire(first)
    second = await session.token()
    assert saved == ["R2", "R3"]
    assert [form(body)["refresh_token"] for body in bench.org.bodies] == ["R1", "R2"]
    assert second.access_token == "A2"


async def test_a_token_that_could_not_be_saved_is_saved_again_without_a_login(
    bench: Bench, script: type[Script]
) -> None:
    """A full disk costs no second rotation: the old refresh token is never presented again."""
    tries: list[str] = []

    async def save(token: str) -> None:
        tries.append(token)
        if len(tries) == 1:
            raise OSError("no space left on device")

    bench.org.logins(script.token("A1", refresh_token="R2"))
    session = bench.session(rotating(bench, save))
    with pytest.raises(AuthenticationFailed, match="no space"):
        await session.token()
    bench.clock.advance(31)
    assert (await session.token()).access_token == "A1"
    assert tries == ["R2", "R2"]
    assert len(bench.org.calls) == 1


async def test_a_rotation_is_finished_though_everybody_stopped_waiting(
    bench: Bench, script: type[Script]
) -> None:
    """A cancelled caller does not lose the new refresh token half way."""
    saved: list[str] = []
    asked = asyncio.Event()

    async def save(token: str) -> None:
        saved.append(token)

    async def rotate(request: Any) -> Any:
        asked.set()
        return script.answer(200, {**script.token("A1", refresh_token="R2"), "instance_url": bench.org.url})(
            request
        )

    bench.org.on(f"POST {LOGINS}", rotate)
    session = bench.session(rotating(bench, save))
    waiter = asyncio.create_task(session.token())
    await asyncio.wait_for(asked.wait(), 5)
    waiter.cancel()
    await session.close()
    assert saved == ["R2"]


async def test_one_login_serves_all_who_wait(bench: Bench) -> None:
    """Fifty callers make one login, and fifty that hold the same dead token make one more."""
    session = bench.session()
    tokens = await asyncio.gather(*(session.token() for _ in range(50)))
    assert len(bench.org.calls) == 1
    for token in tokens:
        session.expire(token)
    renewed = await session.token()
    session.expire(tokens[0])  # of the first generation: it says nothing about the second
    assert await session.token() is renewed
    assert len(bench.org.calls) == 2
    assert bench.ledger.sent_by["login", "Logins"] == 2


REFUSALS = [
    (400, "invalid_grant", "authentication failure", "secrets"),
    (400, "invalid_grant", "expired access/refresh token", "Authorise again"),
    (400, "invalid_grant", "user hasn't approved this consumer", "Pre-authorise"),
    (400, "invalid_grant", "Audience validation failed", "login_url"),
    (400, "invalid_grant", "audience is invalid", "login_url"),
    (400, "invalid_grant", "expired authorization code", "clock"),
    (400, "invalid_grant", "request not supported on this domain", "My Domain"),
    (400, "invalid_client_id", "client identifier invalid", "client_id"),
    (401, "invalid_client", "invalid client credentials", "client_secret"),
    (400, "inactive_user", None, "Activate"),
    (400, "unsupported_grant_type", "grant type not supported", "flow"),
    (400, "something_new", None, "[org]"),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: f"{refusal[1]}-{refusal[2]}")
async def test_a_refusal_says_why_and_what_to_change(
    bench: Bench, script: type[Script], refusal: tuple[int, str, str | None, str]
) -> None:
    """Salesforce's own words are kept, the remedy is added, no secret is told."""
    status, error, description, advice = refusal
    body = {"error": error} | ({"error_description": description} if description else {})
    bench.org.on(f"POST {LOGINS}", script.answer(status, body))
    with pytest.raises(AuthenticationFailed) as caught:
        await bench.session().token()
    assert error in caught.value.message
    assert (description or "") in caught.value.message
    assert advice in caught.value.do
    assert caught.value.reason == error
    assert "hush" not in str(caught.value)


ANSWERS = [
    (503, "<html><title>Down</title></html>", OrgUnreachable),
    (500, {"error": "unknown_error"}, OrgUnreachable),
    (429, "", OrgUnreachable),
    (404, "<html>nginx</html>", AuthenticationFailed),
    (200, "<html>welcome</html>", AuthenticationFailed),
    (200, {}, AuthenticationFailed),
    (200, [], AuthenticationFailed),
    (302, "", AuthenticationFailed),
]


@pytest.mark.parametrize("auth", [Auth.CLIENT_CREDENTIALS, Auth.REFRESH_TOKEN])
@pytest.mark.parametrize("case", ANSWERS, ids=str)
async def test_whatever_the_login_host_sends_is_an_error_of_ours(
    bench: Bench, script: type[Script], auth: Auth, case: tuple[int, Any, type[Exception]]
) -> None:
    """Web pages, half answers and redirects are told apart: down, or not Salesforce at all."""
    status, body, error = case
    bench.org.on(f"POST {LOGINS}", script.answer(status, body, Location="https://elsewhere.example/"))
    with pytest.raises(error):
        await bench.session(bench.credentials(auth, refresh_token="R1")).token()


@pytest.mark.parametrize("auth", [Auth.CLIENT_CREDENTIALS, Auth.REFRESH_TOKEN])
async def test_a_silent_login_host_is_given_up(bench: Bench, auth: Auth) -> None:
    """No login waits for ever."""
    never = asyncio.Event()

    async def hang(_request: Any) -> Any:
        await never.wait()

    bench.org.on(f"POST {LOGINS}", hang)
    session = bench.session(bench.credentials(auth, refresh_token="R"), timeouts=Timeouts(1.0, 0.05, 0.05))
    with pytest.raises(OrgUnreachable, match="in time"):
        await session.token()
    never.set()


@pytest.mark.parametrize("auth", [Auth.CLIENT_CREDENTIALS, Auth.REFRESH_TOKEN])
async def test_nobody_listens(bench: Bench, auth: Auth, unused_tcp_port: int) -> None:
    """A refused connection names the host and what to check."""
    url = f"http://127.0.0.1:{unused_tcp_port}"
    with pytest.raises(OrgUnreachable, match=f"127.0.0.1:{unused_tcp_port}") as caught:
        await bench.session(bench.credentials(auth, login_url=url, refresh_token="R")).token()
    assert "org.login_url" in caught.value.do


async def test_an_unusable_key_is_said_to_be_one(bench: Bench) -> None:
    """A private key that is none costs no login and no traceback."""
    session = bench.session(bench.credentials(Auth.JWT, username="u", private_key="not a key"))
    with pytest.raises(AuthenticationFailed, match="private key") as caught:
        await session.token()
    assert "private_key_file" in caught.value.do
    assert bench.org.calls == []


async def test_a_plain_http_instance_is_refused(bench: Bench) -> None:
    """The access token never goes over the network in the clear."""
    bench.org.logins({"access_token": "A1", "instance_url": "http://acme.example"})
    with pytest.raises(AuthenticationFailed, match="not https"):
        await bench.session().token()


async def test_no_storm_after_a_refusal(bench: Bench, script: type[Script]) -> None:
    """ac_47: a refused login is tried again after 30 s, 60 s, 120 s..., told from memory in between."""
    bench.org.on(f"POST {LOGINS}", script.answer(400, {"error": "invalid_grant"}))
    session = bench.session()
    for seconds, logins in [(0, 1), (29, 1), (2, 2), (58, 2), (3, 3), (100, 3), (21, 4)]:
        bench.clock.advance(seconds)
        with pytest.raises(AuthenticationFailed, match="invalid_grant"):
            await session.token()
        assert len(bench.org.calls) == logins


async def test_an_unreachable_login_host_is_tried_again_soon(bench: Bench, script: type[Script]) -> None:
    """After a server error the pause is a second, and a good login forgets it."""
    good = script.answer(200, {"access_token": "A1", "instance_url": bench.org.url})
    bench.org.on(f"POST {LOGINS}", script.answer(503, ""), good)
    session = bench.session()
    for _ in range(3):
        with pytest.raises(OrgUnreachable):
            await session.token()
    assert len(bench.org.calls) == 1
    bench.clock.advance(1.1)
    assert (await session.token()).access_token == "A1"


async def test_sessions_that_die_at_once_do_not_make_a_storm(bench: Bench) -> None:
    """Good logins whose every session is refused stop after six a minute, and go on a minute later."""
    session = bench.session()
    for _ in range(6):
        session.expire(await session.token())
    with pytest.raises(AuthenticationFailed, match="6 logins within a minute"):
        await session.token()
    assert len(bench.org.calls) == 6
    bench.clock.advance(61)
    assert (await session.token()).access_token == "T1"
