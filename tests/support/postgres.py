"""A PostgreSQL cluster for a test run, and mirrors in it, each in two schemas of its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from rtsd.store.postgres.engine import PostgresEngine
from rtsd.store.postgres.server import Server
from rtsd.workflows.demo.compare import Difference, compare_rows
from rtsd.workflows.demo.postgres import StoredRow

URL = "RTS_TEST_POSTGRES"
"""The variable with the cluster's URL, which workers inherit."""
MISSING = "PostgreSQL is not installed; get it with: apt-get install postgresql"
"""Why tests on it are skipped."""
_SCHEMA, _INTERNAL = "{schema of the mirror}", "{schema of rtsd's own tables}"
"""What stands for the schemas in a copy of a mirror."""
_BIN = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/bin")


def binaries() -> Path | None:
    """The newest directory with PostgreSQL's programs, or None."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).parent] if on_path else []
    for pattern in _BIN:
        found += [place for place in Path("/").glob(pattern[1:]) if (place / "initdb").exists()]
    return max(found, key=str, default=None)


NEEDED = pytest.mark.skipif(binaries() is None, reason=MISSING)
"""Marks what cannot be tested without it."""


@contextmanager
def cluster(*options: str) -> Iterator[str]:
    """Start a cluster, reached by a socket in its directory; yield the URL of a database there."""
    place = home()
    try:
        _initialize(place)
        start(place, *options)
        try:
            admin = f"postgresql:///postgres?host={place}&user=postgres"
            with psycopg.connect(admin, autocommit=True) as connection:
                connection.execute("CREATE ROLE rts LOGIN")
                connection.execute("CREATE DATABASE mirrors OWNER rts")
            yield f"postgresql:///mirrors?host={place}&user=rts"
        finally:
            stop(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def home() -> Path:
    """Return a new directory for a cluster and its socket; the path is short, as a socket's must be."""
    place = Path(tempfile.mkdtemp(prefix="rtspg"))
    if os.geteuid() == 0:
        shutil.chown(place, "postgres")
    return place


@contextmanager
def crashed(url: str) -> Iterator[None]:
    """Have the cluster of a URL crash, and recover at the end."""
    place = Path(str(conninfo_to_dict(url)["host"]))
    stop(place)
    try:
        yield
    finally:
        start(place)


def restored(url: str, schemas: Sequence[str], database: str) -> str:
    """Dump schemas, and restore them into a new database of the cluster, as docs/postgresql.md says."""
    place = Path(str(conninfo_to_dict(url)["host"]))
    file, other = place / f"{database}.dump", url.replace("/mirrors", f"/{database}")
    run("pg_dump", "--format=custom", *(f"--schema={name}" for name in schemas), f"--file={file}", url)
    with psycopg.connect(url.replace("user=rts", "user=postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database} OWNER rts".encode())
    run("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={other}", file)
    return other


def _initialize(place: Path) -> None:
    """Copy an empty cluster, which is made once for all tests of this environment: initdb takes seconds."""
    programs = binaries()
    assert programs is not None, "PostgreSQL is not installed"
    told = subprocess.run(
        (programs / "initdb", "--version"), check=True, capture_output=True, text=True
    ).stdout
    template = Path(sys.prefix) / "share" / f"empty-cluster-{re.sub(r'[^0-9.]+', '-', told).strip('-')}"
    if not template.exists():
        made = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        run("initdb", "-D", place / "data", *made)
        template.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=template.parent, prefix="postgres-") as made_in:
            subprocess.run(("cp", "-a", place / "data", made_in), check=True)
            with suppress(OSError):  # another worker was first
                (Path(made_in) / "data").rename(template)
        return
    subprocess.run(("cp", "-a", template, place / "data"), check=True)


def start(place: Path, *options: str) -> None:
    """Start the cluster in a directory."""
    settings = ("-k", str(place), "-c", "listen_addresses=", "-c", "max_connections=300", *options)
    run("pg_ctl", "-D", place / "data", "-l", place / "log", "-w", "-o", " ".join(settings), "start")


def stop(place: Path) -> None:
    """Have the cluster in a directory end as in a crash."""
    run("pg_ctl", "-D", place / "data", "-m", "immediate", "stop")


def not_as_root() -> dict[str, Any]:
    """Return what has a program, which refuses to run as root, run as the user postgres instead."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


def run(program: str, *arguments: object) -> str:
    """Run one of PostgreSQL's programs, not as root, which it refuses; return what it prints."""
    programs = binaries()
    assert programs is not None, "PostgreSQL is not installed"
    found = programs / program  # a client may have a place of its own
    path = found if found.exists() else shutil.which(program)
    command = [str(word) for word in (path, *arguments)]
    done: subprocess.CompletedProcess[bytes]
    done = subprocess.run(command, check=False, capture_output=True, **not_as_root())
    assert done.returncode == 0, f"{command}: {(done.stdout + done.stderr).decode()}"
    return done.stdout.decode()  # with the line ends of values


class PostgresMirror:
    """A mirror in two schemas, named after the path that it would have on SQLite."""

    def __init__(self, path: Path) -> None:
        digest = sha256(str(path).encode()).hexdigest()[:12]
        self.schema, self.internal, self.views = f"m_{digest}", f"r_{digest}", f"v_{digest}"
        base = os.environ[URL]
        self.url = f"{base}&options=-csearch_path%3D{self.schema},{self.internal}"

    def section(self) -> str:
        """Return the lines with the URL and the schemas."""
        values = {"url": self.url, "schema": self.schema, "internal_schema": self.internal}
        return "\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items())

    def engine(self) -> PostgresEngine:
        """Return the engine of both schemas."""
        server, state = Server.of(self.url), Path(tempfile.gettempdir())
        return PostgresEngine(
            server,
            schema=self.schema,
            internal_schema=self.internal,
            node="test",
            settings={},
            state=state,
        )

    async def compare(self, name: str, truth: AsyncIterator[dict[str, Any]]) -> Difference:
        """Compare with psycopg's own types."""
        return await compared(self.url, self.schema, name, truth)

    def sql(self, statement: str, *parameters: object) -> list[Any]:
        """Query it; the rows are read by place, or by the names of columns in any case."""
        return stored_rows(self.url, statement.replace("%", "%%").replace("?", "%s"), parameters)

    def columns(self, name: str) -> dict[str, str]:
        """Return them as the catalogue has them."""
        found = self.sql(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = ?::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            name,
        )
        return dict(found)

    def view(self, object_name: str) -> str:
        """Return the name in the place's schema."""
        return f"{self.views}.{object_name.lower()}"

    def occupied(self, object_name: str) -> list[str]:
        """Return those that make the schema, too."""
        return [f"CREATE SCHEMA {self.views}", f"CREATE TABLE {self.view(object_name)} (id int)"]

    def received(self, statement: str) -> list[Any]:
        """Query it."""
        return self.sql(statement)

    def content(self) -> bytes:
        """Return the rows of every table, in PostgreSQL's binary form."""
        tables = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN (%s, %s)"
        with psycopg.connect(self.url) as connection:
            found = connection.execute(tables, (self.schema, self.internal)).fetchall()
            return b"".join(_copied(connection, *table) for table in found)

    def saved(self) -> bytes:
        """Return a dump of both schemas, which names neither."""
        schemas = (f"--schema={self.schema}", f"--schema={self.internal}")
        dump = run("pg_dump", "--inserts", "--no-owner", *schemas, self.url)
        return dump.replace(self.schema, _SCHEMA).replace(self.internal, _INTERNAL).encode()

    def restore(self, copy: bytes) -> None:
        """Run a dump for these schemas."""
        dump = copy.decode().replace(_SCHEMA, self.schema).replace(_INTERNAL, self.internal)
        of_psql = re.compile(r"^\\(un)?restrict .*$", re.MULTILINE)
        with self.connected() as connection:
            connection.execute(of_psql.sub("", dump).encode())

    def connected(self) -> psycopg.Connection[Any]:
        """Connect to it, as the user that rtsd connects as."""
        return psycopg.connect(self.url)

    def former(self, table: str) -> bytes:
        """Return the row versions in a table's pages, those that no query sees included."""
        pages = "generate_series(0, pg_relation_size(%s::regclass) / 8192 - 1) AS page"
        items = "heap_page_items(get_raw_page(%s, page::int))"
        with psycopg.connect(self.url.replace("user=rts", "user=postgres")) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pageinspect SCHEMA public")
            connection.execute("SET search_path = public")
            ((schema,),) = connection.execute(
                "SELECT schemaname FROM pg_tables WHERE tablename = %s AND schemaname IN (%s, %s)",
                (table, self.schema, self.internal),
            ).fetchall()
            name = f"{schema}.{table}"
            rows = connection.execute(f"SELECT t_data FROM {pages}, {items}".encode(), (name, name))
            return b"".join(data for (data,) in rows if data)


def _copied(connection: psycopg.Connection[Any], schema: str, table: str) -> bytes:
    with connection.cursor().copy(f'COPY "{schema}"."{table}" TO STDOUT (FORMAT binary)'.encode()) as source:
        return b"".join(map(bytes, source))


async def compared(url: str, schema: str, name: str, truth: AsyncIterator[dict[str, Any]]) -> Difference:
    """Compare an object with the org's records, by psycopg's own types."""
    statement = f'SELECT * FROM {schema}."{name.lower()}" ORDER BY id'
    return await compare_rows(name, truth, iter(await asyncio.to_thread(stored_rows, url, statement)))


def stored_rows(url: str, statement: str, parameters: tuple[object, ...] = ()) -> list[StoredRow]:
    """The rows of a query, as any other program would see them."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return [StoredRow(row) for row in connection.execute(statement.encode(), parameters).fetchall()]
