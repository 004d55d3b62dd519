"""Moves that are refused, and those that were killed: the source is as it was, and the target no mirror."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
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
from rtsd.store.moving.sides import Begin
from rtsd.store.sqlite.engine import SqliteEngine
from rtsd.store.sqlite.library import pysqlite3
from rtsd.store.sqlite.moving import SqliteTarget
from rtsd.workflows.move import move
from tests.support.life import FIELDS, Step, living
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


@dataclass(frozen=True)
class Killed:
    """A move that was killed."""

    origin: Engine
    destination: Engine
    path: Path
    place: PostgresMirror
    is_back: bool

    def source_content(self) -> object:
        """Return every byte of the source."""
        return self.place.content() if self.is_back else digests(self.path)

    async def remove_by_hand(self, do: str) -> None:
        """Do what the error says."""
        if self.is_back:
            for file in self.path.parent.glob(f"{self.path.name}*"):
                file.unlink()
            return
        with self.place.connected() as connection:
            connection.execute(do.partition("run: ")[2].partition(", then")[0].encode())


@pytest.fixture(params=[False, True], ids=["there", "back"])
async def killed(
    request: pytest.FixtureRequest, path: Path, place: PostgresMirror
) -> Callable[[int], Awaitable[Killed]]:
    """Kills a move at a turn of its target's work, 0 for the last."""

    async def kill(turn: int) -> Killed:
        engines: tuple[Engine, Engine] = (SqliteEngine(path), place.engine())
        origin, destination = reversed(engines) if request.param else engines
        made = Killed(origin, destination, path, place, request.param)
        await make(origin)
        before = made.source_content()
        command = [sys.executable, "-c", KILLED, str(path), "back" if made.is_back else "there", str(turn)]
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
        )
        assert await process.wait() == -signal.SIGKILL
        assert made.source_content() == before
        return made

    return kill


Kill = Callable[[int], Awaitable[Killed]]


@pytest.mark.parametrize("turn", [1, 9, 0], ids=["at the begin", "in the middle", "before the end"])
async def test_a_killed_move_leaves_a_source_and_no_mirror(killed: Kill, turn: int) -> None:
    """SIGKILL: what is left is refused by name and with what to do, which then works."""
    left = await killed(turn)
    origin, destination = left.origin, left.destination
    attempts: list[Callable[[], Awaitable[object]]] = [destination.open, lambda: moved(origin, destination)]
    if not left.is_back:  # in a file it looks for views alone
        attempts.append(lambda: destination.check({}, []))
    for attempt in attempts:
        with pytest.raises(UnfinishedMove) as caught:
            await attempt()
        assert origin.name in caught.value.message
    await left.remove_by_hand(caught.value.do)
    await moved(origin, destination)
    await opened(destination)


@pytest.mark.parametrize("turn", [1, 9, 30, 0])
@pytest.mark.parametrize("begin", [Begin.RESUME, Begin.REPLACE])
async def test_a_killed_move_goes_on_or_begins_again(killed: Kill, turn: int, begin: Begin) -> None:
    """It says what is there; then all is equal, and what was there is copied again only on request."""
    left = await killed(turn)
    with pytest.raises(UnfinishedMove, match=r"it has \d+ journal entr.* of \d+ object") as caught:
        await move(left.origin, left.destination, lambda *_: None)
    assert "--resume to go on, or with --replace" in caught.value.do
    copied: dict[str, int] = {}

    def tell(verb: str, what: str, rows: int, _total: int | None) -> None:
        if verb == "copying":
            copied.setdefault(what, rows)

    found = await moved(left.origin, left.destination, begin, tell)
    assert found.rows["Thing1__c"] > 3
    if turn == 0:
        assert ("_rts_journal" in copied) == (begin is Begin.REPLACE)
        assert ("Thing1__c" in copied) == (begin is Begin.REPLACE)
    await opened(left.destination)


async def test_a_source_that_ran_since_is_not_resumed(killed: Kill) -> None:
    """What was copied may be old by now."""
    left = await killed(9)
    async with living(left.origin) as life:
        await life.begin("Other__c")
        await life.play([Step("push", 0, 0, dict.fromkeys(FIELDS))])
    if left.is_back:  # its node counts as dead later
        with left.place.connected() as connection:
            connection.execute(f"DELETE FROM {left.place.internal}._rts_node".encode())
    with pytest.raises(Conflict, match=r"ran on .* since"):
        await moved(left.origin, left.destination, Begin.RESUME)
    await moved(left.origin, left.destination, Begin.REPLACE)


@pytest.mark.parametrize("begin", [Begin.RESUME, Begin.REPLACE])
async def test_only_an_unfinished_move_is_touched(path: Path, place: PostgresMirror, begin: Begin) -> None:
    """Neither a mirror nor somebody's tables are, whatever one asks for; and nothing can be resumed there."""
    await opened(SqliteEngine(path))
    await opened(place.engine())
    before, there = digests(path), place.content()
    for origin, destination in ((SqliteEngine(path), place.engine()), (place.engine(), SqliteEngine(path))):
        with pytest.raises((Conflict, AnotherInstance)):
            await moved(origin, destination, begin)
    assert digests(path) == before
    assert place.content() == there


async def test_a_table_of_a_user_survives_a_replacement(killed: Kill) -> None:
    """It is not the move's; the move says that it is in the way."""
    left = await killed(9)
    if left.is_back:
        return
    with left.place.connected() as connection:
        connection.execute(f"CREATE TABLE {left.place.schema}.invoices (id int)".encode())
    with pytest.raises(ForeignDatabase):
        await moved(left.origin, left.destination, Begin.REPLACE)
    assert left.place.sql(f"SELECT count(*) FROM {left.place.schema}.invoices") == [(0,)]


async def test_a_move_from_elsewhere_is_not_resumed(killed: Kill) -> None:
    """It would mix two mirrors."""
    left = await killed(9)
    async with left.destination.as_target("elsewhere", Begin.REPLACE):
        pass
    with pytest.raises(Conflict, match="is from elsewhere, not from"):
        await moved(left.origin, left.destination, Begin.RESUME)
