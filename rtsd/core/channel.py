"""The channels by which pushes come (contract section 8), and the words for them."""

from __future__ import annotations

GATEWAY = "gateway"
"""The package posts its documents to the gateway."""
STREAM = "stream"
"""It publishes them as the platform event PUSH_EVENT."""
CDC = "cdc"
"""No package: Change Data Capture publishes change events."""
CHANNELS = (GATEWAY, STREAM, CDC)
PACKAGED = frozenset({GATEWAY, STREAM})
"""The channels by which the package sends."""
PUSH_EVENT = "RTS_Push__e"

KEPT_S = 72 * 3_600
"""How long Salesforce keeps events (Pub/Sub API guide, Event Message Durability)."""
OLD_S = 48 * 3_600
"""Age of a position from which to warn: a day is left to repair what keeps the stream away."""

_NAMES = {GATEWAY: "the gateway", STREAM: "the stream", CDC: "Change Data Capture", "": "no channel"}


def channel_name(channel: str) -> str:
    """Return a channel's name for people; one of a later rtsd has its own."""
    return _NAMES.get(channel, channel)


def why_unpushed(channel: str) -> str:
    """Return why Interval Sync reads an object while the channel brings others."""
    return "not selected in Change Data Capture" if channel == CDC else "no Apex trigger"


def deliveries(ours: int, used: int | None, highest: int | None) -> str:
    """Return the event deliveries of 24 hours: to rtsd, to all subscribers, and the org's allocation."""
    everybody = "those to others not known" if used is None else f"{used:,} of {highest or 0:,} to all"
    return f"{ours:,} to rtsd, {everybody}"


def chosen(value: str | None) -> str:
    """Return the channel that `Channel__c` means to the package: anything but the stream is the gateway."""
    return STREAM if (value or "").lower() == STREAM else GATEWAY
