"""The systemd protocols sd_notify(3) and sd_listen_fds(3), without a library.

Outside systemd every function is a no-op.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping, MutableMapping

__all__ = [
    "extend_start",
    "listen_fds",
    "notify",
    "ready",
    "reloading",
    "status",
    "stopping",
    "watchdog",
    "watchdog_s",
]

_FIRST_FD = 3  # SD_LISTEN_FDS_START


def notify(*lines: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send `lines` such as `READY=1` to `$NOTIFY_SOCKET`; return whether they were sent.

    A missing supervisor must not stop the daemon, so a failed send only returns False.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]  # an abstract socket (unix(7))
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.sendto("\n".join(lines).encode(), address)
        return True
    return False


def ready(text: str = "running") -> None:
    """Report that start-up, or a reload, is complete."""
    notify("READY=1", f"STATUS={_one_line(text)}")


def status(text: str) -> None:
    """Set the line that `systemctl status` shows."""
    notify(f"STATUS={_one_line(text)}")


def extend_start(seconds: float) -> None:
    """Ask for more time than TimeoutStartSec=: so many seconds from now."""
    notify(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")


def stopping() -> None:
    """Report that the daemon is draining."""
    notify("STOPPING=1", "STATUS=stopping")


def reloading(monotonic_ms: int) -> None:
    """Report the start of a reload, which ends with `ready()`.

    systemd requires a monotonic time (Type=notify-reload) no earlier than its request, hence rounded up.
    """
    notify("RELOADING=1", f"MONOTONIC_USEC={(monotonic_ms + 1) * 1000}")


def watchdog() -> None:
    """Report that the event loop is alive."""
    notify("WATCHDOG=1")


def watchdog_s(environ: Mapping[str, str] = os.environ) -> float | None:
    """Seconds between calls of `watchdog()`, half of systemd's time-out; None without a watchdog."""
    timeout_us, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not timeout_us.isdecimal() or int(timeout_us) == 0 or pid not in {"", str(os.getpid())}:
        return None
    return int(timeout_us) / 2_000_000


def listen_fds(environ: MutableMapping[str, str] = os.environ) -> list[socket.socket]:
    """Take over the sockets that systemd opened, whatever their FileDescriptorName=.

    Removes the variables, so that no child process takes the sockets over as well.
    """
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", "")
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    taken = []
    for position in range(int(count)):
        descriptor = _FIRST_FD + position
        os.set_inheritable(descriptor, False)
        taken.append(socket.socket(fileno=descriptor))
    return taken


def _one_line(text: str) -> str:
    return " ".join(text.split())
