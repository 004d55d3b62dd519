"""Differences between an org's package and the plan, and whether they require a deployment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from rtsd import apex
from rtsd.apex.jobs import FEW_MINUTES
from rtsd.core.channel import PUSH_EVENT
from rtsd.salesforce import package
from rtsd.salesforce.package import PERMISSION_SET
from rtsd.sync.package import same_gateway
from rtsd.workflows.installation.inventory import APEX, HANDLER_CALL, PERMISSION_SETS, Inventory
from rtsd.workflows.installation.plan import Plan

_NAMESPACE = "{http://soap.sforce.com/2006/04/metadata}"
_RUNNING = frozenset({"WAITING", "ACQUIRED", "EXECUTING"})
"""States of a scheduled job that will run again (Object Reference, CronTrigger)."""
METADATA = frozenset(
    {"code", "objects", "relay", "remote site", "event", "permission set", "custom permission"}
)
"""Parts that only a deployment changes; the others are rows and jobs."""
OTHER_CHANNEL = "other channel"
"""The part with what only the other channel needs. It goes last, when nothing is sent that way any more."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between the org and the plan."""

    part: str
    """The names of the parts are those in `differences`."""
    what: str


def differences(plan: Plan, found: Inventory) -> list[Difference]:
    """Return all differences; parts that could not be read are assumed to be correct."""
    return [
        Difference(part, what)
        for part, found_differences in (
            ("code", _code(plan, found)),
            ("objects", _objects(plan, found)),
            ("relay", _relay(found)),
            ("remote site", _remote_site(plan, found)),
            ("event", _event(plan, found)),
            (OTHER_CHANNEL, _of_other_channel(plan, found)),
            ("permission set", _permission_set(found)),
            ("custom permission", _bypass(found)),
            ("assignment", _assignment(plan, found)),
            ("settings", _settings(plan, found)),
            (
                "conditions",
                (f"those of {name} are not in the org yet" for name in without_conditions(plan, found)),
            ),
            ("jobs", _jobs(plan, found)),
        )
        for what in found_differences
    ]


def version_of(found: Inventory) -> str | None:
    """Return the version of the installed code; None if it is missing or not readable."""
    source = found.code.get(("ApexClass", package.VERSION_CLASS))
    return package.version_in(source.body) if source else None


def obsolete_triggers(plan: Plan, found: Inventory) -> list[str]:
    """Return the package's triggers of objects without one in the plan, sorted by name."""
    wanted = {name for kind, name in _sources(plan) if kind == "ApexTrigger"}
    return sorted(
        name
        for name, trigger in found.triggers.items()
        if name not in wanted and HANDLER_CALL in (trigger.body or "")
    )


def own_code(plan: Plan, found: Inventory) -> list[tuple[str, str]]:
    """Return the package's classes and triggers as (kind, name); other packages may have similar names."""
    wanted = _sources(plan)
    return sorted(
        key for key, source in found.code.items() if key in wanted or HANDLER_CALL in (source.body or "")
    )


def without_conditions(plan: Plan, found: Inventory) -> list[str]:
    """Return the objects with configured conditions but without any synced field in the org."""
    if "conditions" in found.unknown:
        return []
    have = {row.object.lower() for row in found.synced}
    return [name for name in plan.conditions if name.lower() not in have]


def rows_of_conditions(plan: Plan, names: Iterable[str]) -> list[package.SyncedField]:
    """Return the synced fields to write for objects without any in the org."""
    return [row for name in names for row in package.changed_rows(name, [], plan.conditions[name])]


def _sources(plan: Plan) -> dict[tuple[str, str], str]:
    """Return the planned code by (kind, name)."""
    wanted = {}
    for path, content in plan.files.items():
        folder, _, file = path.partition("/")
        if folder in APEX and not file.endswith("-meta.xml"):
            wanted[APEX[folder], file.rpartition(".")[0]] = content.decode()
    return wanted


def _code(plan: Plan, found: Inventory) -> Iterator[str]:
    for (kind, name), body in sorted(_sources(plan).items()):
        if ("classes" if kind == "ApexClass" else "triggers") in found.unknown:
            continue
        what = kind.removeprefix("Apex").lower()
        installed = found.code.get((kind, name))
        if installed is None:
            yield f"{what} {name} is missing"
        elif not installed.active:
            yield f"{what} {name} is not active"
        elif installed.body is not None and _normalised(installed.body) != _normalised(body):
            yield f"{what} {name} has another version"
    left_out = apex.trigger_names(plan.left_out).values()
    for name in obsolete_triggers(plan, found):
        why = "is to be left out" if name in left_out else "is no longer mirrored"
        yield f"trigger {name} belongs to an object that {why}"


def _objects(plan: Plan, found: Inventory) -> Iterator[str]:
    for name, fields in object_fields(plan.files).items():
        if f"object {name}" in found.unknown:
            continue
        visible = found.fields.get(name)
        if visible is None and name == PUSH_EVENT and not plan.is_stream:
            continue  # without Read it is hidden from the sync user, as it is to be
        if visible is None:
            yield f"{name} is missing, or hidden from the sync user"
        elif missing := sorted(fields - visible):
            yield f"{name} lacks {', '.join(missing)}, or hides it from the sync user"


def object_fields(files: dict[str, bytes]) -> dict[str, frozenset[str]]:
    """Return the package's own objects with their fields, from its `.object` files."""
    return {
        path.removeprefix("objects/").removesuffix(".object"): frozenset(
            element.findtext(f"{_NAMESPACE}fullName", "")
            for element in ET.fromstring(content).iter(f"{_NAMESPACE}fields")  # noqa: S314 - the package's own files
        )
        for path, content in files.items()
        if path.startswith("objects/")
    }


def _relay(found: Inventory) -> Iterator[str]:
    """Compare the relay's subscription; whether its trigger is active, the code says."""
    relay = found.relay
    if relay is None:
        return
    if relay.user_active is False:
        yield f"runs as {relay.user}, who is deactivated"
    if relay.is_stopped:
        reason = f" ({relay.last_error})" if relay.last_error else ""
        yield f"its subscription has the status {relay.status}{reason}"


def _remote_site(plan: Plan, found: Inventory) -> Iterator[str]:
    """Compare the remote site, ignoring the path of the URL (Metadata API guide, RemoteSiteSetting)."""
    if "remote site" in found.unknown or plan.is_stream:
        return
    if found.remote_site is None:
        yield "RTS_Gateway is missing or not active"
    elif _origin(found.remote_site) != _origin(plan.gateway_url):
        yield f"RTS_Gateway allows {found.remote_site}, not {plan.gateway_url}"


def _event(plan: Plan, found: Inventory) -> Iterator[str]:
    """Compare the right to read the event with the pushes, if there is a permission set to grant it."""
    if plan.is_stream and _knows_reads(found) and not found.reads_pushes:
        yield f"RTS_Sync does not grant Read on {PUSH_EVENT}"


def _of_other_channel(plan: Plan, found: Inventory) -> Iterator[str]:
    if plan.is_stream and found.remote_site is not None:
        yield "remote site RTS_Gateway is not needed by the stream"
    if not plan.is_stream and found.reads_pushes:
        yield f"Read on {PUSH_EVENT} in RTS_Sync is not needed by the gateway"


def _knows_reads(found: Inventory) -> bool:
    is_read = not {"permission set", "permissions of objects"} & set(found.unknown)
    return is_read and PERMISSION_SET in found.permission_sets


def _permission_set(found: Inventory) -> Iterator[str]:
    if "permission set" not in found.unknown:
        yield from (f"{name} is missing" for name in PERMISSION_SETS if name not in found.permission_sets)


def _bypass(found: Inventory) -> Iterator[str]:
    if "custom permission" not in found.unknown and found.bypass is None:
        yield f"{package.BYPASS} is missing"


def _assignment(plan: Plan, found: Inventory) -> Iterator[str]:
    if "permission set" not in found.unknown and not found.is_assigned(plan.user_id):
        yield f"RTS_Sync is not assigned to {plan.user}"


def _settings(plan: Plan, found: Inventory) -> Iterator[str]:
    if "settings" in found.unknown:
        return
    row = package.org_row(found.settings, plan.org.id)
    if row is None:
        yield "RTS_Settings__c has no row for the org"
        return
    if row.channel is not None and row.channel != plan.channel:
        yield f"Channel__c is {row.channel}, not {plan.channel}"
    if row.channel is not None and plan.is_stream and row.sealed != plan.sealed:
        yield f"Sealed__c is {_flag(is_set=row.sealed)}, not {_flag(is_set=plan.sealed)}"
    if not plan.is_stream and not same_gateway(row.gateway_url, plan.gateway_url):
        yield f"Gateway_URL__c is {row.gateway_url or 'empty'}, not {plan.gateway_url}"
    if row.token not in plan.tokens:
        yield f"Token__c is {'not one that rtsd accepts' if row.token else 'empty'}"
    if row.org_id[:15] != plan.org.id[:15]:
        yield f"Org_Id__c is {row.org_id or 'empty'}, not {plan.org.id}"


def _flag(*, is_set: bool) -> str:
    return "set" if is_set else "not set"


def _jobs(plan: Plan, found: Inventory) -> Iterator[str]:
    """Compare the jobs. Developer Edition allows five in total, so two of the package's suffice there."""
    if "jobs" in found.unknown:
        return
    running = {name for name, state in found.jobs.items() if state in _RUNNING}
    missing = [name for name in apex.HEARTBEAT_JOBS if name not in running]
    if missing and not (plan.org.edition == "Developer Edition" and len(running) >= len(FEW_MINUTES)):
        yield f"not scheduled: {', '.join(missing)}"


def requires_deployment(found: Iterable[Difference]) -> bool:
    """Return whether any difference concerns metadata, not only rows and jobs."""
    return any(difference.part in METADATA for difference in found)


def _normalised(body: str) -> str:
    """Return the source with normalised line ends, without trailing whitespace and the relay's note."""
    lines = (line.rstrip() for line in body.splitlines() if line.strip() != apex.RELAY_NOTE)
    return "\n".join(lines).strip()


def _origin(url: str) -> str:
    return "/".join(url.lower().split("/", 3)[:3])
