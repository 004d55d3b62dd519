"""F. Row filters: rows that enter and leave, filters that change, pushes from outside."""

from __future__ import annotations

from typing import Any

from rtsd.core.privacy import MaskedPush
from tests.support.inprocess.stand import Standing

HOT = "Rating = 'Hot' AND Type != 'Partner'"


def _hot(row: dict[str, Any]) -> bool:
    return bool(row["Rating"] == "Hot" and row["Type"] != "Partner")


async def test_rows_enter_and_leave_a_filter(stand: Standing) -> None:
    """Edits that let a row in or out of the filter are followed by windows, with few calls."""
    org = await (await stand({"Account": 400}, objects={"Account": {"where": HOT}})).loaded()
    rows = await org.equal("Account", _hot)
    inside = [row[0] for row in org.sql("SELECT Id FROM Account")]
    outside = [record_id for record_id in org.ids("Account") if record_id not in set(inside)]
    org.advance(60)
    org.update("Account", inside[:10], Rating="Cold")
    org.update("Account", inside[10:12], Type="Partner")
    org.update("Account", outside[:20], Rating="Hot", Type="Prospect")
    org.update("Account", inside[12:20], Site="still hot")
    org.advance(60)
    before = await org.calls()
    await org.read()
    assert await org.cost(before) <= 5
    assert await org.equal("Account", _hot) == rows - 12 + 20
    org.update("Account", inside[:10], Rating="Hot")
    org.advance(60)
    await org.read()
    assert await org.equal("Account", _hot) == rows - 2 + 20
    result = await org.audit("Account")
    assert result["repaired"] == 0


async def test_a_changed_filter_is_read_again_and_freezes_what_is_much(stand: Standing) -> None:
    """A narrower filter in the configuration does not empty the mirror: an operator has to accept it."""
    org = await (await stand({"Account": 500})).loaded()
    org.advance(3_600)
    await org.stop()
    org.objects = {"Account": {"where": HOT}}
    await org.start()
    assert (await org.state("Account")).state == "incomplete"
    await org.load()
    shown = await org.state("Account")
    assert shown.state == "incomplete"
    assert "no longer visible" in (shown.error or "")
    assert org.sql("SELECT COUNT(*) FROM Account")[0][0] == 500
    org.advance(3_600)
    async with org.client() as client:
        await client.audit("Account", full=True, accept_missing=True)
    assert (await org.state("Account")).state == "live"
    assert 0 < await org.equal("Account", _hot) < 500


async def test_pushes_of_rows_outside_the_filter_are_not_mirrored(stand: Standing) -> None:
    """What was pushed of a filtered object is asked for by id: one question for all that came."""
    org = await (await stand({"Account": 200}, objects={"Account": {"where": HOT}})).loaded()
    rows = await org.equal("Account", _hot)
    inside = [row[0] for row in org.sql("SELECT Id FROM Account")]
    outside = [record_id for record_id in org.ids("Account") if record_id not in set(inside)]
    org.advance(60)
    org.update("Account", inside[:3], Rating="Cold")
    org.update("Account", outside[:4], Site="still cold")
    org.update("Account", outside[4:6], Rating="Hot", Type="Prospect")
    changed = [*inside[:3], *outside[:6]]
    records = {row["Id"]: row for row in org.org.snapshot("Account")}
    await _push(org, [records[record_id] for record_id in changed])
    before = await org.calls()
    org.advance(20)
    await org.parts.readers.repair.step(patiently=True)
    assert await org.cost(before) <= 3
    assert await org.equal("Account", _hot) == rows - 3 + 2


async def _push(org: Any, records: list[dict[str, Any]]) -> None:
    """Put a push into the inbox, as the gateway does, and apply it."""
    import msgspec

    from rtsd.core.instant import to_iso
    from rtsd.store.inbox import Arrival

    changes = [
        {
            "object": "Account",
            "op": "update",
            "id": row["Id"],
            "modstamp": row["SystemModstamp"],
            "fields": row,
        }
        for row in records
    ]
    body = {
        "v": 1,
        "kind": "changes",
        "org": org.org.org_id,
        "sent": to_iso(org.now()),
        "read_at": to_iso(org.now()),
        "changes": changes,
    }
    async with org.taking():
        await org.parts.services.inbox.append(
            Arrival("push-1", org.now(), MaskedPush(msgspec.json.encode(body)))
        )
    await org.parts.services.realtime.apply_batch()
