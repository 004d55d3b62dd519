"""The demo's story: the line in a file that says what happens now."""

from __future__ import annotations

from pathlib import Path

from rtstui.clean import clean


class Story:
    """Reads the line of the demo; the file is replaced whenever something begins."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def line(self) -> str:
        """Return the line; empty before the first one."""
        try:
            return clean(self._file.read_text(encoding="utf-8").strip())
        except OSError:
            return ""
