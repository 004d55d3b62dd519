"""The gateway over HTTP: every row of the reply table (contract section 3), and what is on the disk then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rtsd.core.mode import Mode
from rtsd.core.payload import MAX_DOCUMENT
from tests.support.full_disk import fill_disk, free_disk, refuse_rows
from tests.support.inprocess.rig import Rig, Start


@pytest.fixture
async def rig(start: Start) -> Rig:
    """An org without rows, and the gateway."""
    return await start({"Contact": 0})


def contact(**more: Any) -> dict[str, Any]:
    """One change of a contact."""
    return {"object": "Contact", "op": "update", "id": "003xx000004TmiQAAS", **more}


def on_disk(rig: Rig) -> list[str]:
    """The webhook ids that are committed, as another process sees them."""
    return [row[0] for row in rig.mirror.received("SELECT webhook_id FROM _rts_push_id ORDER BY webhook_id")]


async def test_a_push_is_accepted_and_on_the_disk(rig: Rig) -> None:
    """200 with the number of changes; heartbeat and test count as one."""
    assert (await rig.push(rig.changes(contact(), contact())))[:2] == (200, {"accepted": 2})
    assert on_disk(rig) == ["msg_1"]
    beat = {"v": 1, "kind": "heartbeat", "org": rig.org.org_id}
    assert (await rig.push(beat, name="msg_2"))[:2] == (200, {"accepted": 1})
    assert (await rig.push({**beat, "kind": "test"}, name="msg_3"))[:2] == (200, {"accepted": 1})
    assert on_disk(rig) == ["msg_1", "msg_2", "msg_3"]


async def test_seen_before_is_said_so(rig: Rig) -> None:
    """The same id again, with the same or another body, at once or after it was applied."""
    push = rig.changes(contact())
    assert (await rig.push(push))[0] == 200
    assert (await rig.push(push))[:2] == (200, {"accepted": 0, "duplicate": True})
    await rig.parts.services.realtime.apply_batch()
    assert (await rig.push(rig.changes()))[:2] == (200, {"accepted": 0, "duplicate": True})
    assert len(on_disk(rig)) == 1


async def test_concurrent_retries_are_taken_once(rig: Rig) -> None:
    """Twenty of the same at one moment: one of them is the first."""
    push = rig.changes(contact())
    answers = await asyncio.gather(*(rig.push(push) for _ in range(20)))
    assert sorted(body["accepted"] for _, body, _ in answers) == [0] * 19 + [1]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[1]", b'{"v":2,"kind":"test","org":"00Dxx0000001gPF"}', b"\xff", b"[" * 100_000]
)
async def test_what_is_no_push_is_400(rig: Rig, body: bytes) -> None:
    """Rightly signed, but not such a document."""
    status, answer, _ = await rig.push(body)
    assert (status, answer["error"]) == (400, "MalformedPush")
    assert answer["message"]
    assert on_disk(rig) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"webhook-id": None},
        {"webhook-timestamp": None},
        {"webhook-signature": None},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-id": "another"},
        {"webhook-timestamp": "1"},
    ],
    ids=str,
)
async def test_what_is_not_signed_is_401(rig: Rig, headers: dict[str, str | None]) -> None:
    """Missing, wrong, or for other bytes; nothing kept, and it is no evidence that push works."""
    status, answer, _ = await rig.push(rig.changes(contact()), headers=headers)
    assert (status, answer["error"]) == (401, "BadSignature")
    assert on_disk(rig) == []
    assert rig.mode is not Mode.REAL_TIME
    assert (await rig.parts.views.status()).push.rejected_24h == 1


@pytest.mark.parametrize(("off", "status"), [(299, 200), (-299, 200), (301, 401), (-301, 401)])
async def test_clocks_may_be_off_by_five_minutes(rig: Rig, off: int, status: int) -> None:
    """300 s, both ways; the answer names the clocks."""
    from rtsd.core.signature import sign

    body, seconds = b'{"v":1,"kind":"test","org":"%b"}' % rig.org.org_id.encode(), rig.now() // 1000 + off
    signature = sign(b"push-token-of-the-tests-0001", "msg_1", seconds, body)
    found = await rig.push(body, headers={"webhook-timestamp": str(seconds), "webhook-signature": signature})
    assert found[0] == status
    if status == 401:
        assert "clock" in found[1]["message"]


async def test_another_orgs_push_is_403_and_loud(rig: Rig) -> None:
    """A sandbox copy with production's token: nothing applied, an error in journal and log."""
    status, answer, _ = await rig.push(rig.changes(contact(), org="00D000000000001EAA"))
    assert (status, answer["error"]) == (403, "WrongOrg")
    assert "00D000000000001EAA" in answer["message"]
    assert on_disk(rig) == []
    assert [note.detail for note in await rig.notes("error")] == [{"error": "WrongOrg"}]
    assert rig.mode is not Mode.REAL_TIME


async def test_the_same_org_in_15_characters_is_no_other(rig: Rig) -> None:
    """Ids of both lengths are one."""
    assert (await rig.push(rig.changes(contact(), org=rig.org.org_id[:15])))[0] == 200


async def test_encoded_bodies_are_415(rig: Rig) -> None:
    """Any Content-Encoding, before a byte is decompressed."""
    for encoding in ("gzip", "deflate", "br", "identity", "x"):
        status, answer, _ = await rig.push(rig.changes(contact()), headers={"Content-Encoding": encoding})
        assert (status, answer["error"]) == (415, "PushEncoded")
    assert on_disk(rig) == []


async def test_over_12_mib_is_413(rig: Rig) -> None:
    """With a length and without; exactly 12 MiB is allowed."""
    document = b'{"v":1,"kind":"test","org":"%b"' % rig.org.org_id.encode()
    largest = document + b" " * (MAX_DOCUMENT - len(document) - 1) + b"}"
    assert len(largest) == 12 * 1024 * 1024
    assert (await rig.push(largest))[0] == 200
    status, answer, _ = await rig.push(largest + b" ", name="msg_2")
    assert (status, answer["error"]) == (413, "PushTooLarge")

    async def chunks() -> Any:
        for _ in range(13):
            yield b" " * 1024 * 1024

    status, answer, _ = await rig.push(b"", name="msg_3", data=chunks())
    assert (status, answer["error"]) == (413, "PushTooLarge")
    assert on_disk(rig) == ["msg_1"]


async def test_a_full_disk_is_503_and_nothing_is_kept(rig: Rig) -> None:
    """Charter 5: Retry-After, healthz says so, and both recover without a restart."""
    inbox = rig.parts.base.inbox.file
    await fill_disk(inbox, "_rts_inbox")
    big = rig.changes(contact(fields={"Name": "x" * 200_000}))
    for name in ("msg_1", "msg_2"):
        status, answer, headers = await rig.push(big, name=name)
        assert (status, answer["error"]) == (503, "CannotCommit")
        assert int(headers["Retry-After"]) > 0
    assert on_disk(rig) == []
    async with rig.http.get(f"{rig.gateway}/healthz") as health:
        assert (health.status, await health.text()) == (503, "unavailable")
    await free_disk(inbox, "_rts_inbox")
    assert (await rig.push(big))[0] == 200
    async with rig.http.get(f"{rig.gateway}/healthz") as health:
        assert (health.status, await health.text()) == (200, "ok")


async def test_a_push_that_is_on_the_disk_is_answered_so(rig: Rig) -> None:
    """The disk fills up between the commit and the journal's note of the new mode: still 200."""
    await refuse_rows(rig.parts.base.database, "_rts_journal")
    assert (await rig.push(rig.changes(contact())))[0] == 200
    assert on_disk(rig) == ["msg_1"]


async def test_a_refusal_that_cannot_be_written_down_stays_a_refusal(rig: Rig) -> None:
    """401 is 401 on a full disk too."""
    await refuse_rows(rig.parts.base.database, "_rts_error")
    assert (await rig.push(rig.changes(contact()), token="wrong"))[0] == 401


async def test_a_push_proves_that_push_works(rig: Rig) -> None:
    """Contract 3: real_time at once, with the reason in the journal; a test push does the same."""
    assert rig.mode is Mode.AWAITING_PACKAGE
    await rig.push({"v": 1, "kind": "test", "org": rig.org.org_id})
    assert rig.mode is Mode.REAL_TIME
    assert [note.message for note in await rig.notes("mode")] == ["real_time: push received"]


async def test_a_trickled_body_is_cut_off(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that never ends costs no more than the deadline."""
    monkeypatch.setattr("rtsd.gateway.body.DEADLINE_S", 0.05)
    released = asyncio.Event()

    async def slow() -> Any:
        yield b"{"
        await released.wait()

    status, answer, _ = await rig.push(b"", data=slow())
    released.set()
    assert (status, answer["error"]) == (408, "PushTimedOut")
    assert "did not arrive" in answer["message"]


async def test_private_values_never_reach_the_disk(start: Start) -> None:
    """Hash, last4 and drop are applied before the commit: no file holds a clear value."""
    privacy = {"Phone": "hash", "Email": "last4", "Title": "drop"}
    rules = "".join(f'{name} = "{rule}"\n' for name, rule in privacy.items())
    more = f'[[objects]]\nname = "Contact"\n[objects.privacy]\n{rules}'
    rig = await start({"Contact": 0, "Lead": 0}, objects=("Lead",), more=more)
    fields = {
        "Phone": "PRIVATE-PHONE-1",
        "Email": "PRIVATE-MAIL-2",
        "Title": "PRIVATE-TITLE-3",
        "LastName": "Seen",
    }
    odd = {name.lower(): value for name, value in fields.items()}
    await rig.push(rig.changes(contact(fields=fields), contact(fields=odd)))
    ((body,),) = await rig.received("SELECT body FROM _rts_inbox")
    assert b"Seen" in body
    assert b"IL-2" in body
    stored = rig.mirror.content()
    assert b"Seen" in stored
    assert b"PRIVATE" not in stored


async def test_rules_spelt_otherwise_protect_all_the_same(start: Start) -> None:
    """Field names have no case: `phone = "hash"` is about Phone, in pushes and in reads."""
    more = '[[objects]]\nname = "contact"\n[objects.privacy]\nphone = "hash"\nEMAIL = "drop"\n'
    rig = await start({"Contact": 3, "Account": 0}, objects=("Account",), more=more)
    await rig.load()
    await rig.push(rig.changes(contact(fields={"Phone": "PRIVATE-PHONE", "Email": "PRIVATE-MAIL"})))
    stored = rig.mirror.content()
    assert b"PRIVATE" not in stored
    phones = {row["Phone"] async for row in rig.sim.rows("Contact")} - {None}
    assert phones
    assert not any(phone.encode() in stored for phone in phones)


async def test_load_takes_pushes_in_groups(rig: Rig) -> None:
    """Two hundred at once: each answered, each on the disk."""
    documents = [rig.changes(contact()) for _ in range(200)]
    answers = await asyncio.gather(
        *(rig.push(document, name=f"msg_{number}") for number, document in enumerate(documents))
    )
    assert {status for status, _, _ in answers} == {200}
    assert len(on_disk(rig)) == 200
    assert rig.parts.base.inbox.pending == 200


async def test_other_routes_are_refused(rig: Rig) -> None:
    """Nothing else is served on the door to the internet."""
    for method, path, status in (("GET", "/v1/push", 405), ("POST", "/", 404), ("GET", "/v1/status", 404)):
        async with rig.http.request(method, rig.gateway + path) as answer:
            assert answer.status == status
            assert b"Traceback" not in await answer.read()
