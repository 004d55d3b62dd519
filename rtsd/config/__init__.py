"""The configuration: loads, validates and returns it as frozen values.

::

    load(path)   reads the file and its secret files; raises one ConfigError for all mistakes
    parse(raw)   the same for a document that is not a file yet
    find()       the path of the file
    model        the values, one class per table    values       parsers of single values
    secrets      Secret, and secret files           mistakes     the wording of mistakes
    consistency  rules across several keys          credentials  the org's credentials

The only environment variables that matter are `$RTSD_CONFIG` and `$CREDENTIALS_DIRECTORY`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rtsd.config import consistency
from rtsd.config.mistakes import Mistakes
from rtsd.config.model import (
    AlertSection,
    Command,
    Config,
    Control,
    DailyCaps,
    Gateway,
    ObjectSection,
    Org,
    Quota,
    RuleSection,
    Store,
    Sync,
    Webhook,
)
from rtsd.config.secrets import Secret, SecretFiles, check_private, take_secrets
from rtsd.config.values import Listen
from rtsd.core.plural import plural
from rtsd.errors import ConfigError

__all__ = [
    "AlertSection",
    "Command",
    "Config",
    "Control",
    "DailyCaps",
    "Gateway",
    "Listen",
    "ObjectSection",
    "Org",
    "Quota",
    "RuleSection",
    "Secret",
    "Store",
    "Sync",
    "Webhook",
    "config_error",
    "find",
    "load",
    "parse",
]

SHORTEST_TOKEN = 16
"""Bytes of a push token: 128 bits, if they are random."""
_ORG_SECRETS = ("client_secret", "password", "security_token", "private_key", "refresh_token", "sfdx_url")


def find(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the configuration's path: `$RTSD_CONFIG`, or the file in /etc or ~/.config.

    Raises ConfigError if there is none.
    """
    if environ.get("RTSD_CONFIG"):
        return Path(environ["RTSD_CONFIG"])
    places = (Path("/etc/rtsd/rtsd.toml"), Path("~/.config/rtsd/rtsd.toml").expanduser())
    for place in places:
        if place.is_file():
            return place
    tried = " nor ".join(str(place) for place in places)
    raise ConfigError(
        f"There is no configuration: neither {tried} exists.",
        "Name one with -c FILE or $RTSD_CONFIG; start from config/rtsd.toml.",
    )


def load(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """Load and validate the configuration at `path`, by default that of `find()`.

    Raises ConfigError with every mistake in `mistakes`.
    """
    path = (path or find(environ)).absolute()
    raw = _read(path)
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    return _validated(raw, path, SecretFiles(path.parent, Path(credentials) if credentials else None, path))


def parse(raw: dict[str, Any], path: Path) -> Config:
    """Validate a document that is to be written to `path`, and may hold secrets until then.

    Raises ConfigError with every mistake in `mistakes`.
    """
    return _validated(raw, path, SecretFiles(path.parent))


def _validated(raw: dict[str, Any], path: Path, files: SecretFiles) -> Config:
    found = Mistakes()
    rotating = (
        "sfdx_url_file" if consistency.table(raw, "org").get("auth") == "sfdx_url" else "refresh_token_file"
    )
    refresh_token_path = _file_path(raw, "org", rotating, files)
    token_paths = {table: _file_path(raw, table, "token_file", files) for table in ("gateway", "push")}
    _take_all_secrets(raw, files, found)
    _close_unused_gateway(raw)
    config = None
    try:
        config = Config.model_validate(raw, context={"base": path.parent, "files": files})
    except ValidationError as error:
        found.add_errors(error.errors(include_url=False), raw, Config)
    consistency.check(raw, found)
    if config is None or len(found):
        raise config_error(path, tuple(found))
    config._path = path  # noqa: SLF001 - private to this package, not a key of the file
    config.org._refresh_token_path = refresh_token_path  # noqa: SLF001 - the same
    config.gateway._token_path = token_paths["gateway"]  # noqa: SLF001 - the same
    config.push._token_path = token_paths["push"]  # noqa: SLF001 - the same
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}.", "Name a readable file with -c FILE."
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text.", "Save it as UTF-8, which TOML requires.") from None
    except tomllib.TOMLDecodeError as error:
        is_repeated = "twice" in str(error) or "overwrite" in str(error)
        do = "Put all keys of a table into one [section], each once" if is_repeated else "Put text in quotes"
        raise ConfigError(f"{path} is not TOML: {error}.", f"{do}; see https://toml.io") from None


def _file_path(raw: dict[str, Any], table: str, key: str, files: SecretFiles) -> Path | None:
    name = consistency.table(raw, table).get(key)
    return files.find(name) if isinstance(name, str) and name else None


def _take_all_secrets(raw: dict[str, Any], files: SecretFiles, found: Mistakes) -> None:
    """Replace every secret of the document with a `Secret`."""
    take_secrets(consistency.table(raw, "org"), "org", _ORG_SECRETS, files, found)
    take_secrets(consistency.table(raw, "store"), "store", ("password",), files, found)
    for name in ("gateway", "push"):
        table = consistency.table(raw, name)
        take_secrets(table, name, ("token",), files, found)
        if "token" in table:
            lines = (line.strip() for line in table["token"].reveal().splitlines())
            table["token"] = [Secret(line) for line in lines if line] or [Secret("")]
            _check_tokens(f"{name}.token", table["token"], found)
    _check_tls_key(consistency.table(raw, "gateway"), files, found)
    for name in ("rules", "alerts"):
        for key, entry in consistency.entries(raw, name):
            webhook = consistency.table(entry, "webhook")
            take_secrets(webhook, f"{key}.webhook", ("secret",), files, found)
    for key, entry in consistency.entries(raw, "streams"):
        take_secrets(entry, key, ("credentials",), files, found)


def _close_unused_gateway(raw: dict[str, Any]) -> None:
    """Open no port where nothing needs one: without a token, nobody could push to it."""
    push, gateway = (consistency.table(raw, name) for name in ("push", "gateway"))
    needs_none = push.get("channel") in ("cdc", "") and not push.get("token") and not gateway.get("token")
    if needs_none and isinstance(raw.get("gateway", {}), dict):
        raw["gateway"] = {"listen": "", **gateway}


def _check_tokens(key: str, tokens: list[Secret], found: Mistakes) -> None:
    """A short key can be guessed from one signed push, without asking the gateway."""
    short = [token for token in tokens if 0 < len(token.reveal().encode()) < SHORTEST_TOKEN]
    if short:
        found.add(
            key,
            f"has a line of fewer than {SHORTEST_TOKEN} bytes; such as the output of openssl rand -base64 32",
        )


def _check_tls_key(gateway: dict[str, Any], files: SecretFiles, found: Mistakes) -> None:
    name = gateway.get("tls_private_key")
    if isinstance(name, str) and name:
        try:
            check_private(files.find(name))
        except ValueError as error:
            found.add("gateway.tls_private_key", str(error))
        except OSError:
            pass  # missing: the value's own check reports it


def config_error(path: Path, mistakes: tuple[str, ...]) -> ConfigError:
    """Return the error that lists all mistakes of a configuration."""
    count = plural(len(mistakes), "mistake")
    return ConfigError(f"{path} has {count}:", "", mistakes)
