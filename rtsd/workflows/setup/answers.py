"""What `rtsd init` asks, as a document of the configuration, and as the text of rtsd.toml."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtsd.config.engine import is_url

SF_SECRET, PUSH_TOKEN, STORE_PASSWORD = "sf-secret", "push-token", "postgres-password"
SECRET_OF = {"client_credentials": "client_secret", "jwt": "private_key", "sfdx_url": "sfdx_url"}
"""The secret of each way to log in. One file name for all: the service's unit loads it."""
LOGINS = (*SECRET_OF, "sf")
CHANNELS = ("stream", "gateway", "cdc", "none")
PACKAGED = ("stream", "gateway")
"""Channels that the package pushes by."""
DEFAULT_LISTEN = "127.0.0.1:8787"

Document = dict[str, Any]


@dataclass
class Answers:
    """The answers so far; empty where nothing was answered."""

    login_url: str = ""
    auth: str = ""
    client_id: str = ""
    username: str = ""
    secret: str = ""
    """What `SECRET_OF` names."""
    api_version: str = ""
    """Only where the org lacks the default one."""
    objects: tuple[str, ...] = ()
    channel: str = ""
    public_url: str = ""
    listen: str = DEFAULT_LISTEN
    endpoint: str = ""
    """Of the Pub/Sub API, if it is another than the default."""
    push_token: str = ""
    """Also where nothing is pushed, if a service loads it."""
    store: str = ""
    store_password: str = ""
    socket: Path | None = None

    @property
    def is_pushed(self) -> bool:
        """Whether the package pushes."""
        return self.channel in PACKAGED

    def secrets(self) -> dict[str, str]:
        """Return the secrets by the names of their files."""
        named = {SF_SECRET: self.secret, PUSH_TOKEN: self.push_token, STORE_PASSWORD: self.store_password}
        return {name: text for name, text in named.items() if text}

    def document(self, *, in_files: bool) -> Document:
        """Return the configuration's document, with the names of secret files or with the secrets themselves.

        Until the objects are answered, any one stands for them.
        """

        def secret(key: str, file: str, text: str) -> Document:
            return ({f"{key}_file": file} if in_files else {key: text}) if text else {}

        org = {"login_url": "" if self.auth in ("sf", "sfdx_url") else self.login_url, "auth": self.auth}
        org |= {"client_id": self.client_id, "username": self.username, "api_version": self.api_version}
        push = {"channel": "" if self.channel == "none" else self.channel, "endpoint": self.endpoint}
        token = secret("token", PUSH_TOKEN, self.push_token)
        store = {"url": self.store} if is_url(self.store) else {"path": self.store}
        found: Document = {
            "org": {**_given(org), **secret(SECRET_OF.get(self.auth, ""), SF_SECRET, self.secret)},
            "gateway": {"listen": ""},
            "push": {**_given(push), "channel": push["channel"]},
            "store": {**_given(store), **secret("password", STORE_PASSWORD, self.store_password)},
            "objects": [{"name": name} for name in self.objects or ("Account",)],
        }
        if self.channel == "gateway":
            found["gateway"] = {"listen": self.listen, "public_url": self.public_url, **token}
        if self.channel == "stream":
            found["push"] |= {"sealed": True, **token}
        if self.socket is not None:
            found["control"] = {"socket": str(self.socket)}
        return found


_COMMENTS = {
    "org": "The org, and how rtsd logs in.",
    "gateway": "Where the package's pushes arrive. Without a gateway no port is open.",
    "push": "The channel that brings the changes.",
    "store": "The mirror.",
    "control": "What the verbs and rtstui connect to.",
    "objects": "One [[objects]] per mirrored object: every field, every row.",
}


def toml(document: Document) -> str:
    """Return a document as the text of rtsd.toml."""
    return "\n".join(_lines(document))


def _lines(document: Document) -> Iterator[str]:
    yield "# Written by `rtsd init`. docs/configuration.md has every key; `rtsd check` tests a change."
    for name, table in document.items():
        yield f"\n# {_COMMENTS[name]}"
        many = isinstance(table, list)
        for entry in table if many else [table]:
            yield f"[[{name}]]" if many else f"[{name}]"
            for key, value in entry.items():
                yield f"{key} = {json.dumps(value, ensure_ascii=False)}"


def _given(table: Document) -> Document:
    return {key: value for key, value in table.items() if value}
