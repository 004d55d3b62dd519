"""What is in the org: standard and custom objects with every kind of field, and text that hurts."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from tests.support.second_org.records import Field, Records, SObject, long_id

ORG_ID = long_id("00D7Q000000Abc1")
USER_ID = long_id("0057Q00000Sync1")

HOSTILE = (
    'a "quoted", thing',
    "two\nlines\r\nand a tab\t.",
    '"',
    ",",
    "'; DROP TABLE Contact; --",
    "\x1b]0;title\x07\x1b[31mred",
    "zażółć 漢字 🧑\u200d🚀 \u202egnp.exe",
    "=HYPERLINK(1)",
    " leading and trailing ",
    "NULL",
    "null",
    "[link=x]y[/x]",
    "0012",
    "1e5",
    "#N/A",
    "a;b",
    "line separator \u2028 and next line \x85 end",
    "\\N \\n \\",
)
"""Texts that tools have choked on."""


def _stamps(*, deletable: bool = True) -> list[Field]:
    found = [
        Field("Id", "id", 18),
        Field("CreatedDate", "datetime", 0),
        Field("LastModifiedDate", "datetime", 0),
    ]
    found.append(Field("SystemModstamp", "datetime", 0))
    return [*found, Field("IsDeleted", "boolean", 0)] if deletable else found


def _address(compound: str) -> list[Field]:
    stem = compound.removesuffix("Address")
    parts = [Field(f"{stem}{part}", compound=compound) for part in ("Street", "City", "Country")]
    numbers = [Field(f"{stem}{part}", "double", 0, compound=compound) for part in ("Latitude", "Longitude")]
    return [*parts, *numbers, Field(compound, "address", 0, filterable=False)]


def _object(
    name: str, prefix: str, fields: list[Field], *, bulk: bool = True, hidden: bool = False
) -> SObject:
    return SObject(name, prefix, {field.name: field for field in fields}, bulk=bulk, hidden=hidden)


_ACCOUNT = [
    *_stamps(),
    Field("MasterRecordId", "reference", 18, ("Account",)),
    Field("Name"),
    Field("ParentId", "reference", 18, ("Account",)),
    Field("OwnerId", "reference", 18, ("User",)),
    *_address("BillingAddress"),
    *_address("ShippingAddress"),
    Field("AnnualRevenue", "currency", 0),
    Field("NumberOfEmployees", "int", 0),
    Field("Industry", "picklist"),
    Field("Tier__c", formula=True),
    Field("ShortId__c", formula=True),
    Field("Margin__c", "double", 0, hidden=True),
]
_CONTACT = [
    *_stamps(),
    Field("MasterRecordId", "reference", 18, ("Contact",)),
    Field("Name", length=121),
    Field("FirstName", length=40, compound="Name"),
    Field("LastName", length=80, compound="Name"),
    Field("Email", "email", 80),
    Field("Phone", "phone", 40),
    Field("Birthdate", "date", 0),
    Field("HasOptedOutOfEmail", "boolean", 0),
    Field("AccountId", "reference", 18, ("Account",)),
    *_address("MailingAddress"),
]
_DEVICE = [
    *_stamps(),
    Field("Name", length=80),
    Field("Reading__c", "percent", 0),
    Field("Score__c", "double", 0),
    Field("Tags__c", "multipicklist", 4099),
    Field("Opens__c", "time", 0),
    Field("Notes__c", "textarea", 131_072, filterable=False),
    Field("About__c", "reference", 18, ("Account", "Contact")),
    Field("Secret__c", "encryptedstring", 175, filterable=False),
    Field("Geo__Latitude__s", "double", 0, compound="Geo__c"),
    Field("Geo__Longitude__s", "double", 0, compound="Geo__c"),
    Field("Geo__c", "location", 0, filterable=False),
]
_ATTACHMENT = [
    *_stamps(),
    Field("ParentId", "reference", 18, ("Account", "Contact", "Device__c")),
    Field("Name"),
    Field("Body", "base64", 0, filterable=False),
    Field("BodyLength", "int", 0),
]
_CASE_STATUS = [*_stamps(deletable=False), Field("MasterLabel"), Field("SortOrder", "int", 0)]
_ACCOUNT_SHARE = [
    Field("Id", "id", 18),
    Field("AccountId", "reference", 18, ("Account",)),
    Field("UserOrGroupId", "reference", 18, ("User", "Group")),
    Field("AccountAccessLevel", "picklist", 40),
    Field("LastModifiedDate", "datetime", 0),
    Field("IsDeleted", "boolean", 0),
]
_REGION = [Field("Id", "id", 18), Field("DeveloperName", length=40), Field("Population__c", "double", 0)]
_ORGANIZATION = [
    *_stamps(deletable=False),
    Field("Name"),
    Field("OrganizationType", "picklist"),
    Field("IsSandbox", "boolean", 0),
    Field("InstanceName", length=5),
    Field("TrialExpirationDate", "datetime", 0),
    Field("NamespacePrefix", length=15),
    Field("LanguageLocaleKey", "picklist"),
    Field("TimeZoneSidKey", "picklist"),
]
_USER = [*_stamps(deletable=False), Field("Name"), Field("Username"), Field("IsActive", "boolean", 0)]


def objects() -> list[SObject]:
    """The objects, empty."""
    return [
        _object("Account", "001", _ACCOUNT),
        _object("Contact", "003", _CONTACT),
        _object("Device__c", "a0B", _DEVICE),
        _object("Attachment", "00P", _ATTACHMENT, bulk=False),
        _object("CaseStatus", "01J", _CASE_STATUS, bulk=False),
        _object("AccountShare", "00r", _ACCOUNT_SHARE),
        _object("Region__mdt", "m0R", _REGION, bulk=False),
        _object("Payroll__c", "a0X", _stamps(), hidden=True),
        _object("Organization", "00D", _ORGANIZATION),
        _object("User", "005", _USER),
    ]


def fill(records: Records, contacts: int) -> None:
    """Put rows into the org, all older than an hour, many with one and the same stamp."""
    base = records.stamp() - timedelta(days=40)

    def at(number: int) -> datetime:
        return base + timedelta(hours=number // 300 * 7, minutes=number // 40)

    edition = {"OrganizationType": "Professional Edition", "InstanceName": "NA0", "Name": "Zweite Org"}
    records.create("Organization", base, ORG_ID, **edition)
    records.create("User", base, USER_ID, Name="Sync", Username="sync@zweite.example", IsActive=True)
    accounts = [records.create("Account", at(n), **_account(n)) for n in range(90)]
    for number, key in enumerate(accounts):
        records.recalculate("Account", key, ShortId__c=key[:15], ParentId=accounts[number // 2])
    people = [records.create("Contact", at(n), **_contact(n, accounts[n % 90])) for n in range(contacts)]
    owners = accounts + people
    for number in range(40):
        records.create("Device__c", at(number), **_device(number, owners[number * 3 % len(owners)]))
    for number in range(7):
        records.create(
            "Attachment", at(number), ParentId=owners[number], Name=f"a{number}.bin", BodyLength=number * 9
        )
        records.create("CaseStatus", at(number), MasterLabel=f"Stage {number}", SortOrder=number)
        records.create("Region__mdt", DeveloperName=f"R_{number}", Population__c=number * 1.5)
    for number, key in enumerate(accounts[:30]):
        records.create(
            "AccountShare", at(number), AccountId=key, UserOrGroupId=USER_ID, AccountAccessLevel="Edit"
        )


def _account(number: int) -> dict[str, Any]:
    return {
        "Name": HOSTILE[number % len(HOSTILE)] + str(number),
        "OwnerId": USER_ID,
        "BillingStreet": "1 Long Road\nTop floor" if number % 3 else None,
        "BillingCity": "Łódź",
        "BillingLatitude": 51.77 + number / 7,
        "AnnualRevenue": number * 1_234_567.89 if number % 5 else None,
        "NumberOfEmployees": number * 1000,
        "Industry": "Oil & Gas" if number % 2 else None,
        "Tier__c": f"tier {number % 4}",
    }


def _contact(number: int, account: str) -> dict[str, Any]:
    first, last = ("Zoë", f"O'Neil {number}")
    return {
        "Name": f"{first} {last}",
        "FirstName": first,
        "LastName": last,
        "Email": f"zoe.{number}@example.com",
        "Phone": HOSTILE[number % len(HOSTILE)][:40] if number % 4 == 0 else None,
        "Birthdate": date(1900 + number % 120, 1 + number % 12, 1 + number % 28),
        "HasOptedOutOfEmail": number % 3 == 0,
        "AccountId": account if number % 7 else None,
        "MailingCity": "Saint-Denis",
    }


def _device(number: int, about: str) -> dict[str, Any]:
    return {
        "Name": f"D-{number:05}",
        "Reading__c": (number - 20) / 3,
        "Score__c": (1e18, 0.1, -0.0001, 1.0, 12345678901234.5)[number % 5],
        "Tags__c": "a;b;c d" if number % 2 else None,
        "Opens__c": f"{number % 24:02}:30:00.{number:03}Z" if number % 3 else None,
        "Notes__c": ("é\n\"'," * 26_215)[:131_072] if number == 7 else HOSTILE[number % len(HOSTILE)],
        "About__c": about,
        "Secret__c": "****1234",
        "Geo__Latitude__s": -33.9 if number % 2 else None,
        "Geo__Longitude__s": 18.42 if number % 2 else None,
    }
