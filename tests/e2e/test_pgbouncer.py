"""Nodes behind PgBouncer in transaction mode, where no session is anybody's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from rtsd.store.postgres.engine import PostgresEngine
from rtsd.store.postgres.server import Server
from rtsd.store.sqlite.engine import SqliteEngine
from tests.support import pgbouncer, postgres
from tests.support.moved import content, make, moved
from tests.support.processes.nodes import Nodes
from tests.support.processes.rig import standing
from tests.support.waiting import eventually

pytestmark = [
    postgres.NEEDED,
    pgbouncer.NEEDED,
]
POOL = 5
"""Connections to the server, for two nodes that would have some nine."""


@pytest.fixture
def urls() -> Iterator[tuple[str, str]]:
    """A database by itself, and through PgBouncer."""
    with ExitStack() as stack:
        url = stack.enter_context(postgres.cluster())
        yield url, stack.enter_context(pgbouncer.bouncing(url, POOL))


async def test_a_load_pushes_and_take_overs(urls: tuple[str, str], measured: Callable[[str], None]) -> None:
    """A first load, pushes, the leader killed amid them, then stopped: nothing is lost, and all is equal."""
    url, bounced = urls
    async with standing({"Contact": 300, "Lead": 100}, interval="2s") as rig:
        await rig.install_package()
        nodes = Nodes(rig, bounced)
        first = await (await nodes.launch("a")).ready()
        await first.live()
        await nodes.leads("a", 5.0)
        await (await nodes.launch("b")).ready()
        await rig.org.control("activity", {"rate": 20, "objects": list(rig.objects), "seed": 4})
        await eventually(
            lambda: _has(url, "SELECT count(*) > 40 FROM rts._rts_journal WHERE source='push'"), "pushes"
        )
        await nodes.running["a"].kill()
        assert (await nodes.leads("b", 15.0)).node is not None
        await (await nodes.launch("a")).ready()
        assert await nodes.running["b"].terminate() == 0
        await nodes.leads("a", 5.0)
        await rig.org.control("activity", method="DELETE")
        await rig.org.control("package/drain")
        await nodes.running["a"].settled()
        await eventually(lambda: _equal(nodes), "mirror and org are equal", 60)
        ((clients, epochs),) = rows(
            url,
            "SELECT count(*), (SELECT epoch FROM rts._rts_lease) FROM pg_stat_activity"
            " WHERE datname = 'mirrors' AND pid <> pg_backend_pid()",
        )
        assert clients <= POOL
        assert epochs == 3
        measured(f"behind PgBouncer: {clients} connections to the server, epoch {epochs}")


async def test_a_move_there_and_back(urls: tuple[str, str], tmp_path: Any) -> None:
    """Also a move needs no session: the same content comes back."""
    names: dict[str, Any] = {"schema": "salesforce", "internal_schema": "rts", "node": "a", "settings": {}}
    path, back = tmp_path / "mirror.db", tmp_path / "back.db"
    await make(SqliteEngine(path))
    engine = PostgresEngine(Server.of(urls[1]), state=tmp_path, **names)
    await moved(SqliteEngine(path), engine)
    await moved(engine, SqliteEngine(back))
    assert content(back) == content(path)


def rows(url: str, statement: str) -> list[Any]:
    """Query the database itself."""
    with psycopg.connect(url) as connection:
        return connection.execute(statement.encode()).fetchall()


async def _has(url: str, statement: str) -> bool:
    return bool(rows(url, statement)[0][0])


async def _equal(nodes: Nodes) -> bool:
    return not await nodes.differences()
