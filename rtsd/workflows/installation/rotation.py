"""Another push token, without a moment in which a push is refused.

1. `begin`: a second token is added to the token file, and a running daemon takes it up: both are accepted.
2. The org's setting is switched to it. Pushes that wait for a retry are signed anew when they are sent, and
   those under way with the old token are still accepted.
3. `finish`, a day later or more: every token but the org's is dropped from the file, and by the daemon.

Each step may be done again: what was done already is left as it is.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from rtsd import logs
from rtsd.config import Config
from rtsd.config.credentials import replace_secret
from rtsd.control.client import ControlClient
from rtsd.core.instant import Millis, to_minute
from rtsd.core.signature import key_id
from rtsd.errors import ConfigError, Conflict, RtsError
from rtsd.salesforce import package
from rtsd.salesforce.client import Client
from rtsd.workflows.installation.plan import Plan

KEPT_MS: Millis = 24 * 3_600_000
"""So long the old token is accepted at least: retries of the package may take hours."""
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did; tokens by their ids."""

    token_id: str
    """The one that the org signs with now."""
    dropped: list[str]
    daemon: bool
    """Whether a running daemon has taken it up; one that starts later reads the file."""
    finish_after: str | None
    """When the old token may be dropped; None when there is none any more."""


async def begin(client: Client, plan: Plan, config: Config, now: Millis) -> Rotated:
    """Add a token and have the org sign with it.

    Raises Conflict while an earlier rotation is not finished, and where the daemon did not take it up.
    """
    path = _token_file(config)
    row = await package.org_settings(client, plan.org.id, with_token=True)
    tokens = list(plan.tokens)
    if row is None or row.token not in tokens:
        raise Conflict(
            "The org does not sign with a token of the token file.", "`rtsd package deploy` puts that right."
        )
    if row.token != tokens[0] and len(tokens) > 1:
        raise Conflict(
            f"A rotation is under way: {len(tokens)} tokens are accepted, and the org signs with a new one.",
            f"`rtsd package rotate-token --finish` ends it, from {_finish_after(path)} on.",
        )
    if len(tokens) == 1:  # else an earlier try came to here, and is taken up
        tokens.append(secrets.token_urlsafe(_TOKEN_BYTES))
        logs.conceal(tokens)
        replace_secret(path, "\n".join(tokens))
    new = tokens[-1]
    daemon = await _take_up(config, new)
    await package.write_settings(client, plan.org.id, {"Token__c": new}, row)
    return Rotated(key_id(new.encode()), [], daemon, to_minute(now + KEPT_MS))


async def finish(client: Client, plan: Plan, config: Config, now: Millis) -> Rotated:
    """Drop every token but the one that the org signs with; without another there is nothing to do.

    Raises Conflict within a day of the last change of the token file.
    """
    path = _token_file(config)
    row = await package.org_settings(client, plan.org.id, with_token=True)
    tokens = list(plan.tokens)
    if row is None or row.token is None or row.token not in tokens:
        raise Conflict(
            "The org does not sign with a token of the token file.", "`rtsd package deploy` puts that right."
        )
    dropped = [token for token in tokens if token != row.token]
    if dropped:
        if now - _changed_at(path) < KEPT_MS:
            raise Conflict(
                "The old token was replaced less than a day ago: pushes signed with it may be on their way.",
                f"Finish from {_finish_after(path)} on.",
            )
        replace_secret(path, row.token)
    daemon = await _take_up(config, row.token, dropped)
    return Rotated(key_id(row.token.encode()), [key_id(one.encode()) for one in dropped], daemon, None)


def _token_file(config: Config) -> Path:
    """Where tokens are written. Raises ConfigError where they cannot be."""
    path = config.gateway.token_path
    if path is None:
        raise ConfigError(
            "The push token stands in the configuration itself, so it cannot be rotated.",
            "Give it as token_file in [gateway].",
        )
    return path


async def _take_up(config: Config, token: str, dropped: Collection[str] = ()) -> bool:
    """Have a running daemon read its tokens again; False where none runs.

    Raises Conflict where one runs that does not accept the token now, or still one that was dropped.
    """
    if not _listens(config.control.socket):
        return False
    try:
        async with ControlClient(config.control.socket) as client:
            accepted = (await client.reload()).token_ids
    except RtsError as error:
        raise Conflict(
            f"The daemon did not take the token up: {error.message}",
            "The org was not switched, so nothing is refused. Put that right, and do the same again.",
        ) from error
    if key_id(token.encode()) not in accepted:
        raise Conflict(
            "The daemon does not accept the new token: it reads another file, or a systemd credential.",
            "The org was not switched. Restart rtsd, which renews credentials, and do the same again.",
        )
    if any(key_id(one.encode()) in accepted for one in dropped):
        raise Conflict(
            "The file is right, but the daemon still accepts the old token: it reads a systemd credential.",
            "Restart rtsd, which renews credentials.",
        )
    return True


def _listens(path: Path) -> bool:
    """Whether somebody listens on a socket; one that this user may not use counts."""
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


def _finish_after(path: Path) -> str:
    return to_minute(_changed_at(path) + KEPT_MS)
