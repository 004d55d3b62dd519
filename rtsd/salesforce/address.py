"""Whether an address is a Salesforce org's, before anybody logs in.

`GET /services/data/` lists the API versions without a login, and costs no API call (REST API guide,
Versions). Hosts that require a login for it, or only serve logins, answer a token request without a grant as
OAuth has it: 400 with `error` (Salesforce Help, OAuth 2.0 Authorization Errors).
"""

from __future__ import annotations

import aiohttp
import msgspec

from rtsd.errors import OrgUnreachable
from rtsd.salesforce.transport import proxy_for, tls_context, unreachable

_TIMEOUT_S = 15.0
_REDIRECTS = (301, 302, 303, 307, 308)


class _Version(msgspec.Struct):
    version: str
    url: str


class _Refusal(msgspec.Struct):
    error: str


async def api_versions(login_url: str, ca_file: str = "") -> list[str]:
    """Return the API versions that a host serves, oldest first; none if it only serves logins.

    Raises OrgUnreachable where nobody answers, and where somebody else than Salesforce does.
    """
    base = login_url.rstrip("/")
    limits = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    connector = aiohttp.TCPConnector(ssl=tls_context(ca_file))
    try:
        async with aiohttp.ClientSession(timeout=limits, connector=connector) as http:
            status, body = await _asked(http, "GET", f"{base}/services/data/", login_url)
            try:
                return [found.version for found in msgspec.json.decode(body, type=list[_Version])]
            except (msgspec.MsgspecError, UnicodeDecodeError):
                _, body = await _asked(http, "POST", f"{base}/services/oauth2/token", login_url)
    except (aiohttp.ClientError, TimeoutError, OSError) as cause:
        raise unreachable(base, cause).error from cause
    try:
        msgspec.json.decode(body, type=_Refusal)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise OrgUnreachable(
            f"{login_url} answers, but is not a Salesforce org (status {status}).",
            "Give the org's My Domain: Setup, My Domain, Current My Domain URL.",
        ) from None
    return []


async def _asked(http: aiohttp.ClientSession, method: str, url: str, login_url: str) -> tuple[int, bytes]:
    """Return status and body. Raises OrgUnreachable for a host that leads on to another."""
    async with http.request(method, url, proxy=proxy_for(url), allow_redirects=False) as response:
        if response.status in _REDIRECTS:
            led_to = response.headers.get("Location", "")[:200]
            raise OrgUnreachable(f"{login_url} leads on to {led_to}.", "Give the address that it leads to.")
        return response.status, await response.read()
