"""Rotation of the push token without rejecting a push.

1. `begin` adds a second token to the token file and has a running daemon reload it: both are accepted.
2. It then writes the new token to the org's settings. Pushes waiting for a retry are signed when they are
   sent; pushes in flight with the old token are still accepted.
3. `finish`, a day later or more (with the stream four days), removes every token but the org's from the file
   and the daemon.

Each step is idempotent.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from rtsd import logs
from rtsd.config import Config
from rtsd.config.credentials import replace_secret
from rtsd.control.client import ControlClient
from rtsd.core.instant import DAY_MS, Millis, to_minute
from rtsd.core.signature import key_id
from rtsd.errors import ConfigError, Conflict, RtsError
from rtsd.machine import random_token
from rtsd.salesforce import package
from rtsd.salesforce.client import Client
from rtsd.workflows.installation.plan import Plan

OVERLAP_MS: Millis = DAY_MS
"""The minimum time both tokens are accepted, as the package's retries may take hours."""
STREAM_OVERLAP_MS: Millis = 4 * DAY_MS
"""The same for the stream, whose events may be read after 72 hours."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """The result of a rotation; tokens by id."""

    token_id: str
    """The token that the org now signs with."""
    dropped: list[str]
    daemon: bool
    """True if a running daemon has reloaded its tokens; one that starts later reads the file."""
    finish_after: str | None
    """The time from which the old token may be dropped; None if there is none."""


async def begin(client: Client, plan: Plan, config: Config, now: Millis) -> Rotated:
    """Add a token and have the org sign with it.

    Raises Conflict if an earlier rotation is unfinished, or if the daemon does not accept the new token.
    """
    path = _token_file(config)
    row = await package.org_settings(client, plan.org.id, with_token=True)
    tokens = list(plan.tokens)
    if row is None or row.token not in tokens:
        raise _foreign_token()
    if row.token != tokens[0] and len(tokens) > 1:
        raise Conflict(
            f"A rotation is in progress: {len(tokens)} tokens are accepted, the org signs with the newer.",
            f"Run `rtsd package rotate-token --finish` from {_finish_after(path, plan)} on.",
        )
    if len(tokens) == 1:  # otherwise an earlier run was interrupted here, and is continued
        tokens.append(random_token())
        logs.conceal(tokens)
        replace_secret(path, "\n".join(tokens))
    new = tokens[-1]
    daemon = await _reload_daemon(config, new)
    await package.write_settings(client, plan.org.id, {"Token__c": new}, row)
    return Rotated(key_id(new.encode()), [], daemon, to_minute(now + _overlap(plan)))


async def finish(client: Client, plan: Plan, config: Config, now: Millis) -> Rotated:
    """Drop all tokens but the one that the org signs with, if there are others.

    Raises Conflict within a day of the last change of the token file, four days for the stream.
    """
    path = _token_file(config)
    row = await package.org_settings(client, plan.org.id, with_token=True)
    tokens = list(plan.tokens)
    if row is None or row.token is None or row.token not in tokens:
        raise _foreign_token()
    dropped = [token for token in tokens if token != row.token]
    if dropped:
        if now - _changed_at(path) < _overlap(plan):
            raise Conflict(
                f"The old token was replaced less than {'four days' if plan.is_stream else 'a day'} ago;"
                " pushes signed with it may still arrive.",
                f"Run it again from {_finish_after(path, plan)} on.",
            )
        replace_secret(path, row.token)
    daemon = await _reload_daemon(config, row.token, dropped)
    return Rotated(key_id(row.token.encode()), [key_id(token.encode()) for token in dropped], daemon, None)


def _foreign_token() -> Conflict:
    return Conflict("The org does not sign with a token of the token file.", "Run `rtsd package deploy`.")


def _token_file(config: Config) -> Path:
    """Return the path of the token file. Raises ConfigError without one."""
    path = config.package_token_path
    if path is None:
        raise ConfigError(
            "The push token is part of the configuration file, so it cannot be rotated.",
            "Move it to a file and set token_file in [gateway] or [push].",
        )
    return path


async def _reload_daemon(config: Config, token: str, dropped: Collection[str] = ()) -> bool:
    """Have a running daemon reload its tokens; False if none is running.

    Raises Conflict if the daemon then does not accept `token`, or still accepts a dropped one.
    """
    if not _listens(config.control.socket):
        return False
    try:
        async with ControlClient(config.control.socket) as client:
            accepted = (await client.reload()).token_ids
    except RtsError as error:
        raise Conflict(
            f"The daemon did not reload its tokens: {error.message}",
            "The org still signs with the old token, so no push is rejected. Correct the problem and repeat.",
        ) from error
    if key_id(token.encode()) not in accepted:
        raise Conflict(
            "The daemon does not accept the new token: it reads another file, or a systemd credential.",
            "The org still signs with the old token. Restart rtsd, which renews credentials, and repeat.",
        )
    if any(key_id(old.encode()) in accepted for old in dropped):
        raise Conflict(
            "The file is correct, but the daemon still accepts the old token: it reads a systemd credential.",
            "Restart rtsd, which renews credentials.",
        )
    return True


def _listens(path: Path) -> bool:
    """Return whether a process listens on a socket, even one that this user may not use."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:
            return True
    return True


def _changed_at(path: Path) -> Millis:
    return path.stat().st_mtime_ns // 1_000_000


def _overlap(plan: Plan) -> Millis:
    return STREAM_OVERLAP_MS if plan.is_stream else OVERLAP_MS


def _finish_after(path: Path, plan: Plan) -> str:
    return to_minute(_changed_at(path) + _overlap(plan))
