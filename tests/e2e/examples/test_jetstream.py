"""examples/jetstream: the consumer's copy equals the mirror whatever is killed; no change counts twice."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support import nats
from tests.support.processes.example import begin, end, rows
from tests.support.processes.rig import Rig, standing
from tests.support.waiting import eventually

pytestmark = nats.needed
CONSUMER = "jetstream/consumer.py"
DURABLE = "crm-copy"
RECORDS = 60
KILLS = 3
APPLIED = "SELECT seq FROM _rts_journal WHERE type='change' AND outcome='applied'"


def copied(database: Path) -> dict[str, Any]:
    """The consumer's records that are not deleted, by subject."""
    found = rows(database, "SELECT subject, fields FROM record WHERE deleted = 0")
    return {subject: json.loads(fields) for subject, fields in found}


def mirrored(rig: Rig, ids: list[str]) -> dict[str, Any]:
    """The same records in the mirror, without rtsd's own columns."""
    marks = ", ".join("?" * len(ids))
    return {
        f"Lead/{row['Id']}": {key: row[key] for key in row.keys() if not key.startswith("_rts_")}  # noqa: SIM118
        for row in rig.read(f"SELECT * FROM Lead WHERE Id IN ({marks})", *ids)
    }


async def changing(rig: Rig, leads: list[str]) -> None:
    """Edit all records again and again, and delete some."""
    for step in range(KILLS * 3):
        await rig.org.dml("update", "Lead", rows=[{"Id": lead, "Title": f"step {step}"} for lead in leads])
        await asyncio.sleep(0.1)
    await rig.org.dml("delete", "Lead", ids=leads[:5])


async def test_kills_lose_nothing_and_double_nothing(measured: Callable[[str], None]) -> None:
    """Kills of the consumer while changes come, of the server, too; at last everything comes again."""
    async with nats.server() as server, standing({"Lead": 3}) as rig:
        await server.add()
        rig.config.write_text(rig.config.read_text() + f'[[streams]]\nurl = "{server.url}"\nstream = "rts"\n')
        daemon = await rig.start()
        await daemon.live()
        await rig.install_package()
        database = rig.place / "copy.db"
        command = (CONSUMER, "--url", server.url, "--database", database, "--ack-wait", 1)
        consumer, _ = await begin(*command)

        def count() -> int:
            try:
                return int(rows(database, "SELECT COUNT(*) FROM applied")[0][0])
            except sqlite3.OperationalError:  # a kill was before the tables
                return 0

        try:
            new = [{"LastName": f"n{number}", "Company": "C"} for number in range(RECORDS)]
            leads = await rig.org.dml("create", "Lead", rows=new)
            editing = asyncio.create_task(changing(rig, leads))
            for kill in range(KILLS):
                reached = count()
                await eventually(lambda reached=reached: count() > reached, "changes are applied")
                await end(consumer)
                if kill == 1:
                    await server.end()
                    await server.start()
                consumer, _ = await begin(*command)
            await editing
            await rig.ends_equal()
            wanted = {row["seq"] for row in rig.read(APPLIED)}
            await eventually(lambda: count() == len(wanted), "every change is applied")
            await end(consumer)
            async with server.connected() as stream:
                delivered = (await stream.consumer_info("rts", DURABLE)).delivered.consumer_seq
                await stream.delete_consumer("rts", DURABLE)  # as if no acknowledgement had ever arrived
            consumer, _ = await begin(*command)

            async def again() -> bool:
                async with server.connected() as stream:
                    info = await stream.consumer_info("rts", DURABLE)
                    return (info.num_pending, info.num_ack_pending) == (0, 0)

            await eventually(again, "everything was delivered and acknowledged again")
        finally:
            await end(consumer)
        assert {int(seq) for (seq,) in rows(database, "SELECT id FROM applied")} == wanted
        assert rows(database, "SELECT SUM(changes) FROM record") == [(len(wanted),)]
        assert copied(database) == mirrored(rig, leads)
        assert len(copied(database)) == RECORDS - 5
        measured(f"{KILLS} kills, {len(wanted)} changes, {delivered} deliveries, then each once more")
