"""docs/start.md against the simulated org: its commands as they stand, and what they print."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rtssim.process import SimulatedOrg, spawn
from tests.support.dashboard.terminal import terminal
from tests.support.processes.daemon import Daemon
from tests.support.waiting import eventually

PAGE = (Path(__file__).parents[2] / "docs" / "start.md").read_text()
BLOCKS = [block.splitlines() for block in re.findall(r"(?ms)^```console\n(.*?)^```", PAGE)]
RECORDS = {"Account": 200, "Contact": 1200, "Lead": 300, "Opportunity": 150}
KEY = "3MVG9…"


def block_of(command: str) -> list[str]:
    """The lines of the block that begins with a command, without it."""
    return next(block[1:] for block in BLOCKS if block[0] == f"$ {command}")


def printed(block: list[str]) -> list[str]:
    """What a block says that its commands print: neither commands nor empty lines."""
    return [line for line in block if line.strip() and not line.startswith("$ ")]


@pytest.fixture
def home() -> Iterator[Path]:
    """The home of somebody who begins; short, as a socket's path has room for 108 bytes."""
    with tempfile.TemporaryDirectory(prefix="rts") as directory:
        (Path(directory) / "bin").mkdir()
        rtsd = Path(directory) / "bin" / "rtsd"
        rtsd.write_text(f'#!/bin/sh\nexec {sys.executable} -m rtsd "$@"\n')
        rtsd.chmod(0o755)
        yield Path(directory)


@pytest.fixture
async def org() -> AsyncIterator[SimulatedOrg]:
    """An org of the size that the page shows."""
    async with spawn(records=RECORDS, options=("--pubsub",)) as spawned:
        yield spawned


class Walk:
    """Runs the page's commands, and holds what they print against the page."""

    def __init__(self, org: SimulatedOrg, home: Path) -> None:
        self.org = org
        self.home = home
        self.config = home / ".config" / "rtsd" / "rtsd.toml"
        self.environment = {
            "HOME": str(home),
            "PATH": f"{home / 'bin'}:/usr/bin:/bin",
            "XDG_RUNTIME_DIR": str(home / "run"),
            "RTSD_CONFIG": str(self.config),
        }

    def as_on_the_page(self, text: str) -> str:
        """Put the page's names in place of this run's."""
        names = {
            f"Address: {self.org.url}": "Address: acme.my.salesforce.com",
            self.org.url: "https://acme.my.salesforce.com",
            self.org.info["username"]: "sync@acme.com",
            self.org.info["client_id"]: KEY,
            str(self.home): "/home/ana",
        }
        for mine, shown in names.items():
            text = text.replace(mine, shown)
        return re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\r", "")

    def holds(self, block: list[str], output: str) -> None:
        """Require that every line of a block was printed."""
        lines = [line.rstrip() for line in self.as_on_the_page(output).splitlines()]
        assert [line for line in printed(block) if line.rstrip() not in lines] == [], "\n".join(lines)

    async def run(self, command: str) -> str:
        """Run a line of the page in a shell, and return all that it prints."""
        process = await asyncio.create_subprocess_exec(
            *("/bin/bash", "-c", command),
            env={**os.environ, **self.environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        assert process.returncode == 0, out.decode()
        return out.decode()

    async def configure(self) -> None:
        """Type what the page types; the org's address, its app and the event bus are this run's."""
        typed = {"acme.my.salesforce.com": self.org.url, KEY: self.org.info["client_id"]}
        block = block_of("rtsd init")
        words = ("init", "-c", str(self.config), "--endpoint", self.org.info["pubsub"])
        async with terminal(*words, program="rtsd", **self.environment) as seen:
            read = 0
            for line in block:
                prompt, colon, answer = line.partition(":")
                if not colon or line.startswith((" ", "?", "note")) or line.endswith("."):
                    continue
                label = prompt.partition(" [")[0]
                await eventually(lambda at=read, label=label: label.encode() in seen.output[at:], label)
                read = len(seen.output)
                if "hidden" in prompt:
                    answer = self.org.info["client_secret"]
                seen.press(f"{typed.get(answer.strip(), answer.strip())}\n".encode())
            assert await seen.ended(60) == 0
            self.holds(block, seen.output.decode())
            after = next(found for found in BLOCKS if found[0].startswith("idle "))
            self.holds(after, seen.output.decode())


async def test_the_page_leads_to_a_live_mirror(org: SimulatedOrg, home: Path) -> None:
    """From the first question to a change that arrives by push, with the output that the page shows."""
    walk = Walk(org, home)
    await org.control("switches", {"keepalive_s": 0.5})
    await walk.configure()
    deploying = block_of("rtsd package deploy")
    checking = deploying.index("$ rtsd check")
    walk.holds(deploying[:checking], await walk.run("rtsd package deploy"))
    walk.holds(deploying[checking:], await walk.run("rtsd check"))
    daemon = await Daemon.launch(walk.config, home / "run" / "rtsd" / "rtsd.sock", home / "stderr")
    try:
        await daemon.ready()
        await daemon.live()
        await eventually(lambda: connected(daemon), "the subscription is open")
        record = (await anext(org.rows("Contact")))["Id"]
        await org.dml("update", "Contact", rows=[{"Id": record, "Phone": "+1 415 555 0099"}])
        await daemon.mode("real_time")
        seen = await walk.run("rtsd status")
        first = next(found for found in BLOCKS if found[0].startswith("right "))
        for line, shown in zip(first, seen.splitlines(), strict=False):
            assert shown.startswith(line), seen
        events, query = (
            next(line for block in BLOCKS for line in block if line.startswith(f"$ rtsd {verb}"))
            for verb in ("events --object", "sql")
        )
        shown = events.removeprefix("$ ").partition("#")[0].replace("--follow", "")

        async def arrives() -> bool:  # the first change of a start may have been read before its push came
            await org.dml("update", "Contact", rows=[{"Id": record, "Phone": "+1 415 555 0100"}])
            return bool(re.search(r"update Contact .* from push applied", await walk.run(shown)))

        await eventually(arrives, "a change that came by push")
        assert "+1 415 555 0100" in await walk.run(query.removeprefix("$ "))
    finally:
        await daemon.terminate()


async def connected(daemon: Daemon) -> bool:
    """Whether the daemon's subscription is open."""
    stream = (await daemon.status()).push.stream
    return stream is not None and bool(stream.connected)


def test_every_command_of_the_page_is_known() -> None:
    """A line that this walk does not take is one that it takes otherwise, or cannot: each is named here."""
    lines = [line for block in BLOCKS for line in block if line.startswith("$ ")]
    commands = {line.removeprefix("$ ").partition(" #")[0].strip() for line in lines}
    walked = {"rtsd init", "rtsd package deploy", "rtsd check", "rtsd run"}
    walked |= {command for command in commands if command.startswith(("rtsd events", "rtsd sql"))}
    assert commands - walked == {
        *("python3 -m pip wheel --no-deps --wheel-dir dist .", "python3 -m venv ~/rts"),  # needs an index
        *('~/rts/bin/pip install "$(ls dist/rtsd-*.whl)[stream]"', 'export PATH="$HOME/rts/bin:$PATH"'),
        *("rtsd --version", "rtstui"),
    }
