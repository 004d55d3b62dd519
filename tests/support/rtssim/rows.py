"""Short ways to rows of an org in this process, whose clock stands still at NOW."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rtssim.org import Commit, Org, RowChange

NOW = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
SMALL = {
    "Account": 30,
    "Contact": 200,
    "Lead": 60,
    "Opportunity": 60,
    "Task": 40,
    "Campaign": 4,
    "CampaignMember": 20,
    "Invoice__c": 20,
    "Attachment": 3,
}


def records(org: Org, soql: str, **options: Any) -> list[dict[str, Any]]:
    """Return a query's REST records without their `attributes`."""
    found = org.query(org.sync_user, soql, **options).records()
    return [{name: value for name, value in record.items() if name != "attributes"} for record in found]


def ids_of(org: Org, soql: str, **options: Any) -> list[str]:
    """Return the first column of a query."""
    return [row[0] for row in org.query(org.sync_user, soql, **options).rows()]


def make(org: Org, obj: str, **values: Any) -> str:
    """Create one record and return its id."""
    return org.create(org.sync_user, obj, [values])[0].unwrap()


def changes(commits: list[Commit]) -> list[RowChange]:
    """Return all changes in order."""
    return [change for commit in commits for change in commit.changes]
