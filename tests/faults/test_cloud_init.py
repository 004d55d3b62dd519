"""The script of examples/cloud-init on a machine with a real systemd: in the end the mirror is live."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import yaml

from tests.support.faults.machine import booted
from tests.support.processes.example import EXAMPLES
from tests.support.processes.rig import standing
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow
OBJECTS = {"Account": 20, "Contact": 20, "Opportunity": 20}
BUILT = (
    "mkdir -p /root/rtsd && cd /root/rtsd && python3 -m pip wheel -q --no-deps --wheel-dir dist /opt/rtsd/src"
)
"""In place of the download: the wheel of this checkout."""


async def test_the_machine_mirrors_the_org(tmp_path: Path) -> None:
    """From a wheel to live objects by the script alone; secrets have mode 600."""
    user_data = yaml.safe_load((EXAMPLES / "cloud-init" / "user-data.yaml").read_text())
    ((_, flags, script),) = user_data["runcmd"]
    (configuration,) = user_data["write_files"]
    lines = script.splitlines()
    first = next(number for number, line in enumerate(lines) if "-m venv" in line)
    async with standing(OBJECTS) as rig:
        text = configuration["content"].replace("https://YOUR-DOMAIN.my.salesforce.com", rig.org.url)
        text = text.replace("YOUR-CONSUMER-KEY", rig.org.info["client_id"]).replace("8787", str(rig.port))
        secret = rig.org.info["client_secret"]
        steps = [BUILT, *(line.replace("THE-CONSUMER-SECRET", secret) for line in lines[first:])]
        with booted(tmp_path, {"etc/rtsd/rtsd.toml": text}) as machine:
            for step in steps:  # one by one: each is given the time of a command
                command = ("/bin/bash", flags, f"mkdir -p /root/rtsd; cd /root/rtsd; {step}")
                told = await asyncio.to_thread(machine.run, *command)
            assert "rtsd.service: active" in told

            def live() -> bool:
                objects = json.loads(machine.run("rtsd", "objects", "--json"))["objects"]
                return {each["name"]: each["rows"] for each in objects if each["state"] == "live"} == OBJECTS

            await eventually(live, "every object is live")
            credentials = "/etc/rtsd/credentials/"
            modes = machine.run("stat", "-c", "%a %n", f"{credentials}sf-secret", f"{credentials}push-token")
            assert [line.split()[0] for line in modes.splitlines()] == ["600", "600"]
