"""The relay: the package's platform event, and the subscription of the Apex trigger that sends changes on.

Facts: Object Reference, EventBusSubscriber; Platform Events Guide, View and Manage an Event's Subscribers.
Events stay on the bus for 72 hours. A suspended subscription continues where it stopped, or from the tip.
Only active triggers are listed.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rtssim.apex_package.settings import EVENT, TRIGGER
from rtssim.interface import OrgError

if TYPE_CHECKING:
    from datetime import datetime

    from rtssim.apex_package.settings import PackageConfiguration
    from rtssim.faults import Faults
    from rtssim.interface import Commit
    from rtssim.org import Org
    from rtssim.switches import ApiSwitches

SUBSCRIBER = "EventBusSubscriber"
RETENTION = timedelta(hours=72)
REFUSAL = "LIMIT_EXCEEDED: You've exceeded the hourly limit for publishing platform events"
NO_TIP = -1  # of high-volume events
RENAMED_IN = 66.0
OLD_FIELDS, NEW_FIELDS = ("Position", "Tip"), ("LastProcessed", "LastPublished")

Delivery = Callable[[], object]
"""What the trigger does with an event."""


class Relay:
    """Takes events, and delivers them while the subscription runs."""

    def __init__(
        self, org: Org, faults: Faults, switches: ApiSwitches, configuration: PackageConfiguration
    ) -> None:
        self._org = org
        self._configuration = configuration
        self._faults = faults
        self._switches = switches
        self._status = "Running"
        self._last_error: str | None = None
        self._retries = 0
        self._published = self._processed = 0
        self._waiting: deque[tuple[datetime, Delivery]] = deque()
        self._written: dict[str, Any] | None = None

    # -- publishing ---------------------------------------------------------------------------------
    def publish(self, deliver: Delivery) -> str | None:
        """Take an event; return the reason if it is refused. A package without the event has no relay."""
        refused = self._faults.hit(("publish_refused",))
        if refused is not None:
            return str(refused.parameters.get("message", REFUSAL))
        self._published += 1
        if self._org.schema.find(EVENT) is None:
            deliver()
        elif self._configuration.has_relay:  # otherwise nobody has subscribed
            self._waiting.append((self._org.clock.now(), deliver))
            self._deliver()
        return None

    def _deliver(self) -> None:
        """Deliver what waits, if the subscription runs and its user is active."""
        while self._waiting and self._status == "Running":
            fails = not self._configuration.has_relay_user
            if fails and self._switches.inactive_relay_user == "suspends":
                self._status = "Suspended"
                return
            published_at, deliver = self._waiting.popleft()
            self._processed += 1
            if not fails and published_at + RETENTION >= self._org.clock.now():
                deliver()

    # -- an administrator's actions -----------------------------------------------------------------
    def act(self, action: str, message: str = "") -> None:
        """Do what the subscription's page offers, or exhaust its retries; ValueError for another action."""
        if action == "suspend":
            self._status = "Suspended"
        elif action == "exhaust_retries":
            self._status, self._last_error, self._retries = "Error", message or "UNABLE_TO_LOCK_ROW", 9
        elif action in ("resume", "resume_from_tip"):
            self._status, self._retries = "Running", 0
            if action == "resume_from_tip":
                self._processed = self._published
                self._waiting.clear()
            self._deliver()
        else:
            raise ValueError(f"unknown action {action!r}")

    def observe(self, commit: Commit) -> None:
        """Resume from the tip if the trigger was modified (Object Reference, EventBusSubscriber)."""
        for change in commit.changes if self._switches.modified_relay_resumes else ():
            if change.object == "ApexTrigger" and change.op == "update" and change.old and change.new:
                is_modified = change.old.get("Body") != change.new.get("Body")
                if change.new.get("Name") == TRIGGER and is_modified and self._status != "Running":
                    self.act("resume_from_tip")

    # -- what Salesforce says of it -----------------------------------------------------------------
    def state(self) -> dict[str, Any]:
        """Return the relay's state as a heartbeat has it."""
        if not self._configuration.has_relay:
            return {"status": "Missing", "position": None, "tip": None, "last_error": None, "retries": None}
        return {
            "status": self._status,
            "position": str(self._processed),
            "tip": str(NO_TIP),
            "last_error": self._last_error,
            "retries": self._retries,
        }

    def before_query(self, soql: str, version: str) -> None:
        """Bring the rows of EventBusSubscriber up to date; OrgError for fields of other API versions."""
        missing = OLD_FIELDS if float(version) >= RENAMED_IN else NEW_FIELDS
        if missing is NEW_FIELDS or not self._switches.old_subscriber_fields:
            for name in missing:
                if re.search(rf"\b{name}\b", soql, re.IGNORECASE):
                    message = f"No such column '{name}' on entity '{SUBSCRIBER}'."
                    raise OrgError(400, "INVALID_FIELD", message)
        row = self._row()
        if row != self._written:
            self._written = row
            who = self._org.sync_user
            if ids := self._org.first_column(f"SELECT Id FROM {SUBSCRIBER}"):
                self._org.hard_delete(who, SUBSCRIBER, ids)
            if row is not None:
                self._org.create(who, SUBSCRIBER, [row])[0].unwrap()

    def _row(self) -> dict[str, Any] | None:
        soql = f"SELECT Id FROM ApexTrigger WHERE Name = '{TRIGGER}' AND Status = 'Active'"
        ids = self._org.first_column(soql)
        if not ids:
            return None
        return {
            "ExternalId": ids[0][:15],
            "Name": TRIGGER,
            "Topic": EVENT,
            "Type": "ApexTrigger",
            "Status": self._status,
            "LastError": self._last_error,
            "Retries": self._retries,
            "Position": self._processed,
            "Tip": NO_TIP,
            "LastProcessed": str(self._processed),
            "LastPublished": str(NO_TIP),
        }
