"""Log lines as entries of systemd's journal with fields, so that `journalctl RTS_OBJECT=Contact` finds them.

https://systemd.io/JOURNAL_NATIVE_PROTOCOL: a datagram with one `KEY=value` a line. Keys and values have no
line breaks here: `rtsd.logs` escapes them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

SOCKET = Path("/run/systemd/journal/socket")
PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
"""The numbers of syslog(3), which are also those of the prefixes that journald reads (sd-daemon(3))."""
INFO = PRIORITIES["info"]
_NOT_IN_KEYS = re.compile(r"[^A-Z0-9_]")


def leads_there(environ: Mapping[str, str]) -> bool:
    """Return whether stderr leads to the journal, and is not redirected (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def entry(message: str, level: str, fields: Mapping[str, object]) -> str:
    """Return an entry: the message, its priority, and each field as `RTS_…`."""
    head = [f"MESSAGE={message}", f"PRIORITY={PRIORITIES.get(level, INFO)}", "SYSLOG_IDENTIFIER=rtsd"]
    own = [f"RTS_{_NOT_IN_KEYS.sub('_', key.upper())}={value}" for key, value in fields.items()]
    return "\n".join([*head, *own]) + "\n"


class JournalHandler(logging.Handler):
    """Sends what its formatter makes by `entry`; to stderr where journald does not take it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def emit(self, record: logging.LogRecord) -> None:
        """Send one."""
        text = self.format(record)
        try:
            self._socket.sendto(text.encode(), str(self._path))
        except OSError:  # too long, or journald starts again: its stream takes the line without the fields
            message, priority, *_ = text.split("\n")
            with contextlib.suppress(OSError):
                sys.stderr.write(f"<{priority.partition('=')[2]}>{message.partition('=')[2]}\n")
                sys.stderr.flush()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        super().close()
