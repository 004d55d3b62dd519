"""`/updated` and `/deleted`: windows, coverage, logs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rtssim.org import Org, OrgError, Principal
from tests.support.rtssim.rows import NOW, make

HOUR = timedelta(hours=1)


def window(org: Org) -> tuple[str, ...]:
    """Return ids `/deleted` of accounts knows of the last hour."""
    answer = org.deleted(org.sync_user, "Account", NOW - HOUR, NOW + HOUR)
    return tuple(record["id"] for record in answer["deletedRecords"])


def test_updated_and_deleted(org: Org) -> None:
    """A live row is updated, a deleted one deleted, with the dates REST prints."""
    kept, gone = make(org, "Account", Name="a"), make(org, "Account", Name="b")
    org.delete(org.sync_user, "Account", [gone])
    org.clock.advance(120)
    updated = org.updated(org.sync_user, "Account", NOW - HOUR, NOW + timedelta(minutes=1))
    assert updated == {"ids": [kept], "latestDateCovered": "2026-03-01T10:01:00.000+0000"}
    deleted = org.deleted(org.sync_user, "Account", NOW - HOUR, NOW + timedelta(minutes=1))
    assert deleted == {
        "deletedRecords": [{"id": gone, "deletedDate": "2026-03-01T10:00:00.000+0000"}],
        "earliestDateAvailable": "2026-02-14T10:02:00.000+0000",
        "latestDateCovered": "2026-03-01T10:01:00.000+0000",
    }


def test_seconds_are_cut_off(org: Org) -> None:
    """Both bounds lose their seconds, so that a window ending at 10:00:59 misses 10:00:30."""
    org.clock.advance(30)
    made = make(org, "Account", Name="a")
    org.clock.advance(300)
    start, end = NOW - HOUR, NOW + timedelta(seconds=59)
    assert org.updated(org.sync_user, "Account", start, end)["ids"] == []
    late = org.updated(org.sync_user, "Account", NOW + timedelta(seconds=45), NOW + timedelta(seconds=119))
    assert late["ids"] == [made]


def test_hard_deletes_undeletes_and_cascades(org: Org) -> None:
    """Hard deletes are in the log, undeleted rows are not; cascades are there by a switch."""
    account = make(org, "Account", Name="a")
    contact = make(org, "Contact", LastName="c", AccountId=account)
    for logged in (True, False):
        org.switches.cascades_in_deleted_log = logged
        org.delete(org.sync_user, "Account", [account])
        found = org.deleted(org.sync_user, "Contact", NOW - HOUR, NOW + HOUR)["deletedRecords"]
        assert [record["id"] for record in found] == ([contact] if logged else [])
        assert window(org) == (account,)
        org.undelete(org.sync_user, "Account", [account])
        assert window(org) == ()
    second = make(org, "Account", Name="b")
    org.switches.hard_deletes_in_deleted_log = True
    org.hard_delete(org.sync_user, "Account", [account])
    org.switches.hard_deletes_in_deleted_log = False
    org.hard_delete(org.sync_user, "Account", [second])
    assert window(org) == (account,)


def test_purged_rows_stay_in_the_log(org: Org) -> None:
    """Emptying the bin removes the row, not the entry."""
    account = make(org, "Account", Name="a")
    org.delete(org.sync_user, "Account", [account])
    org.empty_bin()
    assert window(org) == (account,)


def test_coverage_stops_at_open_transactions(org: Org) -> None:
    """LatestDateCovered stays at the oldest open transaction's start, another tenant's too."""
    org.hold_transaction(3600)
    org.clock.advance(600)
    with org.transaction(org.sync_user, commit_after=60):
        make(org, "Account", Name="late")
    answer = org.updated(org.sync_user, "Account", NOW - HOUR, NOW + HOUR)
    assert answer["latestDateCovered"] == "2026-03-01T10:00:00.000+0000"
    org.clock.advance(3000)
    answer = org.updated(org.sync_user, "Account", NOW - HOUR, NOW + HOUR)
    assert answer["latestDateCovered"] == "2026-03-01T11:00:00.000+0000"


def test_windows_that_are_refused(org: Org) -> None:
    """Too short, too old, past the purged log, not replicateable."""

    def refused(call: str, obj: str, start: timedelta, end: timedelta) -> str:
        with pytest.raises(OrgError) as caught:
            getattr(org, call)(org.sync_user, obj, NOW + start, NOW + end)
        return caught.value.code

    day = timedelta(days=1)
    for call in ("updated", "deleted"):
        assert refused(call, "Account", timedelta(0), timedelta(seconds=59)) == "INVALID_REPLICATION_DATE"
        assert refused(call, "ApexClass", -HOUR, timedelta(0)) == "INVALID_TYPE_FOR_OPERATION"
    assert refused("updated", "Account", -31 * day, timedelta(0)) == "INVALID_REPLICATION_DATE"
    assert refused("deleted", "Account", -16 * day, timedelta(0)) == "INVALID_REPLICATION_DATE"
    org.updated(org.sync_user, "Account", NOW - 16 * day, NOW)
    org.purge_delete_log(NOW - HOUR)
    assert refused("deleted", "Account", -2 * HOUR, timedelta(0)) == "INVALID_REPLICATION_DATE"
    answer = org.deleted(org.sync_user, "Account", NOW - HOUR, NOW)
    assert answer["earliestDateAvailable"] == "2026-03-01T09:00:00.000+0000"


def test_invisible_rows_are_left_out(org: Org) -> None:
    """Sharing applies to both calls."""
    hidden, visible = make(org, "Account", Name="a"), make(org, "Account", Name="b")
    who = Principal(org.sync_user.user_id, hidden_records=frozenset({hidden}))
    other = Principal(org.admin.user_id, view_all=False)
    assert org.updated(who, "Account", NOW - HOUR, NOW + HOUR)["ids"] == [visible]
    assert org.updated(other, "Account", NOW - HOUR, NOW + HOUR)["ids"] == []
    org.delete(org.sync_user, "Account", [hidden, visible])
    found = org.deleted(who, "Account", NOW - HOUR, NOW + HOUR)["deletedRecords"]
    assert [record["id"] for record in found] == [visible]
