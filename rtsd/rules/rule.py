"""Rules, alerts and their actions, as the configuration gives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from urllib.parse import urlsplit

from rtsd.core.instant import Millis


@dataclass(frozen=True, slots=True)
class Webhook:
    """A signed POST."""

    url: str
    secret: bytes = field(repr=False)
    timeout: Millis

    kind = "webhook"

    @property
    def target(self) -> str:
        """Where it goes, as people may see it: a query may hold a key."""
        parts = urlsplit(self.url)
        return parts._replace(query="", fragment="", netloc=parts.netloc.rpartition("@")[2]).geturl()

    @property
    def destination(self) -> str:
        """What tells one destination from another, without saying which it is."""
        return _digest("webhook", self.url)


@dataclass(frozen=True, slots=True)
class Command:
    """A program that gets the document on its standard input."""

    argv: tuple[str, ...]
    timeout: Millis

    kind = "command"

    @property
    def target(self) -> str:
        """The program; an argument may hold what is nobody's business."""
        return self.argv[0]

    @property
    def destination(self) -> str:
        """What tells one destination from another, without saying which it is."""
        return _digest("command", *self.argv)


Action = Webhook | Command


@dataclass(frozen=True, slots=True)
class Rule:
    """What changes of an object trigger."""

    name: str
    object: str
    on: frozenset[str]
    """Operations: create, update, delete, undelete."""
    sources: frozenset[str]
    """Where a change has to come from: push, interval, repair, audit."""
    when: str
    action: Action


@dataclass(frozen=True, slots=True)
class Alert:
    """What a condition of the daemon triggers."""

    name: str
    on: frozenset[str]
    resolved: bool
    """Whether the end of the condition is told, too."""
    action: Action


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one try to deliver."""

    outcome: str
    """delivered, dropped (the receiver wants it no more), failed."""
    reason: str
    """In a few words, such as `HTTP 503`; what a program wrote is made harmless."""
    outage: bool = False
    """Whether the destination itself seems to be down, and not only this delivery unwelcome."""
    config: Millis | None = None
    """After how long the receiver wants it again."""


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=12).hexdigest()
