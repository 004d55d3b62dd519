"""SQL over the control socket: it reads, and does nothing else."""

from __future__ import annotations

import pytest

from rtsd.store import query
from tests.support.inprocess.control import Socket


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


async def test_a_long_query_is_stopped(socket: Socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query is limited in time, so that it cannot hold the WAL."""
    monkeypatch.setattr(query, "TIME_LIMIT_S", 0.1)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"
    status, body = await socket.ask("POST", "/v1/query", {"sql": endless})
    assert status == 400
    assert "longer" in body["message"]


async def test_rows_are_limited_and_it_says_so(socket: Socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows than are given are not hidden."""
    monkeypatch.setattr(query, "MAX_ROWS", 3)
    _, body = await socket.ask("POST", "/v1/query", {"sql": "SELECT Id FROM Contact"})
    assert (len(body["rows"]), body["truncated"]) == (3, True)
