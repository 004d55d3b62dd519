"""Names as PostgreSQL has them: in lower case, and not too long."""

from __future__ import annotations

from hashlib import sha256

MAX_NAME = 63
"""Bytes of a name (https://www.postgresql.org/docs/current/sql-syntax-lexical.html, NAMEDATALEN)."""


def name_of(name: str) -> str:
    """Return a name in lower case; one that is too long is cut, and ends in a digest of the whole."""
    lower = name.lower()
    encoded = lower.encode()
    if len(encoded) <= MAX_NAME:
        return lower
    digest = sha256(encoded).hexdigest()[:8]
    return f"{encoded[: MAX_NAME - 9].decode(errors='ignore')}_{digest}"
