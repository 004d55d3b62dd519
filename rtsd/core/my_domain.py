"""The address of an org, as people have it at hand, as the URL of its My Domain.

`acme.my.salesforce.com`, of a sandbox `acme--dev.sandbox.my.salesforce.com`; the same host names the org in
Lightning (`….lightning.force.com`) and in Setup (`….my.salesforce-setup.com`) (Salesforce Help, My Domain URL
Formats).
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_SUFFIX = ".my.salesforce.com"
_OTHERS = (".lightning.force.com", ".my.salesforce-setup.com", ".my.site.com", ".file.force.com")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*(\.(sandbox|scratch|develop|demo|trailblaze|patch))?", re.IGNORECASE)
SHARED = frozenset({"login.salesforce.com", "test.salesforce.com"})
"""Hosts that serve every org, and refuse the client credentials flow."""


def login_url(text: str) -> str:
    """Return the https URL of an address, a copied page, or a bare name; another URL as it is.

    Raises ValueError, worded `what is wrong; what is allowed`.
    """
    text = text.strip()
    parts = urlsplit(text if "://" in text else f"https://{text}")
    host = (parts.hostname or "").lower()
    if _NAME.fullmatch(text):
        host += _SUFFIX
    for other in _OTHERS:
        host = host.removesuffix(other) + _SUFFIX if host.endswith(other) else host
    if host in SHARED:
        raise ValueError(f"{host} is every org's; your own, such as acme.my.salesforce.com")
    if host.endswith((".salesforce.com", ".salesforce.mil", ".sfcrmproducts.cn")):
        return f"https://{host}"
    return f"{parts.scheme}://{parts.netloc}"
