"""The preflight checks of `rtsd check`: login, org, permissions, objects, package, limits and cost.

It reads a few rows and writes nothing, neither in the org nor locally.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rtsd.config import Config, ObjectSection
from rtsd.config.credentials import credentials
from rtsd.config.engine import engine_of
from rtsd.control import wire
from rtsd.control.protocol import Priced
from rtsd.core import schema
from rtsd.core.condition_fields import unsuitable
from rtsd.core.cost import Cost
from rtsd.core.instant import Millis
from rtsd.core.problem import Problem
from rtsd.core.schema import ObjectConfig
from rtsd.core.spelling import did_you_mean, meant
from rtsd.daemon import fanout, stream
from rtsd.daemon import rules as configured
from rtsd.daemon.idle_day import estimated
from rtsd.daemon.reload import schedule
from rtsd.errors import AuthenticationFailed, OrgUnreachable, RtsError, SalesforceError, StoreError
from rtsd.machine import wall_ms
from rtsd.rules.engine import mistakes_in
from rtsd.salesforce import objects, soql
from rtsd.salesforce.client import Client
from rtsd.salesforce.ledger import NullLedger
from rtsd.salesforce.objects import Described
from rtsd.salesforce.responses import Limit, Organization, UserInfo
from rtsd.salesforce.session import Session
from rtsd.sync import privacy_change
from rtsd.sync.estimate import (
    IdleDay,
    ObjectSize,
    first_load_cost,
    measure,
    unread,
)
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.package import PackageWatch, Wanted
from rtsd.workflows import capture
from rtsd.workflows.capture import CaptureReport

_PURPOSE = "check"


class _PermissionsShape(msgspec.Struct):
    PermissionsViewAllData: bool = False


class _AssignmentShape(msgspec.Struct):
    PermissionSet: _PermissionsShape | None = None


@dataclass(frozen=True, slots=True)
class CheckedObject:
    """An object that can be mirrored; its size covers the rows visible to the sync user."""

    mirrored: MirroredObject
    size: ObjectSize

    @property
    def name(self) -> str:
        """The object's name, as the org spells it."""
        return self.mirrored.described.name

    @property
    def fields(self) -> int:
        """The number of mirrored fields."""
        return len(self.mirrored.described.columns)


@dataclass(slots=True)
class Report:
    """The result of the checks. Values that could not be read stay None."""

    org: Organization | None = None
    user: str | None = None
    sees_all: bool | None = None
    package: str | None = None
    objects: list[CheckedObject] = field(default_factory=list)
    limits: dict[str, Limit] = field(default_factory=dict)
    cost: Cost | None = None
    idle: IdleDay | None = None
    """The cost of a day without changes."""
    capture: CaptureReport | None = None
    """The selection for Change Data Capture, if that is the channel."""
    privacy: dict[str, str] = field(default_factory=dict)
    """What the next start applies to the mirror by changed privacy, exclude or fields, by object."""
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    """What works today, and is about to end."""

    @property
    def apex(self) -> bool | None:
        """True if the org's edition runs Apex, which the package needs; None if unknown."""
        return None if self.org is None else self.org.apex

    def priced(self) -> Priced:
        """Return the price of the first audit, and every problem (contract section 5)."""
        maxima = {name: limit.maximum for name, limit in self.limits.items()}
        return Priced(
            estimate=None if self.cost is None else wire.estimate(self.cost, maxima),
            problems=wire.problems(self.problems),
        )

    def document(self) -> dict[str, Any]:
        """Return the report as JSON."""
        org = self.org
        return {
            "org": None
            if org is None
            else {
                "id": org.id,
                "name": org.name,
                "edition": org.edition,
                "sandbox": org.sandbox,
                "apex": self.apex,
                "user": self.user,
                "sees_all": self.sees_all,
            },
            "package": {"state": self.package},
            "objects": [
                {"name": found.name, "fields": found.fields, "rows": found.size.rows}
                for found in self.objects
            ],
            "capture": None if self.capture is None else self.capture.document(),
            "privacy": [{"object": name, "message": message} for name, message in self.privacy.items()],
            "idle_day": None if self.idle is None else self.idle.document(),
            **msgspec.to_builtins(self.priced()),
            "warnings": msgspec.to_builtins(wire.problems(self.warnings)),
        }

    def add(self, error: RtsError, what: str = "") -> None:
        """Add an error as a problem, with `what` as a prefix."""
        self.problems.append(Problem(f"{what}{error.message}", error.do))


async def inspect(config: Config) -> Report:
    """Run all checks; the report's `problems` lists those that failed.

    Raises ConfigError for rules that name columns that their objects lack.
    """
    report = Report(warnings=list(_warnings(config)))
    engine = engine_of(config)
    try:
        names = [section.name for section in config.objects]
        await engine.check(config.store.views.used(), names)
    except StoreError as error:
        report.add(error)
    _check_commands(config, report)
    sections = [section.config() for section in config.objects]
    report.privacy = await privacy_change.preview(engine, sections)
    session = Session(credentials(config.org), NullLedger(), wall_ms)
    async with Client(session, NullLedger(), wall_ms, api_version=config.org.api_version) as client:
        try:
            await _check_org(client, config, report)
            await _check_stream(session, config, report)
            await _check_streams(config, report)
            await _check_capture(client, config, report)
            await _check_objects(client, config, report)
            _check_rules(config, report.objects)
            report.idle = estimated(config, schedule(config), _sized(report.objects))
            await _check_limits(client, config, report)
        except (AuthenticationFailed, OrgUnreachable) as error:
            report.add(error)
        except SalesforceError as error:
            report.add(error, "The checks of the org are incomplete: ")
    return report


def _warnings(config: Config) -> Iterator[Problem]:
    if config.org.auth == "password":
        yield Problem(
            "Salesforce ends logins with user name and password on 20 February 2027; new orgs refuse them.",
            'Use auth = "client_credentials" or auth = "jwt" with an external client app.',
        )
    if config.org.auth == "sf":
        yield Problem(
            'auth = "sf" is the login of one user of this machine: a systemd service cannot use it.',
            'For a service use auth = "client_credentials", or "sfdx_url" with the output of'
            " `sf org auth show-sfdx-auth-url`.",
        )
    yield from fanout.warnings_of(config)


async def _check_org(client: Client, config: Config, report: Report) -> None:
    user = await _user(client)
    report.user = user.username if user else None
    report.org = await client.organization(purpose=_PURPOSE)
    if config.is_pushed_to and report.apex is False:
        report.problems.append(
            Problem(
                f"{report.org.edition} runs no Apex, so the package cannot be installed.",
                'Set listen = "" in [gateway]: Interval Sync reads the changes.',
            )
        )
    report.sees_all = await _sees_all(client, user.user_id) if user else None
    if report.sees_all is False:
        report.problems.append(
            Problem(
                f"{report.user} lacks View All Data: rtsd cannot see records that are not shared with it.",
                "Grant View All Data, or View All Records on each object of [[objects]], or share the records"
                " to be mirrored; Modify All Data is not needed.",
            )
        )
    objects = [section.name for section in config.objects]
    wanted = Wanted(config.gateway.public_url, objects, config.push.channel, config.push.sealed)
    org_id = report.org.id
    package = PackageWatch(client, wanted, lambda: org_id, wall_ms)
    await package.probe()
    report.package = "disabled" if package.known.disabled else package.known.state
    report.problems += package.channel_problems() if wanted.is_stream else []


async def _check_stream(session: Session, config: Config, report: Report) -> None:
    if stream.topic_of(config):
        problem = await stream.problem_of(config, session)
        report.problems += [] if problem is None else [problem]


async def _check_streams(config: Config, report: Report) -> None:
    if config.streams and report.org is not None:
        objects = [section.name for section in config.objects]
        async for problem in fanout.problems_of(config, report.org.id, objects):
            report.problems.append(problem)


async def _check_capture(client: Client, config: Config, report: Report) -> None:
    if config.push.channel != "cdc":
        return
    found = await capture.inspect(client, config, purpose=_PURPOSE)
    if isinstance(found, Problem):
        report.problems.append(found)
    else:
        report.capture = found
        report.problems += found.problems()
        report.warnings += found.warnings()
    if report.sees_all is False:
        what = "Events of objects on which the user lacks View All are left out, and nothing says so."
        do = (
            "Grant View All Records on each selected object; on User View All Users, and for Task, Event and"
            " others View All Data. Fingerprints find what was left out."
        )
        report.problems.append(Problem(what, do))


async def _user(client: Client) -> UserInfo | None:
    """Return the sync user; None if the connected app's scopes do not allow reading it."""
    try:
        return await client.userinfo(purpose=_PURPOSE)
    except (AuthenticationFailed, OrgUnreachable):
        raise
    except SalesforceError:
        return None


async def _sees_all(client: Client, user_id: str) -> bool | None:
    """Return whether a permission set or the profile grants View All Data; None if that cannot be read."""
    try:
        page = await client.query(soql.view_all_data(user_id), purpose=_PURPOSE)
        granted = page.rows(_AssignmentShape)
    except (AuthenticationFailed, OrgUnreachable):
        raise
    except SalesforceError:
        return None
    if not granted:
        return None  # every profile is a permission set, so an empty result means that it is not visible
    return any(row.PermissionSet is not None and row.PermissionSet.PermissionsViewAllData for row in granted)


async def _check_objects(client: Client, config: Config, report: Report) -> None:
    names = {name.lower(): name for name in await objects.list_objects(client, purpose=_PURPOSE)}
    for section in config.objects:
        if section.name.lower() not in names:
            report.problems.append(_invisible(section.name, names))
            continue
        try:
            report.objects.append(await _check_object(client, section, config.sync.lookback))
        except (AuthenticationFailed, OrgUnreachable):
            raise
        except SalesforceError as error:
            report.add(error, f"{section.name}: ")
        except ValueError as error:
            do = (
                "Correct [[objects]], or give the sync user Read Access to it: field-level security,"
                " in permission set RTS_Sync."
            )
            report.problems.append(Problem(f"{error}.", do))
    report.cost = first_load_cost(_sized(report.objects), with_package=config.is_pushed_to)


def _check_rules(config: Config, found: Sequence[CheckedObject]) -> None:
    schemas = {checked.name.lower(): checked.mirrored.described.schema for checked in found}
    wanted = [rule for rule in configured.rules(config) if rule.object.lower() in schemas]
    configured.refuse(
        config, [line for rule in wanted for line in mistakes_in(rule, schemas[rule.object.lower()])]
    )


def _check_commands(config: Config, report: Report) -> None:
    """Check that the programs of rules and alerts exist and are executable by the current user."""
    actions = [rule.action for rule in configured.rules(config)]
    actions += [alert.action for alert in configured.alerts(config)]
    for program in sorted({action.target for action in actions if action.kind == "command"}):
        if shutil.which(program) is None:
            what = f"{program}, the command of a rule or alert, is not an executable program."
            report.problems.append(Problem(what, "Correct argv, or its owner and mode."))


def _sized(found: Iterable[CheckedObject]) -> list[tuple[MirroredObject, ObjectSize]]:
    return [(checked.mirrored, checked.size) for checked in found]


def _invisible(name: str, names: Mapping[str, str]) -> Problem:
    return Problem(
        f"The org has no object {name}, or hides it from the sync user.{did_you_mean(name, names.values())}",
        f"Correct [[objects]], or give the sync user the object permission Read on {name}"
        " (permission set RTS_Sync).",
    )


async def _check_object(client: Client, wanted: ObjectSection, lookback: Millis) -> CheckedObject:
    """Describe and measure an object.

    Raises SalesforceError, or ValueError for configured fields that are not visible.
    """
    described = await objects.describe(client, wanted.name, purpose=_PURPOSE)
    if described is None:
        raise AssertionError("an unconditional describe has a result")
    config = wanted.config()
    kept = schema.narrow(described.schema, config, described.existing)
    _check_conditions(config, described)
    mirrored = unread(config, kept)
    return CheckedObject(mirrored, await measure(client, mirrored, lookback, purpose=_PURPOSE))


def _check_conditions(config: ObjectConfig, described: Described) -> None:
    known = {name.lower() for name in described.existing}
    unknown = [name for name in config.conditions if name.lower() not in known]
    if unknown:
        listed = ", ".join(f"{name}{meant(name, described.existing)}" for name in unknown)
        raise ValueError(f"conditions of {config.name} name {listed}, which the sync user cannot see")
    if reasons := unsuitable(config.conditions, described.compounds):
        raise ValueError(f"conditions of {config.name}: {'; '.join(reasons)}")


async def _check_limits(client: Client, config: Config, report: Report) -> None:
    """Compare the cost with the remaining limits, less the reserve."""
    try:
        report.limits = await client.limits(purpose=_PURPOSE)
    except (AuthenticationFailed, OrgUnreachable):
        raise
    except SalesforceError as error:
        what = f"The org does not reveal its limits: {error.message}"
        do = "Give the sync user View Setup and Configuration; until then rtsd knows only your own limits."
        report.problems.append(Problem(what, do))
    if report.cost is None:
        return
    limits = {name: (limit.maximum, limit.remaining) for name, limit in report.limits.items()}
    for name, share, left in report.cost.beyond(limits, config.quota.reserve):
        report.problems.append(
            Problem(
                f"The first audit needs {share:.1f} % of {name}, of which {left:.1f} % are available today.",
                "It pauses and resumes as usage expires; a lower [quota] reserve or fewer [[objects]] help.",
            )
        )
