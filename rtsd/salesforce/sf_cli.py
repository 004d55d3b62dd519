"""The login of Salesforce CLI (`sf`): the access token of an org that its user has logged in to.

`sf org display --target-org X --json` has `result` with `instanceUrl`, `username`, `id` and `accessToken`.
Since CLI 2.136.8 (May 2026) the token is `[REDACTED] …` there, and `sf org auth show-access-token` with the
same options has it, without a prompt (forcedotcom/cli#3560; Salesforce DX guide, View Org Authentication
Secrets). Both refresh an expired token first, where the CLI has a refresh token or a key; if that fails, they
print the stale one with a warning (plugin-org, `refreshAuth`). A failure is JSON with `name` and `message`,
and an exit status other than 0.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from rtsd.errors import AuthenticationFailed

T = TypeVar("T")

TIMEOUT_S = 60.0
"""For one command, which takes seconds; a refresh of the token is part of it."""
_REDACTED = "[REDACTED]"


class Org(msgspec.Struct, rename="camel"):
    """An org that the CLI knows."""

    username: str = ""
    instance_url: str = ""
    access_token: str | None = None
    id: str = ""
    org_id: str = ""
    alias: str = ""


class _Answer(msgspec.Struct):
    name: str = ""
    message: str = ""
    result: Any = None


async def org(target: str, timeout_s: float = TIMEOUT_S) -> Org:
    """Return the org of a username or an alias, with an access token. Raises AuthenticationFailed."""
    shown = _converted(await _run(target, "org", "display", "--target-org", target, timeout_s=timeout_s), Org)
    if not shown.access_token or shown.access_token.startswith(_REDACTED):
        words = ("org", "auth", "show-access-token", "--target-org", target)
        revealed = _converted(await _run(target, *words, timeout_s=timeout_s), Org)
        shown.access_token = revealed.access_token
    if not shown.access_token or not shown.instance_url:
        raise AuthenticationFailed(f"sf has no access token for {target}.", log_in_again(target))
    return shown


async def known_orgs(timeout_s: float = TIMEOUT_S) -> list[Org]:
    """Return the orgs that the CLI has logged in to, from its files alone. Raises AuthenticationFailed."""
    return _converted(await _run("", "org", "list", "auth", timeout_s=timeout_s), list[Org])


def is_installed() -> bool:
    """Return whether there is an `sf` on PATH."""
    return shutil.which("sf") is not None


def log_in_again(target: str) -> str:
    """Return what to do where the CLI's login is missing or has ended."""
    alias = f" --alias {target}" if target and "@" not in target else ""
    return f"Run: sf org login web{alias}"


async def _run(target: str, *words: str, timeout_s: float) -> Any:
    """Run the CLI and return the `result` of its JSON."""
    program = shutil.which("sf")
    if program is None:
        raise AuthenticationFailed(
            "Salesforce CLI is not installed: there is no sf on PATH.",
            "Install it (npm install --global @salesforce/cli), or choose another org.auth. A systemd service"
            " cannot use it.",
        )
    command = " ".join(("sf", *words))
    try:
        status, out = await _output(program, *words, "--json", timeout_s=timeout_s)
    except TimeoutError:
        raise AuthenticationFailed(
            f"`{command}` did not end within {timeout_s:g} s.", "Run it by hand to see what it waits for."
        ) from None
    except OSError as error:
        raise AuthenticationFailed(
            f"{program} cannot be started: {error.strerror}.", "Repair the installation of Salesforce CLI."
        ) from error
    try:
        answer = msgspec.json.decode(out, type=_Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise AuthenticationFailed(
            f"`{command}` ended with status {status}, without the JSON of Salesforce CLI.",
            "Update it (sf update), and run the command by hand.",
        ) from None
    if status == 0:
        return answer.result
    if answer.name == "NamedOrgNotFoundError":
        raise AuthenticationFailed(f"sf is not logged in to {target}.", log_in_again(target))
    reason = " ".join(answer.message.split())[:200] or f"status {status}"
    raise AuthenticationFailed(f"`{command}` failed: {reason}", log_in_again(target))


async def _output(program: str, *words: str, timeout_s: float) -> tuple[int, bytes]:
    """Return status and stdout; what takes too long is killed with its child processes."""
    process = await asyncio.create_subprocess_exec(
        program,
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "FORCE_COLOR": "0", "SF_SKIP_NEW_VERSION_CHECK": "true"},
        start_new_session=True,  # a separate process group, to be killed as a whole
    )
    try:
        async with asyncio.timeout(timeout_s):
            out, _ = await process.communicate()
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    return process.returncode or 0, out


def _converted(result: Any, shape: type[T]) -> T:
    try:
        return msgspec.convert(result, shape)
    except msgspec.ValidationError as error:
        raise AuthenticationFailed(
            f"Salesforce CLI answered in another form than documented: {error}.", "Update it: sf update"
        ) from None
