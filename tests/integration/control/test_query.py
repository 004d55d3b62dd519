"""SQL over the control socket: it reads, and does nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from rtsd.store.postgres import answers
from rtsd.store.sqlite import query
from tests.support.inprocess.control import Socket
from tests.support.mirror import ENGINE, sqlite_only


async def test_a_select_answers_columns_and_rows(socket: Socket) -> None:
    """The mirror can be asked in SQL, own tables included."""
    status, body = await socket.ask("POST", "/v1/query", {"sql": "SELECT COUNT(*) AS n FROM Contact"})
    assert (status, body) == (200, {"columns": ["n"], "rows": [[5]], "truncated": False})
    status, body = await socket.ask("POST", "/v1/query", {"sql": "SELECT name FROM _rts_object"})
    assert (status, body["rows"]) == (200, [["Contact"]])


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM Contact",
        "CREATE TABLE x (y)",
        "PRAGMA journal_mode=DELETE",
        "ATTACH '{place}/other.db' AS other",
        "SELECT 1; DELETE FROM Contact",
        "SELECT nonsense FROM Contact",
        "VACUUM INTO '{place}/copy.db'",
        "",
        "SELECT '\0'",
        "SELECT 1\0",
    ],
)
async def test_anything_else_is_refused(socket: Socket, sql: str) -> None:
    """Nothing is written, no file is opened or made, and the answer says what is allowed."""
    place = socket.rig.place
    before = {path.name for path in place.iterdir()}
    status, body = await socket.ask("POST", "/v1/query", {"sql": sql.format(place=place)})
    assert (status, body["error"]) == (400, "UsageError")
    assert {path.name for path in place.iterdir()} == before
    _, body = await socket.ask("POST", "/v1/query", {"sql": "SELECT COUNT(*) FROM Contact"})
    assert body["rows"] == [[5]]


@pytest.mark.parametrize(
    ("sql", "advice"),
    [
        ("DELETE FROM Contact", "use a single SELECT"),
        ("SELECT 1; SELECT 2", "use a single SELECT"),
        ("SELECT Nam FROM Contact", "correct the query"),
        ("SELECT Id FROM Kontact", "correct the query"),
        ("SELECT nonsense(Id) FROM Contact", "correct the query"),
    ],
)
async def test_a_wrong_name_is_not_called_another_statement(socket: Socket, sql: str, advice: str) -> None:
    """What to do is about what is wrong: a SELECT with a misspelt name is a single SELECT already."""
    _, body = await socket.ask("POST", "/v1/query", {"sql": sql})
    assert body["message"].endswith(advice)


async def test_a_long_query_is_stopped(socket: Socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query is limited in time, so that it cannot hold the WAL."""
    for engine in (query, answers):
        monkeypatch.setattr(engine, "TIME_LIMIT_S", 1.0)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"
    status, body = await socket.ask("POST", "/v1/query", {"sql": endless})
    assert status == 400
    assert "longer" in body["message"]


async def test_rows_are_limited_and_it_says_so(socket: Socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows than are given are not hidden."""
    for engine in (query, answers):
        monkeypatch.setattr(engine, "MAX_ROWS", 3)
    _, body = await socket.ask("POST", "/v1/query", {"sql": "SELECT Id FROM Contact"})
    assert (len(body["rows"]), body["truncated"]) == (3, True)


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
GIGABYTES = {
    "one value": "SELECT zeroblob(900000000)",
    "random": "SELECT randomblob(900000000)",
    "concatenated": f"{ENDLESS} SELECT group_concat(i) FROM n",
    "joined": "SELECT a.*, hex(zeroblob(5000)) FROM Contact a, Contact b, Contact c, Contact d, Contact e",
    "wide": f"SELECT {', '.join(['zeroblob(10000000)'] * 100)}",
    "sorted": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000)"
    " SELECT hex(zeroblob(5000)) || i AS x FROM n ORDER BY x",
}
GROWTH = 100 << 20
"""Bytes of memory that a refused query may take, in rtsd and in the query's own process."""


@sqlite_only("a query has a process of its own; PostgreSQL's limits are in engines/test_postgres_queries.py")
@pytest.mark.parametrize("sql", GIGABYTES.values(), ids=GIGABYTES)
async def test_gigabytes_are_refused_and_never_held(socket: Socket, sql: str) -> None:
    """A result is limited in bytes: the answer says what to do, and nothing grows meanwhile."""
    before = memory_of(os.getpid(), "VmRSS")
    asking = asyncio.create_task(socket.ask("POST", "/v1/query", {"sql": sql}))
    most = 0
    while not asking.done():
        worker = sum(memory_of(pid, "VmHWM") for pid in children())
        most = max(most, memory_of(os.getpid(), "VmRSS") - before + worker)
        await asyncio.wait({asking}, timeout=0.005)
    status, body = await asking
    assert (status, body["error"]) == (400, "UsageError"), body
    assert "fewer" in body["message"]
    assert most < GROWTH, f"{most >> 20} MiB"


@sqlite_only("a query has a process of its own; PostgreSQL's limits are in engines/test_postgres_queries.py")
async def test_a_query_leaves_the_loop_free(socket: Socket) -> None:
    """What a large result costs is paid by another process: here it takes a moment of processor time."""
    sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10000) SELECT i, %s FROM n"
    columns = ", ".join(f"i + {number} AS c{number}" for number in range(100))
    before = time.process_time()
    status, body = await socket.ask("POST", "/v1/query", {"sql": sql % columns})
    spent = time.process_time() - before
    assert (status, len(body["rows"])) == (200, 10_000)
    began = time.process_time()
    json.loads(json.dumps(body))
    assert spent < 3 * (time.process_time() - began), "the test's own decoding is nearly all of it"


async def test_values_arrive_as_they_are(socket: Socket) -> None:
    """Text, numbers, blobs and NULL."""
    blob = "x'00ff'" if ENGINE == "sqlite" else "'\\x00ff'::bytea"
    sql = f"SELECT 'ä\U0001f600' AS t, 1.5 AS r, 9223372036854775807 AS i, {blob} AS b, NULL AS n"
    status, body = await socket.ask("POST", "/v1/query", {"sql": sql})
    assert (status, body["columns"]) == (200, ["t", "r", "i", "b", "n"])
    assert body["rows"] == [["ä\U0001f600", 1.5, 9223372036854775807, "AP8=", None]]


@sqlite_only("a query has a process of its own; PostgreSQL's limits are in engines/test_postgres_queries.py")
async def test_a_reader_that_leaves_ends_its_query(socket: Socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process outlives the query that it was started for."""
    monkeypatch.setattr(query, "TIME_LIMIT_S", 0.3)
    endless = f"{ENDLESS} SELECT MAX(i) FROM n"
    before = set(children())
    await asyncio.gather(*(socket.ask("POST", "/v1/query", {"sql": endless}) for _ in range(3)))
    assert set(children()) <= before


def memory_of(pid: int, key: str) -> int:
    """Bytes by that name in a process's status; 0 once it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) << 10
    return 0


def children() -> list[int]:
    """The processes that this one has started, from any thread, and that still run."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return [pid for pid in found if memory_of(pid, "VmRSS")]
