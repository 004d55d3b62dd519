"""The planned state of the package, from the configuration and the org's facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from rtsd import apex
from rtsd.config import Config
from rtsd.core.channel import PACKAGED, STREAM
from rtsd.core.ids import full_id
from rtsd.core.spelling import did_you_mean
from rtsd.errors import (
    AuthenticationFailed,
    ConfigError,
    Conflict,
    OrgUnreachable,
    QuotaExhausted,
    SalesforceError,
    UsageError,
)
from rtsd.salesforce import objects, soql
from rtsd.salesforce.client import Client
from rtsd.salesforce.deploy import NO_TESTS, ApexTests
from rtsd.salesforce.responses import Organization
from rtsd.salesforce.shapes import RecordId
from rtsd.salesforce.transport import is_loopback

PURPOSE = "package"
NOWHERE = "https://gateway.invalid"
"""A placeholder for the gateway's address if nothing is to be pushed (RFC 6761)."""
REMOVAL_TEST = ApexTests("RunSpecifiedTests", (apex.REMOVAL_TEST,))
"""Of a deployment that deletes all other Apex: it needs a test, and covers nothing that stays."""
_WITHOUT_TESTS = "Developer Edition"


class _CodeShape(msgspec.Struct):
    Body: str | None = None


class _UserShape(msgspec.Struct):
    Id: RecordId
    Username: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Changes to the objects that get no trigger on purpose; the org remembers the others."""

    without: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    """Objects that get their trigger back."""


NO_CHOICE = Choice()


@dataclass(frozen=True)
class Plan:
    """The planned state of the package in an org."""

    org: Organization
    user_id: str
    user: str
    """The sync user's username."""
    objects: tuple[str, ...]
    """Mirrored objects that support triggers."""
    untriggered: tuple[str, ...]
    """Mirrored objects without support for triggers, which Interval Sync reads."""
    left_out: tuple[str, ...]
    """Mirrored objects that get no trigger on purpose, which Interval Sync reads, too."""
    channel: str
    """gateway or stream."""
    sealed: bool
    gateway_url: str
    """Empty for the stream."""
    api_version: str
    tokens: tuple[str, ...]
    """The tokens that rtsd accepts, newest last."""
    conditions: Mapping[str, tuple[str, ...]]
    """By object; only of those with a trigger."""

    @cached_property
    def files(self) -> dict[str, bytes]:
        """The package in metadata format, by path."""
        return apex.metadata(
            self.objects,
            self.gateway_url,
            self.api_version,
            run_as=self.user,
            left_out=self.left_out,
            reads_pushes=self.is_stream,
        )

    @property
    def is_stream(self) -> bool:
        """True if the package is to publish its pushes as events."""
        return self.channel == STREAM

    @property
    def is_production(self) -> bool:
        """True if a deployment with Apex has to run tests (Metadata API guide, testLevel)."""
        return not self.org.sandbox and self.org.edition != _WITHOUT_TESTS

    def tests(self, classes: tuple[str, ...] = (), *, local: bool = False) -> ApexTests:
        """Return the tests to run: in production by default only the package's, as others may fail."""
        if classes:
            return ApexTests("RunSpecifiedTests", classes)
        if local:
            return ApexTests("RunLocalTests")
        return ApexTests("RunSpecifiedTests", apex.TEST_CLASSES) if self.is_production else NO_TESTS

    def removal_tests(self, classes: tuple[str, ...] = (), *, local: bool = False) -> ApexTests:
        """Return the tests of a removal: in production by default only the one that is there for it."""
        if classes or local:
            return self.tests(classes, local=local)
        return REMOVAL_TEST if self.is_production else NO_TESTS


async def make(
    client: Client, config: Config, *, user: str = "", pushes: bool = True, choice: Choice = NO_CHOICE
) -> Plan:
    """Create the plan, with four calls to the org.

    `user` is the username of rtsd's user if somebody else is logged in. Without `pushes` the plan needs no
    gateway, as for disabling or removing the package. Raises ConfigError if the gateway is not configured,
    UsageError for a choice of unknown objects, Conflict if the edition runs no Apex, and the client's errors.
    """
    if pushes:
        require_channel(config)
    org = await client.organization(purpose=PURPOSE)
    if org.apex is False:
        raise Conflict(
            f"{org.edition} runs no Apex, so the package cannot be deployed.",
            'Set listen = "" in [gateway], and no channel in [push]: Interval Sync keeps the mirror correct.',
        )
    user_id, username = await _user(client, user)
    visible = await objects.list_objects(client, purpose=PURPOSE)
    listed = {name.lower(): entry for name, entry in visible.items()}
    missing = [section.name for section in config.objects if section.name.lower() not in listed]
    if missing and pushes:
        raise ConfigError(
            f"The org has no object {', '.join(missing)}, or hides it from the sync user.",
            "Correct [[objects]], or give the sync user the object permission Read.",
        )
    found = {
        section.name: listed[section.name.lower()]
        for section in config.objects
        if section.name not in missing
    }
    triggerable = [entry.name for entry in found.values() if entry.triggerable]
    left_out = _left_out(triggerable, await _remembered(client), choice)
    triggered = tuple(name for name in triggerable if name not in left_out)
    return Plan(
        org=org,
        user_id=user_id,
        user=username,
        objects=triggered,
        left_out=left_out,
        untriggered=tuple(entry.name for entry in found.values() if not entry.triggerable),
        channel=config.push.channel,
        sealed=config.push.sealed,
        gateway_url="" if config.push.channel == STREAM else config.gateway.public_url or NOWHERE,
        api_version=config.org.api_version,
        tokens=tuple(secret.reveal() for secret in config.package_tokens),
        conditions={
            found[section.name].name: section.conditions
            for section in config.objects
            if section.conditions and section.name in found and found[section.name].name in triggered
        },
    )


async def _remembered(client: Client) -> tuple[str, ...]:
    """Return the objects that the installed package leaves out on purpose; none if that can't be read."""
    statement = soql.apex_code("ApexClass", apex.TRIGGERS_CLASS)
    try:
        rows = (await client.tooling_query(statement, purpose=PURPOSE)).rows(_CodeShape)
    except (AuthenticationFailed, OrgUnreachable, QuotaExhausted):
        raise
    except SalesforceError:
        return ()
    return apex.left_out_of(rows[0].Body or "") if rows else ()


def _left_out(names: Sequence[str], remembered: Iterable[str], choice: Choice) -> tuple[str, ...]:
    """Return those of `names` that get no trigger. Raises UsageError for a choice that is not among them."""
    known = {name.lower(): name for name in names}
    for name in (*choice.without, *choice.restored):
        if name.lower() not in known:
            raise UsageError(
                f"{name} is not among the mirrored objects with a trigger: {', '.join(names)}."
                f"{did_you_mean(name, names)}",
                "Name an object of [[objects]].",
            )
    wanted = {name.lower() for name in (*remembered, *choice.without)}
    wanted -= {name.lower() for name in choice.restored}
    return tuple(name for name in names if name.lower() in wanted)


async def _user(client: Client, username: str) -> tuple[str, str]:
    """Return (id, username) of the named user, or else of the one logged in. Raises UsageError."""
    if not username:
        mine = await client.userinfo(purpose=PURPOSE)
        return mine.user_id, mine.username
    rows = (await client.query(soql.user_named(username), purpose=PURPOSE)).rows(_UserShape)
    if not rows:
        raise UsageError(f"The org has no user {username}.", "Look the username up in Setup → Users.")
    return full_id(rows[0].Id), rows[0].Username


def require_channel(config: Config) -> None:
    """Raise ConfigError unless the gateway is configured; the stream has nothing to be reached at."""
    gateway = config.gateway
    if config.push.channel == STREAM:
        return
    require_package(config)
    address = config.org.address
    if is_loopback(gateway.public_url) and address and not is_loopback(address):
        raise ConfigError(
            f"public_url in [gateway] is {gateway.public_url}, which Salesforce cannot reach.",
            'Set it to the URL at which Salesforce reaches the gateway, such as "https://rts.acme.com".',
        )
    if gateway.listen is None:
        raise ConfigError(
            'listen = "" in [gateway]: rtsd receives no pushes, so the package has nowhere to send them.',
            'Set listen, public_url and token_file in [gateway], or channel = "stream" in [push].',
        )
    if not gateway.public_url:
        raise ConfigError(
            "public_url in [gateway] is empty: the package needs an address to push to.",
            'Set it to the URL at which Salesforce reaches the gateway, such as "https://rts.acme.com".',
        )


def require_package(config: Config) -> None:
    """Raise ConfigError for a channel that needs no package."""
    if config.push.channel not in PACKAGED:
        raise ConfigError(
            f'channel = "{config.push.channel}" in [push]: changes come without the package.',
            'Set channel = "stream" or "gateway" to have it push; `rtsd package remove` removes it.',
        )
