"""The extras of rtsd's installation: dependencies that only some installations need."""

from __future__ import annotations


def how_to_add(extra: str) -> str:
    """Return what to do where an extra is missing; true for pip, pipx and uv, as no index has rtsd."""
    return f"install rtsd with the extra rtsd[{extra}] (docs/install.md, Extras)"
