"""Query results: shapes, types, filters, order."""

from __future__ import annotations

from typing import Any

import pytest

from rtssim.org import Org
from tests.support.rtssim.rows import ids_of, make, records


@pytest.fixture
def people(org: Org) -> Org:
    """Contacts with telling values, and two accounts."""
    gold = make(org, "Account", Name="Gold Ltd", Tier__c="Gold", BillingCity="Köln")
    make(org, "Account", Name="No contacts")
    rows: list[dict[str, Any]] = [
        {
            "LastName": "Alpha",
            "Email": "a@b.co",
            "AccountId": gold,
            "Score__c": 1.5,
            "Languages__c": "English;中文",
        },
        {"LastName": "beta", "Email": "B@B.CO", "DoNotCall": True, "Score__c": -2, "Birthdate": "1970-02-01"},
        {"LastName": "Ärmel", "FirstName": "Zoë", "Languages__c": "English"},
        {"LastName": "50% off_x", "Logins__c": 7, "Best_Time__c": "12:30:00.000Z"},
    ]
    org.create(org.sync_user, "Contact", rows)
    return org


def names(org: Org, where: str) -> list[str]:
    """Return the last names that match, in order of creation."""
    return ids_of(org, f"SELECT LastName FROM Contact WHERE {where} ORDER BY CreatedDate")


ALL = ["Alpha", "beta", "Ärmel", "50% off_x"]
FILTERS = [
    ("LastName = 'ALPHA'", ["Alpha"]),
    ("LastName = 'ÄRMEL'", ["Ärmel"]),
    ("LastName != 'alpha'", ALL[1:]),
    ("Email != 'a@b.co'", ALL[1:]),
    ("Email = null", ALL[2:]),
    ("Email = ''", ALL[2:]),
    ("Email != null", ALL[:2]),
    ("NOT Email = 'a@b.co'", ALL[1:]),
    ("NOT (Email LIKE 'a%' OR Email = null)", ["beta"]),
    ("Email LIKE '%B.C_'", ALL[:2]),
    ("LastName LIKE 'ärm%'", ["Ärmel"]),
    (r"LastName LIKE '50\% off\_x'", ["50% off_x"]),
    (r"LastName LIKE '5\%%'", []),
    ("LastName IN ('alpha', 'BETA', 'nobody')", ALL[:2]),
    ("LastName IN ('ärmel', 'x')", ["Ärmel"]),
    ("Email NOT IN ('a@b.co', 'x')", ALL[1:]),
    ("Email IN ('a@b.co', null)", ["Alpha", "Ärmel", "50% off_x"]),
    ("LastName > 'b'", ["beta", "Ärmel"]),
    ("Score__c > 1", ["Alpha"]),
    ("Score__c <= 1.5", ALL[:2]),
    ("Score__c != 1.5", ALL[1:]),
    ("Logins__c = 7", ["50% off_x"]),
    ("DoNotCall = true", ["beta"]),
    ("DoNotCall != TRUE", ["Alpha", "Ärmel", "50% off_x"]),
    ("Birthdate = 1970-02-01", ["beta"]),
    ("Birthdate < 2000-01-01", ["beta"]),
    ("Best_Time__c >= 12:00:00.000Z", ["50% off_x"]),
    ("Languages__c INCLUDES ('english')", ["Alpha", "Ärmel"]),
    ("Languages__c INCLUDES ('English;中文', 'Deutsch')", ["Alpha"]),
    ("Languages__c EXCLUDES ('中文')", ALL[1:]),
    ("Languages__c = 'English'", ["Ärmel"]),
    ("Account.Name = 'gold ltd'", ["Alpha"]),
    ("Account.Name = null", ALL[1:]),
    ("Account.Owner.Username LIKE 'sync@%'", ["Alpha"]),
    ("Account_Tier__c = 'gold'", ["Alpha"]),
    ("Name = 'Zoë Ärmel'", ["Ärmel"]),
    ("AccountId IN (SELECT Id FROM Account WHERE BillingCity = 'köln')", ["Alpha"]),
    ("AccountId NOT IN (SELECT Id FROM Account)", ALL[1:]),
    ("OwnerId IN (SELECT Id FROM User WHERE IsActive = true)", ALL),
    ("CreatedDate = TODAY", ALL),
    ("CreatedDate = 2026-03-01T10:00:00.999Z", ALL),
    ("CreatedDate >= 2026-03-01T11:00:00+01:00", ALL),
    ("CreatedDate > 2026-03-01T10:00:00Z", []),
    ("CreatedDate < YESTERDAY", []),
    ("CreatedDate != THIS_YEAR", []),
    ("CreatedDate IN (TODAY)", ALL),
    ("CALENDAR_YEAR(CreatedDate) = 2026 AND HOUR_IN_DAY(CreatedDate) = 10", ALL),
    ("(Score__c = 1.5 AND DoNotCall = false) OR (DoNotCall = true AND Score__c < 0)", ALL[:2]),
]


@pytest.mark.parametrize(("where", "expected"), FILTERS)
def test_filter(people: Org, where: str, expected: list[str]) -> None:
    """Each condition selects just the rows Salesforce's two-valued logic says."""
    assert sorted(names(people, where)) == sorted(expected)


def test_record_shape(people: Org) -> None:
    """Attributes first, fields in select order by canonical name, nested parents, typed values."""
    soql = (
        "select ID, doNotCall, account.name, account.owner.name, score__c, createddate from contact LIMIT 2"
    )
    first, second = people.query(people.sync_user, soql).records("/services/data/v66.0")
    assert list(first) == ["attributes", "Id", "DoNotCall", "Account", "Score__c", "CreatedDate"]
    assert first["attributes"] == {
        "type": "Contact",
        "url": f"/services/data/v66.0/sobjects/Contact/{first['Id']}",
    }
    assert first["Account"]["attributes"]["type"] == "Account"
    assert first["Account"]["Owner"]["Name"] == "Sync Integration"
    assert (first["DoNotCall"], first["Score__c"]) == (False, 1.5)
    assert first["CreatedDate"] == "2026-03-01T10:00:00.000+0000"
    assert second["Account"] is None


def test_children(people: Org) -> None:
    """A child subquery sits where it was selected; without rows it is null or empty, as the switch says."""
    soql = "SELECT Name, (SELECT LastName FROM Contacts), Id FROM Account ORDER BY Name"
    gold, empty = records(people, soql)
    assert list(gold) == ["Name", "Contacts", "Id"]
    assert gold["Contacts"]["totalSize"] == 1
    assert gold["Contacts"]["records"][0]["LastName"] == "Alpha"
    assert empty["Contacts"] is None
    people.switches.empty_child_is_null = False
    assert records(people, soql)[1]["Contacts"] == {"totalSize": 0, "done": True, "records": []}


def test_polymorphic_parents(org: Org) -> None:
    """Who and What lead to records of several objects, told by type."""
    account = make(org, "Account", Name="Acme")
    lead = make(org, "Lead", LastName="Li", Company="C")
    make(org, "Task", Subject="s", WhatId=account, WhoId=lead)
    make(org, "Task", Subject="t")
    soql = "SELECT What.Name, What.Type, Who.Name, Who.LastName, Owner.Name FROM Task ORDER BY Subject"
    first, second = org.query(org.sync_user, soql).records()
    assert (first["What"]["Name"], first["What"]["Type"]) == ("Acme", "Account")
    assert first["What"]["attributes"]["type"] == "Account"
    assert (first["Who"]["LastName"], first["Owner"]["Name"]) == ("Li", "Sync Integration")
    assert second["What"] is None
    org.switches.polymorphic_type_is_name = True
    assert next(org.query(org.sync_user, soql).records())["What"]["attributes"]["type"] == "Name"
    assert ids_of(org, "SELECT Subject FROM Task WHERE What.Type = 'Account'") == ["s"]


def test_compound_address(org: Org) -> None:
    """An address is one object of its parts, or null when all are empty."""
    make(org, "Account", Name="a", BillingCity="Köln", BillingLatitude=50.9)
    make(org, "Account", Name="b")
    with_address, without = records(org, "SELECT BillingAddress FROM Account ORDER BY Name")
    assert with_address["BillingAddress"]["city"] == "Köln"
    assert with_address["BillingAddress"]["latitude"] == 50.9
    assert with_address["BillingAddress"]["postalCode"] is None
    assert without["BillingAddress"] is None


def test_order(people: Org) -> None:
    """Order ignores case; nulls come first by default, also in descending order."""

    def ordered(order: str) -> list[str]:
        return ids_of(people, f"SELECT LastName FROM Contact ORDER BY {order}")

    assert ordered("LastName") == ["50% off_x", "Alpha", "beta", "Ärmel"]
    assert ordered("Score__c, LastName DESC")[:2] == ["Ärmel", "50% off_x"]
    assert ordered("Score__c DESC, LastName")[2:] == ["Alpha", "beta"]
    assert ordered("Score__c NULLS LAST, LastName")[:2] == ["beta", "Alpha"]
    assert ordered("Account.Name NULLS LAST, LastName")[0] == "Alpha"


def test_limit_and_offset(crm: Org) -> None:
    """LIMIT and OFFSET cut the ordered rows, and totalSize counts what is left."""
    everything = ids_of(crm, "SELECT Id FROM Contact ORDER BY Id")
    result = crm.query(crm.sync_user, "SELECT Id FROM Contact ORDER BY Id LIMIT 10 OFFSET 5")
    assert result.total_size == 10
    assert [row[0] for row in result.rows()] == everything[5:15]


def test_id_comparisons(crm: Org) -> None:
    """Ids compare by case, in 15 or 18 characters, and page by `>`."""
    everything = ids_of(crm, "SELECT Id FROM Contact ORDER BY Id")
    assert everything == sorted(everything)
    some = everything[50]
    for literal in (some, some[:15], some.upper()):
        assert ids_of(crm, f"SELECT Id FROM Contact WHERE Id = '{literal}'") == [some]
    soql = f"SELECT Id FROM Contact WHERE Id > '{some[:15]}' ORDER BY Id LIMIT 3"
    assert ids_of(crm, soql) == everything[51:54]


def test_fields_function(crm: Org) -> None:
    """FIELDS() selects all, standard or custom fields."""
    everything = crm.query(crm.sync_user, "SELECT FIELDS(ALL) FROM Contact LIMIT 1").columns
    custom = crm.query(crm.sync_user, "SELECT FIELDS(CUSTOM) FROM Contact LIMIT 200").columns
    standard = crm.query(crm.sync_user, "SELECT FIELDS(STANDARD) FROM Contact").columns
    assert set(custom) == {name for name in everything if name.endswith("__c")}
    assert set(everything) == {*custom, *standard} == set(crm.schema["Contact"].fields)


def test_large_results_are_one_snapshot(org: Org) -> None:
    """Rows read late are those of the moment of the query, whatever was committed meanwhile."""
    made = [
        result.unwrap()
        for _ in range(12)
        for result in org.create(org.sync_user, "Campaign", [{"Name": f"c{n}"} for n in range(200)])
    ]
    result = org.query(org.sync_user, "SELECT Id, Name FROM Campaign")
    org.delete(org.sync_user, "Campaign", made[-50:])
    assert result.total_size == len(list(result.rows())) == 2400
    assert org.count("Campaign") == 2350


def test_plans_use_indexes(crm: Org) -> None:
    """Keyset pages by Id and by (SystemModstamp, Id) search an index and sort nothing."""
    for soql in (
        "SELECT Id, Name FROM Contact WHERE Id > '003000000000000AAA' ORDER BY Id LIMIT 10",
        "SELECT Id FROM Contact WHERE SystemModstamp >= 2024-01-01T00:00:00Z ORDER BY SystemModstamp, Id",
    ):
        made = crm.query(crm.sync_user, soql, bulk=True).plan
        plan = [row[3] for row in crm.database.execute(f"EXPLAIN QUERY PLAN {made.select()}", made.params)]
        assert plan[0].startswith("SEARCH")
        assert not any("TEMP B-TREE" in line for line in plan)
