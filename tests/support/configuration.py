"""A configuration that works, to be spoiled one way at a time."""

from __future__ import annotations

from collections.abc import Callable

from rtsd import config

MINIMAL = """
[org]
login_url = "https://acme.my.salesforce.com"
client_id = "app"
client_secret = "s3cr3t-value"
[gateway]
token = "push-token-value"
[[objects]]
name = "Contact"
"""

Load = Callable[..., config.Config]
"""The fixture `load`: write a text as rtsd.toml and load it."""
Mistakes = Callable[..., tuple[str, ...]]
"""The fixture `mistakes`: load what must be refused."""
