"""The checks, each of one subject, which put what they find into a report.

`rtsd check` makes them all; `rtsd init` makes each when its question has been answered.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress

import aiohttp
import msgspec

from rtsd.config import Config, ObjectSection
from rtsd.core import schema
from rtsd.core.condition_fields import unsuitable
from rtsd.core.instant import Millis
from rtsd.core.problem import Problem
from rtsd.core.schema import ObjectConfig
from rtsd.core.spelling import did_you_mean, meant
from rtsd.daemon import fanout, stream
from rtsd.daemon import rules as configured
from rtsd.daemon.idle_day import estimated
from rtsd.daemon.reload import schedule
from rtsd.errors import AuthenticationFailed, OrgUnreachable, SalesforceError, StoreError
from rtsd.machine import wall_ms
from rtsd.rules.engine import mistakes_in
from rtsd.salesforce import objects, soql
from rtsd.salesforce.client import Client
from rtsd.salesforce.objects import Described
from rtsd.salesforce.responses import UserInfo
from rtsd.salesforce.session import Session
from rtsd.salesforce.transport import proxy_for, unreachable
from rtsd.store import meta
from rtsd.store.engine import Engine
from rtsd.sync.estimate import (
    first_load_cost,
    measure,
    unread,
)
from rtsd.sync.org import ORG_ID
from rtsd.sync.package import PackageWatch, Wanted
from rtsd.workflows import capture
from rtsd.workflows.check.report import CheckedObject, Report

_PURPOSE = "check"
_ANSWER_S = 10.0


class _PermissionsShape(msgspec.Struct):
    PermissionsViewAllData: bool = False


class _AssignmentShape(msgspec.Struct):
    PermissionSet: _PermissionsShape | None = None


def warnings(config: Config) -> Iterator[Problem]:
    """Yield what works today, and is about to end or is not for everybody."""
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


async def store(engine: Engine, config: Config, report: Report) -> None:
    """Require a place that the mirror can be written to."""
    try:
        names = [section.name for section in config.objects]
        await engine.check(config.store.views.used(), names)
    except StoreError as error:
        report.add(error)


async def own_mirror(engine: Engine, report: Report) -> None:
    """Require that a mirror which is there already is of this org."""
    with suppress(StoreError):
        async with engine.peek() as reader:
            known = None if reader is None else await meta.get(reader, ORG_ID)
        if known and report.org is not None and known != report.org.id:
            what = f"{engine.name} has the mirror of another org, {known}."
            report.problems.append(Problem(what, "Name another [store], or the org that the mirror is of."))


async def org(client: Client, report: Report) -> None:
    """Read who logs in to which org, and whether the user sees every record."""
    user = await _user(client)
    report.user = user.username if user else None
    report.org = await client.organization(purpose=_PURPOSE)
    report.sees_all = await _sees_all(client, user.user_id) if user else None
    if report.sees_all is False:
        report.problems.append(
            Problem(
                f"{report.user} lacks View All Data: rtsd cannot see records that are not shared with it.",
                "Grant View All Data, or View All Records on each object of [[objects]], or share the records"
                " to be mirrored; Modify All Data is not needed.",
            )
        )


async def package(client: Client, config: Config, report: Report) -> None:
    """Read the package's state, and whether the org can have it."""
    if report.org is None:
        return
    if config.is_pushed_to and report.apex is False:
        report.problems.append(
            Problem(
                f"{report.org.edition} runs no Apex, so the package cannot be installed.",
                'Set listen = "" in [gateway]: Interval Sync reads the changes.',
            )
        )
    names = [section.name for section in config.objects]
    wanted = Wanted(config.gateway.public_url, names, config.push.channel, config.push.sealed)
    org_id = report.org.id
    watch = PackageWatch(client, wanted, lambda: org_id, wall_ms)
    await watch.probe()
    report.package = "disabled" if watch.known.disabled else watch.known.state
    report.problems += watch.channel_problems() if wanted.is_stream else []


async def gateway(config: Config, report: Report) -> None:
    """Warn of an address that does not answer from here; where it is used, Salesforce has to reach it."""
    url = config.gateway.public_url
    if config.push.channel != "gateway" or not url:
        return
    limits = aiohttp.ClientTimeout(total=_ANSWER_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=limits) as http,
            http.get(f"{url}/livez", proxy=proxy_for(url), allow_redirects=False),
        ):
            return
    except (aiohttp.ClientError, TimeoutError, OSError) as cause:
        failed = unreachable(url, cause).error
        do = "It has to answer from the Internet, with a certificate that Salesforce trusts, once rtsd runs."
        report.warnings.append(Problem(f"{url} cannot be reached from here. {failed.message}", do))


async def subscription(session: Session, config: Config, report: Report) -> None:
    """Require that the login's user may subscribe to the channel's topic."""
    if stream.topic_of(config):
        problem = await stream.problem_of(config, session)
        report.problems += [] if problem is None else [problem]


async def streams(config: Config, report: Report) -> None:
    """Require streams that can be published to."""
    if config.streams and report.org is not None:
        names = [section.name for section in config.objects]
        async for problem in fanout.problems_of(config, report.org.id, names):
            report.problems.append(problem)


async def selection(client: Client, config: Config, report: Report) -> None:
    """Read which objects are selected for Change Data Capture."""
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


async def mirrored_objects(client: Client, config: Config, report: Report) -> None:
    """Describe and count the configured objects, but those that the report has already."""
    if not report.visible:
        report.visible = list(await objects.list_objects(client, purpose=_PURPOSE))
    names, known = {name.lower() for name in report.visible}, {found.name.lower() for found in report.objects}
    for section in config.objects:
        if section.name.lower() in known:
            continue
        if section.name.lower() not in names:
            report.problems.append(_invisible(section.name, report.visible))
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


def rules(config: Config, found: Sequence[CheckedObject]) -> None:
    """Require that rules name columns of their objects. Raises ConfigError."""
    schemas = {checked.name.lower(): checked.mirrored.described.schema for checked in found}
    wanted = [rule for rule in configured.rules(config) if rule.object.lower() in schemas]
    configured.refuse(
        config, [line for rule in wanted for line in mistakes_in(rule, schemas[rule.object.lower()])]
    )


def commands(config: Config, report: Report) -> None:
    """Check that the programs of rules and alerts exist and are executable by the current user."""
    actions = [rule.action for rule in configured.rules(config)]
    actions += [alert.action for alert in configured.alerts(config)]
    for program in sorted({action.target for action in actions if action.kind == "command"}):
        if shutil.which(program) is None:
            what = f"{program}, the command of a rule or alert, is not an executable program."
            report.problems.append(Problem(what, "Correct argv, or its owner and mode."))


def _invisible(name: str, visible: Sequence[str]) -> Problem:
    return Problem(
        f"The org has no object {name}, or hides it from the sync user.{did_you_mean(name, visible)}",
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


async def price(client: Client, config: Config, report: Report) -> None:
    """Price the first audit and an idle day, and compare with the remaining limits, less the reserve."""
    sizes = [(checked.mirrored, checked.size) for checked in report.objects]
    report.cost = first_load_cost(sizes, with_package=config.is_pushed_to)
    report.idle = estimated(config, schedule(config), sizes)
    report.has_channel = config.is_pushed_to or config.is_subscribed
    try:
        report.limits = await client.limits(purpose=_PURPOSE)
    except (AuthenticationFailed, OrgUnreachable):
        raise
    except SalesforceError as error:
        what = f"The org does not reveal its limits: {error.message}"
        do = "Give the sync user View Setup and Configuration; until then rtsd knows only your own limits."
        report.problems.append(Problem(what, do))
    limits = {name: (limit.maximum, limit.remaining) for name, limit in report.limits.items()}
    for name, share, left in report.cost.beyond(limits, config.quota.reserve):
        report.problems.append(
            Problem(
                f"The first audit needs {share:.1f} % of {name}, of which {left:.1f} % are available today.",
                "It pauses and resumes as usage expires; a lower [quota] reserve or fewer [[objects]] help.",
            )
        )
