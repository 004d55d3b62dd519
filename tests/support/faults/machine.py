"""A machine of its own for systemd: namespaces, an overlay over this file system, and a real PID 1.

The host is not touched: what is written there is gone with it. The network is the host's, so that the
simulated org is in reach.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

SYSTEMD = Path("/lib/systemd/systemd")
PYTHON = Path("/usr/bin/python3")
"""Not this interpreter: it may lie where ProtectHome= hides it."""
BOOT_S = 20.0
HOME = "/opt/rtsd"

_BOOT = r"""
set -e
W=$1; shift
mount -t tmpfs tmpfs "$W"
mkdir "$W/upper" "$W/work" "$W/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$W/upper,workdir=$W/work" "$W/root"
cd "$W/root"
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do touch dev/$node; mount --bind /dev/$node dev/$node; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs tmpfs dev/shm
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir -p opt/rtsd/bin opt/rtsd/src opt/rtsd/site etc/rtsd/credentials
mount --bind "$SOURCE" opt/rtsd/src
mount --bind "$SITE" opt/rtsd/site
rm -rf etc/systemd/system/* var/lib/rtsd  # one of the host could not be moved on an overlay
cp -r "$FILES"/. .
chmod 700 etc/rtsd/credentials
chmod 755 opt/rtsd/bin/rtsd
mkdir old
pivot_root . old
umount -l /old
mount --make-rshared /
exec env -i container=x PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=rtsd-test.target
"""
PROGRAM = f"""#!{PYTHON}
import sys
sys.path[:0] = ["{HOME}/src", "{HOME}/site"]
from rtsd.__main__ import main
sys.exit(main())
"""
_TARGET = "[Unit]\nDescription=a machine for a test\n"


class Machine:
    """The running machine; `pid` is its systemd."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command inside; return its stdout."""
        inside = ["nsenter", "-t", str(self.pid), "-a", *command]
        done = subprocess.run(inside, capture_output=True, text=True, check=False, timeout=120)
        if check and done.returncode:
            raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        """`systemctl` inside."""
        return self.run("systemctl", "--no-pager", *arguments, check=check)

    def show(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.systemctl("show", unit, f"--property={name}", "--value").strip()


@contextmanager
def booted(place: Path, files: Mapping[str, str]) -> Iterator[Machine]:
    """Boot with `files` (path from / and text) added. Skips, with the reason, where that can't be done."""
    _require()
    image = place / "files"
    for name, text in {
        "opt/rtsd/bin/rtsd": PROGRAM,
        "etc/systemd/system/rtsd-test.target": _TARGET,
        **files,
    }.items():
        (image / name).parent.mkdir(parents=True, exist_ok=True)
        (image / name).write_text(text)
        (image / name).chmod(0o600 if "credentials" in name else 0o644)
    cgroup = Path("/sys/fs/cgroup/unified" if Path("/sys/fs/cgroup/unified").is_dir() else "/sys/fs/cgroup")
    mine = cgroup / f"rtsd-test-{os.getpid()}"
    mine.mkdir()
    work = place / "machine"
    work.mkdir()
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "SOURCE": str(Path(__file__).parents[3]),
        "SITE": sysconfig.get_paths()["purelib"],
        "FILES": str(image),
    }
    unshare = "--fork --pid --mount --uts --ipc --cgroup --propagation private --kill-child=SIGKILL"
    command = f'echo $$ > {mine}/cgroup.procs; exec unshare {unshare} sh -c "$BOOT" boot "$1"'
    with (place / "boot.log").open("wb") as log:
        outer = subprocess.Popen(
            ["sh", "-c", command, "sh", str(work)],
            env={**environment, "BOOT": _BOOT},
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    try:
        yield _up(outer, place / "boot.log")
    finally:
        outer.kill()
        outer.wait()
        _remove(mine)


def _require() -> None:
    version = sys.version_info[:2]
    if os.geteuid() or not SYSTEMD.exists() or not shutil.which("nsenter"):
        pytest.skip("no root or no systemd here, so none can be booted")
    asked = [str(PYTHON), "-c", "import sys; print(sys.version_info[:2])"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    if found != str(version):
        pytest.skip(f"{PYTHON} is {found}, and the packages here are for {version}")


def _up(outer: subprocess.Popen[bytes], log: Path) -> Machine:
    deadline = time.monotonic() + BOOT_S
    while time.monotonic() < deadline:
        if outer.poll() is not None:
            pytest.skip(f"no machine can be booted here: {log.read_text()[-500:]}")
        with suppress(OSError, IndexError, AssertionError):
            child = int(Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()[0])
            machine = Machine(child)
            if machine.systemctl("is-active", "rtsd-test.target", check=False).strip() == "active":
                return machine
        time.sleep(0.1)
    raise AssertionError(f"it does not come up: {log.read_text()[-2000:]}")


def _remove(cgroup: Path) -> None:
    deadline = time.monotonic() + BOOT_S
    for process in cgroup.rglob("cgroup.procs"):
        with suppress(OSError):
            for pid in process.read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
    while cgroup.exists() and time.monotonic() < deadline:
        for path in sorted((entry for entry in cgroup.rglob("*") if entry.is_dir()), reverse=True):
            with suppress(OSError):
                path.rmdir()
        with suppress(OSError):
            cgroup.rmdir()
        time.sleep(0.05)
