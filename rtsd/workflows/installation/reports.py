"""The state of the package in an org, as `rtsd package status` shows it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rtsd import apex
from rtsd.core.relay import Relay
from rtsd.salesforce import package
from rtsd.salesforce.client import Client
from rtsd.workflows.installation.deploying import read_inventory
from rtsd.workflows.installation.differences import Difference, differences, own_code, version_of
from rtsd.workflows.installation.plan import Plan


@dataclass(frozen=True, slots=True)
class InstallationReport:
    """The installed package compared with the plan."""

    state: str
    """installed, or missing, also if nothing but the test of removals is left."""
    version: str | None
    expected_version: str
    disabled: bool | None
    disabled_for: list[str]
    """Users and profiles whose own row of settings disables pushes of their saves."""
    error_logging: bool | None
    gateway_url: str | None
    triggers: list[str]
    """Planned objects whose trigger is installed."""
    untriggered: list[str]
    left_out: list[str]
    """Mirrored objects that get no trigger on purpose, which Interval Sync reads."""
    relay: Relay | None
    """None if Salesforce does not say how it is."""
    jobs: dict[str, str]
    differences: list[Difference]
    unknown: list[str]
    """Parts that the sync user may not read."""

    def document(self) -> dict[str, Any]:
        """Return the status as JSON."""
        return {**asdict(self), "equal": not self.differences}


async def report(client: Client, plan: Plan) -> InstallationReport:
    """Read the current state and compare it with the plan."""
    found = await read_inventory(client, plan)
    row = package.org_row(found.settings, plan.org.id)
    names = apex.trigger_names(plan.objects)
    code = [name for _, name in own_code(plan, found) if name != apex.REMOVAL_TEST]
    return InstallationReport(
        state="installed" if code or found.fields else "missing",
        version=version_of(found),
        expected_version=apex.VERSION,
        disabled=row.disabled if row else None,
        disabled_for=await package.disabled_owners(client, found.settings, plan.org.id),
        error_logging=row.error_logging if row else None,
        gateway_url=row.gateway_url if row else None,
        triggers=[name for name, trigger in names.items() if trigger in found.triggers],
        untriggered=list(plan.untriggered),
        left_out=list(plan.left_out),
        relay=found.relay if code else None,
        jobs=found.jobs,
        differences=differences(plan, found),
        unknown=found.unknown,
    )
