"""Direct installation and removal of the RTS package, without a metadata deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from rtssim.apex_package.pushes import VERSION
from rtssim.apex_package.settings import EVENT, TRIGGER
from rtssim.schema.package_objects import package_objects

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtssim.apex_package.pushes import ApexPackage
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
CLASSES = {
    "RTS_Handler": "",
    "RTS_Sender": "",
    "RTS_Heartbeat": "",
    "RTS_Test": "",
    "RTS_Version": f"public class RTS_Version {{ public static final String VALUE = '{VERSION}'; }}",
}
"""The source of each class, as far as anybody reads it."""


Channel = Literal["gateway", "stream"]
"""How pushes leave the org: by callouts, or as platform events."""


def install_package(
    org: Org, package: ApexPackage, objects: Iterable[str] | None = None, *, channel: Channel = "gateway"
) -> list[str]:
    """Add the package's objects, classes and a trigger per object; return the objects with a trigger.

    A second installation replaces the triggers and the channel.
    """
    who = org.sync_user
    triggerable = {entry["name"] for entry in org.describe_global(who) if entry["triggerable"]}
    chosen = [name for name in (DEMO_OBJECTS if objects is None else objects) if name in triggerable]
    org.add_package_objects()
    _remove_apex(org, "ApexTrigger")
    _remove_apex(org, "ApexClass")
    classes = [
        {"Name": name, "Status": "Active", "ApiVersion": 62, "Body": body} for name, body in CLASSES.items()
    ]
    org.create(who, "ApexClass", classes)
    triggers = [
        {
            "Name": f"RTS_{name.removesuffix('__c')}",
            "TableEnumOrId": name,
            "Status": "Active",
            "ApiVersion": 62,
        }
        for name in chosen
    ]
    relay = {"Name": TRIGGER, "TableEnumOrId": EVENT, "Status": "Active", "ApiVersion": 62}
    org.create(who, "ApexTrigger", [*triggers, relay])
    if not org.first_column("SELECT Id FROM PlatformEventSubscriberConfig"):
        runs_as = {"DeveloperName": TRIGGER, "MasterLabel": TRIGGER, "UserId": org.sync_user.user_id}
        org.create(who, "PlatformEventSubscriberConfig", [runs_as])[0].unwrap()
    if channel == "stream" or org.first_column("SELECT Id FROM RTS_Settings__c"):
        put_settings(org, package, {"Channel__c": channel})
    package.configuration.reload()
    return chosen


def uninstall_package(org: Org, package: ApexPackage) -> None:
    """Remove everything that the package added, including its settings and error rows."""
    _remove_apex(org, "ApexTrigger")
    _remove_apex(org, "ApexClass")
    if configured := org.first_column("SELECT Id FROM PlatformEventSubscriberConfig"):
        org.hard_delete(org.sync_user, "PlatformEventSubscriberConfig", configured)
    present = {entry["name"] for entry in org.describe_global(org.sync_user)}
    for described in package_objects():
        if described.name in present:
            org.remove_object(described.name)
    package.configuration.reload()


def put_settings(org: Org, package: ApexPackage, values: dict[str, Any]) -> str:
    """Create or update the org's RTS_Settings__c row and return its id."""
    who = org.sync_user
    soql = f"SELECT Id FROM RTS_Settings__c WHERE SetupOwnerId = '{org.org_id}'"
    found = org.first_column(soql)
    if found:
        org.update(who, "RTS_Settings__c", [{**values, "Id": found[0]}])
        record_id = str(found[0])
    else:
        row = {"SetupOwnerId": org.org_id, **values}
        record_id = org.create(who, "RTS_Settings__c", [row])[0].unwrap()
    package.configuration.reload()
    return record_id


def _remove_apex(org: Org, kind: str) -> None:
    ids = org.first_column(f"SELECT Id FROM {kind} WHERE Name LIKE 'RTS_%'")
    if ids:
        org.hard_delete(org.sync_user, kind, ids)
