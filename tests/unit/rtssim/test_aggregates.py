"""COUNT(), GROUP BY and the functions around them."""

from __future__ import annotations

import pytest

from rtssim.org import Org, OrgError
from tests.support.rtssim.rows import make, records


@pytest.fixture
def deals(org: Org) -> Org:
    """Five opportunities in two stages, one of them deleted."""
    account = make(org, "Account", Name="Acme")
    rows = [
        {
            "Name": f"o{n}",
            "StageName": stage,
            "CloseDate": "2026-05-01",
            "Amount": amount,
            "AccountId": account,
        }
        for n, (stage, amount) in enumerate(
            [("Closed Won", 100.0), ("Closed Won", 50.5), ("Prospecting", None), ("closed won", 1.0)]
        )
    ]
    org.create(org.sync_user, "Opportunity", rows)
    gone = make(org, "Opportunity", Name="gone", StageName="Prospecting", CloseDate="2026-05-01")
    org.delete(org.sync_user, "Opportunity", [gone])
    return org


def test_count_is_total_size(deals: Org) -> None:
    """SELECT COUNT() has its answer in totalSize, and no records; deleted rows count only with ALL ROWS."""
    result = deals.query(deals.sync_user, "SELECT COUNT() FROM Opportunity WHERE Amount > 10")
    assert (result.is_count, result.total_size, list(result.records())) == (True, 2, [])
    assert deals.query(deals.sync_user, "SELECT COUNT() FROM Opportunity").total_size == 4
    assert deals.query(deals.sync_user, "SELECT COUNT() FROM Opportunity", all_rows=True).total_size == 5
    assert deals.query(deals.sync_user, "SELECT COUNT() FROM Opportunity ALL ROWS").total_size == 5


def test_groups(deals: Org) -> None:
    """Groups ignore case; unaliased expressions are named expr0, expr1; nulls do not count."""
    soql = (
        "SELECT StageName, COUNT(Id) n, COUNT(Amount), SUM(Amount), MAX(Amount) top, AVG(Amount)"
        " FROM Opportunity GROUP BY StageName ORDER BY COUNT(Id) DESC"
    )
    result = deals.query(deals.sync_user, soql)
    won, open_ = result.records()
    assert result.is_aggregate
    assert won["attributes"] == {"type": "AggregateResult"}
    assert (won["n"], won["expr0"], won["expr1"], won["top"], won["expr2"]) == (3, 3, 151.5, 100.0, 50.5)
    assert (open_["StageName"], open_["n"], open_["expr0"], open_["expr1"]) == ("Prospecting", 1, 0, None)


def test_having_and_parent_group(deals: Org) -> None:
    """HAVING filters groups; a parent's field may be the group, under its own name."""
    soql = "SELECT Account.Name, COUNT(Id) n FROM Opportunity GROUP BY Account.Name HAVING COUNT(Id) > 3"
    assert records(deals, soql) == [{"Name": "Acme", "n": 4}]
    assert records(deals, soql.replace("> 3", "> 4")) == []


def test_whole_table_aggregate(deals: Org) -> None:
    """Without GROUP BY there is one row."""
    soql = "SELECT COUNT_DISTINCT(AccountId) a, MIN(CreatedDate) first, MAX(Name) FROM Opportunity"
    assert records(deals, soql) == [{"a": 1, "first": "2026-03-01T10:00:00.000+0000", "expr0": "o3"}]


def test_date_functions(org: Org) -> None:
    """Date parts are taken in UTC, and in the user's zone inside convertTimezone."""
    org.clock.advance(13.5 * 3600)
    make(org, "Lead", LastName="l", Company="c")
    soql = (
        "SELECT DAY_ONLY(SystemModstamp) d, CALENDAR_YEAR(SystemModstamp) y, CALENDAR_MONTH(SystemModstamp) m"
        ", DAY_IN_MONTH(SystemModstamp) dd, HOUR_IN_DAY(SystemModstamp) h, COUNT(Id) n FROM Lead"
        " GROUP BY DAY_ONLY(SystemModstamp), CALENDAR_YEAR(SystemModstamp), CALENDAR_MONTH(SystemModstamp),"
        " DAY_IN_MONTH(SystemModstamp), HOUR_IN_DAY(SystemModstamp)"
    )
    assert records(org, soql) == [{"d": "2026-03-01", "y": 2026, "m": 3, "dd": 1, "h": 23, "n": 1}]
    org.time_zone = "Asia/Tokyo"
    day = "SELECT DAY_ONLY(SystemModstamp) d FROM Lead GROUP BY DAY_ONLY(SystemModstamp)"
    assert records(org, day) == [{"d": "2026-03-01"}]
    org.switches.date_functions_local = True
    assert records(org, day) == [{"d": "2026-03-02"}]
    local = "DAY_ONLY(convertTimezone(SystemModstamp))"
    assert records(org, f"SELECT {local} d FROM Lead GROUP BY {local}") == [{"d": "2026-03-02"}]


def test_two_thousand_groups(org: Org) -> None:
    """More than 2,000 groups are refused, unless LIMIT asks for fewer; the code is a switch."""
    for at in range(0, 2001, 200):
        rows = [{"Name": f"c{n}"} for n in range(at, min(at + 200, 2001))]
        org.create(org.sync_user, "Campaign", rows)
    soql = "SELECT Name, COUNT(Id) FROM Campaign GROUP BY Name"
    for code in ("EXCEEDED_ID_LIMIT", "OPERATION_TOO_LARGE"):
        org.switches.group_limit_code = code
        with pytest.raises(OrgError, match=r"does not support queryMore\(\)") as caught:
            org.query(org.sync_user, soql)
        assert caught.value.code == code
    assert org.query(org.sync_user, soql + " LIMIT 2000").total_size == 2000
    assert org.query(org.sync_user, soql.replace("GROUP", "WHERE Name != 'c7' GROUP")).total_size == 2000
