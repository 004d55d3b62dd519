"""Ways to save what is shown: files, and the terminal's clipboard."""

from __future__ import annotations

import base64
import os
from datetime import datetime
from pathlib import Path

LONGEST_COPY = 74_000
"""Bytes that terminals accept in an OSC 52 sequence; some drop longer ones silently."""


def save(stem: str, suffix: str, text: str, now: datetime) -> Path:
    """Write to a new file in this directory or, if that is not writable, in the state directory.

    Only its owner may read it: it may contain personal data. Raises OSError.
    """
    name = f"rtstui-{stem}-{now.astimezone():%Y%m%d-%H%M%S}"
    last: OSError | None = None
    for directory in (Path.cwd(), state_directory()):
        for number in range(100):
            path = directory / (f"{name}.{suffix}" if not number else f"{name}-{number}.{suffix}")
            try:
                directory.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                continue
            except OSError as error:
                last = error
                break
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            return path
    raise last or FileExistsError(f"{name} exists a hundred times")


def state_directory() -> Path:
    """Return the directory for files that outlive the program (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "rts"


def clipboard_sequence(text: str) -> str:
    """Return the sequence that sends text to the terminal's clipboard, wrapped to pass through tmux."""
    sequence = f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\a"
    if "TMUX" in os.environ:
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return sequence
