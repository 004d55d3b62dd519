"""Changes that fire no Apex trigger: the package misses them, the fingerprint finds them, history names them.

Change Data Capture tells of every commit, whether it fires a trigger or not: there nothing is left to find.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.inprocess.channels import connect, on_every_channel, on_every_channel_in_time
from tests.support.inprocess.stand import Stand, Standing

CRM = {"Account": 12, "Contact": 60, "Opportunity": 40, "Campaign": 3, "CampaignMember": 40, "Lead": 40}
MIRRORED = ("Account", "Contact", "Opportunity", "CampaignMember", "Lead")


def _parent(org: Stand, name: str, field_name: str, above: int = 1) -> str:
    """A parent that has more than `above` children."""
    counts: dict[str, int] = {}
    for row in org.org.snapshot(name):
        if row[field_name]:
            counts[row[field_name]] = counts.get(row[field_name], 0) + 1
    return next(parent for parent, count in sorted(counts.items()) if count > above)


def cascade_delete(org: Stand) -> None:
    """Delete an account: its contacts and opportunities go with it, unseen by triggers."""
    org.org.delete(org.org.admin, "Account", [_parent(org, "Contact", "AccountId")])


def undelete_of_children(org: Stand) -> None:
    """Delete an account, find that, and take it out of the bin: its children come back with it."""
    account = _parent(org, "Contact", "AccountId")
    org.org.delete(org.org.admin, "Account", [account])
    org.advance(10)
    org.org.undelete(org.org.admin, "Account", [account])


def merge_reparents(org: Stand) -> None:
    """Merge two accounts: the loser's contacts move to the winner."""
    loser = _parent(org, "Contact", "AccountId")
    winner = next(account for account in org.ids("Account") if account != loser)
    org.org.merge(org.org.admin, "Account", winner, [loser])


def mass_transfer(org: Stand) -> None:
    """Hand an account's contacts and opportunities to another owner."""
    org.org.untriggered.cascade_owner(_parent(org, "Contact", "AccountId"), org.org.user_ids[2])


def picklist_rename(org: Stand) -> None:
    """Rename a picklist value in every row."""
    value = next(row["LeadSource"] for row in org.org.snapshot("Lead") if row["LeadSource"])
    org.org.untriggered.rename_picklist_value("Lead", "LeadSource", value, "Renamed")


def mass_address(org: Stand) -> None:
    """Replace a country in every address."""
    value = next(row["MailingCountry"] for row in org.org.snapshot("Contact") if row["MailingCountry"])
    org.org.untriggered.mass_address_update("Contact", "MailingCountry", value, "Elsewhere")


def mass_campaign_status(org: Stand) -> None:
    """Set the status of every member of a campaign."""
    org.org.untriggered.mass_campaign_status(_parent(org, "CampaignMember", "CampaignId"), "Responded")


def opportunity_product(org: Stand) -> None:
    """Edit a product of an opportunity: its amount changes."""
    org.org.untriggered.opportunity_product_edit(org.ids("Opportunity")[0], 4_711.5)


def mass_update(org: Stand) -> None:
    """Edit rows by a mass action that bypasses triggers."""
    rows = [{"Id": record_id, "Title": "Head of Nothing"} for record_id in org.ids("Contact")[:15]]
    org.org.update_untriggered(org.org.admin, "Contact", rows)


QUIET: tuple[Callable[[Stand], None], ...] = (
    cascade_delete,
    undelete_of_children,
    merge_reparents,
    mass_transfer,
    picklist_rename,
    mass_address,
    mass_campaign_status,
    opportunity_product,
    mass_update,
)


@dataclass
class Watch:
    """Which rows changed in the org, by whether that fired a trigger."""

    loud: set[tuple[str, str]] = field(default_factory=set)
    quiet: set[tuple[str, str]] = field(default_factory=set)

    def saw(self, commit: Any) -> None:
        """Take a commit."""
        for change in commit.changes:
            (self.loud if change.fires_trigger else self.quiet).add((change.object, change.id))


@on_every_channel_in_time
@pytest.mark.parametrize("operation", QUIET, ids=lambda operation: operation.__name__)
async def test_ac_49_what_fires_no_trigger(
    stand: Standing, operation: Callable[[Stand], None], channel: str
) -> None:
    """The package sees nothing of it, the fingerprint finds all of it, and history says who did."""
    org = await stand(CRM, objects={name: {} for name in MIRRORED}, channel=channel)
    await org.loaded()
    await connect(org, *MIRRORED)
    org.advance(3_600)
    watch = Watch()
    org.org.on_commit(watch.saw)
    operation(org)
    await org.pushed()
    pushed = {(event.object, event.id) for event in await org.journal("change")}
    unseen = {row for row in watch.quiet - watch.loud if row[0] in MIRRORED}
    assert unseen, "the operation was to touch rows without a trigger"
    to_find = set() if channel == "cdc" else unseen
    assert pushed & unseen == unseen - to_find
    assert pushed >= {row for row in watch.loud if row[0] in MIRRORED}
    await org.parts.readers.repair.step()
    org.advance(300)
    found: set[tuple[str, str]] = set()
    for name in MIRRORED:
        result, calls = await org.audited(name)
        assert calls <= 20
        found |= {(name, row_id) for kind in ("missing", "stale", "orphaned") for row_id in result[kind]}
    assert found == to_find
    for name, record_id in to_find:
        assert (await org.sources(name, record_id))[-1] == "repair"
    for name in MIRRORED:
        await org.equal(name, without=FORMULAS.get(name, ()))


FORMULAS = {"Contact": ("Account_Tier__c",), "Account": ("Open_Pipeline__c",)}
"""They move without a stamp: test_ac_39 looks at them."""


@on_every_channel
async def test_ac_31_deletions_and_merges_in_history(stand: Standing, channel: str) -> None:
    """Delete, undelete and merge by pushes: each is in the record's history; a loser names its winner."""
    org = await stand({"Account": 5}, channel=channel)
    await org.loaded()
    await connect(org, "Account")
    winner, loser = org.ids("Account")[:2]
    for act in (
        lambda: org.org.delete(org.org.admin, "Account", [loser]),
        lambda: org.org.undelete(org.org.admin, "Account", [loser]),
        lambda: org.org.merge(org.org.admin, "Account", winner, [loser]),
    ):
        org.advance(5)
        act()
        await org.pushed()
        await org.repair()
    async with org.client() as client:
        versions = (await client.history("Account", loser)).versions
    assert [version.op for version in versions] == ["delete", "undelete", "delete"]
    assert versions[-1].master == (None if channel == "cdc" else winner)  # no change event names it
    assert await org.equal("Account", without=FORMULAS["Account"]) == 4
