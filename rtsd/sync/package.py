"""Whether the Salesforce package is in the org, how it is set, and what contradicts the configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rtsd.core.instant import Millis
from rtsd.core.mode import Signal
from rtsd.core.payload import Changes, Heartbeat, Push
from rtsd.core.problem import Problem
from rtsd.errors import Conflict, ObjectUnavailable
from rtsd.salesforce import package
from rtsd.salesforce.client import Client

FIRST_PAUSE_S = 20.0
"""A deployment is recognised within 30 s while one is likely ..."""
EAGER_PROBES = 30
"""... that is, for the first ten minutes; then at growing intervals, as its first push tells anyway."""
LONGEST_PAUSE_S = 3600.0
"""The longest interval between probes: 24 calls a day."""
PUSH_PROVES_MS: Millis = 86_400_000
"""A package that no probe ever saw, but that pushed within a day, is hidden from the sync user, not gone."""


@dataclass(slots=True)
class PackageSettings:
    """The org's settings, as a probe or a heartbeat told them; None is not known."""

    as_of: Millis
    disabled: bool
    error_logging: bool | None = None
    gateway_url: str | None = None
    org_id: str | None = None


@dataclass(slots=True)
class PackageState:
    """What is known: `state` is unknown, missing or installed."""

    state: str = "unknown"
    version: str | None = None
    disabled: bool | None = None
    last_seen_at: Millis | None = None
    settings: PackageSettings | None = None
    configured: bool | None = None
    """Whether the org has a row of settings; None before the first probe."""
    closed: bool = False
    """Whether the settings are there, but their fields hidden from the sync user."""
    triggers: frozenset[str] | None = None
    """Objects with a trigger of the package; None while nobody said."""
    triggers_at: Millis = 0
    heartbeat_at: Millis | None = None
    errors_24h: int | None = None
    """Rows of RTS_Error__c, as the last heartbeat counted them."""
    async_used: int | None = None
    async_max: int | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the configuration expects of the package."""

    public_url: str
    objects: Sequence[str]


class PackageWatch:
    """Probes the org for the package, and remembers what its pushes say of it."""

    def __init__(
        self, client: Client, wanted: Wanted, org_id: Callable[[], str | None], now: Callable[[], Millis]
    ) -> None:
        self._client = client
        self.wanted = wanted
        self._org_id = org_id
        self._now = now
        self._probes = 0
        self._was_seen = False
        """Whether a probe ever found it: then its absence is no lack of permission."""
        self.known = PackageState()
        self.wake = asyncio.Event()
        """Set when a probe is due before its time."""
        self.is_wanted = False
        """Whether a probe is wanted although pushes come."""
        self.next_probe_at: Millis | None = None

    def heard_from(self, push: Push, at: Millis) -> None:
        """A push came: the package is there, whatever a probe said."""
        known = self.known
        if known.last_seen_at is None and not self._was_seen:
            self.probe_soon()  # once: can the sync user see it, so that its absence would tell something?
        known.state, known.last_seen_at = "installed", at
        known.version = push.pkg or known.version
        if isinstance(push, Heartbeat):
            self._take_heartbeat(push, at)
        elif isinstance(push, Changes):
            known.disabled = False
            if known.triggers is not None:  # whoever pushes has a trigger, whatever was said
                known.triggers |= {change.object for change in push.changes}

    def _take_heartbeat(self, beat: Heartbeat, at: Millis) -> None:
        known = self.known
        if "disabled" in beat.settings:
            known.disabled = beat.settings["disabled"] is True
            settings = known.settings = known.settings or PackageSettings(at, known.disabled)
            settings.as_of, settings.disabled = at, known.disabled
            settings.error_logging = beat.settings.get("error_logging", settings.error_logging) is True
        known.configured, known.heartbeat_at = True, at
        if beat.triggers is not None:
            known.triggers, known.triggers_at = frozenset(beat.triggers), at
        known.errors_24h = beat.errors_24h
        if beat.errors_24h:
            self.wake.set()
        known.async_used, known.async_max = _number(beat.async_.get("used")), _number(beat.async_.get("max"))

    async def probe(self) -> Signal:
        """Ask the org once: the settings tell whether the package is there and switched on.

        Raises what the client raises, but for a missing object: that is the answer.
        """
        self._probes += 1
        self.is_wanted = False
        try:
            rows = await package.read_settings(self._client)
        except ObjectUnavailable as error:
            if error.reason != "INVALID_FIELD":
                raise
            self._was_seen = True
            return self._found_closed()
        if rows is None:
            return self._found_closed() if self._is_hidden() else self._missing()
        org_id = self._org_id()
        row = package.org_row(rows, org_id) if org_id else None
        return self._found(row)

    async def probe_with_triggers(self) -> Signal:
        """Probe, and read the triggers too: one call more."""
        signal = await self.probe()
        if self.known.state == "installed":
            try:
                triggers = await package.read_triggers(self._client)
            except ObjectUnavailable:  # the sync user may not use the Tooling API: heartbeats name them too
                return signal
            self.known.triggers = frozenset(triggers)
            self.known.triggers_at = self._now()
        return signal

    async def set_disabled(self, *, disabled: bool) -> bool:
        """Switch the package off or on for the whole org; return whether that changed anything.

        Raises Conflict where the package is not in the org, and what the client raises.
        """
        org_id = self._org_id()
        if org_id is None:
            raise Conflict("The org is not known yet.", "Wait until rtsd has logged in.")
        rows = await package.read_settings(self._client)
        if rows is None:
            self._missing()
            raise Conflict("The package is not in the org.", "`rtsd package deploy` puts it there.")
        row = package.org_row(rows, org_id)
        changed = (row is not None and row.disabled) is not disabled
        if changed:
            await package.write_settings(self._client, org_id, {"Disable_RTS__c": disabled}, row)
        self._found(row)
        self.known.disabled = disabled
        if self.known.settings is not None:
            self.known.settings.disabled = disabled
        return changed

    def pause_s(self) -> float:
        """Seconds until the next probe."""
        if self._probes <= EAGER_PROBES:
            return FIRST_PAUSE_S
        return min(FIRST_PAUSE_S * 2.0 ** (self._probes - EAGER_PROBES), LONGEST_PAUSE_S)

    def probe_soon(self) -> None:
        """Have the package probed once, now: something has changed."""
        self.is_wanted = True
        self.wake.set()

    def uncovered(self) -> list[str]:
        """Mirrored objects that are known to have no trigger: nothing pushes their changes."""
        triggers = self.known.triggers
        if self.known.state != "installed" or triggers is None:
            return []
        covered = {name.lower() for name in triggers}
        return [name for name in self.wanted.objects if name.lower() not in covered]

    def problems(self) -> list[Problem]:
        """What contradicts the configuration, as far as it is known."""
        known, settings = self.known, self.known.settings
        if known.state != "installed":
            return []
        found = []
        if known.closed:
            found.append(
                Problem(
                    "The sync user may not read the fields of RTS_Settings__c.",
                    "Setup → Permission Sets → RTS Sync → Manage Assignments: add it.",
                )
            )
        if known.configured is False:
            found.append(
                Problem(
                    "RTS_Settings__c has no row for the org, so nothing is pushed.",
                    "Run `rtsd package deploy`.",
                )
            )
        url, ours = settings.gateway_url if settings else None, self.wanted.public_url
        if url is not None and (not url or (ours and not same_gateway(url, ours))):
            found.append(
                Problem(
                    f"The package posts to {url or 'no URL'}, not to {ours or '(no public_url)'}.",
                    "Run `rtsd package deploy`, or correct [gateway] public_url.",
                )
            )
        bound = settings.org_id if settings else None
        if bound and bound[:15] != (self._org_id() or bound)[:15]:
            found.append(
                Problem(
                    f"The package is bound to org {bound}, so it keeps silent.", "Run `rtsd package deploy`."
                )
            )
        if names := self.uncovered():
            found.append(
                Problem(
                    f"No trigger pushes {', '.join(names)}: Interval Sync reads them.",
                    "Run `rtsd package deploy`.",
                )
            )
        return found

    def _is_hidden(self) -> bool:
        """Whether its pushes prove that it is there: the org answers alike for hidden and for absent."""
        heard = self.known.last_seen_at
        return not self._was_seen and heard is not None and self._now() - heard < PUSH_PROVES_MS

    def _missing(self) -> Signal:
        known = self.known
        known.state, known.disabled, known.settings, known.configured = "missing", None, None, None
        known.triggers = known.errors_24h = None
        known.closed = False
        return Signal.PACKAGE_MISSING

    def _found_closed(self) -> Signal:
        known = self.known
        known.state, known.closed = "installed", True
        return Signal.PACKAGE_DISABLED if known.disabled else Signal.PACKAGE_FOUND

    def _found(self, row: package.Settings | None) -> Signal:
        known = self.known
        self._was_seen = True
        was_disabled = known.disabled
        disabled = row is not None and row.disabled
        known.state, known.disabled, known.configured = "installed", disabled, row is not None
        known.closed = False
        known.settings = None
        if row is not None:
            known.settings = PackageSettings(
                self._now(), disabled, row.error_logging, row.gateway_url, row.org_id
            )
        if disabled:
            return Signal.PACKAGE_DISABLED
        return Signal.PACKAGE_ENABLED if was_disabled else Signal.PACKAGE_FOUND


def same_gateway(url: str, public_url: str) -> bool:
    """Whether both name one gateway: the setting may name the path of pushes too."""
    return _base(url) == _base(public_url)


def _base(url: str) -> str:
    return url.strip().rstrip("/").removesuffix("/v1/push").lower()


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
