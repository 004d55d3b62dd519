"""Names of Unix users, and the groups that they can join."""

from __future__ import annotations

import pwd
from pathlib import Path

GROUPS = Path("/etc/group")


def user_name(uid: int) -> str:
    """Return the name of a user, or `uid 1234` where it has none, as in containers."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def stored_group(gid: int) -> str | None:
    """Return the name of a group that /etc/group has, which alone users can be added to; None for any other.

    The group of a unit's DynamicUser= has a name, too, while the service runs.
    """
    entries = (line.split(":") for line in GROUPS.read_text().splitlines())
    return next((entry[0] for entry in entries if entry[2:3] == [str(gid)]), None)
