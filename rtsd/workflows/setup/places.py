"""Where the configuration, its secrets, the mirror and the control socket go."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rtsd.config.engine import state_directory
from rtsd.control.client import socket_path

SYSTEM = Path("/etc/rtsd")
SYSTEM_STATE = Path("/var/lib/rtsd")


@dataclass(frozen=True, slots=True)
class Places:
    """The files of a setup."""

    config: Path
    state: Path
    """The directory for a mirror in SQLite."""
    socket: Path | None
    """The control socket; None for the default of a service."""
    is_default: bool = True
    """Whether every command finds the configuration by itself."""

    @classmethod
    def of(cls, named: Path | None) -> Places:
        """Return root's places, which are the service's, or a user's own (XDG); `named` is another file."""
        system = SYSTEM / "rtsd.toml"
        if os.geteuid() == 0 and (named is None or named.absolute() == system):
            return cls(system, SYSTEM_STATE, None)
        home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "rtsd"
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        state = state_directory()
        socket = Path(runtime) / "rtsd" / "rtsd.sock" if runtime else state / "rtsd.sock"
        config = (named or home / "rtsd.toml").absolute()
        return cls(config, state, socket, config == _found_first())

    @property
    def needs_socket(self) -> bool:
        """Whether the verbs have to be given the socket, as another one is found before it."""
        found = socket_path()
        return self.socket is not None and found != self.socket and os.path.exists(found)  # noqa: PTH110 (no error)

    @property
    def mirror(self) -> Path:
        """The mirror in SQLite, where no other place is named."""
        return self.state / "mirror.db"

    @property
    def is_service(self) -> bool:
        """Whether this is the configuration of the systemd service."""
        return self.config == SYSTEM / "rtsd.toml"

    @property
    def secrets(self) -> Path:
        """The directory of the secret files: where the service loads its credentials from, else beside."""
        return SYSTEM / "credentials" if self.is_service else self.config.parent


def _found_first() -> Path:
    """Return the place in which every command looks first, of those that there are or will be."""
    if os.environ.get("RTSD_CONFIG"):
        return Path(os.environ["RTSD_CONFIG"]).absolute()
    system = SYSTEM / "rtsd.toml"
    return system if system.exists() else Path("~/.config/rtsd/rtsd.toml").expanduser()
