"""A. What a change of the configuration does to a mirror that exists."""

from __future__ import annotations

from typing import Any

import pytest

from rtssim.schema.fields import ident, text
from rtssim.schema.model import ObjectType
from tests.support.inprocess.stand import Standing


@pytest.mark.parametrize("days", [1, 20])
async def test_an_object_that_returns_is_read_before_it_is_live(stand: Standing, days: int) -> None:
    """Nothing followed its changes meanwhile, and the delete log may not reach back so far."""
    both: dict[str, Any] = {"Lead": {}, "Account": {}}
    org = await (await stand({"Lead": 120, "Account": 20}, objects=both)).loaded()
    await org.restart({"Account": {}})
    assert org.sql("SELECT state FROM _rts_object WHERE name='Lead'")[0][0] == "pending"
    ids = org.ids("Lead")
    org.update("Lead", ids[:30], Title="edited while left out")
    with org.org.transaction(org.org.admin):
        for result in org.org.hard_delete(org.org.admin, "Lead", ids[100:106]):
            result.unwrap()
    org.create("Lead", 6)
    org.advance(days * 24 * 3_600)
    org.org.purge_delete_log(org.org.clock.now())
    await org.restart(both)
    assert (await org.state("Lead")).state == "pending"
    await org.load()
    shown = await org.state("Lead")
    assert shown.state == "live"
    assert shown.drift is not None, "a fingerprint was taken"
    assert (shown.drift.missing, shown.drift.stale) == (0, 0), "what a window reads is no drift"
    assert await org.equal("Lead") == 120


async def test_a_return_that_is_interrupted_is_still_checked(stand: Standing) -> None:
    """A restart before the fingerprint does not make the object live without it."""
    both: dict[str, Any] = {"Lead": {}, "Account": {}}
    org = await (await stand({"Lead": 40, "Account": 20}, objects=both)).loaded()
    await org.restart({"Account": {}})
    org.advance(3_600)
    await org.restart(both)
    await org.restart(both)
    before = org.sql("SELECT checked_at FROM _rts_object WHERE name='Lead'")[0][0]
    await org.load()
    assert before is None
    assert org.sql("SELECT checked_at FROM _rts_object WHERE name='Lead'")[0][0] is not None
    assert (await org.state("Lead")).state == "live"


async def test_an_object_without_stamps_that_returns_is_read_in_full(stand: Standing) -> None:
    """No window shows what changed while it was left out."""
    org = await stand({"Account": 20}, objects={"Plain__c": {}, "Account": {}})
    columns = [ident(), text("Name", 80, name_field=True), text("Value__c", 80)]
    org.org.add_object(
        ObjectType("Plain__c", "Plain", "Plains", "a0P", {field.name: field for field in columns})
    )
    ids = org.create("Plain__c", 50, Name="a")
    await org.loaded()
    await org.restart({"Account": {}})
    org.update("Plain__c", ids[:9], Value__c="changed while left out")
    org.advance(3_600)
    await org.restart({"Plain__c": {}, "Account": {}})
    assert (await org.state("Plain__c")).state == "pending"
    await org.load()
    assert (await org.state("Plain__c")).state == "live"
    assert await org.equal("Plain__c") == 50
