"""Secrets: a value that never prints itself, and where it is read from.

Every secret `x` may be given as `x` or as `x_file`. A relative file name is looked up in
`$CREDENTIALS_DIRECTORY` (systemd's LoadCredential=) first, then beside the configuration file.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtsd.config.mistakes import Mistakes

_FOR_OTHERS = stat.S_IRWXO | stat.S_IWGRP


class Secret:
    """A secret text: equal to its like, usable through `reveal()`, and redacted wherever it is printed."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself, for the one place that sends or verifies with it."""
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
    """Finds and reads secret files: `base` is the configuration's directory, `credentials` systemd's."""

    base: Path
    credentials: Path | None = None

    def find(self, name: str) -> Path:
        """Return the file that `name` means; it need not exist."""
        path = Path(name).expanduser()
        if path.is_absolute():
            return path
        if self.credentials is not None and (self.credentials / path).is_file():
            return self.credentials / path
        return self.base / path

    def read(self, name: str) -> str:
        """Return the text of the secret file `name`, without the white space around it.

        Raises ValueError, worded `what is wrong; what is allowed`.
        """
        path = self.find(name)
        try:
            if path.parent != self.credentials:  # that directory is systemd's, and closed
                check_private(path)
            text = path.read_bytes().decode().strip()
        except FileNotFoundError:
            where = f"{self.credentials} or {self.base}" if self.credentials else f"{self.base}"
            missing = f"{path} does not exist" if Path(name).is_absolute() else f"{name} is not in {where}"
            raise ValueError(f"{missing}; the name of a file that holds the secret") from None
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not text; a file in UTF-8") from None
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}; a file that this user can read") from None
        if not text:
            raise ValueError(f"{path} is empty; a file that holds the secret")
        return text


def check_private(path: Path) -> None:
    """Refuse a secret file that others can read, or its group can write.

    That its directory may be closed does not count: directories get opened, and files moved.
    Raises ValueError with the chmod that helps, OSError when there is no such file.
    """
    mode = path.stat().st_mode
    if mode & _FOR_OTHERS:
        raise ValueError(
            f"{path} is readable by others (mode {stat.S_IMODE(mode):04o}); run: chmod 600 {path}"
        )


def take_secrets(
    table: dict[str, Any], key: str, names: tuple[str, ...], files: SecretFiles, found: Mistakes
) -> None:
    """In `table` (at `key`), replace each `x` or `x_file` of `names` by `x` as a `Secret`, or by nothing."""
    for name in names:
        file_name, text = table.pop(f"{name}_file", ""), table.pop(name, "")
        for what, value in ((f"{name}_file", file_name), (name, text)):
            if not isinstance(value, str):
                found.add(f"{key}.{what}", "is not text; text in quotes")
                break
        else:
            if text and file_name:
                found.add(f"{key}.{name}", f"is given twice; either {name} or {name}_file")
            elif text:
                table[name] = Secret(text)
            elif file_name:
                try:
                    table[name] = Secret(files.read(file_name))
                except ValueError as error:
                    found.add(f"{key}.{name}_file", str(error))
                    table[name] = Secret("")  # given, so not missing: one mistake, not two
