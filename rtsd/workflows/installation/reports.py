"""How an org stands: what `rtsd package status` shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rtsd import apex
from rtsd.salesforce import package
from rtsd.salesforce.client import Client
from rtsd.workflows.installation.deploying import look
from rtsd.workflows.installation.differences import Difference, differences, ours, version_of
from rtsd.workflows.installation.plan import Plan


@dataclass(frozen=True, slots=True)
class Standing:
    """What is installed beside what should be."""

    state: str
    """installed or missing."""
    version: str | None
    expected_version: str
    disabled: bool | None
    error_logging: bool | None
    gateway_url: str | None
    triggers: list[str]
    """Objects with a trigger that should have one."""
    untriggered: list[str]
    jobs: dict[str, str]
    differences: list[Difference]
    unknown: list[str]
    """Parts that the sync user may not ask for."""

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {**asdict(self), "equal": not self.differences}


async def standing(client: Client, plan: Plan) -> Standing:
    """Take stock and compare."""
    found = await look(client, plan)
    row = package.org_row(found.settings, plan.org.id)
    there = set(found.triggers)
    names = apex.trigger_names(plan.objects)
    return Standing(
        state="installed" if ours(plan, found) or found.fields else "missing",
        version=version_of(found),
        expected_version=apex.VERSION,
        disabled=row.disabled if row else None,
        error_logging=row.error_logging if row else None,
        gateway_url=row.gateway_url if row else None,
        triggers=[name for name, trigger in names.items() if trigger in there],
        untriggered=list(plan.untriggered),
        jobs=found.jobs,
        differences=differences(plan, found),
        unknown=found.unknown,
    )
