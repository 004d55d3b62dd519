# ruff: noqa: S608 - SQL is composed of identifiers that store.quote quoted; values are bound
"""The rows every org has before any customer works in it: organization, users, profiles, queues."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rtssim import ids
from rtssim.database import quote
from rtssim.soql.literals import stamp

if TYPE_CHECKING:
    from rtssim.records.rows import Rows

_BORN = stamp(datetime(2019, 1, 1, tzinfo=UTC))
_PEOPLE = (
    ("Ada", "Admin", "admin"),
    ("Sync", "Integration", "sync"),
    ("Özlem", "Yılmaz", "oezlem"),  # noqa: RUF001 - a Turkish name
    ("Борис", "Годунов", "boris"),
    ("美咲", "佐藤", "misaki"),
    ("Niamh", "O'Connor", "niamh"),
    ("دانا", "حداد", "dana"),
)


class Setup:
    """Writes the set-up rows; `user_ids` lists the users, the administrator first, the sync user second."""

    def __init__(self, rows: Rows, org_id: str, name: str, domain: str) -> None:
        self._rows = rows
        self._admin = ids.encode("005", rows.instances[0], 1)
        self._organization(org_id, name)
        profile = self._insert("Profile", {"Name": "System Administrator"})
        self.user_ids = [self._user(first, last, alias, domain, profile) for first, last, alias in _PEOPLE]
        self._insert("Group", {"Name": "Inbound queue", "DeveloperName": "Inbound", "Type": "Queue"})
        for name_, obj in (("Partner", "Account"), ("Customer", "Account")):
            values = {"Name": name_, "DeveloperName": name_, "SobjectType": obj, "IsActive": 1}
            self._insert("RecordType", values)

    def _user(self, first: str, last: str, alias: str, domain: str, profile: str) -> str:
        values = {
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
        return self._insert("User", values)

    def _organization(self, org_id: str, name: str) -> None:
        values = {
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
        self._insert("Organization", values)

    def _insert(self, obj_name: str, values: dict[str, Any]) -> str:
        obj = self._rows.schema[obj_name]
        number = self._rows.reserve(obj, 1)
        row: dict[str, Any] = {"Id": ids.encode(obj.prefix, self._rows.instances[0], number)}
        for name in ("CreatedDate", "LastModifiedDate", "SystemModstamp"):
            row[name] = _BORN
        row |= {"CreatedById": self._admin, "LastModifiedById": self._admin, **values}
        marks = ", ".join("?" * len(row))
        columns = ", ".join(map(quote, row))
        self._rows.store.execute(
            f"INSERT INTO {quote(obj.name)} ({columns}) VALUES ({marks})", list(row.values())
        )
        return str(row["Id"])
