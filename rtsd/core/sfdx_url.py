"""SFDX authorization URLs, which hold all that a login needs.

`force://<clientId>:<clientSecret>:<refreshToken>@<instanceUrl>`, the instance without a protocol. A file of
it has the URL alone, or JSON with `sfdxAuthUrl`, at the top or in `result` as `sf org auth show-sfdx-auth-url
--json` prints it (Salesforce CLI reference, org login sfdx-url; which characters: @salesforce/core,
AuthInfo.parseSfdxAuthUrl). The CLI's own app, PlatformCLI, has no secret.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_URL = re.compile(
    r"force://(?P<client>[\w.-]+={0,2}):(?P<secret>[\w.-]*={0,2}):(?P<token>[\w.-]+={0,2})@(?P<host>[\w.:-]+)",
    re.ASCII,
)
_ALLOWED = (
    "force://<clientId>:<clientSecret>:<refreshToken>@<host>, as `sf org auth show-sfdx-auth-url` shows it"
)


@dataclass(frozen=True, slots=True)
class SfdxUrl:
    """The parts of a URL."""

    client_id: str
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)
    host: str
    """With a port if it has one."""

    @property
    def login_url(self) -> str:
        """The address of the token endpoint: always https, but on this machine, where a simulated org is."""
        here = urlsplit(f"//{self.host}").hostname in ("127.0.0.1", "localhost")
        return f"{'http' if here else 'https'}://{self.host}"

    def with_token(self, refresh_token: str) -> str:
        """Return the URL with a rotated token."""
        return f"force://{self.client_id}:{self.client_secret}:{refresh_token}@{self.host}"


def parse(text: str) -> SfdxUrl:
    """Parse a URL, or a file's text. Raises ValueError, worded `what is wrong; what is allowed`."""
    found = _URL.fullmatch(_url_in(text.strip()))
    if found is None:
        raise ValueError(f"is not an SFDX authorization URL; {_ALLOWED}")
    return SfdxUrl(found["client"], found["secret"], found["token"], found["host"])


def _url_in(text: str) -> str:
    if not text.startswith("{"):
        return text
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    result = document.get("result")
    url = document.get("sfdxAuthUrl") or (result.get("sfdxAuthUrl") if isinstance(result, dict) else "")
    return url if isinstance(url, str) else ""
