"""The credentials of [org] for `rtsd.salesforce`, and the replacement of secret files.

Not imported by `rtsd.config` itself, as most users of a configuration do not log in.
"""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

from rtsd.config.model import Org
from rtsd.config.secrets import Secret
from rtsd.core import sfdx_url
from rtsd.salesforce.credentials import Auth, Credentials


def credentials(org: Org) -> Credentials:
    """Return the credentials of `[org]`, which write a rotated refresh token back to its file."""
    url = sfdx_url.parse(org.sfdx_url.reveal()) if org.auth == "sfdx_url" and org.sfdx_url else None

    async def save(token: str) -> None:
        if org.refresh_token_path is not None:
            text = token if url is None else url.with_token(token)
            await asyncio.to_thread(replace_secret, org.refresh_token_path, text)

    if url is not None:
        return Credentials(
            auth=Auth.REFRESH_TOKEN,
            login_url=url.login_url,
            client_id=url.client_id,
            client_secret=url.client_secret,
            refresh_token=url.refresh_token,
            save_refresh_token=save,
            ca_file=str(org.ca_file or ""),
        )
    return Credentials(
        auth=Auth(org.auth),
        login_url=org.login_url,
        client_id=org.client_id,
        client_secret=_reveal(org.client_secret),
        username=org.username,
        password=_reveal(org.password) + _reveal(org.security_token),
        private_key=_reveal(org.private_key),
        refresh_token=_reveal(org.refresh_token),
        save_refresh_token=save,
        ca_file=str(org.ca_file or ""),
    )


def replace_secret(path: Path, text: str) -> None:
    """Replace a secret file atomically: after a crash it contains the old text or the new one.

    Keeps owner, group and the group's read permission, as an administrator may replace the daemon's file.
    """
    beside = path.with_name(f".{path.name}.new")
    before = path.stat() if path.exists() else None
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as file:  # noqa: PTH123 - a descriptor, never readable by others
        if before is not None and (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(descriptor, before.st_uid, before.st_gid)
        os.fchmod(descriptor, 0o640 if before is not None and _is_of_a_group(before) else 0o600)
        file.write(text + "\n")
        file.flush()
        os.fsync(descriptor)
    beside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # makes the rename durable
    finally:
        os.close(directory)


def _is_of_a_group(file: os.stat_result) -> bool:
    """Whether a secret is readable by its group but not by others."""
    return bool(file.st_mode & stat.S_IRGRP) and not file.st_mode & stat.S_IRWXO


def _reveal(secret: Secret | None) -> str:
    return secret.reveal() if secret is not None else ""
