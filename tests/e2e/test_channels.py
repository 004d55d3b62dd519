"""The shipped package with the channel stream, and from channel to channel while changes flow."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.processes.daemon import Daemon
from tests.support.processes.rig import Rig, standing
from tests.support.waiting import eventually


async def package(rig: Rig, *words: str) -> str:
    """Run `rtsd package …`; return what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rtsd", "package", *words, "-c", str(rig.config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


def configure(rig: Rig, channel: str, *, port: bool) -> None:
    """Write the configuration of a channel, with a gateway beside it or without any port."""
    config = rig.write_config(**({} if port else {"listen": ""}))
    text = config.read_text()
    if port:
        line = f'public_url = "http://127.0.0.1:{rig.port}"\n'
        text = text.replace("token_file", line + "token_file", 1)
    lines = [
        "[push]",
        f'channel = "{channel}"',
        f'endpoint = "{rig.org.info["pubsub"]}"',
        f"sealed = {str(channel == 'stream').lower()}",
    ]
    config.write_text("\n".join([*lines, text]))


def listening(pid: int) -> list[str]:
    """The TCP ports on which a process listens, in hexadecimal."""
    sockets = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(str(link.readlink()))
        except FileNotFoundError:
            continue  # closed meanwhile
    found = []
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            cells = row.split()
            if cells[3] == "0A" and f"socket:[{cells[9]}]" in sockets:
                found.append(cells[1])
    return found


async def restarted(rig: Rig, daemon: Daemon | None) -> Daemon:
    """The daemon with the current configuration."""
    if daemon is not None:
        assert await daemon.terminate() == 0
    return await rig.start()


async def connected(daemon: Daemon) -> bool:
    """Whether the subscription has its first response."""
    stream = (await daemon.status()).push.stream
    return stream is not None and stream.connected is True


async def test_published_without_a_port(measured: Callable[[str], None]) -> None:
    """Deployed for the stream: sealed changes and heartbeats arrive; removed, nothing is left."""
    async with standing(
        {"Contact": 10}, options=("--pubsub",), interval="1h", silence_after="1h", fingerprint_every="0s"
    ) as rig:
        configure(rig, "stream", port=False)
        await rig.org.control("switches", {"keepalive_s": 0.5})
        assert "The package is in" in await package(rig, "deploy")
        daemon = await rig.start()
        await daemon.live()
        assert listening(daemon.pid) == []
        await eventually(lambda: connected(daemon), "the subscription")
        before = len(rig.taken())
        async for row in rig.org.rows("Contact"):
            await rig.org.dml("update", "Contact", rows=[{"Id": row["Id"], "Title": "published"}])
        await eventually(lambda: len(rig.taken()) == before + 10, "every push")
        assert await rig.org.control("package/heartbeat") == {"status": 200}

        async def beats() -> bool:
            return bool((await daemon.status()).push.last_heartbeat_at)

        await eventually(beats, "the heartbeat")
        status = await daemon.status()
        assert (status.mode, status.push.rejected_24h, status.package.problems) == ("real_time", 0, [])
        await rig.ends_equal()
        await package(rig, "remove", "--yes")
        found = json.loads((await (await _status(rig)).communicate())[0])
        assert (found["state"], found["jobs"], found["triggers"]) == ("missing", {}, [])
        measured(f"{status.push.received_24h} documents by the stream, sealed, no port open")


async def _status(rig: Rig) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rtsd", "package", "status", "--json", "-c", str(rig.config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def sent(rig: Rig) -> int:
    """Pushes of changes so far, of which none may have been given up."""
    await rig.org.control("package/drain")
    pushes = (await rig.org.stats())["pushes"]
    assert (pushes["failed"], pushes["lost"], pushes["shed"]) == (0, 0, 0)
    return int(pushes["pushes"])


@pytest.mark.slow
async def test_channels_are_changed_while_changes_flow(measured: Callable[[str], None]) -> None:
    """Gateway, stream, stream without a port, gateway: nothing is given up, and the mirror is equal."""
    async with standing(
        {"Contact": 20}, options=("--pubsub",), interval="1h", silence_after="1h", fingerprint_every="0s"
    ) as rig:
        await rig.org.control("switches", {"keepalive_s": 0.5})
        configure(rig, "gateway", port=True)
        daemon = await restarted(rig, None)
        await package(rig, "deploy")
        await daemon.live()
        await rig.org.control("activity", {"rate": 20, "objects": ["Contact"]})
        configure(rig, "stream", port=True)  # rtsd takes both, before the package changes and after
        daemon = await restarted(rig, daemon)
        await package(rig, "deploy")
        await eventually(lambda: connected(daemon), "the subscription")
        await rig.org.control("activity", method="DELETE")
        first = await sent(rig)
        await daemon.settled()
        await rig.ends_equal()  # what came before the first subscription was read
        taken = len(rig.taken())
        await rig.org.control("activity", {"rate": 20, "objects": ["Contact"]})
        configure(rig, "stream", port=False)
        daemon = await restarted(rig, daemon)
        assert listening(daemon.pid) == []
        await eventually(lambda: connected(daemon), "the subscription without a port")
        configure(rig, "stream", port=True)
        daemon = await restarted(rig, daemon)
        await eventually(lambda: connected(daemon), "the subscription beside the gateway")
        configure(rig, "gateway", port=True)
        await package(rig, "deploy")
        daemon = await restarted(rig, daemon)
        await rig.org.control("activity", method="DELETE")
        await rig.org.control("package/drain")
        wanted = taken + await sent(rig) - first + 1  # the test push of the last deployment
        await eventually(lambda: len(rig.taken()) == wanted, f"{wanted} documents")
        await daemon.settled()
        await rig.ends_equal()
        assert (await daemon.status()).push.rejected_24h == 0
        measured(f"{wanted} documents over three changes of the channel, each taken once")
