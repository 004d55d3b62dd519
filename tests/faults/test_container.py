"""The image: built from this checkout, it plays the demo, runs the daemon as nobody, and keeps its mirror."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from tests.support.processes.container import ENOUGH_S, LIMITS, ROOT, Podman, missing
from tests.support.processes.rig import standing
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(missing() is not None, reason=f"no image can be built here: {missing()}")


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """Podman with the image `localhost/rts`."""
    home = tmp_path_factory.mktemp("podman")
    wheels = home / "wheels"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"]
    got = subprocess.run(
        [*command, "--requirement", str(ROOT / "requirements.lock"), "--dest", str(wheels)],
        capture_output=True,
        text=True,
        check=False,
        timeout=ENOUGH_S,
    )
    if got.returncode:
        pytest.skip(f"pip can't get the packages here: {got.stderr[-300:]}")
    podman = Podman(home)
    try:
        podman.build(podman.base(wheels))
        yield podman
    finally:
        podman.close()


def test_one_command_plays_the_demo(podman: Podman) -> None:
    """Nothing but a container runtime; the file system is read-only, and no shell starts it."""
    output = podman.run(
        *("run", "--rm", "--network", "none", "--read-only", *LIMITS, "localhost/rts"),
        *("demo", "--headless", "--seconds", "8", "--records", "Contact=2000"),
    )
    assert json.loads(output.splitlines()[-1])["equal"] is True


def test_it_needs_no_rights(podman: Podman) -> None:
    """A user with no name, one volume, a health check, and no shell in any command."""
    image = podman.inspect("localhost/rts")
    found = image["Config"]
    assert found["User"] == "10001:10001"
    assert set(found["Volumes"]) == {"/var/lib/rtsd"}
    assert found["Entrypoint"] == ["rtsd"]
    assert image["Healthcheck"]["Test"] == ["CMD", "rtsd", "status", "--json"]


async def test_the_daemon_lives_in_it(podman: Podman) -> None:
    """It reads the org, is healthy, ends on SIGTERM in order, and finds its mirror again."""
    async with standing({"Contact": 300}) as rig:
        rig.write_config(path="/var/lib/rtsd/mirror.db", socket="/run/rtsd/rtsd.sock")
        mounts = [f"{rig.config}:/etc/rtsd/rtsd.toml:ro", "mirror:/var/lib/rtsd"]
        mounts += [f"{rig.place / name}:/run/secrets/{name}:ro" for name in ("sf-secret", "push-token")]
        for path in (rig.config, rig.place / "sf-secret", rig.place / "push-token"):
            path.chmod(0o444)  # the container's user is another one
        options = [*(word for mount in mounts for word in ("--volume", mount))]
        podman.start("rtsd", *options, "localhost/rts")
        first = await eventually(lambda: _live(podman), "a live mirror")
        assert _is_healthy(podman)
        async with aiohttp.ClientSession() as http:
            assert (await http.get(f"http://127.0.0.1:{rig.port}/readyz")).status == 200
        podman.run("stop", "--time", "60", "rtsd")
        assert podman.inspect("rtsd")["State"]["ExitCode"] == 0
        assert not _is_healthy(podman)
        podman.run("rm", "rtsd")
        podman.start("rtsd", *options, "localhost/rts")
        again = await eventually(lambda: _live(podman), "the same mirror, live again")
        assert again["store"]["id"] == first["store"]["id"]
        assert again["last_seq"] >= first["last_seq"] > 0


def _live(podman: Podman) -> dict[str, Any] | None:
    answer = podman.output("exec", "rtsd", "rtsd", "status", "--json")
    try:
        status: dict[str, Any] = json.loads(answer)
    except ValueError:
        return None
    return status if status["objects"][0]["state"] == "live" else None


def _is_healthy(podman: Podman) -> bool:
    return podman.succeeds("healthcheck", "run", "rtsd")
