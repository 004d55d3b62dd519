"""The units under a real systemd: ready, watched, restarted, reloaded, and kept in their sandbox."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.faults.machine import PROGRAM, Machine, booted
from tests.support.processes.attackers import push_alone
from tests.support.processes.barrage import OBJECT, Barrage
from tests.support.processes.rig import PII, TOKEN, Rig, standing
from tests.support.waiting import eventually

UNITS = Path(__file__).parents[2] / "config"
WATCHDOG_S = 6
LOG = "/var/log/rtsd-test"
DROP_IN = f"[Service]\nWatchdogSec={WATCHDOG_S}\nStandardError=append:{LOG}\n"
PROBE = """
import ctypes, json, mmap, os, socket
found = {}
def tries(name, action):
    try:
        action()
        found[name] = "allowed"
    except OSError as error:
        found[name] = os.strerror(error.errno)
for path in ("/etc/x", "/usr/x", "/var/lib/x", "/root/x", "/home/x", "/opt/rtsd/x", "/run/x"):
    tries(f"write {path}", lambda: open(path, "w"))
for path in (os.environ["STATE_DIRECTORY"], os.environ["RUNTIME_DIRECTORY"], "/tmp"):
    tries(f"write own {path}", lambda: open(path + "/x", "w"))
for family in (socket.AF_NETLINK, socket.AF_PACKET, socket.AF_BLUETOOTH):
    tries(f"family {family.name}", lambda: socket.socket(family, socket.SOCK_RAW))
tries("family AF_INET", lambda: socket.socket(socket.AF_INET))
tries("W+X", lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC))
tries("mount", lambda: os.system("mount -t tmpfs x /tmp") and (_ for _ in ()).throw(OSError(1, "")))
tries("namespace", lambda: ctypes.CDLL(None, use_errno=True).unshare(0x10000000)
      and (_ for _ in ()).throw(OSError(ctypes.get_errno(), "")))
tries("read the key", lambda: open("/etc/rtsd/credentials/sf-secret"))
tries("read the credential", lambda: open(os.environ["CREDENTIALS_DIRECTORY"] + "/sf-secret"))
open(os.environ["RUNTIME_DIRECTORY"] + "/found", "w").write(json.dumps(found))
"""


def files(rig: Rig) -> dict[str, str]:
    """What lies on the machine: the shipped units, a configuration, the secrets."""
    rig.write_config(path="/var/lib/rtsd/mirror.db", socket="/run/rtsd/rtsd.sock")
    service = (UNITS / "rtsd.service").read_text()
    probe = re.sub(r"(?m)^ExecStart=.*", "ExecStart=/usr/bin/python3 /opt/rtsd/bin/probe.py", service)
    probe = re.sub(
        r"(?m)^(WatchdogSec|ExecReload|Restart)=.*", "", probe.replace("Type=notify", "Type=oneshot")
    )
    return {
        "etc/systemd/system/rtsd.service": service,
        "etc/systemd/system/rtsd.socket": (UNITS / "rtsd.socket").read_text().replace("8787", str(rig.port)),
        "etc/systemd/system/rtsd.service.d/test.conf": DROP_IN,
        "etc/systemd/system/rtsd-probe.service": f"{probe}\n[Service]\nRuntimeDirectoryPreserve=yes\n",
        "opt/rtsd/bin/probe.py": PROBE,
        "etc/rtsd/rtsd.toml": rig.config.read_text(),
        "etc/rtsd/credentials/sf-secret": (rig.place / "sf-secret").read_text(),
        "etc/rtsd/credentials/push-token": (rig.place / "push-token").read_text(),
    }


async def test_the_service_under_systemd(tmp_path: Path, measured: Callable[[str], None]) -> None:
    """Charter 28 and 38, and what the units promise besides, on one machine."""
    async with standing({OBJECT: 20}) as rig:
        with booted(tmp_path, files(rig)) as machine:
            began = time.monotonic()
            machine.systemctl("start", "rtsd.socket", "rtsd.service")
            measured(f"active {time.monotonic() - began:.1f} s after systemctl start")
            await eventually(lambda: "1 of 1 object live" in status_line(machine), "it says what it does", 30)
            _modes_and_secrets(rig, machine)
            _sandbox(machine)
            _restore_drill(machine)
            await eventually(lambda: "1 of 1 object live" in status_line(machine), "it is back", 30)
            machine.systemctl("stop", "rtsd")
            machine.systemctl("start", "rtsd.socket", "rtsd")
            await _restarts_by_itself(machine, measured)
            await _no_push_is_refused(rig, machine, measured)
            machine.systemctl("reload", "rtsd")
            assert "active (running)" in machine.run("/opt/rtsd/bin/rtsd", "service", "status")
            began = time.monotonic()
            machine.systemctl("stop", "rtsd.socket", "rtsd.service")
            measured(f"stopped in {time.monotonic() - began:.1f} s")
            assert time.monotonic() - began < 5
            log = machine.run("cat", LOG)
            assert machine.show("rtsd", "Result") == "success", log[-2000:]
            assert not [secret for secret in (TOKEN, rig.org.info["client_secret"], PII) if secret in log]


def _restore_drill(machine: Machine) -> None:
    """Charter 10: the commands of docs/operations.md, word for word."""
    text = (
        (UNITS.parent / "docs" / "operations.md").read_text().partition("## Restore")[2].partition("```\n")[0]
    )
    commands = re.findall(r"(?m)^# ([^#\n]+?)(?: +#.*)?$", text)
    assert len(commands) == 7
    machine.run("mkdir", "/backup")
    machine.run("/opt/rtsd/bin/rtsd", "backup", "/backup/mirror.db")
    for command in commands:
        machine.run("sh", "-c", command.replace("rtsd audit", "/opt/rtsd/bin/rtsd audit"))


def status_line(machine: Machine) -> str:
    """What `systemctl status` shows of it."""
    return machine.show("rtsd", "StatusText")


def _modes_and_secrets(rig: Rig, machine: Machine) -> None:
    """Nobody else can read its state, and its environment and arguments tell no secret."""
    pid = machine.show("rtsd", "MainPID")
    paths = (
        "/var/lib/rtsd/",
        "/var/lib/rtsd/mirror.db",
        "/var/lib/rtsd/mirror.db-wal",
        "/run/rtsd",
        "/run/rtsd/rtsd.sock",
    )
    modes = machine.run("stat", "-L", "-c", "%a", *paths).split()
    assert modes == ["700", "600", "600", "750", "660"]
    assert machine.run("stat", "-L", "-c", "%U", "/var/lib/rtsd/").strip() != "root"
    seen = machine.run("cat", f"/proc/{pid}/environ", f"/proc/{pid}/cmdline")
    assert TOKEN not in seen
    assert rig.org.info["client_secret"] not in seen


def _sandbox(machine: Machine) -> None:
    """A program in the service's place can write its own directories, and do nothing else it need not."""
    machine.systemctl("start", "rtsd-probe")
    found = json.loads(machine.run("cat", "/run/rtsd/found"))
    allowed = {name for name, outcome in found.items() if outcome == "allowed"}
    own = {name for name in found if name.startswith("write own")}
    assert allowed == own | {"family AF_INET", "read the credential"}, found
    assert len(own) == 3


async def _restarts_by_itself(machine: Machine, measured: Callable[[str], None]) -> None:
    """After kill -9, and after its loop hangs."""
    for number, what, within in (("KILL", "kill -9", 10.0), ("STOP", "a hung loop", 2.0 * WATCHDOG_S + 5)):
        before, began = machine.show("rtsd", "MainPID"), time.monotonic()
        machine.run("kill", f"-{number}", before)

        def again(before: str = before) -> bool:
            other = machine.show("rtsd", "MainPID") not in {before, "0"}
            return other and machine.show("rtsd", "ActiveState") == "active"

        await eventually(again, f"active again after {what}", within)
        measured(f"active again {time.monotonic() - began:.1f} s after {what}")


async def _no_push_is_refused(rig: Rig, machine: Machine, measured: Callable[[str], None]) -> None:
    """Restarts under load: each push on a connection of its own, none refused or reset, none lost."""
    barrage = await Barrage.of(rig)
    answers: Counter[int] = Counter()
    acked: list[str] = []
    over = asyncio.Event()

    async def push() -> None:
        while not over.is_set():
            shot = next(barrage.shots)
            status, _ = await push_alone(rig.port, shot)
            answers[status] += 1
            if status == 200:
                acked.append(shot.id)

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(push())
        for _ in range(3):
            await asyncio.to_thread(machine.systemctl, "restart", "rtsd")
            enough = len(acked) + 100
            await eventually(lambda enough=enough: len(acked) > enough, "it takes pushes again")
        over.set()
    assert set(answers) <= {200, 503}, answers
    measured(f"3 restarts under {sum(answers.values())} pushes on connections of their own: {dict(answers)}")
    query = (
        "import sqlite3; inbox = sqlite3.connect('file:/var/lib/rtsd/mirror.db.inbox?mode=ro', uri=True);"
        "print(*[row[0] for row in inbox.execute('SELECT webhook_id FROM _rts_push_id')])"
    )
    assert set(acked) <= set(machine.run("/usr/bin/python3", "-c", query).split())


def commands(page: str, heading: str) -> list[list[str]]:
    """The commands of each console block below a heading of a page of the documentation."""
    text = (UNITS.parent / "docs" / page).read_text().partition(f"{heading}\n")[2]
    text = re.split(r"(?m)^##+ ", text)[0]
    blocks = re.findall(r"(?s)```console\n(.*?)```", text)
    return [re.findall(r"(?m)^# ([^#\n]+?)(?: +#.*)?$", block) for block in blocks]


async def test_the_journal_has_fields(tmp_path: Path) -> None:
    """Journalctl finds rtsd's lines by what they are about, through the sandbox and a real journald."""
    async with standing({OBJECT: 20}) as rig:
        given = files(rig)
        del given["etc/systemd/system/rtsd.service.d/test.conf"]
        with booted(tmp_path, given) as machine:
            machine.systemctl("start", "systemd-journald")
            machine.systemctl("start", "rtsd")
            await eventually(lambda: "1 of 1 object live" in status_line(machine), "it says what it does", 30)
            asked = (
                "journalctl",
                "-o",
                "json",
                "--output-fields=MESSAGE,RTS_STATE,SYSLOG_IDENTIFIER,PRIORITY",
            )
            found = machine.run(
                *asked, "_SYSTEMD_UNIT=rtsd.service", "RTS_EVENT=object", f"RTS_OBJECT={OBJECT}"
            )
            lines = [json.loads(line) for line in found.splitlines()]
            assert lines[-1]["RTS_STATE"] == "live"
            assert (lines[-1]["SYSLOG_IDENTIFIER"], lines[-1]["PRIORITY"]) == ("rtsd", "6")
            assert json.loads(lines[-1]["MESSAGE"])["event"] == "object"


async def test_socket_activation_as_documented(tmp_path: Path, measured: Callable[[str], None]) -> None:
    """The commands of docs/install.md, word for word, with rtsd running; then restarts refuse no push.

    `systemctl edit` opens an editor: what one would write there lies there already.
    """
    by_verb, by_hand = commands("install.md", "### Restart without a refused push")
    assert by_verb.pop(0) == "systemctl edit rtsd.socket"
    assert "rtsd service install --socket" in by_verb
    async with standing({OBJECT: 20}) as rig:
        given = files(rig)
        given["usr/bin/rtsd"] = PROGRAM
        address = f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{rig.port}\n"
        given["etc/systemd/system/rtsd.socket.d/override.conf"] = address
        with booted(tmp_path, given) as machine:
            machine.run("chmod", "755", "/usr/bin/rtsd")
            machine.systemctl("start", "rtsd")
            for block in (by_verb, by_hand):
                for command in block:
                    machine.run("sh", "-c", command)
                states = {unit: machine.show(unit, "ActiveState") for unit in ("rtsd.socket", "rtsd.service")}
                assert states == {"rtsd.socket": "active", "rtsd.service": "active"}
                await _no_push_is_refused(rig, machine, measured)
                machine.systemctl("disable", "--now", "rtsd.socket", "rtsd.service")
                machine.systemctl("start", "rtsd")
            _reload_shows_mistakes(machine)
            machine.run("mkdir", "-p", "/var/lib/rtsd-acme")
            told = machine.run("/usr/bin/rtsd", "service", "uninstall")
            assert machine.show("rtsd", "ActiveState") != "active"
            assert "/var/lib/rtsd-acme" in told
            assert "/etc/rtsd" in told


async def test_a_user_is_admitted_as_documented(tmp_path: Path) -> None:
    """Who has no right is sent to docs/install.md, and is let in by the commands there, word for word."""
    heading = "### Who may use rtsd's commands"
    (block,) = commands("install.md", heading)
    assert "systemctl edit rtsd" in block
    page = (UNITS.parent / "docs" / "install.md").read_text().partition(heading)[2]
    drop_in = page.partition("```ini\n")[2].partition("```")[0]
    asked = ("runuser", "-u", "ana", "--", "/usr/bin/rtsd", "status")
    async with standing({OBJECT: 20}) as rig:
        with booted(tmp_path, {**files(rig), "usr/bin/rtsd": PROGRAM}) as machine:
            machine.run("chmod", "755", "/usr/bin/rtsd")
            machine.run("useradd", "ana")
            machine.systemctl("start", "rtsd")
            with pytest.raises(AssertionError, match=heading[4:]):
                machine.run(*asked)
            for command in block:
                edited = f"printf '{drop_in}' > /etc/systemd/system/rtsd.service.d/override.conf"
                written = f"{edited} && systemctl daemon-reload"
                machine.run("sh", "-c", written if command.startswith("systemctl edit") else command)
            assert "right" in machine.run(*asked)


def instances(rig: Rig, *names: str) -> dict[str, str]:
    """What lies on the machine for instances of rtsd@.service, each with a mirror of its own."""
    given = {
        "etc/systemd/system/rtsd.service": (UNITS / "rtsd.service").read_text(),
        "etc/systemd/system/rtsd@.service": (UNITS / "rtsd@.service").read_text(),
        "usr/bin/rtsd": PROGRAM,
    }
    for name in names:
        socket = f"/run/rtsd-{name}/rtsd.sock"
        rig.write_config(path=f"/var/lib/rtsd-{name}/mirror.db", socket=socket, listen="")
        given[f"etc/rtsd/{name}.toml"] = rig.config.read_text()
        for secret in ("sf-secret", "push-token"):
            given[f"etc/rtsd/credentials/{name}/{secret}"] = (rig.place / secret).read_text()
    return given


async def test_uninstall_stops_every_instance(tmp_path: Path) -> None:
    """One that runs and is enabled, one that only runs, one that is enabled and has failed: none is left."""
    async with standing({OBJECT: 20}) as rig:
        given = instances(rig, "acme", "beta", "gamma")
        given["etc/rtsd/gamma.toml"] += "[qouta]\n"
        with booted(tmp_path, given) as machine:
            machine.run("chmod", "755", "/usr/bin/rtsd")
            machine.systemctl("enable", "--now", "rtsd@acme")
            machine.systemctl("start", "rtsd@beta")
            machine.systemctl("enable", "--now", "rtsd@gamma", check=False)
            units = [f"rtsd@{name}.service" for name in ("acme", "beta", "gamma")]
            states = [machine.show(unit, "ActiveState") for unit in units]
            assert states == ["active", "active", "failed"]
            told = machine.run("/usr/bin/rtsd", "service", "uninstall")
            assert [line for line in told.splitlines() if line.startswith("stopped")] == [
                f"stopped {unit}" for unit in units
            ]
            assert [machine.show(unit, "MainPID") for unit in units] == ["0"] * 3
            assert {machine.show(unit, "LoadState") for unit in units} == {"not-found"}
            assert machine.run("find", "/etc/systemd", "-name", "rtsd@*", "-o", "-name", "rtsd.s*") == ""
            left = told.partition("These stay")[2]
            mirrors = re.findall("/var/lib/private/rtsd-([a-z]+)", left)
            assert mirrors == ["acme", "beta", "gamma"]
            machine.run("test", "-s", "/var/lib/private/rtsd-acme/mirror.db")
            assert "/etc/rtsd\n" in left


def _reload_shows_mistakes(machine: Machine) -> None:
    """`systemctl reload` fails with a mistake in the configuration, and rtsd runs on as before."""
    pid = machine.show("rtsd", "MainPID")
    machine.systemctl("reload", "rtsd")
    machine.run("sh", "-c", "cp /etc/rtsd/rtsd.toml /root/good; echo '[qouta]' >> /etc/rtsd/rtsd.toml")
    with pytest.raises(AssertionError):
        machine.systemctl("reload", "rtsd")
    assert machine.show("rtsd", "MainPID") == pid
    assert machine.show("rtsd", "ActiveState") == "active"
    assert "qouta" in machine.run("/usr/bin/rtsd", "errors")
    machine.run("cp", "/root/good", "/etc/rtsd/rtsd.toml")
    machine.systemctl("reload", "rtsd")
