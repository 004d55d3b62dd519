"""What should be in the org, out of the configuration and of what the org says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from rtsd import apex
from rtsd.config import Config
from rtsd.config.values import is_loopback
from rtsd.core.ids import full_id
from rtsd.errors import ConfigError, Conflict, UsageError
from rtsd.salesforce import objects, soql
from rtsd.salesforce.client import Client
from rtsd.salesforce.deploy import NO_TESTS, ApexTests
from rtsd.salesforce.responses import Organization

PURPOSE = "package"
NOWHERE = "https://gateway.invalid"
"""Stands for the gateway's address where nothing is to be pushed (RFC 6761)."""
_WITHOUT_TESTS = "Developer Edition"


@dataclass(frozen=True)
class Plan:
    """The package as this org should have it."""

    org: Organization
    user_id: str
    user: str
    """The sync user's name."""
    objects: tuple[str, ...]
    """MirroredObject objects that can have a trigger."""
    untriggered: tuple[str, ...]
    """MirroredObject objects that run no triggers: Interval Sync reads them."""
    gateway_url: str
    api_version: str
    tokens: tuple[str, ...]
    """Every token that the gateway accepts, the newest last."""
    conditions: Mapping[str, tuple[str, ...]]

    @cached_property
    def files(self) -> dict[str, bytes]:
        """The package in metadata format, by path."""
        return apex.metadata(self.objects, self.gateway_url, self.api_version, run_as=self.user)

    @property
    def is_production(self) -> bool:
        """Whether a deployment with Apex has to run tests (Metadata API guide, testLevel)."""
        return not self.org.sandbox and self.org.edition != _WITHOUT_TESTS

    def tests(self, classes: tuple[str, ...] = (), *, local: bool = False) -> ApexTests:
        """Which tests a deployment runs: in production the package's own, as a customer's may fail anyway."""
        if classes:
            return ApexTests("RunSpecifiedTests", classes)
        if local:
            return ApexTests("RunLocalTests")
        return ApexTests("RunSpecifiedTests", apex.TEST_CLASSES) if self.is_production else NO_TESTS


async def make(client: Client, config: Config, *, user: str = "", pushes: bool = True) -> Plan:
    """Ask the org what the plan depends on, for three calls.

    `user` is the username of rtsd's user, where somebody else is logged in; without `pushes` it is about
    switching the package or removing it, which needs no gateway. Raises ConfigError where the configuration
    has none to push to, Conflict where the edition runs no Apex, and what the client raises.
    """
    if pushes:
        _require_gateway(config)
    org = await client.organization(purpose=PURPOSE)
    if not org.apex:
        raise Conflict(
            f"{org.edition} runs no Apex, so nothing in it can push, and the package cannot be deployed.",
            'Set listen = "" in [gateway]: Interval Sync reads the changes, and the mirror is as right.',
        )
    user_id, username = await _user(client, user)
    listed = {
        name.lower(): one for name, one in (await objects.list_objects(client, purpose=PURPOSE)).items()
    }
    missing = [one.name for one in config.objects if one.name.lower() not in listed]
    if missing and pushes:
        raise ConfigError(
            f"The org has no object {', '.join(missing)}, or hides it from the sync user.",
            "Correct [[objects]], or give the sync user the object permission Read.",
        )
    found = {one.name: listed[one.name.lower()] for one in config.objects if one.name not in missing}
    return Plan(
        org=org,
        user_id=user_id,
        user=username,
        objects=tuple(one.name for one in found.values() if one.triggerable),
        untriggered=tuple(one.name for one in found.values() if not one.triggerable),
        gateway_url=config.gateway.public_url or NOWHERE,
        api_version=config.org.api_version,
        tokens=tuple(secret.reveal() for secret in config.gateway.token),
        conditions={
            found[one.name].name: one.conditions
            for one in config.objects
            if one.conditions and one.name in found
        },
    )


async def _user(client: Client, username: str) -> tuple[str, str]:
    """Id and name of rtsd's user: who is logged in, or who is named. Raises UsageError."""
    if not username:
        mine = await client.userinfo(purpose=PURPOSE)
        return mine.user_id, mine.username
    rows = (await client.query(soql.user_named(username), purpose=PURPOSE)).records
    if not rows:
        raise UsageError(f"The org has no user {username}.", "Usernames are in Setup → Users.")
    return full_id(rows[0]["Id"]), str(rows[0]["Username"])


def _require_gateway(config: Config) -> None:
    gateway = config.gateway
    if _is_here(gateway.public_url) and not _is_here(config.org.login_url):
        raise ConfigError(
            f"public_url in [gateway] is {gateway.public_url}: Salesforce can't reach this machine by that.",
            'Set it to the URL at which Salesforce reaches the gateway, such as "https://rts.acme.com".',
        )
    if gateway.listen is None:
        raise ConfigError(
            'listen = "" in [gateway]: this rtsd takes no pushes, so the package has nowhere to push to.',
            "Set listen, public_url and token_file in [gateway].",
        )
    if not gateway.public_url:
        raise ConfigError(
            "public_url in [gateway] is empty: the package has to know where it pushes to.",
            'Set it to the URL at which Salesforce reaches the gateway, such as "https://rts.acme.com".',
        )


def _is_here(url: str) -> bool:
    return is_loopback(urlsplit(url).hostname or "")
