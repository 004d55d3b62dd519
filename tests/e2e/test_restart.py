"""Stopped in any way amid load and pushes, the daemon goes on where it was and ends equal."""

from __future__ import annotations

import signal

import pytest
from rig import standing
from waiting import eventually

from rtsd.sync.audit import PAGE

ROWS = PAGE + 12_000
"""Two pages of a Bulk result."""
SLOW = 1_500_000
"""Bytes a second for the second page: time enough to be interrupted in it."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_restart_amid_load_and_pushes(number: signal.Signals) -> None:
    """A load interrupted in its second page goes on with that page, while pushes keep coming."""
    async with standing({"Lead": ROWS}, interval="2s") as rig:
        org = rig.org
        await rig.install_package()
        await org.control("lively", {"rate": 30, "objects": ["Lead"], "seed": 4})
        daemon = await rig.start()

        async def first_page() -> bool:
            return (await daemon.objects())["Lead"].rows > PAGE // 10

        async def second_page() -> bool:
            return (await daemon.objects())["Lead"].rows >= PAGE

        await eventually(first_page, "the first page is on its way")
        fault = await org.fault("slow", rate=SLOW)
        await eventually(second_page, "the first page is stored", 40)
        status = await daemon.status()
        assert status.objects[0].state == "loading"
        assert status.push.received_24h > 0
        if number == signal.SIGTERM:
            assert await daemon.terminate() == 0
        else:
            assert await daemon.kill() == -signal.SIGKILL
        await org.control(f"faults?id={fault}", method="DELETE")

        daemon = await rig.start()
        await daemon.live()
        await org.control("lively", method="DELETE")
        await rig.ends_equal()
        served = (await org.stats())["rows_served"]["bulk"]
        assert (await org.stats())["bulk_jobs"] == 1
        assert served <= ROWS + (ROWS - PAGE) + 1_000, "a finished page was read again"
