"""The package's configuration: its triggers, the org's `RTS_Settings__c` row, `RTS_Synced_Field__c` rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtssim.interface import OrgError

if TYPE_CHECKING:
    from rtssim.interface import Commit
    from rtssim.org import Org

EVENT = "RTS_Change__e"
PUSH_EVENT = "RTS_Push__e"
"""The event that carries pushes where the channel is the stream."""
TRIGGER = "RTS_Change_Event"
"""The trigger of the platform event, the relay."""
CONFIGURED_BY = ("ApexTrigger", "PlatformEventSubscriberConfig", "User")
"""Objects beside the package's own that its configuration is read from."""
OWN = (EVENT, "RTS_Synced_Field__c")
"""The package's own objects that have a trigger, but are not pushed."""
COLUMNS = ("Disable_RTS__c", "Error_Logging__c", "Gateway_URL__c", "Token__c", "Org_Id__c")
CHANNEL_COLUMNS = ("Channel__c", "Sealed__c")
"""Columns of packages that can publish."""
STREAM = "stream"


@dataclass(frozen=True)
class PackageSettings:
    """The org's row of `RTS_Settings__c`."""

    disabled: bool
    error_logging: bool
    url: str
    token: str
    org_id: str
    channel: str = ""
    sealed: bool = False

    @property
    def is_published(self) -> bool:
        """True if pushes are events, and not callouts."""
        return self.channel.lower() == STREAM

    @property
    def push_url(self) -> str:
        """URL that pushes go to."""
        base = self.url.rstrip("/")
        return base if base.endswith("/v1/push") else f"{base}/v1/push"


@dataclass(frozen=True)
class _Loaded:
    triggers: frozenset[str]
    row: PackageSettings | None
    conditions: dict[str, frozenset[str]]
    has_relay: bool
    has_relay_user: bool


class PackageConfiguration:
    """Reads and caches the configuration until a commit changes it or `reload` is called."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._loaded: _Loaded | None = None
        self._disabled_users: frozenset[str] | None = None

    def reload(self) -> None:
        """Discard the cache."""
        self._loaded = None
        self._disabled_users = None

    def observe(self, commit: Commit) -> None:
        """Reload if a commit changed the configuration."""
        if any(c.object.startswith("RTS_") or c.object in CONFIGURED_BY for c in commit.changes):
            self.reload()

    def _load(self) -> _Loaded:
        if self._loaded is None:
            soql = "SELECT TableEnumOrId FROM ApexTrigger WHERE Name LIKE 'RTS_%' AND Status = 'Active'"
            objects = frozenset(row[0] for row in self.rows(soql))
            self._loaded = _Loaded(
                objects - frozenset(OWN),
                self._read_row(),
                self._read_conditions(),
                has_relay=EVENT in objects,
                has_relay_user=self._has_relay_user(),
            )
        return self._loaded

    def _has_relay_user(self) -> bool:
        """Return False if the relay is configured to run as a user who has been deactivated."""
        soql = f"SELECT UserId FROM PlatformEventSubscriberConfig WHERE DeveloperName = '{TRIGGER}'"
        configured = [user for (user,) in self.rows(soql) if user]  # none: Automated Process
        return all(
            active
            for user in configured
            for (active,) in self.rows(f"SELECT IsActive FROM User WHERE Id = '{user}'")
        )

    def _read_row(self) -> PackageSettings | None:
        described = self._org.schema.find("RTS_Settings__c")
        knows_channels = described is not None and described.find("Channel__c") is not None
        columns = COLUMNS + CHANNEL_COLUMNS if knows_channels else COLUMNS
        rows = self.rows(
            f"SELECT {', '.join(columns)} FROM RTS_Settings__c WHERE SetupOwnerId = '{self._org.org_id}'"
        )
        if not rows:
            return None
        disabled, logging, url, token, org_id, *chosen = rows[0]
        channel, sealed = chosen or ("", False)
        return PackageSettings(
            bool(disabled),
            bool(logging),
            url or "",
            token or "",
            org_id or "",
            channel or "",
            bool(sealed),
        )

    def _read_conditions(self) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for name, watched, active in self.rows(
            "SELECT Object__c, Field__c, Condition__c FROM RTS_Synced_Field__c"
        ):
            if active and name and watched:
                found.setdefault(name, set()).add(watched)
        return {name: frozenset(watched) for name, watched in found.items()}

    def rows(self, soql: str) -> list[tuple[Any, ...]]:
        """Return a query's rows as the system sees them; none if the package's objects are missing."""
        try:
            return list(self._org.query(self._org.sync_user, soql).rows())
        except OrgError:
            return []

    @property
    def triggers(self) -> frozenset[str]:
        """Objects that have an active trigger of the package."""
        return self._load().triggers

    @property
    def has_relay(self) -> bool:
        """True if the platform event's trigger is active."""
        return self._load().has_relay

    @property
    def has_relay_user(self) -> bool:
        """True if the user is active as whom that trigger runs."""
        return self._load().has_relay_user

    @property
    def row(self) -> PackageSettings | None:
        """The org's settings, valid or not."""
        return self._load().row

    @property
    def conditions(self) -> dict[str, frozenset[str]]:
        """Watched fields by object; updates of any other object are all pushed."""
        return self._load().conditions

    def is_disabled_for(self, user_id: str) -> bool:
        """Return True if the user's row, or without one the profile's row, disables the package.

        The most specific row decides (Apex Developer Guide, Custom Settings: user, profile, org).
        """
        if self._disabled_users is None:
            rows = dict(self.rows("SELECT SetupOwnerId, Disable_RTS__c FROM RTS_Settings__c"))
            users = self.rows("SELECT Id, ProfileId FROM User") if len(rows) > 1 else []
            self._disabled_users = frozenset(
                user for user, profile in users if rows.get(user, rows.get(profile, False))
            )
        return user_id in self._disabled_users

    def active(self) -> PackageSettings | None:
        """Return the settings if changes are pushed now, else None."""
        row = self.configured()
        return None if row is None or row.disabled else row

    def configured(self) -> PackageSettings | None:
        """Return the settings if they are complete (callouts need a URL) and of this org, else None."""
        row = self.row
        if row is None or not row.token or not (row.url or row.is_published):
            return None
        return row if row.org_id[:15] in ("", self._org.org_id[:15]) else None
