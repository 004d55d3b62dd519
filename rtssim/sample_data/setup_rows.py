"""Rows that every org has from the start: organization, users, profiles, queues, record types."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rtssim import ids
from rtssim.clock import stamp
from rtssim.database import insert_sql

if TYPE_CHECKING:
    from rtssim.records.rows import Rows

_CREATED = stamp(datetime(2019, 1, 1, tzinfo=UTC))
_PEOPLE = (
    ("Ada", "Admin", "admin"),
    ("Sync", "Integration", "sync"),
    ("Özlem", "Yılmaz", "oezlem"),  # noqa: RUF001 - a Turkish name
    ("Борис", "Годунов", "boris"),
    ("美咲", "佐藤", "misaki"),
    ("Niamh", "O'Connor", "niamh"),
    ("دانا", "حداد", "dana"),
)


def create_setup_rows(rows: Rows, org_id: str, name: str, domain: str) -> tuple[str, ...]:
    """Write the setup rows; return the users' ids, first the administrator's, then the sync user's."""
    _insert(rows, "Organization", _organization(org_id, name))
    profile = _insert(rows, "Profile", {"Name": "System Administrator"})
    users = tuple(
        _insert(rows, "User", _user(first, last, alias, domain, profile)) for first, last, alias in _PEOPLE
    )
    _assign_profile(rows, profile, users)
    _insert(rows, "Group", {"Name": "Inbound queue", "DeveloperName": "Inbound", "Type": "Queue"})
    for kind in ("Partner", "Customer"):
        values = {"Name": kind, "DeveloperName": kind, "SobjectType": "Account", "IsActive": 1}
        _insert(rows, "RecordType", values)
    return users


def _assign_profile(rows: Rows, profile: str, users: tuple[str, ...]) -> None:
    """Write the permission set that every profile is, too, and that its users have (Object Reference)."""
    values = {"Name": f"X{profile}", "Label": profile, "IsOwnedByProfile": 1, "PermissionsViewAllData": 1}
    owned = _insert(rows, "PermissionSet", values)
    for user in users:
        _insert(rows, "PermissionSetAssignment", {"PermissionSetId": owned, "AssigneeId": user})


def _user(first: str, last: str, alias: str, domain: str, profile: str) -> dict[str, Any]:
    return {
        "Username": f"{alias}@{domain}",
        "FirstName": first,
        "LastName": last,
        "Email": f"{alias}@example.com",
        "Alias": alias[:8],
        "IsActive": 1,
        "TimeZoneSidKey": "GMT",
        "LocaleSidKey": "en_US",
        "LanguageLocaleKey": "en_US",
        "UserType": "Standard",
        "ProfileId": profile,
    }


def _organization(org_id: str, name: str) -> dict[str, Any]:
    return {
        "Id": org_id,
        "Name": name,
        "OrganizationType": "Developer Edition",
        "IsSandbox": 0,
        "IsReadOnly": 0,
        "InstanceName": "SIM1",
        "LanguageLocaleKey": "en_US",
        "DefaultLocaleSidKey": "en_US",
        "TimeZoneSidKey": "GMT",
        "FiscalYearStartMonth": 1,
    }


def _insert(rows: Rows, obj_name: str, values: dict[str, Any]) -> str:
    obj = rows.schema[obj_name]
    admin = ids.encode("005", rows.instances[0], 1)
    row: dict[str, Any] = {"Id": ids.encode(obj.prefix, rows.instances[0], rows.reserve(obj, 1))}
    for name in ("CreatedDate", "LastModifiedDate", "SystemModstamp"):
        row[name] = _CREATED
    row |= {"CreatedById": admin, "LastModifiedById": admin, **values}
    row = {name: value for name, value in row.items() if name in obj.fields}
    rows.database.execute(insert_sql(obj.name, row), list(row.values()))
    return str(row["Id"])
