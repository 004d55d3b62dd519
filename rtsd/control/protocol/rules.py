"""Rules and alerts, and how their deliveries fare."""

from __future__ import annotations

import msgspec

from rtsd.control.protocol.events import Event


class RuleStatus(msgspec.Struct, kw_only=True):
    """A rule, or an alert (`on` its conditions, no `object`, no `when`), and how its deliveries fare.

    `action`: webhook, command. `target`: the URL without its query, or the program. `circuit`: closed, or
    open while the target refuses everything and is only probed now and then.
    """

    name: str
    object: str | None = None
    on: list[str] = msgspec.field(default_factory=list)
    when: str = ""
    action: str = "webhook"
    target: str = ""
    fired_24h: int = 0
    delivered_24h: int = 0
    pending: int = 0
    failed_24h: int = 0
    """Deliveries with at least one failed attempt; most of them are delivered later."""
    dead_letters: int = 0
    circuit: str = "closed"
    last_fired_at: str | None = None
    error: str | None = None
    """Why it cannot be evaluated, such as a field that is gone."""


class Rules(msgspec.Struct, kw_only=True):
    """`GET /v1/rules`."""

    rules: list[RuleStatus] = msgspec.field(default_factory=list)
    alerts: list[RuleStatus] = msgspec.field(default_factory=list)


class RuleTestBody(msgspec.Struct):
    """The body of `POST /v1/rules/{name}/test`."""

    since: str


class RuleTest(msgspec.Struct, kw_only=True):
    """`POST /v1/rules/{name}/test`: the changes that would have fired the rule, by the journal."""

    rule: str
    since: str
    considered: int
    """Changes of the rule's object that its `on` and `fire_on` let in."""
    matched: int
    entries: list[Event] = msgspec.field(default_factory=list)
    """The newest that match, at most 1,000, oldest first."""
    truncated: bool = False
    """True if `entries` is not all, or older changes were not considered."""
