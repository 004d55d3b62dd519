"""The answer to a push follows its commit and nothing else; that it came is judged afterwards."""

from __future__ import annotations

import asyncio
import json

from rtsd.core.mode import Mode
from rtsd.core.signature import sign
from tests.support.full_disk import accept_rows, refuse_rows
from tests.support.inprocess.rig import TOKEN, Rig, Start

ANSWER_S = 5.0


def head_and_body(rig: Rig) -> bytes:
    """A signed test push, as bytes on the wire."""
    body = json.dumps({"v": 1, "kind": "test", "org": rig.org.org_id}).encode()
    seconds = rig.now() // 1000
    signature = sign(TOKEN.encode(), "msg_1", seconds, body)
    head = (
        "POST /v1/push HTTP/1.1\r\nHost: rts\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nwebhook-id: msg_1\r\nwebhook-timestamp: {seconds}\r\n"
        f"webhook-signature: {signature}\r\n\r\n"
    )
    return head.encode() + body


async def test_a_busy_writer_delays_no_answer_after_the_commit(start: Start) -> None:
    """A long transaction comes right behind the push's commit: the 200 does not wait for it."""
    rig = await start({"Contact": 1})
    database, over = rig.parts.base.database, asyncio.Event()
    evidence = asyncio.create_task(rig.parts.runner.run(rig.parts.services.evidence))

    async def long_transaction() -> None:
        async with database.alone():
            await over.wait()

    assert rig.parts.gateway is not None
    host, _, port = str(rig.parts.gateway.address).rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    async with database.alone():  # so that the commit and the long transaction queue up in this order
        writer.write(head_and_body(rig))
        await asyncio.sleep(0.1)
        busy = asyncio.create_task(long_transaction())
        await asyncio.sleep(0)
    try:
        async with asyncio.timeout(ANSWER_S):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        assert rig.parts.base.inbox.pending == 1
        assert rig.mode is Mode.AWAITING_PACKAGE, "the transition is not in the journal yet"
    finally:
        over.set()
        await busy
        writer.close()
    async with asyncio.timeout(ANSWER_S):
        while rig.mode is not Mode.REAL_TIME:  # noqa: ASYNC110 - nothing else tells
            await asyncio.sleep(0.01)
    evidence.cancel()


async def test_a_sender_that_hangs_up_leaves_its_evidence(start: Start) -> None:
    """It is gone before the commit: the push counts as one that came, for the mode and for silence."""
    rig = await start({"Contact": 1})
    assert rig.parts.gateway is not None
    host, _, port = str(rig.parts.gateway.address).rpartition(":")
    async with rig.parts.base.inbox.file.alone():
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(head_and_body(rig))
        await writer.drain()
        await asyncio.sleep(0.1)  # the push waits for its commit
        writer.transport.abort()
        await asyncio.sleep(0.1)
    async with asyncio.timeout(ANSWER_S):
        while rig.parts.channel.push.last_at is None:  # noqa: ASYNC110 - nothing else tells
            await asyncio.sleep(0.01)
    await rig.parts.services.evidence.step()
    assert rig.mode is Mode.REAL_TIME
    assert rig.parts.base.inbox.pending == 1


async def test_evidence_waits_for_space(start: Start) -> None:
    """A transition that cannot be journalled is made when it can, and not forgotten."""
    rig = await start({"Contact": 1})
    await refuse_rows(rig.parts.base.database, "_rts_journal")
    assert (await rig.push({"v": 1, "kind": "test", "org": rig.org.org_id}))[0] == 200
    assert rig.mode is Mode.AWAITING_PACKAGE
    await accept_rows(rig.parts.base.database, "_rts_journal")
    await rig.parts.services.evidence.step()
    assert rig.mode is Mode.REAL_TIME
    assert [note.message for note in await rig.notes("mode")] == ["real_time: push received"]
