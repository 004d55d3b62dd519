"""Stopped in any way amid load and pushes, the daemon goes on where it was and ends equal."""

from __future__ import annotations

import signal

from rtsd.sync.audit import PAGE
from tests.support.processes.rig import standing
from tests.support.waiting import eventually

OBJECT = "Lead"
ROWS = PAGE + 10_000
"""Two pages of a Bulk result."""
SLOW = 1_500_000
"""Bytes a second for the second page: time enough to be killed in it."""


async def test_stopped_and_killed_amid_load_and_pushes() -> None:
    """A load stopped in its first page and killed in its second goes on in the same job, and ends equal.

    Pushes keep coming all the while. The unfinished first page is read again, the finished one never.
    """
    async with standing({OBJECT: ROWS}, interval="2s") as rig:
        org = rig.org
        await rig.install_package()
        await org.control("activity", {"rate": 30, "objects": [OBJECT], "seed": 4})
        daemon = await rig.start()

        async def first_page() -> bool:
            (shown,) = (await daemon.status()).objects
            return shown.state == "loading" and shown.rows > PAGE // 10

        async def pages() -> int:
            return int((await org.stats())["calls"].get("bulk_results", 0))

        def second_page() -> bool:
            return any(row["rows_read"] >= PAGE for row in rig.read("SELECT rows_read FROM _rts_audit"))

        await eventually(first_page, "the first page is on its way", 120)
        assert (await daemon.status()).push.received_24h > 0
        assert await daemon.terminate() == 0
        asked = await pages()

        async def again() -> bool:
            return await pages() > asked

        daemon = await rig.start()
        await eventually(again, "the first page is on its way again", 120)
        fault = await org.fault("slow", rate=SLOW)
        await eventually(second_page, "the first page is stored", 120)
        assert await daemon.kill() == -signal.SIGKILL
        await org.control(f"faults?id={fault}", method="DELETE")
        before = (await org.stats())["rows_served"]["bulk"]

        daemon = await rig.start()
        await daemon.live(within=90)
        await org.control("activity", method="DELETE")
        await rig.ends_equal()
        stats = await org.stats()
        assert stats["bulk_jobs"] == 1
        assert stats["rows_served"]["bulk"] - before < PAGE // 2, "a finished page was read again"
