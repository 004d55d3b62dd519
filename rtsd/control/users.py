"""Names of Unix users."""

from __future__ import annotations

import pwd


def user_name(uid: int) -> str:
    """Return the name of a user, or `uid 1234` where it has none, as in containers."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
