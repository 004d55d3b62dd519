"""Secrets: values that are redacted when printed, and the files they are read from.

Every secret `x` may be given as `x` or as `x_file`. A relative file name is looked up in
`$CREDENTIALS_DIRECTORY` (systemd's LoadCredential=) first, then in the configuration file's directory, then
in its `credentials`, from which systemd loads them: so that a check by hand finds what the service will.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtsd.config.mistakes import Mistakes
from rtsd.users import user_name

_FOR_OTHERS = stat.S_IRWXO | stat.S_IWGRP


class Secret:
    """A secret text, compared by value, available through `reveal()`, and redacted when printed."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text, for sending it or verifying with it."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __repr__(self) -> str:
        return "Secret('[redacted]')"

    def __str__(self) -> str:
        return "[redacted]"


@dataclass(frozen=True)
class SecretFiles:
    """Locates and reads secret files; `base` is the configuration's directory, `credentials` systemd's."""

    base: Path
    credentials: Path | None = None
    configuration: Path | None = None
    """The configuration file, which may hold secrets itself."""

    def check_inline(self) -> None:
        """Reject a configuration that others can access, since it holds a secret. Raises ValueError."""
        if self.configuration is None or self.configuration.parent == self.credentials:
            return
        try:
            check_private(self.configuration)
        except OSError as error:
            raise ValueError(f"{self.configuration}: {error.strerror}; a readable file") from None

    def find(self, name: str) -> Path:
        """Return the path for `name`, which need not exist."""
        path = Path(name).expanduser()
        if path.is_absolute():
            return path
        found = (place / path for place in self._places if os.path.isfile(place / path))  # noqa: PTH113
        return next(found, self.base / path)  # isfile, as a directory may be closed to this user

    @property
    def _places(self) -> list[Path]:
        """The directories, in order; rtsd.toml has its secrets in `credentials`, acme.toml in `…/acme`."""
        beside = self.base / "credentials"
        if self.configuration is not None and self.configuration.stem != "rtsd":
            beside /= self.configuration.stem
        return [place for place in (self.credentials, self.base, beside) if place is not None]

    def read(self, name: str) -> str:
        """Return the text of the secret file `name` without surrounding white space.

        Raises ValueError, worded `what is wrong; what is allowed`.
        """
        path = self.find(name)
        try:
            if path.parent != self.credentials:  # systemd protects its own directory
                check_private(path)
            text = path.read_bytes().decode().strip()
        except FileNotFoundError:
            where = f"{self.credentials} or {self.base}" if self.credentials else f"{self.base}"
            missing = f"{path} does not exist" if Path(name).is_absolute() else f"{name} is not in {where}"
            if (closed := self._closed_to_us(name)) is not None:
                raise ValueError(
                    f"{missing}, and {_we()} may not look into {closed}; run this with sudo"
                ) from None
            raise ValueError(f"{missing}; the name of a file with the secret") from None
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not text; a UTF-8 file") from None
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}; a file that {_we()} can read") from None
        if not text:
            raise ValueError(f"{path} is empty; a file with the secret")
        return text

    def _closed_to_us(self, name: str) -> Path | None:
        """Return the directory that may have `name`, but does not show it to this user."""
        for place in () if Path(name).is_absolute() else self._places:
            try:
                (place / name).stat()
            except PermissionError:
                return place
            except OSError:
                pass
        return None


def _we() -> str:
    """Return the user whom this process reads as, such as `rtsd (uid 998)`, or `uid 10001` in a container."""
    uid = os.geteuid()
    name = user_name(uid)
    return f"uid {uid}" if name in (f"uid {uid}", f"{uid}") else f"{name} (uid {uid})"  # Podman names them so


def check_private(path: Path) -> None:
    """Reject a secret file that others can access or that its group can write.

    A protected directory does not suffice: its mode may change, and files are moved. Raises ValueError with
    the chmod to run, OSError for a missing file.
    """
    mode = path.stat().st_mode
    if mode & _FOR_OTHERS:
        raise ValueError(
            f"{path} is accessible to others (mode {stat.S_IMODE(mode):04o}); run: chmod 600 {path}"
        )


def take_secrets(
    table: dict[str, Any], key: str, names: tuple[str, ...], files: SecretFiles, found: Mistakes
) -> None:
    """In `table` (at `key`), replace each `x` or `x_file` of `names` with a `Secret` `x`, if given."""
    for name in names:
        file_name, text = table.pop(f"{name}_file", ""), table.pop(name, "")
        for what, value in ((f"{name}_file", file_name), (name, text)):
            if not isinstance(value, str):
                found.add(f"{key}.{what}", "is not text; text in quotes")
                break
        else:
            if text and file_name:
                found.add(f"{key}.{name}", f"is set twice; either {name} or {name}_file")
            elif text:
                try:
                    files.check_inline()
                except ValueError as error:
                    found.add(f"{key}.{name}", f"is here in clear text, and {error}, or use {name}_file")
                table[name] = Secret(text)
            elif file_name:
                try:
                    table[name] = Secret(files.read(file_name))
                except ValueError as error:
                    found.add(f"{key}.{name}_file", str(error))
                    table[name] = Secret("")  # set, so that it is not reported as missing too
