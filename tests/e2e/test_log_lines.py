"""One line for each push, window, audit and call, and none that says more than it should."""

from __future__ import annotations

import json
from collections import Counter

from tests.support.processes.attackers import push_alone
from tests.support.processes.rig import TOKEN, standing
from tests.support.processes.sender import signed


async def test_each_doing_has_its_line() -> None:
    """Every line is JSON with time, level and event; pushes, calls, windows and audits have their figures."""
    async with standing({"Account": 3}) as rig:
        daemon = await rig.start()
        await daemon.live()
        body = f'{{"v":1,"kind":"heartbeat","org":"{rig.org.info["org_id"]}"}}'.encode()
        for number in (1, 1, 2):
            await push_alone(rig.port, signed(TOKEN, f"push-{number}", body))
        await push_alone(rig.port, signed("wrong", "push-3", body))
        assert await daemon.terminate() == 0
        lines = [json.loads(line) for line in rig.log.read_text().splitlines()]
        assert all({"at", "level", "event"} <= set(line) for line in lines)
        pushes = Counter(line["result"] for line in lines if line["event"] == "push")
        assert pushes == {"accepted": 2, "duplicate": 1, "BadSignature": 1}
        for event, keys in {
            "push": {"result", "ms"},
            "call": {"purpose", "status", "ms"},
            "window": {"object", "rows", "applied", "cursor"},
            "audit": {"object", "rows", "ms"},
        }.items():
            found = [line for line in lines if line["event"] == event]
            assert found, event
            assert all(keys <= set(line) for line in found), found
        (audit,) = [line for line in lines if line["event"] == "audit"]
        assert audit["rows"] == 3
