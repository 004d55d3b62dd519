"""`rtsd missed`: every change without a push, in the spell that it belongs to, with the reason."""

from __future__ import annotations

import pytest

from rtsd.control.protocol import Missed
from rtsd.errors import UsageError
from tests.acceptance.test_silence import minutes, pushing
from tests.support.inprocess.channels import connect, lose_pushes, on_every_channel, where_signed
from tests.support.inprocess.pushes import document, push, settle
from tests.support.inprocess.stand import Stand, Standing


async def missed(org: Stand, since: str | None = None) -> Missed:
    """What the control API answers; its figure agrees with the status."""
    async with org.client() as client:
        found, status = await client.missed(since), await client.status()
    if since is None:
        assert found.missed == status.push.missed_24h
    return found


@on_every_channel
async def test_a_spell_is_told_from_the_push_before_to_the_push_after(stand: Standing, channel: str) -> None:
    """One spell with its reason, open until a push comes; then a single change that others surround."""
    org = await pushing(stand, channel)
    assert (await missed(org)).spells == []
    await lose_pushes(org)
    org.update("Lead", org.ids("Lead")[:7], Title="nobody hears this")
    await minutes(org, 40)
    (spell,) = (await missed(org)).spells
    assert (spell.changes, spell.objects, spell.missed, spell.until) == (7, {"Lead": 7}, True, None)
    assert spell.why == "no push for 30m"
    assert {change.id for change in spell.first} == set(org.ids("Lead")[:7])
    await org.simulated.control("faults", method="DELETE")
    org.update("Lead", org.ids("Lead")[:1], Title="heard again")
    await org.pushed()
    await minutes(org, 1)
    (spell,) = (await missed(org)).spells
    assert spell.until is not None
    assert spell.since < spell.first[0].made_at < spell.until


async def test_a_push_that_comes_late_takes_its_change_off_both_counts(stand: Standing) -> None:
    """The figure of status does not stay at what was missed at first: list and status are one."""
    org = await pushing(stand, "gateway")
    await lose_pushes(org)
    lost = org.ids("Lead")[:7]
    org.update("Lead", lost, Title="heard late")
    await minutes(org, 40)
    assert (await missed(org)).missed == 7
    rows = {row["Id"]: row for row in org.org.snapshot("Lead")}
    changes = [
        {
            "object": "Lead",
            "op": "update",
            "id": record,
            "modstamp": rows[record]["SystemModstamp"],
            "changed": ["Title"],
            "fields": {"Id": record, "Title": "heard late"},
        }
        for record in lost[:3]
    ]
    async with org.taking():
        await push(org, document(org, changes), "late-1")
    await settle(org)
    await minutes(org, 2)
    await org.parts.channel.missed_pushes.count()
    assert (await missed(org)).missed == 4


@on_every_channel
async def test_a_restart_is_named(stand: Standing, channel: str) -> None:
    """Changes made while rtsd was down."""
    org = await pushing(stand, channel)
    await lose_pushes(org)
    await org.stop()
    org.update("Lead", org.ids("Lead")[:3], Title="nobody is there")
    org.advance(600)
    await org.start()
    await minutes(org, 10)
    await org.simulated.control("faults", method="DELETE")
    if channel == "gateway":  # it listens on another port now
        await connect(org, "Lead")
    org.update("Lead", org.ids("Lead")[:1], Title="heard again")
    await org.pushed()
    await minutes(org, 1)
    (spell,) = [spell for spell in (await missed(org)).spells if spell.missed]
    assert (spell.changes, spell.why) == (3, "rtsd was stopped, or restarted")


@where_signed
async def test_what_no_push_was_due_for_is_told_apart(stand: Standing, channel: str) -> None:
    """Filtered fields and a package that is switched off: listed, and not counted as missed."""
    org = await pushing(stand, channel, objects={"Lead": {"conditions": ["Company"]}})
    await lose_pushes(org)  # as the package does, when no condition holds
    org.update("Lead", org.ids("Lead")[:5], Title="watched by nobody")
    await minutes(org, 31)
    found = await missed(org)
    assert [(spell.changes, spell.missed) for spell in found.spells] == [(5, False)]
    assert found.spells[0].why == "no sync condition watches the changed fields"
    await org.simulated.control("package/settings", {"Disable_RTS__c": True})
    await org.probe_package()
    await org.beat()
    org.advance(5)
    org.update("Lead", org.ids("Lead")[5:9], Company="read, not pushed")
    await minutes(org, 31)
    found = await missed(org)
    assert found.missed == 0
    assert [spell.changes for spell in found.spells] == [9]
    assert found.spells[0].why.endswith("package disabled in the org")


async def test_a_moment_bounds_the_list(stand: Standing) -> None:
    """Only what was journalled since; no moment is an error."""
    org = await pushing(stand, "gateway")
    await lose_pushes(org)
    org.update("Lead", org.ids("Lead")[:7], Title="nobody hears this")
    await minutes(org, 40)
    assert (await missed(org, "2099-01-01T00:00:00Z")).spells == []
    assert (await missed(org, "2001-01-01T00:00:00Z")).missed == 7
    async with org.client() as client:
        with pytest.raises(UsageError, match="since"):
            await client.missed("yesterday")
