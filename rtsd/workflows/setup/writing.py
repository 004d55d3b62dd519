"""Configuration and secrets on the disk: checked as a whole beside their places, then moved there.

A kill before the moves leaves at most a directory whose name begins with a dot, and no file in its place.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rtsd import config
from rtsd.config.engine import is_url
from rtsd.errors import StorageUnwritable
from rtsd.workflows.setup.places import Places

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def write(places: Places, text: str, secrets: Mapping[str, str], store: str) -> list[Path]:
    """Write the configuration and its secret files (0600), and make the directory of a mirror in a file.

    Return the paths of the files.

    Raises ConfigError if `rtsd run` would not take them, StorageUnwritable.
    """
    home = places.config.parent
    try:
        if not home.is_dir():
            home.mkdir(parents=True)
            home.chmod(0o755 if places.is_service else 0o700)
        with tempfile.TemporaryDirectory(prefix=".rtsd-init-", dir=home) as made:
            stage = Path(made)
            for name, secret in secrets.items():
                _put(stage / name, secret.rstrip("\n") + "\n", 0o600)
            _put(stage / places.config.name, text, 0o644 if places.is_service else 0o600)  # it has no secret
            config.load(stage / places.config.name, {})
            places.secrets.mkdir(mode=0o700, exist_ok=True)
            if not is_url(store):
                Path(store).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _uninterrupted():
                return _moved(stage, places, list(secrets))
    except OSError as error:
        do = "Run it as a user who may write there, or name another file with -c."
        raise StorageUnwritable(f"Cannot write {places.config}: {error.strerror}.", do) from error


def _put(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "w") as file:  # noqa: PTH123 - a descriptor, never readable by others
        os.fchmod(descriptor, mode)  # whatever the umask: the service's user reads the configuration
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def _moved(stage: Path, places: Places, secrets: list[str]) -> list[Path]:
    """Move the secrets, then the configuration that names them."""
    done = []
    for name in secrets:
        (stage / name).replace(places.secrets / name)
        done.append(places.secrets / name)
    (stage / places.config.name).replace(places.config)
    for directory in {places.secrets, places.config.parent}:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # makes the moves durable
        finally:
            os.close(descriptor)
    return [*done, places.config]


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait until all files are in their places."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
