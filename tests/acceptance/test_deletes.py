"""D. Deletes: found, told apart from what cannot be seen, and kept in history."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.inprocess.stand import Stand, Standing


def _forget(org: Stand) -> None:
    """Let the org's delete log be purged: nothing tells of past deletions any more."""
    org.org.purge_delete_log(org.org.clock.now() + timedelta(seconds=1))


@pytest.mark.parametrize("rows", [10_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
async def test_ac_28_hard_deletes_are_found_by_one_audit(stand: Standing, rows: int) -> None:
    """Three rows that vanished without a trace are found by one cheap audit, in at most 20 calls."""
    org = await (await stand({"Lead": rows})).loaded()
    org.advance(3_600)
    gone = org.ids("Lead")[:: rows // 2 - 1]
    with org.org.transaction(org.org.admin):
        for deleted in org.org.hard_delete(org.org.admin, "Lead", gone):
            deleted.unwrap()
    _forget(org)
    before, read = await org.calls(), await org.rows_read()
    result = await org.audit("Lead")
    assert sorted(result["orphaned"]) == sorted(gone)
    assert await org.cost(before) <= 20
    assert result["bulk_jobs"] == 0
    assert await org.rows_read() - read <= 6_000 + rows // 50  # a fiftieth of the rows share one second
    assert await org.equal("Lead") == rows - len(gone)
    assert (await org.state("Lead")).state == "live"


async def test_ac_29_extra_rows_are_warned_of(stand: Standing) -> None:
    """Members that only ever vanish for good are named, with their count, before they go."""
    org = await (await stand({"Campaign": 5, "Lead": 50, "CampaignMember": 200})).loaded()
    org.advance(3_600)
    gone = org.ids("CampaignMember")[3:9]
    with org.org.transaction(org.org.admin):
        for deleted in org.org.delete(org.org.admin, "CampaignMember", gone):
            deleted.unwrap()
    org.org.empty_bin("CampaignMember")
    _forget(org)
    result = await org.audit("CampaignMember", full=True)
    assert sorted(result["orphaned"]) == gone
    (warning,) = [event for event in await org.journal("drift") if event.object == "CampaignMember"]
    assert warning.message == "not visible in the org: 6 rows of the mirror"
    assert (warning.detail or {})["orphaned"] == gone
    assert await org.equal("CampaignMember") == 194


async def test_ac_30_a_tombstone_keeps_the_last_values(stand: Standing) -> None:
    """A soft delete is seen through queryAll, and the record's last good values stay."""
    org = await (await stand({"Lead": 30})).loaded()
    lead = org.ids("Lead")[4]
    async with org.client() as client:
        was = (await client.record("Lead", lead)).values
    org.advance(60)
    with org.org.transaction(org.org.admin):
        org.org.delete(org.org.admin, "Lead", [lead])[0].unwrap()
    org.advance(60)
    await org.read()
    assert await org.equal("Lead") == 29
    async with org.client() as client:
        record = await client.record("Lead", lead)
    assert record.state == "deleted"
    assert record.values == was
    assert (await org.calls())["query"] >= 1


async def test_ac_31_delete_undelete_and_merge_are_in_the_history(stand: Standing) -> None:
    """What happened to a record is told in order, the winner of a merge included."""
    org = await (await stand({"Lead": 30})).loaded()
    loser, winner = org.ids("Lead")[4:6]
    admin = org.org.admin
    org.advance(60)
    org.org.delete(admin, "Lead", [loser])[0].unwrap()
    org.advance(60)
    await org.read()
    org.org.undelete(admin, "Lead", [loser])[0].unwrap()
    org.advance(60)
    await org.read()
    assert await org.equal("Lead") == 30
    org.org.merge(admin, "Lead", winner, [loser])
    org.advance(60)
    await org.read()
    assert await org.equal("Lead") == 29
    changes = [event for event in await org.journal("change") if event.id == loser]
    assert [event.op for event in changes] == ["delete", "undelete", "delete"]
    assert (changes[-1].detail or {})["master"] == winner
    async with org.client() as client:
        assert (await client.record("Lead", loser)).master == winner


async def test_ac_32_a_lost_permission_deletes_nothing(stand: Standing) -> None:
    """An object out of sight is an error with a reason; back in sight, it goes on where it was."""
    org = await (await stand({"Lead": 300, "Account": 20}, describe_every="1h")).loaded()
    await org.simulated.control("visibility", {"hidden_objects": ["Lead"]})
    org.advance(3_700)
    await org.read()
    shown = await org.states()
    assert shown["Lead"].state == "error"
    assert "Lead" in (shown["Lead"].error or "")
    assert shown["Account"].state == "live"
    assert shown["Lead"].rows == 300
    before = await org.calls()
    for _ in range(3):
        await org.load()
        await org.read()
    assert await org.cost(before) <= 3 * 4, "what cannot be seen is not asked for all the time"
    assert org.sql("SELECT COUNT(*) FROM Lead")[0][0] == 300
    await org.simulated.control("visibility", {"hidden_objects": []})
    org.advance(3_700)
    await org.load()
    assert await org.equal("Lead") == 300
    assert (await org.state("Lead")).state == "live"


@pytest.mark.parametrize("how", ["window", "fingerprint", "full"])
async def test_ac_32_rows_out_of_sight_freeze_deletes(stand: Standing, how: str) -> None:
    """Rows that are not shared any more stay, whatever looks for them; the object says why, cheaply."""
    org = await (await stand({"Lead": 2_000}, interval="5m")).loaded()
    hidden = org.ids("Lead")[:900]
    await org.simulated.control("visibility", {"hidden_records": hidden})
    org.advance(3_600)
    before = await org.calls()
    if how == "window":
        await org.read()
        await org.parts.readers.audit.prove(org.parts.base.catalog["Lead"])
    else:
        await org.audit("Lead", full=how == "full")
    for _ in range(4):
        await org.load()
        await org.repair()
    shown = await org.state("Lead")
    assert shown.state == "incomplete"
    assert "900 of 2,000 rows are no longer visible" in (shown.error or "")
    assert org.sql("SELECT COUNT(*) FROM Lead")[0][0] == 2_000
    assert await org.waiting() == 0
    assert await org.cost(before) <= 70
    await org.simulated.control("visibility", {"hidden_records": []})
    await org.load()
    assert (await org.state("Lead")).state == "live"
    assert await org.equal("Lead") == 2_000


async def test_ac_32_little_by_little_is_much_too(stand: Standing) -> None:
    """Rows out of sight that are asked for a few at a time are not deleted a few at a time."""
    org = await (await stand({"Lead": 400})).loaded()
    org.advance(60)
    hidden = org.ids("Lead")[:200]
    await org.simulated.control("visibility", {"hidden_records": hidden})
    async with org.client() as client:
        for start in range(0, 200, 10):
            await client.repair("Lead", hidden[start : start + 10])
    shown = await org.state("Lead")
    assert shown.state == "incomplete"
    assert "no longer visible" in (shown.error or "")
    assert org.sql("SELECT COUNT(*) FROM Lead")[0][0] == 380
    await org.simulated.control("visibility", {"hidden_records": []})
    org.advance(3_600)
    await org.load()
    assert (await org.state("Lead")).state == "live"
    assert await org.equal("Lead") == 400


async def test_ac_32_an_operator_may_accept_that_rows_are_gone(stand: Standing) -> None:
    """`rtsd audit --full --accept-missing` is how a real mass deletion without a trace gets through."""
    org = await (await stand({"Lead": 600})).loaded()
    gone = org.ids("Lead")[:200]
    with org.org.transaction(org.org.admin):
        for deleted in org.org.hard_delete(org.org.admin, "Lead", gone):
            deleted.unwrap()
    _forget(org)
    org.advance(3_600)
    result = await org.audit("Lead")
    assert result["state"] == (await org.state("Lead")).state == "incomplete"
    assert "200 of 600 rows" in result["error"]
    assert org.sql("SELECT COUNT(*) FROM Lead")[0][0] == 600
    async with org.client() as client:
        await client.audit("Lead", full=True, accept_missing=True)
    assert (await org.state("Lead")).state == "live"
    assert await org.equal("Lead") == 400


async def test_ac_32_ids_of_both_lengths_are_one_record(stand: Standing) -> None:
    """A record named by its 15 characters is the one that the mirror has under 18."""
    org = await (await stand({"Lead": 30})).loaded()
    lead = org.ids("Lead")[4]
    org.advance(60)
    org.update("Lead", [lead], Company="Renamed")
    async with org.client() as client:
        assert (await client.repair("Lead", [lead[:15]])).repaired == 1
        assert ((await client.record("Lead", lead[:15])).values or {})["Company"] == "Renamed"
    assert org.sql("SELECT COUNT(*) FROM Lead WHERE substr(Id, 1, 15) = ?", lead[:15])[0][0] == 1
    assert await org.equal("Lead") == 30


async def test_ac_32_another_org_behind_the_login(stand: Standing) -> None:
    """After a sandbox refresh the login leads to another org: nothing of it is applied."""
    org = await (await stand({"Lead": 100})).loaded()
    before = org.sql("SELECT * FROM Lead ORDER BY Id")
    own = org.org.org_id
    await org.simulated.control("org", {"org_id": "00D000000000XyZ"})
    org.update("Lead", org.ids("Lead"), Company="of another org")
    await org.simulated.control("sessions/expire")
    org.advance(300)
    for _ in range(2):
        await org.read()
        await org.load()
    status = await org.parts.views.status()
    assert status.mode == "unreachable"
    assert "leads to org 00D000000000XyZ" in (status.mode_reason or "")
    assert own in (status.mode_reason or "")
    assert [tuple(row) for row in org.sql("SELECT * FROM Lead ORDER BY Id")] == [tuple(row) for row in before]
    await org.simulated.control("org", {"org_id": own})
    org.advance(3_600)
    await org.read()
    assert (await org.parts.views.status()).mode != "unreachable"
    assert await org.equal("Lead") == 100
