"""The SOQL grammar: syntax trees and error messages."""

from __future__ import annotations

import pytest

from rtssim.interface import OrgError
from rtssim.soql import ast
from rtssim.soql.parser import parse, unescape

ACCEPTED = [
    "SELECT Id FROM Account",
    "select id, name from account",
    "SELECT Id,Name FROM Account WHERE Name='x'",
    "SELECT a.Id FROM Account a WHERE a.Name != null",
    "SELECT Id FROM Account AS a",
    "SELECT Account.Owner.Name FROM Contact",
    "SELECT COUNT() FROM Contact",
    "SELECT COUNT(Id) n, SUM(Amount), COUNT_DISTINCT(AccountId) FROM Opportunity",
    "SELECT StageName, COUNT(Id) FROM Opportunity GROUP BY StageName HAVING COUNT(Id) > 1",
    "SELECT DAY_ONLY(convertTimezone(CreatedDate)) FROM Lead GROUP BY DAY_ONLY(convertTimezone(CreatedDate))",
    "SELECT Id, (SELECT Id FROM Contacts WHERE Email != null ORDER BY Id LIMIT 3) FROM Account",
    "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Contact WHERE Email LIKE '%@b.co')",
    "SELECT Id FROM Account WHERE Id NOT IN (SELECT AccountId FROM Contact)",
    "SELECT Id FROM Account WHERE Name IN ('a', 'b') AND NOT Name LIKE 'c%'",
    "SELECT Id FROM Contact WHERE Languages__c INCLUDES ('a;b', 'c') OR Interests__c EXCLUDES ('d')",
    "SELECT Id FROM Account WHERE (A = 1 AND B = 2) OR (C = 3 AND (D = 4 OR E = 5))",
    "SELECT Id FROM Account WHERE CreatedDate >= 2024-01-01T00:00:00Z AND CreatedDate < LAST_N_DAYS:3",
    "SELECT Id FROM Account WHERE CreatedDate > 2024-01-01T00:00:00.123+02:00 AND X = 2024-01-01",
    "SELECT Id FROM Account WHERE N > -1.5e3 AND M < .5 AND T = 12:30:00.000Z AND B = TRUE",
    "SELECT Id FROM Account ORDER BY Name DESC NULLS LAST, Id ASC NULLS FIRST LIMIT 5 OFFSET 10",
    "SELECT FIELDS(ALL) FROM Account LIMIT 200",
    "SELECT Id FROM Account USING SCOPE everything WHERE Id != null WITH SECURITY_ENFORCED LIMIT 1 FOR VIEW",
    "SELECT Id FROM Account ALL ROWS",
    "SELECT Id\nFROM Account\r\n\tWHERE  Name = 'x'",
    r"SELECT Id FROM Account WHERE Name = 'it\'s \u00e9 \n \\'",
    "SELECT Id, Group.Name, Order, Limit FROM Group WHERE Offset = 1 ORDER BY Having",
    "SELECT TYPEOF What WHEN Account THEN Phone, Name WHEN Lead THEN Name ELSE Id END FROM Task",
    "SELECT toLabel(Status) FROM Lead",
]
REFUSED = [
    ("SELECT Id FROM", 15, "unexpected token: '<EOF>'"),
    ("SELECT FROM Account", 20, "unexpected token: '<EOF>'"),
    ("SELECT Id Name X FROM Account", 16, "unexpected token: 'X'"),
    ("SELECT Id FORM Account", 16, "unexpected token: 'Account'"),
    ("SELECT Id FROM Account WHERE", 29, "unexpected token: '<EOF>'"),
    ("SELECT Id FROM Account WHERE Name =", 36, "unexpected token: '<EOF>'"),
    ("SELECT Id FROM Account WHERE Name = 'x", 37, "mismatched character '<EOF>' expecting '''"),
    ("SELECT Id FROM Account WHERE A=1 AND B=2 OR C=3", 42, "unexpected token: 'OR'"),
    ("SELECT Id FROM Account LIMIT -1", 30, "unexpected token: '-1'"),
    ("SELECT Id FROM Account LIMIT 1.5", 30, "unexpected token: '1.5'"),
    ("SELECT * FROM Account", 8, "unexpected token: '*'"),
    ("SELECT Id FROM Account; DROP", 23, "unexpected token: ';'"),
    ("SELECT Id FROM Account WHERE Name = :x", 38, "Bind variables only allowed in Apex code"),
    ("SELECT Id FROM Account WHERE Name IN ()", 39, "unexpected token: ')'"),
    ("UPDATE Account SET Name = 'x'", 1, "unexpected token: 'UPDATE'"),
]


@pytest.mark.parametrize("soql", ACCEPTED)
def test_accepted(soql: str) -> None:
    """SOQL as people and clients write it parses."""
    assert isinstance(parse(soql), ast.Query)


@pytest.mark.parametrize(("soql", "column", "reason"), REFUSED)
def test_refused(soql: str, column: int, reason: str) -> None:
    """A refusal is MALFORMED_QUERY, shows the line, puts the caret under the place and names it."""
    with pytest.raises(OrgError) as caught:
        parse(soql)
    assert (caught.value.status, caught.value.code) == (400, "MALFORMED_QUERY")
    caret = " " * (column - 1) + "^"
    assert caught.value.message == f"\n{soql}\n{caret}\nERROR at Row:1:Column:{column}\n{reason}"


def test_place_in_long_query() -> None:
    """Of a long query over several lines only the neighbourhood of the mistake is shown."""
    soql = "SELECT Id\nFROM Account WHERE " + " AND ".join(f"A{n} = {n}" for n in range(99)) + " AND = 3"
    with pytest.raises(OrgError) as caught:
        parse(soql)
    _, shown, caret, where, _ = caught.value.message.split("\n")
    assert where.startswith("ERROR at Row:2:Column:")
    assert len(shown) <= 120
    assert shown[caret.index("^")] == "="


def test_too_long() -> None:
    """SOQL has at most 100,000 characters."""
    with pytest.raises(OrgError, match="can not be longer than 100000 characters"):
        parse("SELECT Id FROM Account WHERE Name = '" + "x" * 100_000 + "'")


def test_two_thousand_ids() -> None:
    """A list of many ids, as repair asks for them, is one query."""
    listed = ",".join(f"'{n:018d}'" for n in range(2000))
    where = parse(f"SELECT Id FROM Account WHERE Id IN ({listed})").where
    assert isinstance(where, ast.Membership)
    assert len(where.values) == 2000


def test_tree() -> None:
    """Parts of a query end where they belong."""
    query = parse(
        "SELECT Account.Name n, COUNT(Id) FROM Contact c WHERE NOT (a = 1) GROUP BY Account.Name"
        " ORDER BY COUNT(Id) DESC NULLS LAST LIMIT 7 OFFSET 2 ALL ROWS"
    )
    assert [str(item.operand) for item in query.items if isinstance(item, ast.Item)] == [
        "Account.Name",
        "COUNT(Id)",
    ]
    assert (query.alias, query.limit, query.offset, query.all_rows) == ("c", 7, 2, True)
    assert isinstance(query.where, ast.Negation)
    assert (query.order[0].descending, query.order[0].nulls) == (True, "LAST")


def test_typeof_branches() -> None:
    """TYPEOF keeps its branches apart."""
    item = parse("SELECT TYPEOF What WHEN A THEN X, Y WHEN B THEN Z ELSE Id END FROM Task").items[0]
    assert isinstance(item, ast.TypeOf)
    assert [(name, [str(p) for p in paths]) for name, paths in item.branches] == [
        ("A", ["X", "Y"]),
        ("B", ["Z"]),
    ]
    assert [str(path) for path in item.otherwise] == ["Id"]


def test_unescape() -> None:
    r"""Escapes become characters; a LIKE pattern keeps its escaped wildcards."""
    assert unescape(r"a\'b\"c\\d\ne\tf\u20ac\%") == "a'b\"c\\d\ne\tf€%"
    assert unescape(r"100\%\_x\'", pattern=True) == r"100\%\_x'"
    with pytest.raises(ValueError, match="x"):
        unescape(r"\x")
