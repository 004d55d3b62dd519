"""The state of the Salesforce package in the org: its settings, and conflicts with the configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rtsd.core import relay as relays
from rtsd.core.channel import GATEWAY, STREAM
from rtsd.core.instant import Millis
from rtsd.core.mode import Signal
from rtsd.core.payload import Changes, Heartbeat, Push
from rtsd.core.problem import Problem
from rtsd.core.relay import Relay
from rtsd.errors import (
    AuthenticationFailed,
    Conflict,
    ObjectUnavailable,
    OrgUnreachable,
    QuotaExhausted,
    SalesforceError,
)
from rtsd.salesforce import package
from rtsd.salesforce.client import Client

FIRST_PAUSE_S = 25.0
"""Seconds between probes while the package is awaited, so that its deployment is noticed within 30 s."""
EAGER_PROBES = 30
"""Probes at these intervals in any other case. Then they get rarer: the first push proves the package too."""
LONGEST_PAUSE_S = 3600.0
"""Maximum seconds between probes, unless the package is awaited."""
PUSH_PROVES_MS: Millis = 86_400_000
"""The time for which a push proves a package that no probe has found: it is hidden from the sync user."""


@dataclass(slots=True)
class PackageSettings:
    """The org's settings, from a probe or a heartbeat; None if unknown. `as_of` is local time in ms."""

    as_of: Millis
    disabled: bool
    error_logging: bool | None = None
    gateway_url: str | None = None
    org_id: str | None = None
    channel: str | None = None
    """None unless it was asked for, which is only for the stream."""
    sealed: bool = False


@dataclass(slots=True)
class PackageState:
    """The known state of the package: `state` is unknown, missing or installed. Times are local, in ms."""

    state: str = "unknown"
    version: str | None = None
    disabled: bool | None = None
    last_seen_at: Millis | None = None
    settings: PackageSettings | None = None
    configured: bool | None = None
    """True if the org has a row of settings; None before the first probe."""
    settings_hidden: bool = False
    """True if the settings exist, but their fields are hidden from the sync user."""
    triggers: frozenset[str] | None = None
    """Objects with a trigger of the package; None if unknown."""
    triggers_at: Millis = 0
    heartbeat_at: Millis | None = None
    errors_24h: int | None = None
    """Rows of RTS_Error__c, as counted by the last heartbeat."""
    relay: Relay | None = None
    relayed_at: Millis | None = None
    """When a push or heartbeat last came through the relay."""
    async_used: int | None = None
    async_max: int | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """The package's settings as the configuration requires them."""

    public_url: str
    """The gateway's address; empty if nobody configured where a package should push to."""
    objects: Sequence[str]
    channel: str = GATEWAY
    sealed: bool = False
    """Whether the package should seal the events that it publishes."""

    @property
    def is_stream(self) -> bool:
        """True if the package should publish events."""
        return self.channel == STREAM


class PackageWatch:
    """Tracks the package's state by probes and by its pushes."""

    def __init__(
        self, client: Client, wanted: Wanted, org_id: Callable[[], str | None], now: Callable[[], Millis]
    ) -> None:
        self._client = client
        self.wanted = wanted
        self._org_id = org_id
        self._now = now
        self._probes = 0
        self._was_seen = False
        """True if a probe ever found it, so that its absence is not a lack of permission."""
        self.known = PackageState()
        self.wake = asyncio.Event()
        """Set when a probe is due early."""
        self.is_requested = False
        """True if a probe is due even in real-time mode."""
        self.next_probe_at: Millis | None = None

    def observe(self, push: Push, at: Millis) -> None:
        """Record a push at `at` (local ms): it proves the package, even if a probe did not find it."""
        known = self.known
        if known.last_seen_at is None and not self._was_seen:
            self.request_probe()  # once: its absence is evidence only if the sync user can see it
        if None not in (push.pkg, known.version) and push.pkg != known.version:
            self.request_probe()  # somebody deployed another version, perhaps with other settings
        known.state, known.last_seen_at = "installed", at
        known.version = push.pkg or known.version
        if isinstance(push, Heartbeat):
            self._apply_heartbeat(push, at)
        elif isinstance(push, Changes):
            known.disabled = False
            if known.triggers is not None:  # a pushed object has a trigger, whatever was reported
                known.triggers |= {change.object for change in push.changes}

    def _apply_heartbeat(self, beat: Heartbeat, at: Millis) -> None:
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
        if beat.relay is not None:
            known.relay = relays.from_heartbeat(beat.relay, at, known.relay)
        if beat.errors_24h:
            self.wake.set()
        known.async_used, known.async_max = _number(beat.async_.get("used")), _number(beat.async_.get("max"))

    async def probe(self) -> Signal:
        """Read the package's settings in one call; return whether it is missing, found, enabled or disabled.

        When the package is first found, two more calls read its version and triggers. Raises the client's
        errors, except that a missing object means a missing package.
        """
        before = self.known.state
        signal = await self._probe_settings()
        if self.known.state != before:
            self._probes = 0
            await self._read_code()
        return signal

    async def probe_with_code(self) -> Signal:
        """Probe, and read version and triggers in two more calls."""
        signal = await self._probe_settings()
        await self._read_code()
        return signal

    async def _probe_settings(self) -> Signal:
        self._probes += 1
        self.is_requested = False
        try:
            rows = await package.read_settings(self._client, with_channel=self.wanted.is_stream)
        except ObjectUnavailable as error:
            if error.reason != "INVALID_FIELD":
                raise
            self._was_seen = True
            return self._set_hidden()
        if rows is None:
            return self._set_hidden() if self._is_hidden() else self._set_missing()
        org_id = self._org_id()
        row = package.org_row(rows, org_id) if org_id else None
        return self._set_installed(row)

    async def _read_code(self) -> None:
        """Read version and triggers, if the package is installed and the Tooling API accessible."""
        if self.known.state != "installed":
            return
        try:
            self.known.version = await package.read_version(self._client) or self.known.version
            triggers = await package.read_triggers(self._client)
        except (AuthenticationFailed, OrgUnreachable, QuotaExhausted):
            raise
        except SalesforceError:  # without access to the Tooling API, rely on heartbeats
            return
        self.known.triggers, self.known.triggers_at = frozenset(triggers), self._now()

    async def set_disabled(self, *, disabled: bool) -> bool:
        """Disable or enable the package for the whole org; return whether that changed anything.

        Raises Conflict if the package is not in the org, and the client's errors.
        """
        org_id = self._org_id()
        if org_id is None:
            raise Conflict("The org is not known yet.", "Wait until rtsd has logged in.")
        rows = await package.read_settings(self._client)
        if rows is None:
            self._set_missing()
            raise Conflict("The package is not in the org.", "`rtsd package deploy` installs it.")
        row = package.org_row(rows, org_id)
        changed = (row is not None and row.disabled) is not disabled
        if changed:
            await package.write_settings(self._client, org_id, {"Disable_RTS__c": disabled}, row)
        self._set_installed(row)
        self.known.disabled = disabled
        if self.known.settings is not None:
            self.known.settings.disabled = disabled
        return changed

    def pause_s(self) -> float:
        """Return the seconds until the next probe."""
        if self._probes <= EAGER_PROBES or self.is_awaited:
            return FIRST_PAUSE_S
        return min(FIRST_PAUSE_S * 2.0 ** (self._probes - EAGER_PROBES), LONGEST_PAUSE_S)

    @property
    def is_awaited(self) -> bool:
        """Whether a package is expected, as its channel is configured, and not known to be in the org."""
        is_expected = self.wanted.is_stream or bool(self.wanted.public_url)
        return is_expected and self.known.state != "installed"

    def request_probe(self) -> None:
        """Request one probe now, as something has changed."""
        self.is_requested = True
        self.wake.set()

    def uncovered(self) -> list[str]:
        """Return the mirrored objects that are known to have no trigger, whose changes are not pushed."""
        triggers = self.known.triggers
        if self.known.state != "installed" or triggers is None:
            return []
        covered = {name.lower() for name in triggers}
        return [name for name in self.wanted.objects if name.lower() not in covered]

    def problems(self) -> list[Problem]:
        """Return the known conflicts with the configuration."""
        known, settings = self.known, self.known.settings
        if known.state != "installed":
            return []
        found = []
        if known.settings_hidden:
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
        found += self.channel_problems()
        bound = settings.org_id if settings else None
        if bound and bound[:15] != (self._org_id() or bound)[:15]:
            found.append(
                Problem(
                    f"The package is bound to org {bound}, so it does not push.", "Run `rtsd package deploy`."
                )
            )
        if known.relay is not None and known.relay.failure is not None:
            found.append(known.relay.failure)
        if names := self.uncovered():
            found.append(
                Problem(
                    f"No trigger pushes {', '.join(names)}: Interval Sync reads them.",
                    "Run `rtsd package deploy`; `rtsd package status` lists those left out on purpose.",
                )
            )
        return found

    def channel_problems(self) -> list[Problem]:
        """Return how the package's settings differ from the configured channel."""
        settings, wanted = self.known.settings, self.wanted
        if settings is None:
            return []
        if wanted.is_stream:
            return _stream_problems(settings, wanted)
        url, ours = settings.gateway_url, wanted.public_url
        if url is None or (url and not (ours and not same_gateway(url, ours))):
            return []
        do = "Run `rtsd package deploy`, or correct [gateway] public_url."
        if not url:  # as a package is that publishes
            do = f"If its channel was changed, restart rtsd. {do}"
        return [Problem(f"The package posts to {url or 'no URL'}, not to {ours or '(no public_url)'}.", do)]

    def _is_hidden(self) -> bool:
        """Return whether a recent push proves the package although probes miss it.

        Salesforce answers alike for a hidden and for a missing object.
        """
        pushed_at = self.known.last_seen_at
        return not self._was_seen and pushed_at is not None and self._now() - pushed_at < PUSH_PROVES_MS

    def _set_missing(self) -> Signal:
        known = self.known
        known.state, known.disabled, known.settings, known.configured = "missing", None, None, None
        known.triggers = known.errors_24h = known.version = known.relay = None
        known.settings_hidden = False
        return Signal.PACKAGE_MISSING

    def _set_hidden(self) -> Signal:
        known = self.known
        known.state, known.settings_hidden = "installed", True
        return Signal.PACKAGE_DISABLED if known.disabled else Signal.PACKAGE_FOUND

    def _set_installed(self, row: package.Settings | None) -> Signal:
        known = self.known
        self._was_seen = True
        was_disabled = known.disabled
        disabled = row is not None and row.disabled
        known.state, known.disabled, known.configured = "installed", disabled, row is not None
        known.settings_hidden = False
        known.settings = None
        if row is not None:
            known.settings = PackageSettings(
                self._now(),
                disabled,
                row.error_logging,
                row.gateway_url,
                row.org_id,
                channel=row.channel,
                sealed=row.sealed,
            )
        if disabled:
            return Signal.PACKAGE_DISABLED
        return Signal.PACKAGE_ENABLED if was_disabled else Signal.PACKAGE_FOUND


def _stream_problems(settings: PackageSettings, wanted: Wanted) -> list[Problem]:
    do = "If [push] was changed, restart rtsd. Run `rtsd package deploy`, or correct [push]."
    if settings.channel == GATEWAY:
        return [Problem("The package posts its pushes to a gateway: it does not publish them.", do)]
    if settings.channel is None or settings.sealed == wanted.sealed:
        return []
    how = "seals" if settings.sealed else "does not seal"
    return [Problem(f"The package {how} its events, other than [push] sealed says.", do)]


def same_gateway(url: str, public_url: str) -> bool:
    """Return whether both URLs are of one gateway; either may include the path of pushes."""
    return _base(url) == _base(public_url)


def _base(url: str) -> str:
    return url.strip().rstrip("/").removesuffix("/v1/push").lower()


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
