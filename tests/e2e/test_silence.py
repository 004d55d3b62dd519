"""The mode machine at work: silence is noticed, Interval Sync takes over, and a push takes back."""

from __future__ import annotations

from datetime import datetime, timedelta

from tests.support.processes.rig import PII, free_port, standing
from tests.support.waiting import eventually


async def test_silence_and_back() -> None:
    """No push for `silence_after`: windows are read, the next push reverts, and the journal says why."""
    async with standing({"Lead": 50}, silence_after="3s", interval="1s") as rig:
        await rig.install_package()
        daemon = await rig.start()
        await daemon.live()
        await rig.org.dml("create", "Lead", rows=[{"LastName": PII, "Company": "A"}])
        await daemon.mode("real_time")
        since = (await rig.org.stats())["now"]

        async def later() -> bool:
            now = datetime.fromisoformat((await rig.org.stats())["now"])
            return now - datetime.fromisoformat(since) > timedelta(seconds=2)

        await eventually(later, "the package has been known for longer than a stamp is coarse")
        lead = (await anext(rig.org.rows("Lead")))["Id"]
        await rig.aim(f"http://127.0.0.1:{free_port()}")  # from now on nobody takes its pushes
        await rig.org.dml("update", "Lead", rows=[{"Id": lead, "Company": "B"}])
        await daemon.mode("interval")

        async def read() -> bool:
            (row,) = rig.read("SELECT Company FROM Lead WHERE Id = ?", lead)
            return bool(row["Company"] == "B")

        await eventually(read, "Interval Sync reads the change")
        brought = [
            (event.source, event.outcome) for event in await daemon.events("change") if event.id == lead
        ]
        assert ("interval", "applied") in brought
        assert (await daemon.status()).push.quiet != "idle"
        await rig.aim(rig.push_url)
        await rig.org.dml("update", "Lead", rows=[{"Id": lead, "Company": "C"}])
        await daemon.mode("real_time")
        await rig.ends_equal(within=30)

        told = [event.message for event in await daemon.events("mode")]
        silent = told.index("interval: no push for 3s")
        assert told[silent - 1] == told[silent + 1] == "real_time: push received"
