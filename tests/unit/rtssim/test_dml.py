"""Create, update and upsert: defaults, stamps, refusals."""

from __future__ import annotations

from typing import Any

import pytest

from rtssim.org import Commit, Org, OrgError
from tests.support.rtssim.rows import changes, make, records


def test_create_fills_in(org: Org, commits: list[Commit]) -> None:
    """A new row has its defaults and audit fields; the commit tells it whole."""
    made = make(org, "Lead", LastName="Li", Company="C", Email="li@b.co")
    (row,) = records(org, "SELECT Id, Name, Status, OwnerId, IsDeleted, CreatedDate, CreatedById FROM Lead")
    user = org.sync_user.user_id
    assert row == {
        "Id": made,
        "Name": "Li",
        "Status": "Open - Not Contacted",
        "OwnerId": user,
        "IsDeleted": False,
        "CreatedDate": "2026-03-01T10:00:00.000+0000",
        "CreatedById": user,
    }
    (commit,) = commits
    (change,) = commit.changes
    assert (commit.by, change.op, change.object, change.id) == (user, "create", "Lead", made)
    assert change.old is None
    assert change.new is not None
    assert change.new["Email"] == "li@b.co"
    assert change.new["SystemModstamp"] == "2026-03-01T10:00:00.000+0000"
    assert change.fires_trigger


def test_update_moves_the_stamp(org: Org, commits: list[Commit]) -> None:
    """An update stamps the row to the second, keeps CreatedDate, and tells old and new."""
    made = make(org, "Lead", LastName="Li", Company="C")
    org.clock.advance(61.7)
    org.update(org.sync_user, "Lead", [{"Id": made[:15], "FirstName": "明"}])
    (row,) = records(org, "SELECT CreatedDate, LastModifiedDate, SystemModstamp FROM Lead")
    assert row["CreatedDate"] == "2026-03-01T10:00:00.000+0000"
    assert row["SystemModstamp"] == row["LastModifiedDate"] == "2026-03-01T10:01:01.000+0000"
    change = changes(commits)[-1]
    assert change.old is not None
    assert change.new is not None
    assert (change.op, change.old["FirstName"], change.new["FirstName"]) == ("update", None, "明")


def test_two_edits_in_one_second(org: Org, commits: list[Commit]) -> None:
    """Edits within a second carry one stamp; the later one stands."""
    made = make(org, "Lead", LastName="Li", Company="C")
    for title in ("a", "b"):
        org.clock.advance(0.2)
        org.update(org.sync_user, "Lead", [{"Id": made, "Title": title}])
    assert {change.modstamp for change in changes(commits)} == {commits[0].stamped}
    assert records(org, "SELECT Title FROM Lead") == [{"Title": "b"}]


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("Contact", {"FirstName": "x"}, "REQUIRED_FIELD_MISSING", r"Required fields are missing: \[LastName\]"),
    ("Contact", {"LastName": None}, "REQUIRED_FIELD_MISSING", "LastName"),
    (
        "Contact",
        {"LastName": "x", "Nope": 1},
        "INVALID_FIELD",
        "No such column 'Nope' on sobject of type Contact",
    ),
    (
        "Contact",
        {"LastName": "x", "SystemModstamp": "2020-01-01T00:00:00Z"},
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        "S",
    ),
    (
        "Contact",
        {"LastName": "x", "Account_Tier__c": "Gold"},
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        "Account_Tier__c",
    ),
    ("Contact", {"LastName": "x" * 81}, "STRING_TOO_LONG", r"\(max length=80\)"),
    ("Contact", {"LastName": "x", "Email": "nope"}, "INVALID_EMAIL_ADDRESS", "invalid email address: nope"),
    (
        "Contact",
        {"LastName": "x", "Birthdate": "soon"},
        "JSON_PARSER_ERROR",
        "Cannot deserialize instance of date",
    ),
    ("Contact", {"LastName": "x", "DoNotCall": "maybe"}, "JSON_PARSER_ERROR", "boolean"),
    ("Contact", {"LastName": "x", "DoNotCall": None}, "JSON_PARSER_ERROR", "boolean"),
    ("Contact", {"LastName": "x", "Score__c": "many"}, "JSON_PARSER_ERROR", "double"),
    ("Contact", {"LastName": "x", "Score__c": 1e9}, "NUMBER_OUTSIDE_VALID_RANGE", "outside of valid range"),
    ("Contact", {"LastName": "x", "AccountId": "x"}, "MALFORMED_ID", "id value of incorrect type"),
    ("Contact", {"LastName": "x", "AccountId": "005000000000001AAA"}, "MALFORMED_ID", "incorrect type"),
    (
        "Contact",
        {"LastName": "x", "AccountId": "001000000000009AAA"},
        "INVALID_CROSS_REFERENCE_KEY",
        "invalid cross",
    ),
    (
        "Invoice__c",
        {"Name": "x", "Status__c": "Lost"},
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        "bad value",
    ),
    (
        "Contact",
        {"LastName": "x", "External_Key__c": "taken"},
        "DUPLICATE_VALUE",
        "duplicates value on record",
    ),
]


@pytest.mark.parametrize(("obj", "row", "code", "reason"), REFUSED)
def test_refused(
    org: Org, commits: list[Commit], *, obj: str, row: dict[str, Any], code: str, reason: str
) -> None:
    """Refusals carry Salesforce's code and write nothing."""
    make(org, "Contact", LastName="holder", External_Key__c="TAKEN")
    before = len(commits)
    with pytest.raises(OrgError, match=reason) as caught:
        make(org, obj, **row)
    assert caught.value.code == code
    assert len(commits) == before


def test_values_are_kept_exactly(org: Org) -> None:
    """Text is byte-exact, numbers are rounded to their scale, datetimes to the second, "" is null."""
    text = " \r\n\"'\\,;\t\u200b😀" + "x" * 32000
    make(
        org,
        "Contact",
        LastName="x",
        FirstName="",
        Notes__c=text,
        Score__c=1.23456,
        Logins__c="7",
        Last_Contacted__c="2026-01-01T12:00:00.999+02:00",
        Best_Time__c="07:00:00",
    )
    (row,) = records(
        org, "SELECT FirstName, Notes__c, Score__c, Logins__c, Last_Contacted__c, Best_Time__c FROM Contact"
    )
    assert row == {
        "FirstName": None,
        "Notes__c": text,
        "Score__c": 1.2346,
        "Logins__c": 7,
        "Last_Contacted__c": "2026-01-01T10:00:00.000+0000",
        "Best_Time__c": "07:00:00.000Z",
    }


def test_partial_success(org: Org, commits: list[Commit]) -> None:
    """Without all-or-none the good rows stay; with it none does, and each says why."""
    rows: list[dict[str, Any]] = [{"Name": "a"}, {"Name": None}, {"Name": "b"}]
    some = org.create(org.sync_user, "Campaign", rows, all_or_none=False)
    assert [result.success for result in some] == [True, False, True]
    assert len(changes(commits)) == org.count("Campaign") == 2
    none = org.create(org.sync_user, "Campaign", rows)
    assert [result.errors[0].code for result in none] == [
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "REQUIRED_FIELD_MISSING",
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    ]
    assert (len(commits), org.count("Campaign")) == (1, 2)


def test_two_hundred_rows_are_one_commit(org: Org, commits: list[Commit]) -> None:
    """A call is one transaction."""
    org.create(org.sync_user, "Campaign", [{"Name": f"c{n}"} for n in range(200)])
    assert [len(commit.changes) for commit in commits] == [200]


def test_upsert(org: Org, commits: list[Commit]) -> None:
    """Upsert creates, then updates, by an external id whatever its case."""
    first = org.upsert(org.sync_user, "Account", "ERP_Key__c", [{"ERP_Key__c": "E1", "Name": "a"}])[0]
    second = org.upsert(org.sync_user, "Account", "erp_key__c", [{"ERP_Key__c": "e1", "Name": "b"}])[0]
    assert (first.created, second.created, first.id == second.id) == (True, False, True)
    assert [change.op for change in changes(commits)] == ["create", "update"]
    for number in ("7", "7"):
        make(org, "Opportunity", Name="o", StageName="s", CloseDate="2026-01-01", Order_Number__c=number)
    with pytest.raises(OrgError) as caught:
        org.upsert(org.sync_user, "Opportunity", "Order_Number__c", [{"Order_Number__c": "7"}])[0].unwrap()
    assert (caught.value.status, caught.value.code) == (300, "DUPLICATE_EXTERNAL_ID")
    with pytest.raises(OrgError, match="external ID field does not exist"):
        org.upsert(org.sync_user, "Account", "Phone", [])


def test_gone_rows(org: Org) -> None:
    """The error of an update tells deleted from unknown rows."""
    made = make(org, "Account", Name="a")
    org.delete(org.sync_user, "Account", [made])
    unknown = made[:10] + "ZZZZZ"
    for record_id, code in ((made, "ENTITY_IS_DELETED"), (unknown, "NOT_FOUND"), ("x", "MALFORMED_ID")):
        result = org.update(org.sync_user, "Account", [{"Id": record_id, "Name": "b"}])[0]
        assert result.errors[0].code == code


def test_unsupported_verbs(org: Org) -> None:
    """Users are not deleted, and the organization is not created."""
    with pytest.raises(OrgError, match="does not support delete"):
        org.delete(org.sync_user, "User", [org.sync_user.user_id])
    with pytest.raises(OrgError, match="does not support create"):
        org.create(org.sync_user, "Organization", [{"Name": "x"}])


@pytest.mark.parametrize(("rollup", "stamped", "fires"), [("silent", 0, 0), ("stamp", 1, 0), ("save", 1, 1)])
def test_roll_up(org: Org, commits: list[Commit], rollup: Any, stamped: int, fires: int) -> None:
    """A child's change moves the parent's roll-up, and the parent as the switch says, once per call."""
    account = make(org, "Account", Name="a")
    org.switches.rollup = rollup
    org.clock.advance(60)
    deal = {"StageName": "Prospecting", "CloseDate": "2026-05-01", "AccountId": account}
    org.create(
        org.sync_user, "Opportunity", [{**deal, "Name": "x", "Amount": 5}, {**deal, "Name": "y", "Amount": 7}]
    )
    assert records(org, "SELECT Open_Pipeline__c FROM Account") == [{"Open_Pipeline__c": 12.0}]
    touched = [change for change in commits[-1].changes if change.object == "Account"]
    assert len(touched) == stamped
    assert sum(change.fires_trigger for change in touched) == fires


def test_cross_object_formula_moves_no_stamp(org: Org) -> None:
    """A contact's formula shows the account's new tier, while its own stamp stands still."""
    account = make(org, "Account", Name="a", Tier__c="Gold")
    make(org, "Contact", LastName="x", AccountId=account)
    before = records(org, "SELECT Account_Tier__c, SystemModstamp FROM Contact")
    org.clock.advance(60)
    org.update(org.sync_user, "Account", [{"Id": account, "Tier__c": "Platinum"}])
    after = records(org, "SELECT Account_Tier__c, SystemModstamp FROM Contact")
    assert (before[0]["Account_Tier__c"], after[0]["Account_Tier__c"]) == ("Gold", "Platinum")
    assert before[0]["SystemModstamp"] == after[0]["SystemModstamp"]


def test_lead_conversion(org: Org, commits: list[Commit]) -> None:
    """A converted lead stays, marked, with an account and a contact made of it in one commit."""
    lead = make(org, "Lead", LastName="Li", FirstName="明", Company="Acme", Email="li@b.co")
    contact = org.convert_lead(org.sync_user, lead)
    (row,) = records(
        org, "SELECT IsConverted, ConvertedContactId, ConvertedAccountId, ConvertedDate FROM Lead"
    )
    assert (row["IsConverted"], row["ConvertedContactId"], row["ConvertedDate"]) == (
        True,
        contact,
        "2026-03-01",
    )
    assert (
        records(org, "SELECT Name, AccountId, Account.Name FROM Contact")[0]["AccountId"]
        == row["ConvertedAccountId"]
    )
    assert [(change.object, change.op) for change in commits[-1].changes] == [
        ("Account", "create"),
        ("Contact", "create"),
        ("Lead", "update"),
    ]


def test_ids_come_from_several_ranges(org: Org) -> None:
    """New ids do not always sort behind the old ones, unless the switch says so."""
    made = [result.unwrap() for result in org.create(org.sync_user, "Campaign", [{"Name": "c"}] * 9)]
    assert made != sorted(made)
    org.switches.ids_in_order = True
    made = [result.unwrap() for result in org.create(org.sync_user, "Campaign", [{"Name": "c"}] * 9)]
    assert made == sorted(made)
