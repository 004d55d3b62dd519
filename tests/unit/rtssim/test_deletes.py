"""The recycle bin, cascades, hard deletes and merges."""

from __future__ import annotations

import pytest

from rtssim.org import Commit, Org, OrgError
from tests.support.rtssim.rows import changes, ids_of, make, records


def family(org: Org) -> dict[str, str]:
    """An account with a contact, an opportunity, a task on the contact, an invoice and a campaign member."""
    account = make(org, "Account", Name="Acme")
    contact = make(org, "Contact", LastName="C", AccountId=account)
    deal = make(org, "Opportunity", Name="o", StageName="s", CloseDate="2026-01-01", AccountId=account)
    campaign = make(org, "Campaign", Name="camp")
    return {
        "Account": account,
        "Contact": contact,
        "Opportunity": deal,
        "Task": make(org, "Task", Subject="t", WhoId=contact),
        "Invoice__c": make(org, "Invoice__c", Name="i", Account__c=account),
        "CampaignMember": make(org, "CampaignMember", CampaignId=campaign, ContactId=contact),
    }


def test_soft_delete_and_undelete(org: Org, commits: list[Commit]) -> None:
    """A deleted row is stamped, gone from queries, seen by queryAll; undelete stamps it again."""
    made = make(org, "Account", Name="a")
    org.clock.advance(10)
    org.delete(org.sync_user, "Account", [made])
    assert (ids_of(org, "SELECT Id FROM Account"), org.state_of("Account", made)) == ([], "deleted")
    (row,) = records(org, "SELECT IsDeleted, SystemModstamp FROM Account", all_rows=True)
    assert row == {"IsDeleted": True, "SystemModstamp": "2026-03-01T10:00:10.000+0000"}
    org.clock.advance(10)
    org.undelete(org.sync_user, "Account", [made])
    assert records(org, "SELECT IsDeleted, SystemModstamp FROM Account") == [
        {"IsDeleted": False, "SystemModstamp": "2026-03-01T10:00:20.000+0000"}
    ]
    assert [change.op for change in changes(commits)] == ["create", "delete", "undelete"]
    assert org.count("Account") == 1
    assert org.count("Account", deleted=True) == 0


def test_cascade_fires_no_trigger(org: Org, commits: list[Commit]) -> None:
    """Children go with the parent without a trigger, a plain lookup is cleared; all come back together."""
    made = family(org)
    org.delete(org.sync_user, "Account", [made["Account"]])
    seen = {change.object: (change.op, change.fires_trigger) for change in commits[-1].changes}
    assert seen == {
        "Account": ("delete", True),
        "Contact": ("delete", False),
        "Opportunity": ("delete", False),
        "Task": ("delete", False),
        "CampaignMember": ("delete", False),
        "Invoice__c": ("update", False),
    }
    assert ids_of(org, "SELECT Account__c FROM Invoice__c") == [None]
    assert org.state_of("CampaignMember", made["CampaignMember"]) == "absent"
    with pytest.raises(OrgError, match="not in the recycle bin"):
        org.undelete(org.sync_user, "Contact", [made["Contact"]])[0].unwrap()
    org.undelete(org.sync_user, "Account", [made["Account"]])
    fired = [change.object for change in commits[-1].changes if change.fires_trigger]
    assert fired == ["Account"]
    assert len(commits[-1].changes) == 4
    assert org.count("Contact") == org.count("Opportunity") == org.count("Task") == 1


def test_cleared_lookup_stamp_is_a_switch(org: Org) -> None:
    """A switch decides if a cleared lookup stamps its row."""
    for moves in (True, False):
        org.switches.lookup_clear_moves_stamp = moves
        account = make(org, "Account", Name="a")
        invoice = make(org, "Invoice__c", Name="i", Account__c=account)
        soql = f"SELECT SystemModstamp FROM Invoice__c WHERE Id = '{invoice}'"
        before = ids_of(org, soql)
        org.clock.advance(60)
        org.delete(org.sync_user, "Account", [account])
        assert (ids_of(org, soql) != before) is moves


def test_hard_delete_and_empty_bin(org: Org, commits: list[Commit]) -> None:
    """Hard-deleted and purged rows are nowhere, and the purge fires nothing."""
    first, second = make(org, "Account", Name="a"), make(org, "Account", Name="b")
    org.hard_delete(org.sync_user, "Account", [first])
    change = changes(commits)[-1]
    assert (change.op, change.new, change.fires_trigger) == ("delete", None, True)
    org.delete(org.sync_user, "Account", [second])
    assert ids_of(org, "SELECT Id FROM Account", all_rows=True) == [second]
    assert org.empty_bin("Account") == 1
    change = changes(commits)[-1]
    assert (change.op, change.fires_trigger) == ("purge", False)
    assert ids_of(org, "SELECT Id FROM Account", all_rows=True) == []
    assert org.undelete(org.sync_user, "Account", [second])[0].errors[0].code == "UNDELETE_FAILED"


def test_campaign_member_has_no_bin(org: Org, commits: list[Commit]) -> None:
    """A campaign member is gone at once, its trigger fired."""
    member = family(org)["CampaignMember"]
    org.delete(org.sync_user, "CampaignMember", [member])
    assert org.state_of("CampaignMember", member) == "absent"
    assert changes(commits)[-1].fires_trigger


def test_bin_expires(org: Org) -> None:
    """After fifteen days a deleted row is purged."""
    make(org, "Account", Name="keeps")
    gone = make(org, "Account", Name="a")
    org.delete(org.sync_user, "Account", [gone])
    org.clock.advance(15 * 86400 - 60)
    assert org.expire_bin() == 0
    org.clock.advance(61)
    assert org.expire_bin() == 1
    assert org.count("Account") == 1


@pytest.mark.parametrize("moves", [True, False])
def test_merge(org: Org, commits: list[Commit], *, moves: bool) -> None:
    """The loser is deleted and names its master, the master is updated, children move without a trigger."""
    org.switches.reparent_moves_stamp = moves
    made = family(org)
    master = make(org, "Account", Name="Master")
    before = records(org, "SELECT SystemModstamp FROM Contact")
    org.clock.advance(60)
    org.merge(org.sync_user, "Account", master, [made["Account"]], {"Phone": "1"})
    commit = commits[-1]
    loser = next(change for change in commit.changes if change.op == "delete")
    assert (loser.id, loser.master_id, loser.fires_trigger) == (made["Account"], master, True)
    assert loser.new is not None
    assert loser.new["MasterRecordId"] == master
    last = commit.changes[-1]
    assert (last.id, last.op, last.fires_trigger) == (master, "update", True)
    quiet = {change.object for change in commit.changes if not change.fires_trigger}
    assert quiet == {"Contact", "Opportunity", "Invoice__c"}
    assert ids_of(org, "SELECT AccountId FROM Contact") == [master]
    assert (records(org, "SELECT SystemModstamp FROM Contact") != before) is moves
    assert records(org, "SELECT Name, Phone FROM Account") == [{"Name": "Master", "Phone": "1"}]
    soql = "SELECT Id, MasterRecordId FROM Account WHERE IsDeleted = true"
    assert records(org, soql, all_rows=True) == [{"Id": made["Account"], "MasterRecordId": master}]


def test_undelete_of_a_merge_loser_is_a_switch(org: Org) -> None:
    """A switch decides if a loser can be undeleted; an undeleted loser has no master."""
    master, loser = make(org, "Lead", LastName="m", Company="c"), make(org, "Lead", LastName="l", Company="c")
    org.merge(org.sync_user, "Lead", master, [loser])
    org.switches.undelete_merge_loser = False
    assert not org.undelete(org.sync_user, "Lead", [loser])[0].success
    org.switches.undelete_merge_loser = True
    assert org.undelete(org.sync_user, "Lead", [loser])[0].success
    assert ids_of(org, f"SELECT MasterRecordId FROM Lead WHERE Id = '{loser}'") == [None]


def test_merge_refusals(org: Org, commits: list[Commit]) -> None:
    """Only Account, Contact and Lead merge, with one or two others; a refusal changes nothing."""
    winner = make(org, "Lead", LastName="l", Company="c")
    loser = make(org, "Lead", LastName="l", Company="c")
    before = len(commits)
    for args in (
        ("Campaign", winner, [loser]),
        ("Lead", winner, []),
        ("Lead", winner, [loser, winner]),
        ("Lead", winner, [loser] * 3),
    ):
        with pytest.raises(OrgError):
            org.merge(org.sync_user, *args)
    assert len(commits) == before
    assert org.count("Lead") == 2


def test_self_reference_survives_merge(org: Org) -> None:
    """A master that reported to the loser reports to nobody, not to itself."""
    loser = make(org, "Contact", LastName="boss")
    master = make(org, "Contact", LastName="m", ReportsToId=loser)
    org.merge(org.sync_user, "Contact", master, [loser])
    assert ids_of(org, "SELECT ReportsToId FROM Contact") == [None]
