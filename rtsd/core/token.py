"""Push tokens: how one is named without being told."""

from __future__ import annotations

import hashlib


def key_id(token: bytes) -> str:
    """Return the first 8 hexadecimal digits of the token's SHA-256, which tell tokens apart and no more."""
    return hashlib.sha256(token).hexdigest()[:8]
