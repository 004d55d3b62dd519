"""Rules of a real daemon: killed between commit and delivery, reloaded, refused with a wrong condition."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec
import pytest
from aiohttp import web

from rtsd.core.signature import sign
from tests.support.processes.barrage import OBJECT, Barrage
from tests.support.processes.command import said
from tests.support.processes.rig import Rig, standing
from tests.support.serving import served
from tests.support.waiting import eventually

SECRET = "canary-hook-secret-c41d"
SLOWLY_S = 0.02
"""So long the receiver takes for one: that kills find deliveries committed, on their way and taken."""


@dataclass
class Receiver:
    """Takes deliveries, and counts the tries of each."""

    url: str = ""
    tries: dict[str, int] = field(default_factory=dict)
    events: list[int] = field(default_factory=list)
    forged: int = 0

    async def take(self, request: web.Request) -> web.Response:
        """Take one, after a while."""
        body = await request.read()
        name = request.headers["webhook-id"]
        wanted = sign(SECRET.encode(), name, int(request.headers["webhook-timestamp"]), body)
        self.forged += wanted != request.headers["webhook-signature"]
        document: dict[str, Any] = msgspec.json.decode(body)
        self.tries[name] = self.tries.get(name, 0) + 1
        self.events.append(document["event"]["seq"])
        await asyncio.sleep(SLOWLY_S)
        return web.Response(status=204)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a port of its own."""
    receiver = Receiver()
    async with served(receiver.take, "POST", "/hook") as url:
        receiver.url = f"{url}/hook"
        yield receiver


def configure(rig: Rig, receiver: Receiver, when: str = "LastName IS NOT NULL", name: str = "watch") -> None:
    """Add a rule to the configuration."""
    rig.secret("hook-secret", SECRET)
    rule = f'[[rules]]\nname = "{name}"\nobject = "{OBJECT}"\non = ["create"]\nwhen = "{when}"\n'
    hook = f'[rules.webhook]\nurl = "{receiver.url}"\nsecret_file = "hook-secret"\n'
    rig.config.write_text(rig.config.read_text() + rule + hook)


def applied(rig: Rig) -> list[int]:
    """The journal's entries of records that were created here, as any other program reads them."""
    sql = (
        "SELECT seq FROM _rts_journal WHERE type='change' AND op='create' AND outcome='applied' ORDER BY seq"
    )
    return [row["seq"] for row in rig.read(sql)]


@pytest.mark.parametrize("kills", [2, pytest.param(30, marks=pytest.mark.slow)])
async def test_a_kill_between_commit_and_delivery_loses_nothing(
    kills: int, measured: Callable[[str], None]
) -> None:
    """For every change that was applied the receiver got its delivery, signed, and for no other."""
    async with receiving() as receiver, standing({OBJECT: 5}) as rig:
        barrage = await Barrage.of(rig)
        configure(rig, receiver)
        await (await rig.start()).live()
        await rig.daemons[-1].kill()
        waiting = []
        for _ in range(kills):
            daemon = await rig.start()
            last = len(barrage.acked) + 60
            kill = partial(os.kill, daemon.pid, signal.SIGKILL)
            await barrage.fire(kill, when=lambda last=last: len(barrage.acked) >= last)
            assert await daemon.kill() == -signal.SIGKILL
            (row,) = rig.read("SELECT COUNT(*) FROM _rts_outbox WHERE done_at IS NULL")
            waiting.append(row[0])
        daemon = await rig.start()
        await daemon.settled()
        await eventually(lambda: set(applied(rig)) == set(receiver.events), "everything is delivered")

        async def quiet() -> bool:
            return (await daemon.client.rules()).rules[0].pending == 0

        await eventually(quiet, "the outbox is empty")
        assert max(waiting) > 0, "no kill came between commit and delivery: this has shown nothing"
        assert receiver.forged == 0
        assert len(receiver.tries) == len(applied(rig)) >= 60 * kills
        again = sum(tries > 1 for tries in receiver.tries.values())
        seen = f"{max(waiting)} deliveries waiting at most, {len(receiver.tries)} delivered, {again} again"
        measured(f"{kills} kills, {seen}")


async def test_rules_follow_a_reload_and_the_command_line_shows_them() -> None:
    """SIGHUP takes a rule up, `rtsd rules` lists and tests it; one gone wrong leaves the old one running."""
    async with receiving() as receiver, standing({OBJECT: 3}) as rig:
        daemon = await rig.start()
        await daemon.live()
        assert (await daemon.client.rules()).rules == []
        configure(rig, receiver)
        daemon.process.send_signal(signal.SIGHUP)
        await eventually(lambda: '"event": "reloaded"' in rig.log.read_text(), "the reload is logged")
        barrage = await Barrage.of(rig)
        await barrage.fire(lambda: None, when=bool, count=10)
        await eventually(lambda: len(receiver.events) == 10, "the rule fires")
        out = await said(rig.socket, "rules")
        assert "watch" in out
        assert "/hook" in out
        assert SECRET not in out
        out = await said(rig.socket, "rules", "test", "watch", "--since", "1h")
        assert "would have fired for 10 of 10 changes" in out
        rig.config.write_text(rig.config.read_text().replace("LastName IS", "LastNam IS"))
        daemon.process.send_signal(signal.SIGHUP)
        await eventually(lambda: "did you mean LastName?" in rig.log.read_text(), "the refusal is logged")
        assert (await daemon.client.rules()).rules[0].when == "LastName IS NOT NULL"
        await daemon.terminate()
        refused = await rig.launch()
        assert await refused.process.wait() == 2
        await said(rig.socket, "check", "-c", str(rig.config), status=2)
        assert SECRET not in rig.log.read_text()
