"""A network between nodes and a database, of which each link can be cut so that packets vanish.

The database is in a network namespace of its own, with a pair of virtual interfaces for every node. A link is
cut by a hardware address that nobody has, on both sides: what is sent is lost, and no side is told.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.support import postgres

NOBODYS = "02:00:00:00:00:01"
"""The hardware address of nobody."""


class Network:
    """The links of nodes to a database."""

    def __init__(self, namespace: str, nodes: Sequence[str]) -> None:
        self.namespace = namespace
        self._places = {name: 4 * number for number, name in enumerate(nodes)}
        self._net = f"198.{18 + os.getpid() // 256 % 2}.{os.getpid() % 256}"  # reserved for measurements

    def build(self) -> None:
        """Make the namespace and the links."""
        _run("netns", "add", self.namespace)
        _run("-n", self.namespace, "link", "set", "lo", "up")
        for name, place in self._places.items():
            near, far = self._near(name), f"rts{name}"
            _run("link", "add", near, "type", "veth", "peer", "name", far, "netns", self.namespace)
            _run("addr", "add", f"{self._net}.{place + 1}/30", "dev", near)
            _run("link", "set", near, "up")
            _run("-n", self.namespace, "addr", "add", f"{self._net}.{place + 2}/30", "dev", far)
            _run("-n", self.namespace, "link", "set", far, "up")

    def remove(self) -> None:
        """Remove them."""
        for name in self._places:
            _run("link", "del", self._near(name))
        _run("netns", "del", self.namespace)

    def address(self, name: str) -> str:
        """Return the database's address on the link of a node."""
        return f"{self._net}.{self._places[name] + 2}"

    def cut(self, name: str) -> None:
        """Have every packet between a node and the database vanish."""
        wrong = ("lladdr", NOBODYS, "nud", "permanent", "dev")
        near, far = self._neighbours(name)
        _run("neigh", "replace", far, *wrong, self._near(name))
        _run("-n", self.namespace, "neigh", "replace", near, *wrong, f"rts{name}")

    def restore(self, name: str) -> None:
        """Have packets arrive again."""
        near, far = self._neighbours(name)
        _run("neigh", "del", far, "dev", self._near(name))
        _run("-n", self.namespace, "neigh", "del", near, "dev", f"rts{name}")

    @contextmanager
    def database(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Start a cluster there; yield its URL by a socket, which no cut concerns, and those of the nodes."""
        with ExitStack() as stack:
            with self._entered():
                url = stack.enter_context(postgres.cluster("-c", "listen_addresses=*"))
            place = str(conninfo_to_dict(url)["host"])
            with (Path(place) / "data" / "pg_hba.conf").open("a") as access:
                access.write("host all all samenet trust\n")
            with psycopg.connect(url.replace("user=rts", "user=postgres")) as admin:
                admin.execute("SELECT pg_reload_conf()")
            yield url, {name: url.replace(place, self.address(name)) for name in self._places}

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """Have this thread, and what it starts, be in the namespace."""
        library = ctypes.CDLL(None, use_errno=True)
        there = Path("/run/netns") / self.namespace
        with Path("/proc/thread-self/ns/net").open() as own, there.open() as other:
            assert library.setns(other.fileno(), 0) == 0, os.strerror(ctypes.get_errno())
            try:
                yield
            finally:
                assert library.setns(own.fileno(), 0) == 0, os.strerror(ctypes.get_errno())

    def _near(self, name: str) -> str:
        return f"rts{os.getpid()}{name}"

    def _neighbours(self, name: str) -> tuple[str, str]:
        place = self._places[name]
        return f"{self._net}.{place + 1}", f"{self._net}.{place + 2}"


@contextmanager
def network(nodes: Sequence[str]) -> Iterator[Network]:
    """Make a network; skip the test where none can be made."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("cutting a network needs root and ip: apt-get install iproute2")
    made = Network(f"rts{os.getpid()}", nodes)
    try:
        made.build()
    except AssertionError as problem:
        pytest.skip(f"no network namespaces here: {problem}")
    try:
        yield made
    finally:
        made.remove()


def _run(*arguments: str) -> None:
    done = subprocess.run(("ip", *arguments), check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
