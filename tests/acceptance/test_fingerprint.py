"""What a fingerprint makes of counts that agree, and of days that it has compared already."""

from __future__ import annotations

from tests.support.inprocess.stand import Standing

DAY_S = 86_400


async def test_a_row_made_on_the_day_that_lost_one_hides_nothing(stand: Standing) -> None:
    """A row of the morning goes, another comes in the evening: the day's counts agree, both are found."""
    org = await stand({"Lead": 0})
    org.org.clock.freeze()
    until_midnight = DAY_S - org.now() // 1000 % DAY_S
    org.advance(until_midnight + 8 * 3_600)
    morning = org.create("Lead", 5)
    org.advance(2 * 3_600)
    await org.loaded()
    org.advance(3_600)
    org.org.hard_delete(org.org.admin, "Lead", morning[:1])
    evening = org.create("Lead", 1)
    org.advance(3_600)
    result, _ = await org.audited("Lead")
    assert (result["missing"], result["orphaned"]) == (evening, morning[:1])
    assert await org.equal("Lead") == 5


async def test_what_was_compared_is_not_read_again(stand: Standing) -> None:
    """Rows made and edited since the proof: a count, one list of ids and one fetch."""
    org = await (await stand({"Lead": 400})).loaded()
    org.advance(3_600)
    org.update("Lead", org.ids("Lead")[:40:10], Title="edited")
    org.create("Lead", 3)
    org.advance(3_600)
    result, calls = await org.audited("Lead")
    assert (result["repaired"], calls) == (7, 3)
    assert await org.equal("Lead") == 403
