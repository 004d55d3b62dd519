"""PgBouncer in transaction mode before a cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

MISSING = "PgBouncer is not installed; get it with: apt-get install pgbouncer"
"""Why tests on it are skipped."""
START_S = 20.0
_CONFIGURATION = """\
[databases]
mirrors = host={host} dbname=mirrors user=rts

[pgbouncer]
listen_addr =
unix_socket_dir = {place}
listen_port = 6432
auth_type = any
pool_mode = transaction
default_pool_size = {pool}
max_client_conn = 200
ignore_startup_parameters = extra_float_digits,options
logfile = {place}/log
"""


def program() -> str | None:
    """PgBouncer's program, or None."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextmanager
def bouncing(url: str, pool: int) -> Iterator[str]:
    """Run PgBouncer with so many connections to the server; yield the URL of the same database through it."""
    found = program()
    assert found is not None, MISSING
    place = Path(tempfile.mkdtemp(prefix="rtspb"))
    configuration = place / "pgbouncer.ini"
    host = conninfo_to_dict(url)["host"]
    configuration.write_text(_CONFIGURATION.format(host=host, place=place, pool=pool))
    user = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
    if user:  # it refuses to run as root
        for path in (place, configuration):
            shutil.chown(path, "postgres")
    process = subprocess.Popen([*user, found, "-q", str(configuration)])
    bounced = f"postgresql:///mirrors?host={place}&port=6432&user=rts"
    try:
        _wait_for(bounced)
        yield bounced
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(place, ignore_errors=True)


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
