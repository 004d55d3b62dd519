"""A simulated org and a daemon's home, with the channel `stream` or `cdc` between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rtsd import config
from rtsd.core.quota import DELIVERIES
from rtsd.workflows import capture
from tests.support.processes.daemon import Daemon
from tests.support.processes.rig import TOKEN, Rig, standing


@asynccontextmanager
async def streaming(channel: str = "stream", records: int = 30) -> AsyncIterator[Rig]:
    """An org that publishes events, and a daemon without a port that neither polls nor audits meanwhile."""
    async with standing(
        {"Contact": records}, options=("--pubsub",), interval="1h", silence_after="1h", fingerprint_every="0s"
    ) as rig:
        path = rig.write_config(listen="")
        push = f'[push]\nchannel = "{channel}"\nendpoint = "{rig.org.info["pubsub"]}"\n'
        path.write_text(push + path.read_text())
        await rig.org.control("switches", {"keepalive_s": 0.5})
        await rig.org.control("limits", {DELIVERIES: 1_000_000})  # each kill has events delivered again
        if channel == "cdc":
            assert (await capture.enable(config.load(path), ["Contact"])).is_done
            yield rig
            return
        settings = {"channel": "stream", "objects": ["Contact"], "settings": {"Token__c": TOKEN}}
        await rig.org.control("package/install", settings)
        yield rig


async def has_position(daemon: Daemon) -> bool:
    """Whether the stream has stored a position, if only that of a keepalive."""
    stream = (await daemon.status()).push.stream
    return stream is not None and stream.replay_age_s is not None


async def has_caught_up(daemon: Daemon) -> bool:
    """Whether all that was published is applied: the bus had nothing left but a keepalive a moment ago."""
    status = await daemon.status()
    stream = status.push.stream
    age_s = None if stream is None else stream.replay_age_s
    return age_s is not None and age_s <= 1 and status.inbox.pending == 0
