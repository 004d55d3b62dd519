"""From [org] to what `rtsd.salesforce` logs in with, and a rotated refresh token back into its file.

Not loaded with `rtsd.config` itself: most who read a configuration do not log in.
"""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

from rtsd.config.model import Org
from rtsd.config.secrets import Secret
from rtsd.salesforce.credentials import Auth, Credentials


def credentials(org: Org) -> Credentials:
    """Return the credentials of `[org]`; a rotated refresh token is written back where it came from."""

    async def save(token: str) -> None:
        if org.refresh_token_path is not None:
            await asyncio.to_thread(replace_secret, org.refresh_token_path, token)

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
    """Replace a secret's file: after a crash it holds the old text or the new one, never half of it.

    Owner and group stay, and whether the group may read it: an administrator replaces what the daemon reads.
    """
    beside = path.with_name(f".{path.name}.new")
    before = path.stat() if path.exists() else None
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as file:  # noqa: PTH123 - a descriptor that was never readable by others
        if before is not None and (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(descriptor, before.st_uid, before.st_gid)
        os.fchmod(descriptor, 0o640 if before is not None and _is_of_a_group(before) else 0o600)
        file.write(text + "\n")
        file.flush()
        os.fsync(descriptor)
    beside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # the rename itself must survive too
    finally:
        os.close(directory)


def _is_of_a_group(file: os.stat_result) -> bool:
    """Whether a secret is meant for a group, and not merely open to everybody."""
    return bool(file.st_mode & stat.S_IRGRP) and not file.st_mode & stat.S_IRWXO


def _reveal(secret: Secret | None) -> str:
    return secret.reveal() if secret is not None else ""
