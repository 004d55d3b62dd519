"""What rtsd says to systemd, over a real socket of the kind systemd opens."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtsd import systemd


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A NOTIFY_SOCKET that is listened to."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


def test_each_word_arrives(supervisor: socket.socket) -> None:
    """READY, STATUS, RELOADING, WATCHDOG and STOPPING are one datagram each, in systemd's form."""
    systemd.ready("serving\npushes")
    assert supervisor.recv(1000) == b"READY=1\nSTATUS=serving pushes"
    systemd.status("loading 40 %")
    assert supervisor.recv(1000) == b"STATUS=loading 40 %"
    systemd.reloading(1_234)
    assert supervisor.recv(1000) == b"RELOADING=1\nMONOTONIC_USEC=1235000"
    systemd.watchdog()
    assert supervisor.recv(1000) == b"WATCHDOG=1"
    systemd.stopping()
    assert supervisor.recv(1000).startswith(b"STOPPING=1")


def test_an_abstract_socket_works() -> None:
    """An abstract socket is named with @."""
    name = f"rtsd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(5)
        assert systemd.notify("READY=1", environ={"NOTIFY_SOCKET": f"@{name}"})
        assert listening.recv(100) == b"READY=1"


def test_nobody_listening_is_no_error(tmp_path: Path) -> None:
    """Outside systemd, and after its socket is gone, nothing happens."""
    assert not systemd.notify("READY=1", environ={})
    assert not systemd.notify("READY=1", environ={"NOTIFY_SOCKET": str(tmp_path / "gone")})
    assert not systemd.notify("READY=1", environ={"NOTIFY_SOCKET": "vsock:2:1234"})


def test_the_watchdog_is_fed_twice_as_often_as_asked() -> None:
    """Half of WATCHDOG_USEC, and only when it is meant for this process."""
    assert systemd.watchdog_s({"WATCHDOG_USEC": "30000000"}) == 15.0
    assert systemd.watchdog_s({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}) == 15.0
    assert systemd.watchdog_s({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}) is None
    assert systemd.watchdog_s({}) is None


def test_sockets_are_taken() -> None:
    """Descriptors from 3 on become sockets, and the variables are gone for our children."""
    program = (
        "import os, socket, sys\n"
        "opened = socket.create_server(('127.0.0.1', 0))\n"
        "os.dup2(opened.fileno(), 3)\n"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='gateway')\n"
        "from rtsd.systemd import listen_fds\n"
        "taken = listen_fds()\n"
        "(gateway,) = taken\n"
        "assert gateway.getsockname() == opened.getsockname()\n"
        "assert not os.get_inheritable(3)\n"
        "assert 'LISTEN_FDS' not in os.environ\n"
        "assert listen_fds() == []\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)


def test_sockets_of_another_process_are_left_alone() -> None:
    """LISTEN_PID names somebody else: these descriptors are not ours."""
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
    assert systemd.listen_fds(environ) == []
    assert environ == {}
