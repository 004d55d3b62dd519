"""What `rtsd check` finds before the first byte is read: login, org, permissions, objects, package, price.

It reads a few rows and writes nothing, neither in the org nor here.
"""

from __future__ import annotations

import difflib
import os
import shutil
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtsd.config import Config, ObjectSection
from rtsd.config.credentials import credentials
from rtsd.core import schema
from rtsd.core.cost import Cost, IdleDay, ObjectSize, Periods, full_read, idle_day
from rtsd.core.schema import ObjectConfig, ObjectSchema
from rtsd.daemon import rules as configured
from rtsd.errors import AuthenticationFailed, OrgUnreachable, QuotaExhausted, RtsError, SalesforceError
from rtsd.rules.engine import mistakes_in
from rtsd.salesforce import objects, soql
from rtsd.salesforce.client import Client
from rtsd.salesforce.responses import Limit, Organization, UserInfo
from rtsd.salesforce.session import Session
from rtsd.sync.estimate import measure
from rtsd.sync.package import PackageWatch, Wanted

_PURPOSE = "check"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that will not work, or not fully, and what to do about it."""

    what: str
    do: str


@dataclass(frozen=True, slots=True)
class CheckedObject:
    """An object that can be mirrored: its rows as the sync user sees them, and how many fields."""

    name: str
    fields: int
    size: ObjectSize
    formulas: bool
    """Whether it has fields that are read again every so often."""
    schema: ObjectSchema


@dataclass(slots=True)
class Report:
    """Everything that was found. What could not be asked stays None."""

    org: Organization | None = None
    user: str | None = None
    sees_all: bool | None = None
    package: str | None = None
    objects: list[CheckedObject] = field(default_factory=list)
    limits: dict[str, Limit] = field(default_factory=dict)
    cost: Cost | None = None
    idle: IdleDay | None = None
    """What a day costs on which nothing changes."""
    problems: list[Problem] = field(default_factory=list)

    @property
    def apex(self) -> bool | None:
        """Whether the org's edition runs Apex, which the package is made of."""
        return None if self.org is None else self.org.apex

    def document(self) -> dict[str, Any]:
        """Return the report as JSON (contract section 5: `estimate` and `problems`)."""
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
                {"name": one.name, "fields": one.fields, "rows": one.size.rows} for one in self.objects
            ],
            "estimate": None if self.cost is None else self.cost.document(_maxima(self.limits)),
            "idle_day": None if self.idle is None else self.idle.document(),
            "problems": [{"what": problem.what, "do": problem.do} for problem in self.problems],
        }

    def add(self, error: RtsError, what: str = "") -> None:
        """Note an error as a problem."""
        self.problems.append(Problem(f"{what}{error.message}", error.do))


class _Uncounted:
    """A ledger for calls that no mirror pays for: there is none yet."""

    async def spend(self, purpose: str, resource: str, count: int) -> None:
        """Let every call pass."""

    async def record(self, purpose: str, resource: str, count: int) -> None:
        """Write nothing down."""

    async def refused(self, purpose: str, resources: Collection[str], error: QuotaExhausted) -> None:
        """Leave it at Salesforce's own words."""


async def inspect(config: Config) -> Report:
    """Ask the org everything that matters before the start; what is wrong is in `problems`.

    Raises ConfigError for rules that name columns which their objects do not have.
    """
    report = Report()
    _look_at_disk(config, report)
    _look_at_commands(config, report)
    clock = _now
    session = Session(credentials(config.org), _Uncounted(), clock)
    async with Client(session, _Uncounted(), clock, api_version=config.org.api_version) as client:
        try:
            await _look_at_org(client, config, report)
            await _look_at_objects(client, config.objects, report)
            _refuse_unfit_rules(config, report.objects)
            report.idle = _idle_day(config, report.objects)
            await _look_at_limits(client, config, report)
        except (AuthenticationFailed, OrgUnreachable) as error:
            report.add(error)
        except SalesforceError as error:
            report.add(error, "The org could not be looked at in full: ")
    return report


def _now() -> int:
    return time.time_ns() // 1_000_000


def _look_at_disk(config: Config, report: Report) -> None:
    directory = config.store.path.parent
    if not os.access(directory, os.W_OK | os.X_OK):
        what = "cannot be written" if directory.is_dir() else "does not exist"
        report.problems.append(
            Problem(
                f"{directory}, the directory of [store] path, {what}.", "Create it for the user rtsd runs as."
            )
        )


async def _look_at_org(client: Client, config: Config, report: Report) -> None:
    user = await _who(client)
    report.user = user.username if user else None
    report.org = await client.organization(purpose=_PURPOSE)
    if config.gateway.listen and not report.apex:
        report.problems.append(
            Problem(
                f"{report.org.edition} runs no Apex, so nothing can push.",
                'Set listen = "" in [gateway]: Interval Sync reads the changes.',
            )
        )
    report.sees_all = await _sees_all(client, user.user_id) if user else None
    if report.sees_all is False:
        report.problems.append(
            Problem(
                f"{report.user} has no View All Data: records not shared with it do not exist for rtsd.",
                "Give it View All Data, or View All Records on each object of [[objects]], or share with it"
                " what is to be mirrored; Modify All Data is not needed.",
            )
        )
    wanted = Wanted(config.gateway.public_url, [one.name for one in config.objects])
    org_id = report.org.id
    package = PackageWatch(client, wanted, lambda: org_id, _now)
    await package.look()
    report.package = "disabled" if package.known.disabled else package.known.state


async def _who(client: Client) -> UserInfo | None:
    """Who the sync user is; None where the connected app's scopes do not let it ask."""
    try:
        return await client.userinfo(purpose=_PURPOSE)
    except (AuthenticationFailed, OrgUnreachable):
        raise
    except SalesforceError:
        return None


async def _sees_all(client: Client, user_id: str) -> bool | None:
    """Whether a permission set or the profile grants View All Data; None where that may not be asked."""
    statement = (
        "SELECT PermissionSet.PermissionsViewAllData FROM PermissionSetAssignment "  # noqa: S608
        f"WHERE AssigneeId = {soql.text(user_id)}"
    )
    try:
        page = await client.query(statement, purpose=_PURPOSE)
    except (AuthenticationFailed, OrgUnreachable):
        raise
    except SalesforceError:
        return None
    granted = [row.get("PermissionSet") or {} for row in page.records]
    if not granted:
        return None  # a profile is a permission set too, so there is one: it may not be seen
    return any(one.get("PermissionsViewAllData") for one in granted)


async def _look_at_objects(client: Client, wanted: Iterable[ObjectSection], report: Report) -> None:
    names = {name.lower(): name for name in await objects.list_objects(client, purpose=_PURPOSE)}
    for one in wanted:
        if one.name.lower() not in names:
            report.problems.append(_unseen(one.name, names))
            continue
        try:
            report.objects.append(await _look_at_object(client, one))
        except (AuthenticationFailed, OrgUnreachable):
            raise
        except SalesforceError as error:
            report.add(error, f"{one.name}: ")
        except ValueError as error:
            do = (
                "Correct [[objects]], or give the sync user Read Access to it: field-level security,"
                " in permission set RTS_Sync."
            )
            report.problems.append(Problem(f"{error}.", do))
    report.cost = full_read((one.size for one in report.objects), from_start=True)


def _refuse_unfit_rules(config: Config, found: Sequence[CheckedObject]) -> None:
    schemas = {one.name.lower(): one.schema for one in found}
    wanted = [rule for rule in configured.rules(config) if rule.object.lower() in schemas]
    configured.refuse(
        config, [line for rule in wanted for line in mistakes_in(rule, schemas[rule.object.lower()])]
    )


def _look_at_commands(config: Config, report: Report) -> None:
    """What rules and alerts start has to be there, for the user that checks at least."""
    actions = [rule.action for rule in configured.rules(config)]
    actions += [alert.action for alert in configured.alerts(config)]
    for program in sorted({one.target for one in actions if one.kind == "command"}):
        if shutil.which(program) is None:
            what = f"{program}, which a rule or an alert starts, is no program that can be run."
            report.problems.append(Problem(what, "Correct argv, or its owner and mode."))


def _idle_day(config: Config, found: Sequence[CheckedObject]) -> IdleDay:
    sync = config.sync
    periods = Periods(sync.interval, sync.describe_every, sync.fingerprint_every, sync.formula_refresh)
    formulas, pushed = sum(one.formulas for one in found), config.gateway.listen is not None
    return idle_day(len(found), formulas, periods, with_package=pushed)


def _unseen(name: str, names: Mapping[str, str]) -> Problem:
    near = difflib.get_close_matches(name.lower(), names, n=1)
    meant = f" Did you mean {names[near[0]]}?" if near else ""
    return Problem(
        f"The org has no object {name}, or hides it from the sync user.{meant}",
        f"Correct [[objects]], or give the sync user the object permission Read on {name}"
        " (permission set RTS_Sync).",
    )


async def _look_at_object(client: Client, wanted: ObjectSection) -> CheckedObject:
    """Describe, count and sample one object: three calls.

    Raises SalesforceError, or ValueError that names the fields which the org does not show.
    """
    described = await objects.describe(client, wanted.name, purpose=_PURPOSE)
    if described is None:
        raise AssertionError("an unconditional describe has an answer")
    config = wanted.config()
    existing = [entry["name"] for entry in described.raw["fields"]]
    kept = schema.narrow(described.schema, config, existing)
    _refuse_unknown_conditions(config, existing)
    size = await measure(client, kept, config.where, purpose=_PURPOSE)
    return CheckedObject(
        kept.name, len(kept.fields), size, formulas=bool(kept.drifting(config.refresh)), schema=kept
    )


def _refuse_unknown_conditions(config: ObjectConfig, existing: Iterable[str]) -> None:
    known = {name.lower() for name in existing}
    unknown = [name for name in config.conditions if name.lower() not in known]
    if unknown:
        raise ValueError(
            f"conditions of {config.name} name {', '.join(unknown)}, which the org does not show"
        )


async def _look_at_limits(client: Client, config: Config, report: Report) -> None:
    """Compare the price with what is left today, less the reserve."""
    try:
        report.limits = await client.limits(purpose=_PURPOSE)
    except (AuthenticationFailed, OrgUnreachable):
        raise
    except SalesforceError as error:
        what = f"The org does not tell its limits: {error.message}"
        do = "Give the sync user View Setup and Configuration; till then rtsd knows no limit but your own."
        report.problems.append(Problem(what, do))
    if report.cost is None:
        return
    limits = {name: (limit.maximum, limit.remaining) for name, limit in report.limits.items()}
    for name, share, left in report.cost.beyond(limits, config.quota.reserve):
        report.problems.append(
            Problem(
                f"The first audit takes {share:.1f} % of {name}; {left:.1f} % can be used today.",
                "It pauses and goes on as calls free up; a lower [quota] reserve or fewer [[objects]] help.",
            )
        )


def _maxima(limits: Mapping[str, Limit]) -> dict[str, int]:
    return {name: limit.maximum for name, limit in limits.items()}
