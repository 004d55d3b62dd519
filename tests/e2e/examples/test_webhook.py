"""examples/webhook: what rtsd delivers is verified, applied once and in order, whatever is killed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import aiohttp

from rtsd.core.signature import sign
from tests.support.processes.example import begin, end, rows, running
from tests.support.processes.rig import Rig, free_port, standing
from tests.support.waiting import eventually

RECEIVER = "webhook/receiver.py"
SECRET = "canary-hook-secret-77aa"
RULE = """
[[rules]]
name = "leads"
object = "Lead"
on = ["create", "update", "delete", "undelete"]
[rules.webhook]
url = "http://127.0.0.1:{port}/hook"
secret_file = "hook-secret"
"""
RECORD = "00Q000000000001AAA"


def options(place: Path, port: int) -> tuple[object, ...]:
    """The command line of the receiver."""
    secret = place / "hook-secret"
    secret.touch(mode=0o600)
    secret.write_text(f"{SECRET}\n")
    return ("--secret-file", secret, "--database", place / "received.db", "--port", port)


def document(seq: int, *, at: str = "2026-03-01T10:00:00.000Z", **fields: Any) -> bytes:
    """What a rule sends."""
    event = {"seq": seq, "at": at, "type": "change", "object": "Lead", "id": RECORD, "op": "update"}
    return json.dumps({"v": 1, "rule": "leads", "event": event, "record": fields, "old": None}).encode()


async def post(url: str, body: bytes, name: str, *, secret: str = SECRET, late_s: int = 0) -> int:
    """Post a delivery as rtsd signs it."""
    stamp = int(time.time()) - late_s
    headers = {
        "webhook-id": name,
        "webhook-timestamp": str(stamp),
        "webhook-signature": sign(secret.encode(), name, stamp, body),
    }
    async with aiohttp.ClientSession() as http, http.post(url, data=body, headers=headers) as answer:
        return answer.status


async def test_a_forged_delivery_is_refused_and_a_repeated_one_applied_once(tmp_path: Path) -> None:
    """Another secret, an old attempt, another body: 401. Twice the same id: one effect. Late: no effect."""
    database = tmp_path / "received.db"
    async with running(RECEIVER, *options(tmp_path, 0)) as line:
        url = line.rpartition(" ")[2]
        newer = document(7, LastName="newer")
        assert await post(url, newer, "one", secret="another-secret") == 401
        assert await post(url, newer, "one", late_s=600) == 401
        async with aiohttp.ClientSession() as http, http.post(url, data=newer) as answer:
            assert answer.status == 401
        assert rows(database, "SELECT * FROM delivery") == []
        assert [await post(url, newer, "one") for _ in range(3)] == [204, 204, 204]
        assert await post(url, document(5, LastName="older"), "two") == 204
        assert (
            await post(url, document(6, at="2026-03-02T10:00:00.000Z", LastName="restored"), "three") == 204
        )
        applied = "SELECT COUNT(*) FROM delivery WHERE body IS NULL"
        await eventually(lambda: rows(database, applied) == [(3,)], "everything is applied")
    assert rows(database, "SELECT seq, json_extract(fields, '$.LastName'), deliveries FROM record") == [
        (6, "restored", 2)
    ]


async def history(rig: Rig, lead: str) -> list[tuple[int, str]]:
    """What the journal has of a record, as (number, operation)."""
    sql = "SELECT seq, op FROM _rts_journal WHERE type='change' AND outcome='applied' AND id=? ORDER BY seq"
    return [(row["seq"], row["op"]) for row in rig.read(sql, lead)]


async def test_rtsd_delivers_through_a_kill_of_the_receiver() -> None:
    """Each change arrives once and in order, those too that the receiver was away for; the last one stays."""
    async with standing({"Lead": 3}) as rig:
        port = free_port()
        command = options(rig.place, port)
        database = rig.place / "received.db"
        rig.config.write_text(rig.config.read_text() + RULE.format(port=port))
        await (await rig.start()).live()
        await rig.install_package()
        receiver, _ = await begin(RECEIVER, *command)
        try:
            leads = await rig.org.dml(
                "create", "Lead", rows=[{"LastName": f"n{n}", "Company": "C"} for n in range(5)]
            )
            await eventually(lambda: len(rows(database, "SELECT * FROM record")) == 5, "all are delivered")
            await end(receiver)
            for step in range(3):
                await rig.org.dml(
                    "update", "Lead", rows=[{"Id": lead, "LastName": f"s{step}"} for lead in leads]
                )
            await rig.org.dml("delete", "Lead", ids=leads[:1])
            await rig.ends_equal()
            receiver, _ = await begin(RECEIVER, *command)
            wanted = {lead: await history(rig, lead) for lead in leads}

            def arrived() -> bool:
                found = rows(database, "SELECT id, seq, op, deliveries FROM record")
                return {row[0]: row[1:] for row in found} == {
                    lead: (*changes[-1], len(changes)) for lead, changes in wanted.items()
                }

            await eventually(arrived, "every change is applied once")
            assert wanted[leads[0]][-1][1] == "delete"
        finally:
            await end(receiver)
