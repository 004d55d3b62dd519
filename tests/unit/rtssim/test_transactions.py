"""Commits: grouping, rollback, and transactions that become visible late."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rtssim.org import Commit, Org, OrgError
from tests.support.rtssim.rows import NOW, ids_of, make, records


def test_a_transaction_is_one_commit(org: Org, commits: list[Commit]) -> None:
    """Calls inside a transaction share one commit and one stamp."""
    with org.transaction(org.sync_user):
        account = make(org, "Account", Name="a")
        org.clock.advance(5)
        make(org, "Contact", LastName="c", AccountId=account)
    (commit,) = commits
    assert [change.object for change in commit.changes] == ["Account", "Contact"]
    assert {change.modstamp for change in commit.changes} == {NOW}
    assert (commit.stamped, commit.at) == (NOW, NOW + timedelta(seconds=5))


def test_rollback(org: Org, commits: list[Commit]) -> None:
    """An exception undoes the whole transaction and announces nothing."""

    def fail() -> None:
        with org.transaction(org.sync_user):
            make(org, "Account", Name="a")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (org.count("Account"), commits) == (0, [])
    make(org, "Account", Name="b")
    assert len(commits) == 1


def test_late_commit(org: Org, commits: list[Commit]) -> None:
    """A late transaction is invisible until its time, then appears below what others saw meanwhile."""
    with org.transaction(org.sync_user, commit_after=90):
        late = make(org, "Account", Name="late")
    org.clock.advance(30)
    make(org, "Account", Name="early")
    assert ids_of(org, "SELECT Name FROM Account") == ["early"]
    org.clock.advance(60)
    org.settle()
    assert [commit.at for commit in commits] == [NOW + timedelta(seconds=30), NOW + timedelta(seconds=90)]
    assert commits[1].stamped == NOW
    assert commits[1].changes[0].id == late
    rows = records(org, "SELECT Name, SystemModstamp FROM Account ORDER BY SystemModstamp, Id")
    assert [row["Name"] for row in rows] == ["late", "early"]


def test_late_deletes_and_merges(org: Org) -> None:
    """Everything DML does can come late: the bin and the delete log with it."""
    winner, loser = make(org, "Lead", LastName="1", Company="c"), make(org, "Lead", LastName="2", Company="c")
    with org.transaction(org.sync_user, commit_after=60):
        org.merge(org.sync_user, "Lead", winner, [loser])
    assert org.count("Lead") == 2
    org.clock.advance(61)
    assert ids_of(org, "SELECT Id FROM Lead") == [winner]
    assert org.undelete(org.sync_user, "Lead", [loser])[0].success


def test_rows_of_a_late_transaction_are_locked(org: Org) -> None:
    """Other writers of a late transaction's row get UNABLE_TO_LOCK_ROW until it commits."""
    made = make(org, "Account", Name="a")
    with org.transaction(org.sync_user, commit_after=60):
        org.update(org.sync_user, "Account", [{"Id": made, "Name": "late"}])
    update = {"Id": made, "Name": "mine"}
    assert org.update(org.sync_user, "Account", [update])[0].errors[0].code == "UNABLE_TO_LOCK_ROW"
    org.clock.advance(60)
    assert org.update(org.sync_user, "Account", [update])[0].success
    assert ids_of(org, "SELECT Name FROM Account") == ["mine"]


def test_listener_may_work_in_the_org(org: Org) -> None:
    """A listener reads what was committed and commits of its own."""
    seen: list[int] = []

    def listen(commit: Commit) -> None:
        if commit.changes[0].object == "Account":
            seen.append(org.count("Account"))
            make(org, "Campaign", Name="made by a listener")

    org.on_commit(listen)
    make(org, "Account", Name="a")
    with org.transaction(org.sync_user, commit_after=5):
        make(org, "Account", Name="b")
    org.clock.advance(5)
    org.settle()
    assert seen == [1, 2]
    assert org.count("Campaign") == 2


def test_savepoint_keeps_the_rest(org: Org, commits: list[Commit]) -> None:
    """A call refused inside a transaction takes nothing else with it."""
    with org.transaction(org.sync_user):
        make(org, "Account", Name="a")
        assert not org.create(org.sync_user, "Account", [{"Name": "b"}, {}])[0].success
        with pytest.raises(OrgError):
            org.merge(org.sync_user, "Lead", "00Q000000000001", ["00Q000000000002"])
    assert ids_of(org, "SELECT Name FROM Account") == ["a"]
    assert len(commits[0].changes) == 1
