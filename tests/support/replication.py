"""Two clusters: a primary, and a synchronous standby that can be promoted."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tests.support import postgres


class Replicas:
    """A primary and its synchronous standby, which change places."""

    def __init__(self, primary: Path, standby: Path) -> None:
        self.primary = primary
        self.standby = standby
        self.url = f"postgresql:///mirrors?host={primary},{standby}&user=rts&target_session_attrs=read-write"
        """Of whichever takes writes."""

    def promote(self, *, gently: bool) -> None:
        """Have the primary die, and the standby become the primary; commits wait for `copy` from then on.

        `gently`: all processes of the primary end at once, else its postmaster is killed.
        """
        if gently:
            postgres.stop(self.primary)
        else:
            pid = (self.primary / "data" / "postmaster.pid").read_text().split()[0]
            os.kill(int(pid), signal.SIGKILL)
        postgres.run("pg_ctl", "-D", self.standby / "data", "-w", "promote")
        self.primary, self.standby = self.standby, self.primary

    def copy(self) -> None:
        """Make the standby anew, as a copy of the primary that follows it."""
        shutil.rmtree(self.standby / "data", ignore_errors=True)
        source = f"host={self.primary} user=postgres"
        postgres.run("pg_basebackup", "-D", self.standby / "data", "-d", source, "-R", "-c", "fast", "-N")
        postgres.start(self.standby)

    def is_synchronous(self) -> bool:
        """Whether commits are on both disks before they are answered."""
        with psycopg.connect(f"postgresql:///postgres?host={self.primary}&user=postgres") as admin:
            found = admin.execute("SELECT sync_state FROM pg_stat_replication").fetchall()
        return found == [("sync",)]


@contextmanager
def replicas() -> Iterator[Replicas]:
    """Start both."""
    with postgres.cluster() as url:
        place = postgres.home()
        made = Replicas(Path(str(conninfo_to_dict(url)["host"])), place)
        try:
            admin = f"postgresql:///postgres?host={made.primary}&user=postgres"
            with psycopg.connect(admin, autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                connection.execute("SELECT pg_reload_conf()")
            made.copy()
            yield made
        finally:
            with suppress(AssertionError):  # it may be dead
                postgres.stop(place)
            shutil.rmtree(place, ignore_errors=True)
