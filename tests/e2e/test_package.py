"""The package's life beside a running daemon: deployed, set in every way, removed; as real processes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.support.processes.command import Ended, rtsd
from tests.support.processes.daemon import Daemon
from tests.support.processes.rig import Rig, standing
from tests.support.waiting import eventually

RECOGNISED_S = 30.0
PUSHED_S = 60.0
"""From the beginning of `rtsd package deploy` (contract section 6)."""


class Scene(NamedTuple):
    """A rig whose daemon runs, and who talks to it."""

    rig: Rig
    daemon: Daemon

    async def rtsd(self, *words: str) -> Ended:
        """Run `rtsd package …` with the daemon's configuration."""
        return await rtsd("package", *words, "-c", self.rig.config)

    async def edit(self, title: str) -> str:
        """Change one contact in the org; returns its id."""
        async for row in self.rig.org.rows("Contact"):
            await self.rig.org.dml("update", "Contact", rows=[{"Id": row["Id"], "Title": title}])
            return str(row["Id"])
        raise AssertionError("no contact")

    async def arrives_by(self, source: str, title: str, within: float = 15.0) -> None:
        """Edit a contact, and wait until the journal says that it came this way."""
        seq = (await self.daemon.status()).last_seq
        record = await self.edit(title)

        async def came() -> bool:
            found = await self.daemon.events("change", seq)
            return any(event.id == record and event.source == source for event in found)

        await eventually(came, f"{title!r} came by {source}", within)
        await self.rig.ends_equal()

    async def reasons(self) -> list[str]:
        """The journal's modes, each with its reason."""
        return [str(event.message) for event in await self.daemon.events("mode")]


def with_public_url(rig: Rig) -> None:
    """Let the configuration name the address that the package posts to."""
    line = f'public_url = "http://127.0.0.1:{rig.port}"\n'
    rig.config.write_text(rig.config.read_text().replace("token_file", line + "token_file"))


async def deployed(scene: Scene, measured: Callable[[str], None]) -> None:
    """Deploy; recognised within 30 s, and a change pushed within 60 s."""
    began = time.monotonic()
    done = await scene.rtsd("deploy")
    assert done.status == 0, done.err
    await scene.daemon.mode("real_time", RECOGNISED_S)
    recognised = time.monotonic() - began
    assert recognised < RECOGNISED_S
    assert (await scene.daemon.status()).package.state == "installed"
    await scene.arrives_by("push", "the first push")
    pushed = time.monotonic() - began
    assert pushed < PUSHED_S
    measured(f"rtsd package deploy: recognised {recognised:.1f} s after its start, pushed {pushed:.1f} s")


async def test_the_packages_life(measured: Callable[[str], None]) -> None:
    """Deployed, disabled, enabled, aimed elsewhere, another token, removed: mode, journal, mirror follow."""
    async with standing({"Contact": 30}, interval="2s", lookback="10s") as rig:
        with_public_url(rig)
        scene = Scene(rig, await rig.start())
        daemon = scene.daemon
        await daemon.live()
        await daemon.mode("awaiting_package")
        await deployed(scene, measured)
        assert (await scene.rtsd("deploy")).out.startswith("Nothing to do")
        await is_disabled_and_enabled(scene)
        await is_aimed_elsewhere(scene)
        await gets_another_token(scene)
        await is_removed(scene)


async def is_disabled_and_enabled(scene: Scene) -> None:
    """Disable RTS: Interval Sync keeps the mirror right; enabled, the next push leads back."""
    assert (await scene.rtsd("disable")).status == 0
    await scene.daemon.mode("disabled", 5)
    await scene.arrives_by("interval", "while disabled")
    shown = (await scene.daemon.status()).package
    assert (shown.state, shown.disabled) == ("installed", True)
    assert (await scene.rtsd("enable")).status == 0
    await scene.daemon.mode("interval", 5)
    await scene.edit("enabled again")
    await scene.daemon.mode("real_time")
    await scene.arrives_by("push", "while enabled")
    assert (await scene.reasons())[-3:] == [
        "disabled: package disabled in the org",
        "interval: package enabled in the org",
        "real_time: push received",
    ]


async def is_aimed_elsewhere(scene: Scene) -> None:
    """A wrong Gateway URL is said; what was given up meanwhile is fetched once a heartbeat counts it."""
    rig, daemon = scene.rig, scene.daemon
    await rig.aim(f"http://127.0.0.1:{rig.port}/elsewhere")
    problems = [problem.what for problem in (await daemon.client.package(probe=True)).problems]
    assert any("/elsewhere" in problem for problem in problems), problems
    differing = await scene.rtsd("status")
    assert differing.status == 1
    assert "Gateway_URL__c is" in differing.out
    await scene.edit("given up")
    await rig.org.control("package/drain")
    assert await rig.org.count("RTS_Error__c") == 1
    assert await rig.differences() != []
    assert (await scene.rtsd("deploy")).out.startswith("The package is in Acme")
    assert (await daemon.status()).package.problems == []
    await rig.org.control("package/heartbeat")
    await rig.ends_equal()
    errors = [error for error in await daemon.client.errors() if error.error == "PackageError"]
    assert [(error.object, "HTTP 404" in error.message) for error in errors] == [("Contact", True)]


async def gets_another_token(scene: Scene) -> None:
    """Both are accepted meanwhile, so that no push is refused."""
    rig = scene.rig
    rotated = await scene.rtsd("rotate-token")
    assert rotated.status == 0, rotated.err
    old, new = (rig.place / "push-token").read_text().split()
    assert new not in rotated.out + rotated.err
    assert old not in rotated.out + rotated.err
    await scene.arrives_by("push", "signed with the new token")
    assert (await scene.daemon.status()).push.rejected_24h == 0


async def is_removed(scene: Scene) -> None:
    """No component, no job, no row; the mirror goes on by Interval Sync."""
    removed = await scene.rtsd("remove", "--yes")
    assert removed.status == 0, removed.err
    await scene.daemon.mode("awaiting_package", 5)
    status = json.loads((await scene.rtsd("status", "--json")).out)
    assert (status["state"], status["jobs"], status["triggers"]) == ("missing", {}, [])
    assert (await scene.rig.org.stats())["pushes"]["triggers"] == []
    with pytest.raises(RuntimeError):
        await scene.rig.org.count("RTS_Settings__c")
    await scene.arrives_by("interval", "after the removal")


@pytest.mark.slow
async def test_an_administrators_own_deployment_is_recognised() -> None:
    """By another tool, with nobody to tell the daemon: the look or the first push, whichever comes first."""
    async with standing({"Contact": 5}, interval="2s") as rig:
        daemon = await rig.start()
        await daemon.live()
        began = time.monotonic()
        await rig.install_package()
        await eventually(lambda: _is_installed(daemon), "the package is recognised", RECOGNISED_S)
        assert time.monotonic() - began < RECOGNISED_S


async def _is_installed(daemon: Daemon) -> Any:
    return (await daemon.status()).package.state == "installed"
