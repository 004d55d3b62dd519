"""Tokens and sessions beyond the flows of other clients."""

from __future__ import annotations

import time
from collections.abc import Callable

import jwt
import pytest

from rtssim.process import SimulatedOrg
from tests.support.rtssim.api import Api, Login

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


async def test_token_answer(org: SimulatedOrg, login: Login) -> None:
    """Every value is a string, issued_at in milliseconds, nothing says when it expires."""
    status, answer = await login(grant_type="client_credentials")
    assert status == 200
    assert set(answer) == {
        "access_token",
        "signature",
        "scope",
        "instance_url",
        "id",
        "token_type",
        "issued_at",
    }
    assert all(isinstance(value, str) for value in answer.values())
    assert abs(int(answer["issued_at"]) / 1000 - time.time()) < 60
    assert answer["access_token"].startswith(org.info["org_id"][:15] + "!")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"client_secret": "x"}, "invalid_client"),
        ({"client_id": "x"}, "invalid_client_id"),
        ({"grant_type": "magic"}, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "x", "password": "y"}, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
        ({"grant_type": GRANT, "assertion": "x.y.z"}, "invalid_grant"),
    ],
)
async def test_refusals(org: SimulatedOrg, changed: dict[str, str], error: str, login: Login) -> None:
    """A refused login is an object with error and error_description, not the REST array."""
    status, answer = await login(**{"grant_type": "client_credentials", **changed})
    assert (status, answer["error"]) == (400, error)


@pytest.mark.parametrize(
    ("claims", "description"),
    [
        ({"exp": -300}, "expired authorization code"),
        ({"aud": "https://test.salesforce.com"}, "Audience validation failed"),
        ({"sub": "nobody@example.com"}, "user hasn't approved this consumer"),
    ],
)
async def test_jwt_refusals(
    org: SimulatedOrg, claims: dict[str, str | int], description: str, login: Login
) -> None:
    """An assertion in the past, for the wrong audience or an unknown user has its own description."""
    now = int(time.time())
    payload = {
        "iss": org.info["client_id"],
        "sub": org.info["username"],
        "aud": "https://login.salesforce.com",
        "exp": now + 180,
        **claims,
    }
    if isinstance(claims.get("exp"), int):
        payload["exp"] = now + int(claims["exp"])
    assertion = jwt.encode(payload, org.info["private_key"], algorithm="RS256")
    _, answer = await login(grant_type=GRANT, assertion=assertion)
    assert answer == {"error": "invalid_grant", "error_description": description}


async def test_rotation(org: SimulatedOrg, login: Login, with_token: Callable[[str], Api]) -> None:
    """A rotated refresh token presented again ends its successor and the sessions it opened."""
    await org.control("switches", {"rotate_refresh_tokens": True})
    first = org.info["refresh_token"]
    _, second = await login(grant_type="refresh_token", refresh_token=first)
    _, third = await login(grant_type="refresh_token", refresh_token=second["refresh_token"])
    assert len({first, second["refresh_token"], third["refresh_token"]}) == 3
    assert (await with_token(second["access_token"]).call("GET", "/limits"))[0] == 401
    assert (await with_token(third["access_token"]).call("GET", "/limits"))[0] == 200
    status, answer = await login(grant_type="refresh_token", refresh_token=second["refresh_token"])
    assert (status, answer["error_description"]) == (400, "expired access/refresh token")
    assert (await with_token(third["access_token"]).call("GET", "/limits"))[0] == 401
    assert (await login(grant_type="refresh_token", refresh_token=third["refresh_token"]))[0] == 400


async def test_sliding_lifetime(org: SimulatedOrg, api: Api) -> None:
    """A session lives on as long as it is used, and ends two hours after its last use."""
    for _ in range(3):
        await org.control("clock", {"advance": 90 * 60})
        assert (await api.call("GET", "/limits"))[0] == 200
    await org.control("clock", {"advance": 121 * 60})
    status, _, body = await api.call("GET", "/limits")
    assert (status, body[0]["errorCode"]) == (401, "INVALID_SESSION_ID")


async def test_expiry_on_demand_and_revoke(
    org: SimulatedOrg, api: Api, login: Login, with_token: Callable[[str], Api]
) -> None:
    """Sessions end on demand, and a revoked token is refused by userinfo with 403 and a plain text."""
    assert (await org.control("sessions/expire"))["expired"] == 1
    assert (await api.call("GET", "/limits"))[0] == 401
    _, answer = await login(grant_type="client_credentials")
    fresh = with_token(answer["access_token"])
    info = (await fresh.call("GET", "/services/oauth2/userinfo"))[2]
    assert info["organization_id"] == org.info["org_id"]
    assert (await fresh.call("POST", "/services/oauth2/revoke", data={"token": fresh.token}))[0] == 200
    status, _, text = await fresh.call("GET", "/services/oauth2/userinfo")
    assert (status, text) == (403, "Bad_OAuth_Token")
