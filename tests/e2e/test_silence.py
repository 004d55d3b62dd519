"""The mode machine at work: silence is noticed, Interval Sync takes over, and a push takes back."""

from __future__ import annotations

from rig import PII, free_port, standing
from waiting import eventually


async def test_silence_and_back() -> None:
    """No push for `silence_after`: windows are read, the next push reverts, and the journal says why."""
    async with standing({"Lead": 50}, silence_after="3s", interval="1s") as rig:
        await rig.install_package()
        daemon = await rig.start()
        await daemon.live()
        (one,) = await rig.org.dml("create", "Lead", rows=[{"LastName": PII, "Company": "A"}])
        await daemon.mode("real_time")
        await rig.aim(f"http://127.0.0.1:{free_port()}")  # from now on nobody takes its pushes
        await rig.org.dml("update", "Lead", rows=[{"Id": one, "Company": "B"}])
        await daemon.mode("interval")

        async def company() -> str | None:
            (row,) = rig.read("SELECT Company, _rts_source FROM Lead WHERE Id = ?", one)
            return str(row["_rts_source"]) if row["Company"] == "B" else None

        assert await eventually(company, "Interval Sync reads the change") == "interval"
        status = await daemon.status()
        assert status.push.quiet == "silent"
        await rig.aim(rig.push_url)
        await rig.org.dml("update", "Lead", rows=[{"Id": one, "Company": "C"}])
        await daemon.mode("real_time")
        await rig.ends_equal(within=30)

        modes = await daemon.events("mode")
        silent = next(
            n for n, event in enumerate(modes) if event.message == "interval: no push for silence_after"
        )
        assert modes[silent - 1].message == "real_time: push received"
        assert modes[silent + 1].message == "real_time: push received"
        assert (await daemon.status()).mode_reason == "push received"
