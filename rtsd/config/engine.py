"""The engine that `[store]` names."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from rtsd.config.model import Config
from rtsd.core.extras import how_to_add
from rtsd.errors import ConfigError
from rtsd.store.engine import Engine
from rtsd.store.sqlite.engine import SqliteEngine

_URLS = ("postgresql://", "postgres://")


def is_url(place: str) -> bool:
    """Return whether a place is the URL of a database, not the path of a file."""
    return place.startswith(_URLS)


def without_password(place: str) -> tuple[str, str]:
    """Return a place without a password in its URL, whose other parameters stay, and the password."""
    if not is_url(place):
        return place, ""
    parts = urlsplit(place)
    user, at, hosts = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    kept = [pair for pair in parts.query.split("&") if pair and not pair.startswith("password=")]
    found = unquote(password) or dict(parse_qsl(parts.query)).get("password", "")
    query = f"?{'&'.join(kept)}" if kept else ""
    return f"{parts.scheme}://{name}{at}{hosts}{parts.path}{query}", found


def engine_of(config: Config) -> Engine:
    """Return where the mirror is kept. Raises ConfigError for an unusable URL, or without the extra."""
    store = config.store
    if not store.url:
        return SqliteEngine(store.path)
    password = store.password.reveal() if store.password is not None else None
    return _postgres(config, store.url, password, (store.mirror_schema, store.internal_schema))


def engine_at(
    config: Config, place: str, password: str | None, schema: str | None, internal_schema: str | None
) -> Engine:
    """Return the engine of another place than the configuration's: a URL, or the path of a file.

    Schemas that are not given are the configuration's. Raises ConfigError.
    """
    if not is_url(place):
        return SqliteEngine(Path(place).expanduser().absolute())
    schemas = (schema or config.store.mirror_schema, internal_schema or config.store.internal_schema)
    return _postgres(config, place, password, schemas)


def _postgres(config: Config, url: str, password: str | None, schemas: tuple[str, str]) -> Engine:
    try:
        from rtsd.store.postgres.engine import PostgresEngine  # noqa: PLC0415 - an extra
        from rtsd.store.postgres.server import Server  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigError(
            f"[store] url needs the package {error.name}",
            how_to_add("postgres"),
        ) from error
    return PostgresEngine(
        Server.of(url, password),
        schema=schemas[0],
        internal_schema=schemas[1],
        node=config.node.name or socket.gethostname(),
        settings=_settings(config),
        state=state_directory(),
    )


def _settings(config: Config) -> dict[str, str]:
    """Return a digest of each part of the configuration in which nodes should not differ."""
    parts = {
        "objects": [section.config() for section in config.objects],
        "rules": [*config.rules, *config.alerts],
        "views": config.store.views.used(),
    }
    return {name: hashlib.sha256(repr(part).encode()).hexdigest()[:16] for name, part in parts.items()}


def state_directory() -> Path:
    """Return the directory for files of this node: systemd's, else the user's (XDG)."""
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given)
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "rtsd"
