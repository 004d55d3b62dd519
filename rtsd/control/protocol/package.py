"""The Salesforce package, and the sync conditions that it obeys."""

from __future__ import annotations

from typing import Annotated

import msgspec

from rtsd.control.protocol.problems import Problem
from rtsd.control.protocol.status import Relay


class PackageTrigger(msgspec.Struct, kw_only=True):
    """The Apex trigger of one mirrored object; `installed` is None while unknown."""

    object: str
    installed: bool | None = None


class PackageSettings(msgspec.Struct, kw_only=True):
    """The org's `RTS_Settings__c`, without the token; None where unknown."""

    as_of: str
    disabled: bool
    error_logging: bool | None = None
    gateway_url: str | None = None
    org_id: str | None = None


class PackageDetails(msgspec.Struct, kw_only=True):
    """`GET /v1/package`, and the answer of `POST /v1/package/disable|enable|changed`.

    `?probe=1` asks the org first, for three calls.
    """

    state: str = "unknown"
    version: str | None = None
    disabled: bool | None = None
    last_seen_at: str | None = None
    expected_version: str | None = None
    """The version that `rtsd package deploy` installs."""
    triggers: list[PackageTrigger] = msgspec.field(default_factory=list)
    """One for each mirrored object."""
    triggers_as_of: str | None = None
    settings: PackageSettings | None = None
    relay: Relay | None = None
    async_used: int | None = None
    """Async Apex executions of the whole org in its last 24 hours, by the last heartbeat."""
    async_max: int | None = None
    errors_24h: int | None = None
    """Rows of RTS_Error__c, by the last heartbeat."""
    problems: list[Problem] = msgspec.field(default_factory=list)
    next_probe_at: str | None = msgspec.field(default=None, name="next_look_at")
    changed: bool | None = None
    """On disable and enable: True if the setting was changed."""


class PackageChangedBody(msgspec.Struct):
    """The body of `POST /v1/package/changed`: API calls that another program spent, by limit."""

    calls: dict[str, Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]] = {}
    probe: bool = True
    """Probe the package now: it was changed."""
    look: bool | msgspec.UnsetType = msgspec.UNSET
    """The former name of `probe`."""


class Conditions(msgspec.Struct, kw_only=True):
    """`GET|PUT /v1/objects/{o}/conditions`: the fields whose change is pushed; none means any."""

    object: str = ""
    fields: list[str] = msgspec.field(default_factory=list)
    source: str = "org"
    """org: as `in_org`; config: the configuration's, while the package is missing or unknown."""
    in_org: list[str] | None = None
    as_of: str | None = None
    available: list[str] = msgspec.field(default_factory=list)
    """The fields that can be conditions."""
    before: list[str] | None = None
    """On PUT: the fields in the org that were replaced."""


class ConditionsBody(msgspec.Struct):
    """The body of `PUT /v1/objects/{o}/conditions`."""

    fields: list[str]
