"""Edits that fire no trigger (Apex Developer Guide, Operations That Don't Invoke Triggers)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rtssim.org import Commit, Org, OrgError
from tests.support.rtssim.rows import ids_of, make

EDITS: dict[str, Callable[[Org, dict[str, str]], object]] = {
    "edit": lambda org, ids: org.untriggered.edit("Account", [ids["account"]], {"Phone": "1"}),
    "update": lambda org, ids: org.update_untriggered(
        org.sync_user, "Account", [{"Id": ids["account"], "Phone": "1"}]
    ),
    "address": lambda org, _: org.untriggered.mass_address_update(
        "Account", "BillingCountry", "Holland", "Netherlands"
    ),
    "picklist": lambda org, _: org.untriggered.rename_picklist_value("Account", "Rating", "Hot", "Very hot"),
    "campaign": lambda org, ids: org.untriggered.mass_campaign_status(ids["campaign"], "Responded"),
    "owner": lambda org, ids: org.untriggered.cascade_owner(ids["account"], org.admin.user_id),
    "product": lambda org, ids: org.untriggered.opportunity_product_edit(ids["deal"], 99.0),
}


@pytest.fixture
def made(org: Org) -> dict[str, str]:
    """One row of each kind the edits touch."""
    account = make(org, "Account", Name="a", BillingCountry="Holland", Rating="Hot")
    campaign = make(org, "Campaign", Name="c")
    contact = make(org, "Contact", LastName="c", AccountId=account)
    make(org, "CampaignMember", CampaignId=campaign, ContactId=contact)
    deal = make(org, "Opportunity", Name="o", StageName="s", CloseDate="2026-01-01", AccountId=account)
    return {"account": account, "campaign": campaign, "deal": deal}


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("moves", [True, False])
def test_no_trigger_fires(
    org: Org, made: dict[str, str], commits: list[Commit], *, name: str, moves: bool
) -> None:
    """Each changes rows in one commit without a trigger; the stamp moves as the switch says."""
    org.switches.untriggered_edit_moves_stamp = moves
    org.clock.advance(60)
    EDITS[name](org, made)
    (commit,) = commits
    assert commit.changes
    assert not any(change.fires_trigger for change in commit.changes)
    assert {change.modstamp == commit.stamped for change in commit.changes} == {moves}
    assert all(change.old != change.new for change in commit.changes)


def test_renamed_picklist_value(org: Org, made: dict[str, str]) -> None:
    """The definition follows the rename, and describe says when."""
    before = org.describe(org.sync_user, "Account")[1]
    org.untriggered.rename_picklist_value("Account", "Rating", "Hot", "Very hot")
    document, changed = org.describe(org.sync_user, "Account")
    rating = next(field for field in document["fields"] if field["name"] == "Rating")
    assert [value["value"] for value in rating["picklistValues"]] == ["Very hot", "Warm", "Cold"]
    assert changed > before
    assert ids_of(org, "SELECT Rating FROM Account") == ["Very hot"]
    with pytest.raises(OrgError, match="has no value 'Hot'"):
        org.untriggered.rename_picklist_value("Account", "Rating", "Hot", "x")
