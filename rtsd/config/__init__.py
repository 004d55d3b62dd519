"""The configuration: found, read, checked as a whole, and handed out as frozen values.

::

    load(path)   reads the file and every secret it names; all mistakes at once, as one ConfigError
    find()       where the file is looked for
    model        the values, one class per table          values     how one value is read
    secrets      Secret, and the files secrets come from  mistakes   how a mistake is worded
    consistency  what keys mean together

The only variables of the environment that count are `$RTSD_CONFIG` and `$CREDENTIALS_DIRECTORY`.
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
]

_ORG_SECRETS = ("client_secret", "password", "security_token", "private_key", "refresh_token")


def find(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the configuration's path: `$RTSD_CONFIG`, else /etc, else the user's own.

    Raises ConfigError when there is none.
    """
    if environ.get("RTSD_CONFIG"):
        return Path(environ["RTSD_CONFIG"])
    places = (Path("/etc/rtsd/rtsd.toml"), Path("~/.config/rtsd/rtsd.toml").expanduser())
    for place in places:
        if place.is_file():
            return place
    looked = " nor ".join(str(place) for place in places)
    raise ConfigError(
        f"There is no configuration: neither {looked} exists.",
        "Name one with -c FILE or $RTSD_CONFIG; config/rtsd.toml is one to start from.",
    )


def load(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read and check the configuration at `path`, or where `find()` finds it.

    Raises ConfigError, with every mistake in `mistakes`.
    """
    path = (path or find(environ)).absolute()
    raw = _read(path)
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    files = SecretFiles(path.parent, Path(credentials) if credentials else None)
    found = Mistakes()
    refresh_token_path = _file_path(raw, "org", "refresh_token_file", files)
    token_path = _file_path(raw, "gateway", "token_file", files)
    _take_all_secrets(raw, files, found)
    config = None
    try:
        config = Config.model_validate(raw, context={"base": path.parent, "files": files})
    except ValidationError as error:
        found.add_errors(error.errors(include_url=False), raw, Config)
    consistency.check(raw, found)
    if config is None or len(found):
        raise config_error(path, tuple(found))
    config._path = path  # noqa: SLF001 - private to this package: not a key of the file
    config.org._refresh_token_path = refresh_token_path  # noqa: SLF001 - the same
    config.gateway._token_path = token_path  # noqa: SLF001 - the same
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}.", "Name a file that this user can read with -c FILE."
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not a text in UTF-8.", "TOML is always UTF-8; save it so.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path} is not TOML: {error}.", "Text stands in quotes; see https://toml.io"
        ) from None


def _file_path(raw: dict[str, Any], table: str, key: str, files: SecretFiles) -> Path | None:
    name = consistency.table(raw, table).get(key)
    return files.find(name) if isinstance(name, str) and name else None


def _take_all_secrets(raw: dict[str, Any], files: SecretFiles, found: Mistakes) -> None:
    """Replace every secret of the document by its `Secret`."""
    take_secrets(consistency.table(raw, "org"), "org", _ORG_SECRETS, files, found)
    gateway = consistency.table(raw, "gateway")
    take_secrets(gateway, "gateway", ("token",), files, found)
    if "token" in gateway:
        lines = (line.strip() for line in gateway["token"].reveal().splitlines())
        gateway["token"] = [Secret(line) for line in lines if line] or [Secret("")]
    _check_tls_key(gateway, files, found)
    for name in ("rules", "alerts"):
        for key, entry in consistency.entries(raw, name):
            webhook = consistency.table(entry, "webhook")
            take_secrets(webhook, f"{key}.webhook", ("secret",), files, found)


def _check_tls_key(gateway: dict[str, Any], files: SecretFiles, found: Mistakes) -> None:
    name = gateway.get("tls_private_key")
    if isinstance(name, str) and name:
        try:
            check_private(files.find(name))
        except ValueError as error:
            found.add("gateway.tls_private_key", str(error))
        except OSError:
            pass  # not there: the value's own check says so


def config_error(path: Path, mistakes: tuple[str, ...]) -> ConfigError:
    """Return the error that tells all mistakes of a configuration."""
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return ConfigError(f"{path} has {count}:", "", mistakes)
