"""Puts the RTS package into the org and takes it out, without the detour over a metadata deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtssim.schema.setup_objects import package_objects

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtssim.apex_package.pushes import Package
    from rtssim.org import Org

DEMO_OBJECTS = (
    "Account",
    "Contact",
    "Lead",
    "Opportunity",
    "Task",
    "Campaign",
    "CampaignMember",
    "User",
    "Invoice__c",
)
CLASSES = ("RTS_Handler", "RTS_Sender", "RTS_Heartbeat", "RTS_Test")


def install_package(org: Org, package: Package, objects: Iterable[str] | None = None) -> list[str]:
    """Add the package's objects, classes and a trigger for each of `objects`; return those names.

    Installing again replaces the set of triggers.
    """
    who = org.sync_user
    known = {entry["name"]: entry["triggerable"] for entry in org.describe_global(who)}
    chosen = [name for name in (DEMO_OBJECTS if objects is None else objects) if known.get(name)]
    org.install_package()
    _remove_apex(org, "ApexTrigger")
    _remove_apex(org, "ApexClass")
    org.create(who, "ApexClass", [{"Name": name, "Status": "Active", "ApiVersion": 62} for name in CLASSES])
    triggers = [
        {
            "Name": f"RTS_{name.removesuffix('__c')}",
            "TableEnumOrId": name,
            "Status": "Active",
            "ApiVersion": 62,
        }
        for name in chosen
    ]
    if triggers:
        org.create(who, "ApexTrigger", triggers)
    package.configuration.reload()
    return chosen


def uninstall_package(org: Org, package: Package) -> None:
    """Remove everything the package brought, its settings and error rows included."""
    _remove_apex(org, "ApexTrigger")
    _remove_apex(org, "ApexClass")
    present = {entry["name"] for entry in org.describe_global(org.sync_user)}
    for described in package_objects():
        if described.name in present:
            org.remove_object(described.name)
    package.configuration.reload()


def put_settings(org: Org, package: Package, values: dict[str, Any]) -> str:
    """Create or change the org's row of RTS_Settings__c and return its id."""
    who = org.sync_user
    soql = f"SELECT Id FROM RTS_Settings__c WHERE SetupOwnerId = '{org.org_id}'"  # noqa: S608 - the org's own id
    found = [row[0] for row in org.query(who, soql).rows()]
    if found:
        org.update(who, "RTS_Settings__c", [{**values, "Id": found[0]}])
        record_id = str(found[0])
    else:
        row = {"SetupOwnerId": org.org_id, **values}
        record_id = org.create(who, "RTS_Settings__c", [row])[0].unwrap()
    package.configuration.reload()
    return record_id


def _remove_apex(org: Org, kind: str) -> None:
    found = org.query(org.sync_user, f"SELECT Id FROM {kind} WHERE Name LIKE 'RTS_%'")  # noqa: S608 - SOQL
    ids = [row[0] for row in found.rows()]
    if ids:
        org.hard_delete(org.sync_user, kind, ids)
