"""The inbox: a push is on the disk before anybody is told so."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from rtsd.core.privacy import MaskedPush
from rtsd.errors import CannotCommit
from rtsd.services import repeat
from rtsd.store import inbox
from rtsd.store.database import Database
from rtsd.store.inbox import MAX_GROUP, MAX_WAITING, Arrival, Inbox
from rtsd.store.sqlite import pysqlite3
from tests.support.full_disk import limit_pages


def arrival(name: str, body: bytes = b"{}") -> Arrival:
    """A push on its way in."""
    return Arrival(name, 1_772_359_200_000, MaskedPush(body))


def on_disk(database: Database) -> Callable[[], set[str]]:
    """The committed ids, as another process would see them."""
    other = pysqlite3.connect(f"file:{database.path}?mode=ro", uri=True)
    return lambda: {row[0] for row in other.execute("SELECT webhook_id FROM _rts_inbox")}


@asynccontextmanager
async def running(box: Inbox) -> AsyncIterator[None]:
    """Its loop."""
    task = asyncio.create_task(repeat(box, box.step))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def appended(box: Inbox, *arrivals: Arrival) -> list[bool | BaseException]:
    """Append some at once, and step until all are answered."""
    tasks = [asyncio.create_task(box.append(push)) for push in arrivals]
    await asyncio.sleep(0)
    while not all(task.done() for task in tasks):
        await box.commit()
        await asyncio.sleep(0)
    return [task.exception() or task.result() for task in tasks]


async def test_append_returns_only_after_the_commit(database: Database) -> None:
    """Charter 1: while the commit is not through, nobody has an answer; when they have, it is on the disk."""
    box, committed = Inbox(database), on_disk(database)
    answered: list[str] = []

    async def push(name: str) -> None:
        await box.append(arrival(name))
        assert name in committed(), "answered before the commit"
        answered.append(name)

    async with running(box):
        await asyncio.gather(*(push(f"m{number}") for number in range(50)))
    assert len(answered) == 50


async def test_while_the_disk_is_busy_nobody_is_answered(database: Database) -> None:
    """The writer's turn is taken: the append waits as long."""
    box = Inbox(database)
    async with running(box):
        async with database.transaction():
            push = asyncio.create_task(box.append(arrival("m1")))
            for _ in range(20):
                await asyncio.sleep(0)
            assert not push.done()
        assert await push


async def test_one_commit_for_all_that_came_meanwhile(database: Database) -> None:
    """Group commit: the disk is asked once for many, at most for MAX_GROUP."""
    box = Inbox(database)
    tasks = [asyncio.create_task(box.append(arrival(f"m{number}"))) for number in range(MAX_GROUP + 10)]
    await asyncio.sleep(0)
    assert await box.commit() == MAX_GROUP
    assert await box.commit() == 10
    assert await asyncio.gather(*tasks) == [True] * (MAX_GROUP + 10)


async def test_the_same_id_is_taken_once(database: Database) -> None:
    """In one group, in the next, and after a restart: one entry, and the truth about it."""
    box = Inbox(database)
    assert await appended(box, arrival("a"), arrival("b"), arrival("a", b"other")) == [True, True, False]
    assert await appended(box, arrival("b"), arrival("c")) == [False, True]
    again = Inbox(database)
    assert await appended(again, arrival("a")) == [False]
    entries = await inbox.pending(database, 10)
    assert [(entry.webhook_id, entry.body) for entry in entries] == [("a", b"{}"), ("b", b"{}"), ("c", b"{}")]


async def test_an_applied_push_is_remembered_until_it_is_purged(database: Database) -> None:
    """Charter 13: a retry after the five minutes, or days later, is a duplicate."""
    box = Inbox(database)
    await appended(box, arrival("a"), arrival("b"))
    entries = await inbox.pending(database, 10)
    async with database.transaction() as tx:
        await inbox.settle(tx, entries[:1])
    assert await appended(box, arrival("a")) == [False]
    assert database.counts.pending == 1
    async with database.transaction() as tx:
        assert await inbox.purge(tx, 1_772_359_200_001, 10) == 1
    assert await appended(box, arrival("a"), arrival("b")) == [True, False]


async def test_a_crowd_is_turned_away_at_once(database: Database) -> None:
    """Backpressure: beyond MAX_WAITING nobody is kept waiting, and those who wait are served."""
    box = Inbox(database)
    waiting = [asyncio.create_task(box.append(arrival(f"m{number}"))) for number in range(MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(CannotCommit) as caught:
        await box.append(arrival("one too many"))
    assert caught.value.retry_after_s > 0
    async with running(box):
        assert all(await asyncio.gather(*waiting))
    assert database.counts.pending == MAX_WAITING


async def test_a_failing_commit_keeps_nothing_and_says_so(database: Database) -> None:
    """Charter 5: everybody in the group hears CannotCommit, nothing is on the disk, and the loop lives on."""
    box, committed = Inbox(database), on_disk(database)
    await appended(box, arrival("before"))
    ((pages,),) = await database.fetch("PRAGMA page_count")
    await limit_pages(database, pages)
    async with running(box):
        found = await asyncio.gather(
            *(box.append(arrival(f"m{number}", b"x" * 50_000)) for number in range(5)), return_exceptions=True
        )
        assert [type(answer) for answer in found] == [CannotCommit] * 5
        assert committed() == {"before"}
        await limit_pages(database)
        assert await box.append(arrival("m1", b"x" * 50_000))
    assert committed() == {"before", "m1"}


async def test_who_goes_away_takes_nobody_along(database: Database) -> None:
    """A sender that hangs up does not undo its own push, nor its neighbours'."""
    box = Inbox(database)
    leaving, neighbour = (
        asyncio.create_task(box.append(arrival("a"))),
        asyncio.create_task(box.append(arrival("b"))),
    )
    await asyncio.sleep(0)
    leaving.cancel()
    await box.commit()
    assert await neighbour
    assert on_disk(database)() == {"a", "b"}


async def test_a_stop_answers_nobody_wrongly(database: Database) -> None:
    """Ended amid a group: no 200 for what may not be on the disk."""
    box = Inbox(database)
    async with database.transaction():
        push = asyncio.create_task(box.append(arrival("a")))
        async with running(box):
            for _ in range(5):
                await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await push
    assert on_disk(database)() == set()


async def test_order_is_the_order_of_arrival(database: Database) -> None:
    """Oldest first, also after a restart."""
    box = Inbox(database)
    for group in (["c", "a"], ["b"]):
        await appended(box, *(arrival(name) for name in group))
    assert [entry.webhook_id for entry in await inbox.pending(database, 10)] == ["c", "a", "b"]
    assert [entry.webhook_id for entry in await inbox.pending(database, 1)] == ["c"]


def test_it_survives_a_kill(tmp_path: Path) -> None:
    """What was answered is there after SIGKILL of the process, uncheckpointed."""
    code = (
        "import asyncio, os, sys; from pathlib import Path\n"
        "from rtsd.services import repeat\n"
        "from rtsd.store.database import Database; from rtsd.store.inbox import Arrival, Inbox\n"
        "async def main():\n"
        "    box = Inbox(await Database.open(Path(sys.argv[1])))\n"
        "    task = asyncio.create_task(repeat(box, box.step))\n"
        "    for n in range(20): await box.append(Arrival(f'm{n}', 0, b'{}'))\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())"
    )
    path = tmp_path / "mirror.db"
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    assert asyncio.run(pending_in(path)) == 20


async def pending_in(path: Path) -> int:
    """How many pushes wait in a database."""
    async with await Database.open(path) as database:
        return database.counts.pending


async def test_nobody_waits_for_an_inbox_that_has_ended(database: Database) -> None:
    """What still waits when its loop ends is refused, and so is what comes after; none of it is kept."""
    box, committed = Inbox(database), on_disk(database)
    async with database.transaction():  # the first group can't be committed now
        loop = asyncio.create_task(repeat(box, box.step))
        first = asyncio.create_task(box.append(arrival("first")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        second = asyncio.create_task(box.append(arrival("second")))
        await asyncio.sleep(0)
        loop.cancel()
        async with asyncio.timeout(5):
            await asyncio.wait([loop, first, second])
    assert first.cancelled()
    assert isinstance(second.exception(), CannotCommit)
    with pytest.raises(CannotCommit):
        await box.append(arrival("third"))
    assert committed() == set()
