"""The relay: the Apex trigger on the package's event, which sends changes on, and what can be wrong with it.

Its subscription is a row of EventBusSubscriber (Object Reference). Salesforce lists active Apex triggers
only, and for high-volume events it does not reveal the last event published, so nothing can be computed from
the two positions. What happens to a subscription whose user is deactivated is not documented.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rtsd.core.instant import Millis
from rtsd.core.problem import Problem

EVENT = "RTS_Change__e"
APEX_TRIGGER = "RTS_Change_Event"
MISSING = "Missing"
"""The status of a subscription that Salesforce does not list."""
_RELAY = f"The relay ({APEX_TRIGGER})"
_SUBSCRIPTION = "Setup → Platform Events → RTS Change → Manage"
_RESUME = f"{_SUBSCRIPTION}: Resume, or run `rtsd package deploy`."
_STOPPED = ("Suspended", "Error", "Expired")
_MOST_CHARACTERS = 60
"""Of an error within a sentence; the whole text is in status."""
_RENAMED_API = 66.0


@dataclass(frozen=True, slots=True)
class Relay:
    """The state of the relay, from a heartbeat or the org; None where it is unknown."""

    as_of: Millis
    """Local time in ms."""
    status: str | None = None
    """Running, Error, Suspended or Repartitioning, as Salesforce says; Missing if it does not list it."""
    position: str | None = None
    """The replay id of the last event processed."""
    tip: str | None = None
    """The replay id of the last event published, -1 for high-volume events."""
    last_error: str | None = None
    retries: int | None = None
    refused: str | None = None
    """Why Salesforce did not take the heartbeat's event."""
    unanswered_since: str | None = None
    """When the oldest event was published that did not come back."""
    user: str | None = None
    """The username of the user as whom the relay runs; None also for Automated Process."""
    user_active: bool | None = None

    @property
    def failure(self) -> Problem | None:
        """What keeps changes from leaving the org, and what to do about it."""
        if self.refused is not None:
            reason = _short(self.refused)
            return Problem(
                f"Salesforce refuses the package's events ({reason}): most changes are not pushed.",
                "Compare HourlyPublishedPlatformEvents in the org's limits; else run `rtsd package deploy`.",
            )
        if self.user_active is False:
            return Problem(
                f"The relay's user, {self.user}, is deactivated: nothing is pushed.",
                "Activate the user, or run `rtsd package deploy` (the relay then runs as rtsd's user).",
            )
        return self._stopped() or self._stuck()

    @property
    def is_stopped(self) -> bool:
        """Whether the subscription exists, and is disconnected."""
        return self.status in _STOPPED

    @property
    def may_have_lost_its_user(self) -> bool:
        """Whether the failure may be that of a user who has been deactivated, which only the org can tell."""
        return self.failure is not None and self.refused is None and self.status != MISSING

    def _stopped(self) -> Problem | None:
        if self.status == MISSING:
            return Problem(f"{_RELAY} is not active: nothing is pushed.", "Run `rtsd package deploy`.")
        if self.status in ("Suspended", "Expired"):
            return Problem(f"{_RELAY} is suspended: nothing is pushed.", _RESUME)
        if self.status == "Error":
            reason = f" ({_short(self.last_error)})" if self.last_error else ""
            what = f"{_RELAY} stopped after errors{reason}: nothing is pushed."
            return Problem(what, _RESUME)
        return None

    def _stuck(self) -> Problem | None:
        if self.unanswered_since is None:
            return None
        return Problem(
            f"{_RELAY} has passed nothing on since {self.unanswered_since}.",
            f"{_SUBSCRIPTION}: Suspend, then Resume.",
        )


def from_heartbeat(document: Mapping[str, Any], at: Millis, before: Relay | None = None) -> Relay:
    """Return the state that a heartbeat reports (its key `relay`); what is malformed counts as unknown.

    Unless the relay passed it on, the user stays as it was known `before`.
    """
    same = before if document.get("relayed") is not True else None
    return Relay(
        as_of=at,
        status=_text(document.get("status")),
        position=_text(document.get("position")),
        tip=_text(document.get("tip")),
        last_error=_text(document.get("last_error")),
        retries=_number(document.get("retries")),
        refused=_text(document.get("refused")),
        unanswered_since=_text(document.get("unanswered_since")),
        user=same.user if same else None,
        user_active=same.user_active if same else None,
    )


def position_fields(api_version: str) -> tuple[str, str]:
    """Return the fields of EventBusSubscriber for the last event processed, and the last published.

    From API version 66 on they replace Position and Tip (Object Reference, EventBusSubscriber).
    """
    return ("LastProcessed", "LastPublished") if float(api_version) >= _RENAMED_API else ("Position", "Tip")


def _short(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
