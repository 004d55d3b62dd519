"""Whether the Salesforce package is in the org, and switched on."""

from __future__ import annotations

from dataclasses import dataclass

from rtsd.core.instant import Millis
from rtsd.core.mode import Signal
from rtsd.core.payload import Changes, Heartbeat, Push
from rtsd.errors import ObjectUnavailable, SalesforceError
from rtsd.salesforce.client import Client

SETTINGS = "RTS_Settings__c"
FIRST_PAUSE_S = 20.0
"""A deployment is recognised within 30 s while one is likely ..."""
EAGER_LOOKS = 30
"""... that is, for the first ten minutes; then ever more seldom, as its first push tells anyway."""
LONGEST_PAUSE_S = 3600.0


@dataclass(slots=True)
class PackageState:
    """What is known: `state` is unknown, missing or installed."""

    state: str = "unknown"
    version: str | None = None
    disabled: bool | None = None
    last_seen_at: Millis | None = None


class PackageWatch:
    """Looks for the package and remembers what its pushes say of it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._looks = 0
        self.known = PackageState()

    def heard_from(self, push: Push, at: Millis) -> None:
        """A push came: the package is there, whatever a look said."""
        known = self.known
        known.state, known.last_seen_at = "installed", at
        known.version = push.pkg or known.version
        if isinstance(push, Heartbeat) and "disabled" in push.settings:
            known.disabled = push.settings["disabled"] is True
        elif isinstance(push, Changes):
            known.disabled = False

    async def look(self) -> Signal | None:
        """Ask the org once: the settings row tells whether the package is there and switched on.

        Raises what the client raises, but for a missing object: that is the answer.
        """
        self._looks += 1
        statement = f"SELECT Disable_RTS__c FROM {SETTINGS} ORDER BY SetupOwnerId LIMIT 1"  # noqa: S608
        try:
            page = await self._client.query(statement, purpose="package")
        except ObjectUnavailable:
            return self._missing()
        except SalesforceError as error:
            if error.reason in ("INVALID_TYPE", "INVALID_FIELD"):
                return self._missing()
            raise
        return self._found(disabled=any(row.get("Disable_RTS__c") is True for row in page.records))

    def pause_s(self) -> float:
        """How long to wait before the next look."""
        if self._looks <= EAGER_LOOKS:
            return FIRST_PAUSE_S
        return min(FIRST_PAUSE_S * 2.0 ** (self._looks - EAGER_LOOKS), LONGEST_PAUSE_S)

    def _missing(self) -> Signal:
        self.known.state, self.known.disabled = "missing", None
        return Signal.PACKAGE_MISSING

    def _found(self, *, disabled: bool) -> Signal:
        was_disabled = self.known.disabled
        self.known.state, self.known.disabled = "installed", disabled
        if disabled:
            return Signal.PACKAGE_DISABLED
        return Signal.PACKAGE_ENABLED if was_disabled else Signal.PACKAGE_FOUND
