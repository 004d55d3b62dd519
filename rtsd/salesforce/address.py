"""Whether an address is a Salesforce org's, before anybody logs in.

`GET /services/data/` lists the API versions without a login, and costs no API call (REST API guide,
Versions). An org that requires a login for it answers in the form of Salesforce's errors.
"""

from __future__ import annotations

import aiohttp
import msgspec

from rtsd.errors import OrgUnreachable
from rtsd.salesforce.error_mapping import parse_error
from rtsd.salesforce.transport import proxy_for, tls_context, unreachable

_TIMEOUT_S = 15.0


class _Version(msgspec.Struct):
    version: str
    url: str


async def api_versions(login_url: str, ca_file: str = "") -> list[str]:
    """Return the API versions that a host serves, oldest first; none if it shows them after a login only.

    Raises OrgUnreachable where nobody answers, and where somebody else than Salesforce does.
    """
    url = f"{login_url.rstrip('/')}/services/data/"
    limits = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(
                timeout=limits, connector=aiohttp.TCPConnector(ssl=tls_context(ca_file))
            ) as http,
            http.get(url, proxy=proxy_for(url), allow_redirects=False) as response,
        ):
            status, body = response.status, (await response.read()).decode("utf-8", "replace")
            led_to = response.headers.get("Location", "")
    except (aiohttp.ClientError, TimeoutError, OSError) as cause:
        raise unreachable(url, cause).error from cause
    if status in (301, 302, 303, 307, 308):
        raise OrgUnreachable(f"{login_url} leads on to {led_to[:200]}.", "Give the address that it leads to.")
    try:
        return [found.version for found in msgspec.json.decode(body, type=list[_Version])]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        if status in (401, 403) and parse_error(body).code:
            return []
    raise OrgUnreachable(
        f"{login_url} answers, but is not a Salesforce org (status {status}).",
        "Give the org's My Domain: Setup, My Domain, Current My Domain URL.",
    )
