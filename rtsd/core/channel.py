"""The channels for which the package can send its documents (contract section 8)."""

from __future__ import annotations

GATEWAY = "gateway"
"""It posts them to the gateway."""
STREAM = "stream"
"""It publishes them as the platform event PUSH_EVENT."""
PUSH_EVENT = "RTS_Push__e"


def chosen(value: str | None) -> str:
    """Return the channel that `Channel__c` means to the package: anything but the stream is the gateway."""
    return STREAM if (value or "").lower() == STREAM else GATEWAY
