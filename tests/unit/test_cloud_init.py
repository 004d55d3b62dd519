"""examples/cloud-init: valid user data, with the commands of docs/install.md and a valid configuration."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rtsd import config

ROOT = Path(__file__).parents[2]
USER_DATA = ROOT / "examples" / "cloud-init" / "user-data.yaml"
CLOUD_INIT = shutil.which("cloud-init", path="/usr/local/bin:/usr/bin")


def user_data() -> dict[str, Any]:
    """The document."""
    found: dict[str, Any] = yaml.safe_load(USER_DATA.read_text())
    return found


def script() -> str:
    """The one command that runs: a script of bash, which ends at the first failure."""
    ((program, flags, text),) = user_data()["runcmd"]
    assert (program, flags) == ("/bin/bash", "-euc")
    return str(text)


def documented() -> list[str]:
    """The commands that docs/install.md has root enter to run rtsd as a service."""
    page = (ROOT / "docs" / "install.md").read_text()
    section = re.split(r"(?m)^##+ ", page.partition("## Run it as a service\n")[2])[0]
    installed, _by_questions, by_hand = re.findall(r"(?s)```console\n(.*?)```", section)
    lines = [line.removeprefix("# ") for line in (installed + by_hand).splitlines() if line.startswith("# ")]
    return [re.sub(r"\s{2,}#.*", "", line) for line in lines]


def test_the_commands_are_those_of_the_documentation() -> None:
    """In their order, with the secret's placeholder, and without the editor."""
    wanted = [
        re.sub("^systemd-ask-password '.+' [|] (.+)", r"\1 <<<'THE-CONSUMER-SECRET'", line)
        for line in documented()
        if not line.startswith("editor ")
    ]
    assert len(wanted) > 7
    lines = script().splitlines()
    assert lines[lines.index(wanted[0]) :] == wanted
    fetched = lines[: lines.index(wanted[0])]
    assert any("curl -f" in line for line in fetched)
    assert any("sha256sum --check" in line for line in fetched), "whatever was fetched is installed as root"


def test_every_secret_is_for_its_owner_alone() -> None:
    """Each file below credentials is made with mode 600; no secret is in a file that cloud-init writes."""
    written = re.findall(r"(?m)^(.*)/etc/rtsd/credentials/(\S+) ", script())
    assert {name for _, name in written} == {"sf-secret", "push-token"}
    assert all(command == "install -m 600 /dev/stdin " for command, _ in written)
    assert "SECRET" not in str(user_data()["write_files"])


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    """It loads as it is, with the secrets beside it."""
    (written,) = user_data()["write_files"]
    assert written["path"] == "/etc/rtsd/rtsd.toml"
    path = tmp_path / "rtsd.toml"
    path.write_text(written["content"])
    for name in ("sf-secret", "push-token"):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text("a-secret-of-a-test-0123456789abcdef\n")
    found = config.load(path)
    assert [each.name for each in found.objects] == ["Account", "Contact", "Opportunity"]


def test_bash_reads_the_script() -> None:
    """Its syntax, quotes and here-strings."""
    done = subprocess.run(("/bin/bash", "-nc", script()), check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(
    not CLOUD_INIT, reason="cloud-init is not installed; get it with: apt-get install cloud-init"
)
def test_cloud_init_accepts_it(tmp_path: Path) -> None:
    """`cloud-init schema`; and it refuses a copy with a wrong key."""

    def judged(path: Path) -> tuple[int, str]:
        command = (CLOUD_INIT or "", "schema", "--config-file", str(path))
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr

    status, text = judged(USER_DATA)
    assert status == 0, text
    assert "Valid" in text
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(USER_DATA.read_text().replace("runcmd:\n  -", "runcmd:\n  - 7\n  -"))
    assert judged(wrong)[0] != 0
