"""A 200 that was sent is never forgotten, whenever the daemon is killed."""

from __future__ import annotations

import itertools
import os
import random
import signal
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from rig import PII, TOKEN, Rig, standing
from sender import Shot, firing, signed

from rtsd.core.ids import full_id

FEWEST, MOST = 30, 400
"""Answers between two kills."""


def _pushes(org_id: str, template: dict[str, Any]) -> Iterator[Shot]:
    """Pushes without end, each of one new record that carries the push's id as its name."""
    for number in itertools.count():
        record_id = full_id(f"00Qkill{number:08d}")
        name = f"{PII}-{number}"
        change = {
            "object": "Lead",
            "op": "create",
            "id": record_id,
            "modstamp": template["SystemModstamp"],
            "fields": {**template, "Id": record_id, "LastName": name},
        }
        body = {
            "v": 1,
            "kind": "changes",
            "org": org_id,
            "read_at": "2026-03-01T10:00:00.000Z",
            "changes": [change],
        }
        yield signed(TOKEN, f"kill-{number}", msgspec.json.encode(body))


async def _fire_and_kill(rig: Rig, shots: Iterator[Shot], acked: set[str], answers: int) -> None:
    """Start the daemon, fire, and kill it at the very moment its `answers`-th 200 arrives."""
    daemon = await rig.start()
    last = len(acked) + answers

    def note(shot: Shot, status: int) -> None:
        if status == 200:
            acked.add(shot.id)
            if len(acked) == last:
                os.kill(daemon.pid, signal.SIGKILL)

    async with firing(rig.port, shots, note) as over:
        await over
    assert await daemon.kill() == -signal.SIGKILL


@pytest.mark.parametrize("kills", [5, pytest.param(60, marks=pytest.mark.slow)])
async def test_answered_pushes_survive_kills(kills: int, measured: Callable[[str], None]) -> None:
    """Every push answered 200 before a kill -9 is in the mirror after the restarts, with its values."""
    rng = random.Random(kills)
    acked: set[str] = set()
    async with standing({"Lead": 20}) as rig:
        template = await anext(rig.org.rows("Lead"))
        first = await rig.start()
        await first.live()
        assert await first.kill() == -signal.SIGKILL
        shots = _pushes(rig.org.info["org_id"], template)
        for _ in range(kills):
            await _fire_and_kill(rig, shots, acked, rng.randint(FEWEST, MOST))
        daemon = await rig.start()
        await daemon.settled()
        (check,) = rig.read("PRAGMA integrity_check")
        assert check[0] == "ok"
        names = {row["LastName"] for row in rig.read("SELECT LastName FROM Lead")}
        lost = {one for one in acked if f"{PII}-{one.removeprefix('kill-')}" not in names}
        assert lost == set()
        measured(f"{kills} kills, {len(acked)} pushes answered 200, {len(lost)} lost")
