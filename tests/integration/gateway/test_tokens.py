"""Who may push: tokens leaked, rotated and dropped, copies of the org, replays, and what nobody knows."""

from __future__ import annotations

from typing import Any

import pytest

from rtsd.core.mode import Mode
from rtsd.store import dead_letters, error_log
from tests.support.inprocess.rig import Rig

OLD = "push-token-of-the-tests-0001"
NEW = "push-token-of-the-tests-0002"
SANDBOX = "00DQx0000000099MAA"


def update(record: str, **fields: Any) -> dict[str, Any]:
    """One pushed update of a contact."""
    return {"object": "Contact", "op": "update", "id": record, "fields": {"Id": record, **fields}}


async def shown(rig: Rig) -> dict[str, int]:
    """The error log: what, how often."""
    return {error.error: error.count for error in await error_log.newest(rig.parts.base.database)}


async def titles(rig: Rig, record: str) -> list[tuple[Any, ...]]:
    """What the mirror has of a contact."""
    return await rig.rows("SELECT Title FROM Contact WHERE Id = ?", record)


@pytest.mark.parametrize(
    ("accepted", "by_old", "by_new"), [([OLD], 200, 401), ([OLD, NEW], 200, 200), ([NEW], 401, 200)]
)
async def test_a_rotation_has_no_gap(accepted: list[str], by_old: int, by_new: int, contacts: Rig) -> None:
    """Before, during and after: the token that the org signs with is accepted in each."""
    contacts.parts.keys.hmac = [token.encode() for token in accepted]
    record = await contacts.a_record("Contact")
    statuses = [
        (
            await contacts.push(
                contacts.changes(update(record, Title=token)), name=f"msg_{token}", token=token
            )
        )[0]
        for token in (OLD, NEW)
    ]
    assert statuses == [by_old, by_new]


async def test_a_leaked_token_is_worth_nothing_once_it_was_dropped(contacts: Rig) -> None:
    """Refused, counted and shown; nothing of it reaches the mirror, and it proves nothing."""
    contacts.parts.keys.hmac = [NEW.encode()]
    record = await contacts.a_record("Contact")
    before = await titles(contacts, record)
    for number in range(3):
        forged = contacts.changes(update(record, Title="forged"))
        status, body, _ = await contacts.push(forged, name=f"msg_{number}", token=OLD)
        assert (status, body["error"]) == (401, "BadSignature")
    await contacts.settle()
    assert await titles(contacts, record) == before
    assert contacts.mode is Mode.AWAITING_PACKAGE
    assert (await contacts.parts.views.status()).push.rejected_24h == 3
    assert await shown(contacts) == {"BadSignature": 1}  # one report a minute, however many come


async def test_the_org_signing_with_a_dropped_token_is_seen_and_read(contacts: Rig) -> None:
    """Its pushes are refused with a reason; what they told comes by reading, and the error log says why."""
    contacts.parts.keys.hmac = [NEW.encode()]
    record = await contacts.a_record("Contact")
    await contacts.dml("update", "Contact", rows=[{"Id": record, "Title": "unpushed"}])
    await contacts.settle()
    assert (await contacts.sim.stats())["pushes"]["answers"] == {"401": 1}
    assert await contacts.sim.count("RTS_Error__c") == 1
    assert await shown(contacts) == {"BadSignature": 1}
    await contacts.parts.services.interval_sync.step()
    assert await contacts.differences() == []


async def test_a_sandbox_copy_that_kept_the_token_is_refused_and_shown(contacts: Rig) -> None:
    """Settings are copied with a sandbox: 403, nothing applied, an error with what to do."""
    record = await contacts.a_record("Contact")
    before = await titles(contacts, record)
    await contacts.sim.control("org", {"org_id": SANDBOX})
    await contacts.dml("update", "Contact", rows=[{"Id": record, "Title": "in the sandbox"}])
    await contacts.settle()
    assert (await contacts.sim.stats())["pushes"]["answers"] == {"403": 1}
    assert await titles(contacts, record) == before
    assert contacts.mode is Mode.AWAITING_PACKAGE
    (logged,) = await error_log.newest(contacts.parts.base.database)
    assert (logged.error, SANDBOX in logged.message) == ("WrongOrg", True)
    assert "Token__c" in logged.message
    assert [note.message for note in await contacts.notes("error")] == [logged.message]


async def test_a_sandbox_copy_bound_to_its_org_stays_silent(contacts: Rig) -> None:
    """`Org_Id__c` is that of production, so the copy sends nothing at all."""
    await contacts.sim.control("package/settings", {"Org_Id__c": contacts.org.org_id})
    await contacts.sim.control("org", {"org_id": SANDBOX})
    await contacts.dml("create", "Contact", rows=[{"LastName": "in the sandbox"}])
    await contacts.settle()
    assert (await contacts.sim.control("package/heartbeat"))["status"] is None
    assert (await contacts.sim.stats())["pushes"]["answers"] == {}


async def test_a_replayed_push_changes_nothing(contacts: Rig) -> None:
    """Within its time it is known by its id; later its signature has expired."""
    record = await contacts.a_record("Contact")
    push = contacts.changes({**update(record, Title="once"), "modstamp": "2026-03-01T10:00:01.000Z"})
    seconds = contacts.now() // 1000
    assert (await contacts.push(push, name="msg_once"))[1] == {"accepted": 1}
    await contacts.settle()
    contacts.advance(10)
    await contacts.dml("update", "Contact", rows=[{"Id": record, "Title": "twice"}])
    await contacts.settle()
    assert (await contacts.push(push, name="msg_once"))[1] == {"accepted": 0, "duplicate": True}
    await contacts.settle()
    contacts.advance(301)
    expired = {"webhook-timestamp": str(seconds)}
    assert (await contacts.push(push, name="msg_once", headers=expired))[0] == 401
    assert await titles(contacts, record) == [("twice",)]


async def test_a_push_for_an_unknown_object_is_kept(contacts: Rig) -> None:
    """The rest of it is applied; what nobody knows becomes a dead letter with its reason."""
    record = await contacts.a_record("Contact")
    stranger = {"object": "Gadget__c", "op": "create", "id": "a0B000000000001EAA", "fields": {"Name": "x"}}
    known = {**update(record, Title="beside"), "modstamp": "2026-03-01T10:00:01.000Z"}
    assert (await contacts.push(contacts.changes(stranger, known)))[1] == {"accepted": 2}
    await contacts.settle()
    assert await titles(contacts, record) == [("beside",)]
    (letter,) = await dead_letters.newest(contacts.parts.base.database)
    assert (letter.reason, letter.object, letter.record) == (
        "UnknownObject",
        "Gadget__c",
        "a0B000000000001EAA",
    )


async def test_rejections_are_those_of_a_day(contacts: Rig) -> None:
    """As with received pushes, what was refused longer ago than 24 hours is not counted."""
    record = await contacts.a_record("Contact")
    for hours in (0, 20, 20):
        contacts.advance(hours * 3600)
        changes = contacts.changes(update(record, Title="forged"))
        assert (await contacts.push(changes, token="forged"))[0] == 401
    assert (await contacts.parts.views.status()).push.rejected_24h == 2
    contacts.advance(25 * 3600)
    assert (await contacts.parts.views.status()).push.rejected_24h == 0
