"""The configured rules and alerts, their actions, and the result of an action."""

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
        """The URL for display, without credentials and query, which may contain a key."""
        parts = urlsplit(self.url)
        return parts._replace(query="", fragment="", netloc=parts.netloc.rpartition("@")[2]).geturl()

    @property
    def destination(self) -> str:
        """A digest that identifies the destination without revealing it."""
        return _digest("webhook", self.url)


@dataclass(frozen=True, slots=True)
class Command:
    """A program that gets the document on its standard input."""

    argv: tuple[str, ...]
    timeout: Millis

    kind = "command"

    @property
    def target(self) -> str:
        """The program for display, without arguments, which may contain secrets."""
        return self.argv[0]

    @property
    def destination(self) -> str:
        """A digest that identifies the destination without revealing it."""
        return _digest("command", *self.argv)


Action = Webhook | Command


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that changes of an object fire."""

    name: str
    object: str
    on: frozenset[str]
    """Operations: create, update, delete, undelete."""
    sources: frozenset[str]
    """Sources of a change: push, interval, repair, audit."""
    when: str
    action: Action


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert about conditions of the daemon."""

    name: str
    on: frozenset[str]
    resolved: bool
    """Whether the end of the condition is reported too."""
    action: Action


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The result of an attempt to deliver."""

    outcome: str
    """delivered, dropped (the receiver is permanently gone) or failed."""
    reason: str
    """A short text such as `HTTP 503`; a program's output without control characters."""
    outage: bool = False
    """Whether the destination itself seems to be down, rather than rejecting this delivery."""
    retry_after: Millis | None = None
    """The pause requested by the receiver."""


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=12).hexdigest()
