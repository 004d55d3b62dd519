"""`rtsd simulate` as a process: first line, behaviour, shutdown."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import socket
import sys

import pytest

from rtsd.cli.simulate import simulate
from rtssim.process import spawn

LINE = {
    "url",
    "org_id",
    "client_id",
    "client_secret",
    "username",
    "password",
    "security_token",
    "refresh_token",
    "private_key",
    "control",
}


async def start(*arguments: str) -> asyncio.subprocess.Process:
    """Start `rtsd simulate`."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "rtsd",
        "simulate",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_first_line_and_end() -> None:
    """The first line is JSON with url and credentials; SIGTERM ends it with status 0."""
    process = await start("--records", "Contact=5")
    assert process.stdout is not None
    info = json.loads(await process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    assert set(info) >= LINE


async def test_the_pubsub_api_is_served_on_request() -> None:
    """On a port of its own, which the first line names."""
    process = await start("--records", "Contact=1", "--pubsub")
    assert process.stdout is not None
    info = json.loads(await process.stdout.readline())
    port = int(info["pubsub"].rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl here")
async def test_the_help_shows_how_to_change_the_org() -> None:
    """Its commands, word for word: rows are listed, one is edited, users go to work."""
    listing, edit, activity = re.findall(r'(?m)^ +(curl .+(?:\n +".+)?)$', simulate.help or "")
    async with spawn(records={"Contact": 3}) as org:

        async def told(command: str) -> str:
            command = command.replace("CONTROL", org.info["control"])
            process = await asyncio.create_subprocess_shell(f"{command} -sS", stdout=asyncio.subprocess.PIPE)
            output, _ = await process.communicate()
            return output.decode()

        rows = [json.loads(line) for line in (await told(listing)).splitlines()]
        assert len(rows) == 3
        changed = json.loads(await told(edit.replace("003…", rows[0]["Id"])))
        assert changed == {"ids": [rows[0]["Id"]]}
        assert [row["Phone"] async for row in org.rows("Contact") if row["Id"] == rows[0]["Id"]] == [
            "555-0100"
        ]
        assert json.loads(await told(activity)) == {"activity": True}


async def test_port_in_use() -> None:
    """A taken port is one clear line and status 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = await start("--records", "Contact=1", "--port", str(taken.getsockname()[1]))
        _, errors = await process.communicate()
    assert process.returncode == 1
    assert "listen" in errors.decode()
    assert "Traceback" not in errors.decode()


async def test_bad_records() -> None:
    """A malformed or unknown --records is a usage error that names the expected form."""
    for value in ("Contact", "Nope=5"):
        process = await start("--records", value)
        _, errors = await process.communicate()
        assert process.returncode == 2
        assert "--records" in errors.decode()


async def test_same_seed_same_org() -> None:
    """The same seed gives the same rows."""
    seen = []
    for _ in range(2):
        async with spawn(records={"Lead": 20}, seed=9) as org:
            seen.append([row["Name"] async for row in org.rows("Lead")])
    assert seen[0] == seen[1]
    assert len(seen[0]) == 20


async def test_activity() -> None:
    """People at work change rows until they are sent home."""
    async with spawn(records={"Account": 50, "Contact": 50}, seed=2) as org:
        await org.control("activity", {"rate": 200, "seed": 4})
        async with asyncio.timeout(20):
            while sum((await org.stats())["activity"].values()) < 100:
                pass
        done = (await org.control("activity", method="DELETE"))["done"]
    assert done["update"] > done["delete"] > 0
    assert not [name for name in done if name.startswith("refused REQUIRED")]
