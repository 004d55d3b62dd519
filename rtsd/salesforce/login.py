"""The four OAuth flows."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and where it is good; compared by identity."""

    access_token: str = field(repr=False)
    instance_url: str
