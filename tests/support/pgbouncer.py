"""PgBouncer in transaction mode before a cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from configparser import ConfigParser
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.support.postgres import not_as_root

MISSING = "PgBouncer is not installed; get it with: apt-get install pgbouncer"
"""Why tests on it are skipped."""
START_S = 20.0
EXAMPLE = Path(__file__).parents[2] / "config" / "pgbouncer.ini"
"""The configuration that users start from: what it says of pooling is what tests have."""


def program() -> str | None:
    """PgBouncer's program, or None."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


NEEDED = pytest.mark.skipif(program() is None, reason=MISSING)
"""Marks what cannot be tested without it."""


@contextmanager
def bouncing(url: str, pool: int, nodes: Sequence[str] = ()) -> Iterator[str]:
    """Run PgBouncer with so many connections to the server; yield the URL of the same database through it.

    Each of the nodes has a pool of its own, by its name instead of the database's: there `rts.node` tells the
    server who writes, which no option in a URL does through PgBouncer.
    """
    found = program()
    assert found is not None, MISSING
    place = Path(tempfile.mkdtemp(prefix="rtspb"))
    configuration = place / "pgbouncer.ini"
    _write(configuration, str(conninfo_to_dict(url)["host"]), pool, nodes)
    other = not_as_root()
    if other:
        for path in (place, configuration):
            shutil.chown(path, other["user"])
    process = subprocess.Popen([found, "-q", str(configuration)], **other)
    bounced = f"postgresql:///mirrors?host={place}&port=6432&user=rts"
    try:
        _wait_for(bounced)
        yield bounced
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(place, ignore_errors=True)


def _write(path: Path, host: str, pool: int, nodes: Sequence[str]) -> None:
    """Write the example's configuration for a cluster that trusts everybody on a socket."""
    parser = ConfigParser(interpolation=None, inline_comment_prefixes=None)
    parser.read(EXAMPLE)
    place = f"host={host} dbname=mirrors user=rts"
    own_pools = {name: f"{place} connect_query='SET rts.node = {name}'" for name in nodes}
    parser["databases"] = {"mirrors": place, **own_pools}
    own = parser["pgbouncer"]
    own.pop("auth_file")
    own.update(listen_addr="", unix_socket_dir=str(path.parent), auth_type="any")
    own.update(default_pool_size=str(pool), ignore_startup_parameters="options")
    own["logfile"] = str(path.parent / "log")
    with path.open("w") as file:
        parser.write(file)


def _wait_for(url: str) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return
