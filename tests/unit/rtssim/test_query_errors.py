"""Queries that Salesforce refuses, with its error codes and messages."""

from __future__ import annotations

import pytest

from rtssim.org import Org, OrgError

CASES = [
    ("SELECT Naem FROM Account", "INVALID_FIELD", 8, "No such column 'Naem' on entity 'Account'. If you are"),
    ("SELECT Id FROM Nope", "INVALID_TYPE", 16, "sObject type 'Nope' is not supported. If you are"),
    (
        "SELECT Nope.Name FROM Account",
        "INVALID_FIELD",
        8,
        "Didn't understand relationship 'Nope' in field path.",
    ),
    (
        "SELECT (SELECT Id FROM Nopes) FROM Account",
        "INVALID_TYPE",
        24,
        "Didn't understand relationship 'Nopes' in FROM",
    ),
    ("SELECT Id FROM Account WHERE Nope = 1", "INVALID_FIELD", 30, "No such column 'Nope'"),
    ("SELECT Id, id FROM Account", "INVALID_FIELD", 12, "duplicate field selected: Id"),
    (
        "SELECT Id FROM Account WHERE Description LIKE 'x%'",
        "INVALID_FIELD",
        30,
        "field 'Description' can not be filtered in a query call",
    ),
    (
        "SELECT Id FROM Account WHERE CreatedDate > '2024-01-01'",
        "INVALID_FIELD",
        44,
        "value of filter criterion for field 'CreatedDate' must be of type dateTime and should not",
    ),
    (
        "SELECT Id FROM Account WHERE CreatedDate > 2024-01-01",
        "INVALID_FIELD",
        44,
        "value of filter criterion for field 'CreatedDate' must be of type dateTime and should not",
    ),
    (
        "SELECT Id FROM Account WHERE Name = 5",
        "INVALID_FIELD",
        37,
        "value of filter criterion for field 'Name' must be of type string and should be enclosed in quotes",
    ),
    ("SELECT Id FROM Account WHERE IsDeleted = 'x'", "INVALID_FIELD", 42, "value of filter criterion"),
    ("SELECT Id FROM Account WHERE Id = 'x'", "INVALID_QUERY_FILTER_OPERATOR", 35, "invalid ID field: x"),
    (
        "SELECT Id FROM Account WHERE Id LIKE '001%'",
        "INVALID_QUERY_FILTER_OPERATOR",
        30,
        "invalid operator on id",
    ),
    (
        "SELECT Id FROM Account WHERE IsDeleted > true",
        "INVALID_QUERY_FILTER_OPERATOR",
        30,
        "invalid operator",
    ),
    ("SELECT Id FROM Account WHERE Name > null", "INVALID_QUERY_FILTER_OPERATOR", 30, "invalid operator"),
    (
        "SELECT Id FROM Account ORDER BY Description",
        "MALFORMED_QUERY",
        33,
        "field 'Description' can not be sorted",
    ),
    ("SELECT Name n FROM Account", "MALFORMED_QUERY", 8, "only aggregate expressions use field aliasing"),
    (
        "SELECT Name, COUNT(Id) FROM Account",
        "MALFORMED_QUERY",
        8,
        "Field must be grouped or aggregated: Name",
    ),
    (
        "SELECT COUNT(Id) FROM Account GROUP BY CreatedDate",
        "MALFORMED_QUERY",
        40,
        "field 'CreatedDate' can not be grouped in a query call",
    ),
    (
        "SELECT Name FROM Account GROUP BY Name ORDER BY Phone",
        "MALFORMED_QUERY",
        49,
        "Ordered field must be grouped or aggregated: Phone",
    ),
    (
        "SELECT SUM(Name) FROM Account",
        "MALFORMED_QUERY",
        8,
        "field Name does not support aggregate operator SUM",
    ),
    ("SELECT COUNT(), Id FROM Account", "MALFORMED_QUERY", 8, "COUNT() must be the only item selected"),
    ("SELECT NOPE(Id) FROM Account", "MALFORMED_QUERY", 8, "Invalid function: NOPE"),
    ("SELECT DAY_ONLY(Name) FROM Account GROUP BY DAY_ONLY(Name)", "MALFORMED_QUERY", 45, "DAY_ONLY needs a"),
    (
        "SELECT Id FROM Account OFFSET 2001",
        "NUMBER_OUTSIDE_VALID_RANGE",
        31,
        "Maximum SOQL offset allowed is 2000",
    ),
    ("SELECT Id FROM Account WHERE CreatedDate = NOPE", "MALFORMED_QUERY", 44, "unexpected token: 'NOPE'"),
    (
        "SELECT Id FROM Account WHERE CreatedDate > 2024-13-01T00:00:00Z",
        "MALFORMED_QUERY",
        44,
        "Invalid datetime",
    ),
    (r"SELECT Id FROM Account WHERE Name = 'a\xb'", "MALFORMED_QUERY", 37, "Illegal character sequence"),
    (
        "SELECT Id FROM Account WHERE Name IN (SELECT Id FROM Contact)",
        "MALFORMED_QUERY",
        30,
        "The left operand",
    ),
    (
        "SELECT Id FROM Account WHERE Id IN (SELECT Name FROM Contact)",
        "MALFORMED_QUERY",
        37,
        "The inner select",
    ),
    ("SELECT What.Amount FROM Task", "INVALID_FIELD", 8, "No such column 'Amount' on entity 'Name'"),
    ("SELECT Id FROM RTS_Settings__c", "INVALID_TYPE", 16, "sObject type 'RTS_Settings__c' is not supported"),
]


@pytest.mark.parametrize(("soql", "code", "column", "reason"), CASES)
def test_refusal(crm: Org, soql: str, code: str, column: int, reason: str) -> None:
    """The code, the place and the words are Salesforce's."""
    with pytest.raises(OrgError) as caught:
        crm.query(crm.sync_user, soql)
    assert (caught.value.status, caught.value.code) == (400, code)
    shown = caught.value.message.split("\n")
    assert shown[:2] == ["", soql]
    assert shown[2].index("^") == column - 1
    assert shown[3] == f"ERROR at Row:1:Column:{column}"
    assert shown[4].startswith(reason)


@pytest.mark.parametrize("which", ["ALL", "CUSTOM"])
def test_fields_needs_limit(crm: Org, which: str) -> None:
    """FIELDS(ALL) and FIELDS(CUSTOM) need a LIMIT of at most 200; STANDARD only by a switch."""
    for tail in ("", " LIMIT 201"):
        with pytest.raises(OrgError, match="must have a LIMIT of at most 200") as caught:
            crm.query(crm.sync_user, f"SELECT FIELDS({which}) FROM Account{tail}")
        assert caught.value.code == "MALFORMED_QUERY"


def test_fields_standard_by_switch(org: Org) -> None:
    """A switch decides if FIELDS(STANDARD) needs the LIMIT."""
    org.query(org.sync_user, "SELECT FIELDS(STANDARD) FROM Account")
    org.switches.fields_standard_needs_limit = True
    with pytest.raises(OrgError, match="LIMIT of at most 200"):
        org.query(org.sync_user, "SELECT FIELDS(STANDARD) FROM Account")


BULK = [
    (
        "SELECT MailingAddress FROM Contact",
        "INVALID_FIELD",
        "Selecting compound data not supported in Bulk Query",
    ),
    ("SELECT Body FROM Attachment", "API_ERROR", "base64"),
    ("SELECT COUNT() FROM Contact", "API_ERROR", "Aggregate"),
    ("SELECT LastName FROM Contact GROUP BY LastName", "API_ERROR", "GROUP BY"),
    ("SELECT Id FROM Contact OFFSET 5", "API_ERROR", "OFFSET"),
    ("SELECT Id, (SELECT Id FROM Contacts) FROM Account", "API_ERROR", "Parent to child"),
    ("SELECT TYPEOF What WHEN Account THEN Name END FROM Task", "API_ERROR", "TYPEOF"),
    ("SELECT Id FROM CronTrigger", "INVALIDENTITY", "Entity 'CronTrigger' is not supported by the Bulk API."),
]


@pytest.mark.parametrize(("soql", "code", "reason"), BULK)
def test_bulk_refusal(crm: Org, soql: str, code: str, reason: str) -> None:
    """Queries that Bulk does not support are refused when the job is created."""
    with pytest.raises(OrgError, match=reason) as caught:
        crm.query(crm.sync_user, soql, bulk=True)
    assert caught.value.code == code
    if "TYPEOF" not in soql:
        crm.query(crm.sync_user, soql).close()
