"""Moves that are refused, and those that were killed: the source is as it was, and the target no mirror."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from rtsd.errors import (
    AnotherInstance,
    Conflict,
    ForeignDatabase,
    NewerDatabase,
    RtsError,
    StoreError,
    UnfinishedMove,
    UsageError,
)
from rtsd.store.engine import Engine
from rtsd.store.sqlite.engine import SqliteEngine
from rtsd.store.sqlite.library import pysqlite3
from rtsd.store.sqlite.moving import SqliteTarget
from rtsd.workflows.move import move
from tests.support.life import (
    living,
)
from tests.support.moved import digests, make, moved, opened
from tests.support.postgres import PostgresMirror


async def test_a_running_rtsd_is_in_the_way(path: Path, place: PostgresMirror) -> None:
    """On either engine, as a source and as a target; nothing is made beside it."""
    there = place.engine()
    free, beside = PostgresMirror(path.with_name("other.db")), path.with_name("new.db")
    async with living(SqliteEngine(path)), living(there):
        with pytest.raises(AnotherInstance, match="another rtsd is using"):
            await moved(SqliteEngine(path), free.engine())
        with pytest.raises(AnotherInstance, match=r"rtsd is running on .* node test"):
            await moved(place.engine(), SqliteEngine(beside))
        with pytest.raises(RtsError):
            await moved(SqliteEngine(beside), place.engine())
    assert not beside.exists()
    assert not await free.engine().exists()


async def test_a_node_that_ran_meanwhile_is_seen(
    path: Path, place: PostgresMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have taken pushes that the copy does not have."""
    await make(place.engine())
    set_numbers = SqliteTarget.set_numbers

    async def meanwhile(self: SqliteTarget, numbers: Any) -> None:
        await set_numbers(self, numbers)
        with place.connected() as connection:
            connection.execute(
                f"INSERT INTO {place.internal}._rts_node"
                " VALUES ('late', 'x', clock_timestamp(), clock_timestamp())"
            )

    monkeypatch.setattr(SqliteTarget, "set_numbers", meanwhile)
    with pytest.raises(AnotherInstance, match=r"ran meanwhile.*late"):
        await moved(place.engine(), SqliteEngine(path))
    with pytest.raises(UnfinishedMove):
        await SqliteEngine(path).open()


async def _mirror_there(path: Path, place: PostgresMirror) -> None:
    await opened(place.engine())


async def _tables_there(path: Path, place: PostgresMirror) -> None:
    with place.connected() as connection:
        connection.execute(f"CREATE SCHEMA {place.schema} CREATE TABLE invoices (id int)".encode())


async def _newer_there(path: Path, place: PostgresMirror) -> None:
    await opened(place.engine())
    with place.connected() as connection:
        connection.execute(
            f"UPDATE {place.internal}._rts_meta SET value='99' WHERE key='schema version'".encode()
        )


async def _older_here(path: Path, place: PostgresMirror) -> None:
    connection = pysqlite3.connect(path)
    connection.execute("PRAGMA user_version=11")
    connection.close()


async def _half_private(path: Path, place: PostgresMirror) -> None:
    with pysqlite3.connect(path) as connection:
        connection.execute("INSERT INTO _rts_meta VALUES ('privacy change', '{}')")
    connection.close()


@pytest.mark.parametrize(
    ("arrange", "error", "do"),
    [
        (_mirror_there, Conflict, "other schemas"),
        (_tables_there, ForeignDatabase, "another schema"),
        (_newer_there, NewerDatabase, "newer version"),
        (_older_here, StoreError, "start there once"),
        (_half_private, Conflict, "start there once"),
    ],
)
async def test_what_cannot_be_moved_is_refused(
    path: Path, place: PostgresMirror, arrange: Callable[..., Any], error: type[RtsError], do: str
) -> None:
    """With what to do; the source is as it was."""
    await opened(SqliteEngine(path))
    await arrange(path, place)
    before = digests(path)
    with pytest.raises(error) as caught:
        await moved(SqliteEngine(path), place.engine())
    assert do in caught.value.do
    assert digests(path) == before


async def test_a_file_that_is_there_is_no_target(path: Path, place: PostgresMirror) -> None:
    """Neither a mirror, nor the inbox of one, nor what another program left."""
    await opened(place.engine())
    await opened(SqliteEngine(path))
    with pytest.raises(Conflict):
        await moved(place.engine(), SqliteEngine(path))
    os.remove(path)  # noqa: PTH107 - in a loop that does nothing else
    with pytest.raises(RtsError, match="inbox"):
        await moved(place.engine(), SqliteEngine(path))
    other = path.with_name("other.db")
    other.touch(mode=0o600)
    connection = pysqlite3.connect(other)
    connection.execute("CREATE TABLE x (y)")
    connection.close()
    with pytest.raises(ForeignDatabase):
        await moved(place.engine(), SqliteEngine(other))


async def test_stores_of_one_kind_have_tools_of_their_own(path: Path, place: PostgresMirror) -> None:
    """It says which."""
    with pytest.raises(UsageError, match="rtsd backup"):
        await move(SqliteEngine(path), SqliteEngine(path.with_name("b.db")), lambda *_: None)


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from rtsd.store.postgres import moving as there
from rtsd.store.sqlite import moving as here
from rtsd.store.sqlite.engine import SqliteEngine
from tests.support.moved import moved
from tests.support.postgres import PostgresMirror
path, kind, turn = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
target = there.PostgresTarget if kind == "there" else here.SqliteTarget
turns = 0
def killing(name):
    work = getattr(target, name)
    async def wrapped(self, *arguments):
        global turns
        turns += 1
        if turns == turn or (turn == 0 and name == "finish"):
            os.kill(os.getpid(), signal.SIGKILL)
        await work(self, *arguments)
    target_attributes[name] = wrapped
target_attributes = {}
for name in ("put", "put_meta", "execute", "set_numbers", "finish"):
    killing(name)
for name, wrapped in target_attributes.items():
    setattr(target, name, wrapped)
engines = (SqliteEngine(path), PostgresMirror(path).engine())
asyncio.run(moved(*(engines if kind == "there" else reversed(engines))))
"""


@pytest.mark.parametrize("turn", [1, 9, 0], ids=["at the begin", "in the middle", "before the end"])
@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
async def test_a_killed_move_leaves_a_source_and_no_mirror(
    path: Path,
    place: PostgresMirror,
    turn: int,
    back: bool,  # noqa: FBT001
) -> None:
    """SIGKILL: what is left is refused by name and with what to do, which then works."""
    engines: tuple[Engine, Engine] = (SqliteEngine(path), place.engine())
    origin, destination = reversed(engines) if back else engines
    await make(origin)
    before = place.content() if back else digests(path)
    command = [sys.executable, "-c", KILLED, str(path), "back" if back else "there", str(turn)]
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )
    assert await process.wait() == -signal.SIGKILL
    assert (place.content() if back else digests(path)) == before
    attempts: list[Callable[[], Awaitable[object]]] = [destination.open, lambda: moved(origin, destination)]
    if not back:  # in a file it looks for views alone
        attempts.append(lambda: destination.check({}, []))
    for attempt in attempts:
        with pytest.raises(UnfinishedMove) as caught:
            await attempt()
        assert origin.name in caught.value.message
    if back:
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()
    else:
        with place.connected() as connection:
            statements = caught.value.do.partition("run: ")[2].partition(", then")[0]
            connection.execute(statements.encode())
    await moved(origin, destination)
    await opened(destination)
