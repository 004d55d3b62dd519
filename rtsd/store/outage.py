"""Whether the place of a mirror answers, as those who use it find."""

from __future__ import annotations

import asyncio


class Outage:
    """The time in which a database does not answer."""

    def __init__(self) -> None:
        self.reason = ""
        """Why it does not answer; empty while it does."""
        self._since = 0.0

    def began(self, reason: str) -> None:
        """Note that it does not answer; the beginning stays where it was."""
        if not self.reason:
            self._since = asyncio.get_running_loop().time()
        self.reason = reason

    def ended(self) -> None:
        """Note an answer."""
        self.reason = ""

    @property
    def seconds(self) -> float:
        """How long it has not answered; 0 while it does."""
        return asyncio.get_running_loop().time() - self._since if self.reason else 0.0
