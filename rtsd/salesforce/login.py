"""Logins: the four OAuth flows (Salesforce Help, OAuth Authorization Flows), and Salesforce CLI.

simple-salesforce performs the three it supports, in a thread and with rtsd's session; the refresh token flow
uses aiohttp.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiohttp
import jwt
import msgspec
import requests
from simple_salesforce import SalesforceLogin
from simple_salesforce.exceptions import SalesforceAuthenticationFailed

from rtsd.core.ids import full_id
from rtsd.core.instant import Millis, from_http_date
from rtsd.errors import AuthenticationFailed, OrgUnreachable, SalesforceError
from rtsd.salesforce import sf_cli
from rtsd.salesforce.credentials import Auth, Credentials
from rtsd.salesforce.error_mapping import ErrorResponse, parse_error
from rtsd.salesforce.shapes import LoginShape, shaped
from rtsd.salesforce.transport import (
    TargetSession,
    Timeouts,
    in_daemon_thread,
    is_loopback,
    proxy_for,
    tls_context,
    unreachable,
)

_TOKEN_PATH = "/services/oauth2/token"  # noqa: S105  a path
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?")
_PLACEHOLDER = "rtsd-login"
"""The domain passed to simple-salesforce; the session redirects it to the login_url."""


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    """An access token and its instance URL; compares by identity."""

    access_token: str = field(repr=False)
    instance_url: str
    org_id: str = ""
    """The 18-character id of its org; empty if the response did not name it."""


class Login(NamedTuple):
    """The result of a login."""

    token: Token
    refresh_token: str
    """The next refresh token where it rotates, else empty."""
    date: Millis | None = None
    """The `Date` of the response (ms on Salesforce's clock)."""


async def log_in(credentials: Credentials, refresh_token: str, timeouts: Timeouts) -> Login:
    """Request an access token; `refresh_token` is the newest one, as it may rotate.

    Raises AuthenticationFailed with Salesforce's reason, or OrgUnreachable.
    """
    if credentials.auth is Auth.SF:
        return await _through_sf(credentials)
    context = tls_context(credentials.ca_file)
    if credentials.auth is Auth.REFRESH_TOKEN:
        return await _refresh(credentials, refresh_token, context, timeouts)
    return await in_daemon_thread(lambda: _through_simple_salesforce(credentials, context, timeouts))


async def _through_sf(credentials: Credentials) -> Login:
    org = await sf_cli.org(credentials.username)
    org_id = org.id or org.org_id
    instance_url = _safe_instance(
        org.instance_url, "sf", "Log in again with sf: it does not lead to Salesforce."
    )
    return Login(Token(org.access_token or "", instance_url, full_id(org_id) if org_id else ""), "")


async def _refresh(
    credentials: Credentials, refresh_token: str, context: ssl.SSLContext, timeouts: Timeouts
) -> Login:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": credentials.client_id,
    }
    if credentials.client_secret:
        form["client_secret"] = credentials.client_secret
    url = credentials.login_url.rstrip("/") + _TOKEN_PATH
    limits = aiohttp.ClientTimeout(
        total=None, sock_connect=timeouts.connect_s, sock_read=timeouts.first_byte_s
    )
    try:
        async with (
            aiohttp.ClientSession(timeout=limits, connector=aiohttp.TCPConnector(ssl=context)) as http,
            http.post(url, data=form, proxy=proxy_for(url), allow_redirects=False) as response,
        ):
            body = (await response.read()).decode("utf-8", "replace")  # text() fails on unknown charsets
            login = read_login(credentials, response.status, body)
            return login._replace(date=from_http_date(response.headers.get("Date", "")))
    except (aiohttp.ClientError, TimeoutError, OSError) as cause:
        raise unreachable(url, cause).error from cause


def _through_simple_salesforce(
    credentials: Credentials, context: ssl.SSLContext, timeouts: Timeouts
) -> Login:
    def check(response: requests.Response, *_args: Any, **_options: Any) -> None:
        read_login(credentials, response.status_code, response.text)

    with TargetSession(credentials.login_url, context, timeouts) as session:
        # checked here first: simple-salesforce cannot handle web pages and incomplete responses
        session.hooks["response"].append(check)
        try:
            SalesforceLogin(session=session, **_arguments(credentials))
        except requests.RequestException as cause:
            raise unreachable(credentials.login_url, cause).error from cause
        except SalesforceAuthenticationFailed as cause:
            raise AuthenticationFailed(f"The login was not attempted: {cause.auth_message}") from cause
        except (jwt.PyJWTError, ValueError, TypeError) as cause:
            if session.last is None:
                raise _unusable_key(cause) from cause
        except (AttributeError, LookupError):  # what it makes of an odd answer, which is judged below
            if session.last is None:
                raise
        if session.last is None:
            raise AuthenticationFailed("The login was not attempted.")
        login = read_login(credentials, session.last.status_code, session.last.text)
        return login._replace(date=from_http_date(session.last.headers.get("Date", "")))


def _arguments(credentials: Credentials) -> dict[str, Any]:
    """Arguments for SalesforceLogin, which infers the flow from them."""
    common = {"consumer_key": credentials.client_id, "domain": _PLACEHOLDER}
    match credentials.auth:
        case Auth.JWT:
            return common | {
                "username": credentials.username,
                "privatekey": credentials.private_key,
                "domain": credentials.audience,  # becomes the claim `aud`
                "instance_url": _PLACEHOLDER,
            }
        case Auth.PASSWORD:
            return common | {
                "consumer_secret": credentials.client_secret,
                "username": credentials.username,
                "password": credentials.password,
            }
        case _:
            return common | {"consumer_secret": credentials.client_secret}


def _unusable_key(cause: Exception) -> AuthenticationFailed:
    return AuthenticationFailed(
        f"The private key cannot be used: {str(cause).splitlines()[0][:120]}",
        "Set org.private_key_file to the PEM file of the RSA key that belongs to the app's certificate.",
    )


def read_login(credentials: Credentials, status: int, body: str) -> Login:
    """Parse the token endpoint's response. Raises AuthenticationFailed or OrgUnreachable."""
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise _not_json(credentials, status, body) from None
    if status >= 500 or status in (420, 429):
        raise OrgUnreachable(f"The login host answered {status}.", status=status)
    if status != 200 or not isinstance(data, dict) or not data.get("access_token"):
        raise _refusal(status, parse_error(body), credentials)
    told = shaped(data, LoginShape, what="the login")
    url = told.instance_url or credentials.login_url
    instance_url = _safe_instance(
        url, "The login host", "Check org.login_url: it does not lead to Salesforce."
    )
    token = Token(told.access_token, instance_url, _org_of(told.id or ""))
    return Login(token, told.refresh_token or "")


def _safe_instance(url: str, who: str, do: str) -> str:
    """Return the org's address without its trailing slash. Raises AuthenticationFailed if it is not https."""
    instance_url = url.rstrip("/")
    if _ORIGIN.fullmatch(instance_url) and (instance_url.startswith("https://") or is_loopback(instance_url)):
        return instance_url
    raise AuthenticationFailed(f"{who} names {instance_url} as the org's address, which is not https.", do)


def _org_of(identity: str) -> str:
    """The org in an identity URL, `https://…/id/<org>/<user>` (Salesforce Help, Identity URLs)."""
    found = re.search(r"/id/(00D\w{12}(?:\w{3})?)/", identity)
    return full_id(found[1]) if found else ""


def _not_json(credentials: Credentials, status: int, body: str) -> SalesforceError:
    if status >= 500 or status in (420, 429):
        title = parse_error(body).message
        return OrgUnreachable(
            f"The login host answered {status}" + (f" ({title})." if title else "."), status=status
        )
    return AuthenticationFailed(
        f"{credentials.login_url} answered {status} with a response that is not Salesforce's.",
        "Check org.login_url.",
        status=status,
    )


# error, a part of error_description, advice
_ADVICE = (
    ("invalid_grant", "expired access/refresh token", "Authorise again and store the new refresh token."),
    ("invalid_grant", "token validity expired", "Authorise again and store the new refresh token."),
    (
        "invalid_grant",
        "hasn't approved",
        "Pre-authorise the sync user: app policy 'Admin approved users' and one of its permission sets.",
    ),
    (
        "invalid_grant",
        "audience",
        "The token is for another kind of org: set org.login_url to the My Domain of this sandbox or org.",
    ),
    ("invalid_grant", "expired authorization code", "Correct the clock of this machine (NTP)."),
    ("invalid_grant", "not supported on this domain", "Set org.login_url to the org's My Domain."),
    ("invalid_grant", "locked", "Unlock the sync user in Salesforce Setup."),
    ("invalid_grant", "ip restricted", "Allow this machine's address in the app's or profile's IP ranges."),
    (
        "invalid_grant",
        "",
        "Check org.username and the secrets; the org may also block the flow, the user or this address.",
    ),
    ("invalid_client_credentials", "", "Check the secret in org.client_secret."),
    ("invalid_client", "", "Check org.client_id and org.client_secret."),
    ("invalid_client_id", "", "Check org.client_id (the consumer key)."),
    ("inactive_user", "", "Activate the sync user in Salesforce Setup."),
    ("inactive_org", "", "The org is locked, closed or under maintenance: see Salesforce Trust."),
    (
        "unsupported_grant_type",
        "",
        "Allow this OAuth flow in the app's settings, or choose another org.auth.",
    ),
    (
        "invalid_request",
        "not supported on this domain",
        "Set org.login_url to the org's My Domain: this flow is refused on login.salesforce.com.",
    ),
    ("rate_limit_exceeded", "", "Too many logins for this user; rtsd waits and retries."),
    ("", "", "Check the keys of [org] in the configuration."),
)


def _refusal(status: int, response: ErrorResponse, credentials: Credentials) -> AuthenticationFailed:
    description = response.message.lower()
    do = next(do for code, part, do in _ADVICE if code in ("", response.code) and part in description)
    detail = ": ".join(part for part in (response.code, response.message) if part)
    return AuthenticationFailed(
        f"Salesforce refused the login ({credentials.auth}): {detail or f'status {status}, no reason'}.",
        do,
        status=status,
        reason=response.code,
    )
