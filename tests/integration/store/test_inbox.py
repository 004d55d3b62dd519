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
from rtsd.store import pushes, recent_pushes
from rtsd.store.database import Database
from rtsd.store.inbox import MAX_GROUP, MAX_WAITING, Arrival, Inbox
from rtsd.store.pushes import Entry
from rtsd.store.sqlite import inbox_file
from tests.support.full_disk import fill_disk, free_disk
from tests.support.mirror import mirror_at, sqlite_only
from tests.support.store import opened, restored
from tests.support.waiting import eventually


def arrival(name: str, body: bytes = b"{}") -> Arrival:
    """A push on its way in."""
    return Arrival(name, 1_772_359_200_000, MaskedPush(body))


@pytest.fixture
def committed(tmp_path: Path) -> Callable[[], set[str]]:
    """The committed ids, as another process would see them."""
    mirror = mirror_at(tmp_path / "mirror.db")
    return lambda: {row[0] for row in mirror.received("SELECT webhook_id FROM _rts_push_id")}


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


async def apply(database: Database, box: Inbox, count: int) -> None:
    """Mark the oldest as applied."""
    async with database.transaction() as tx:
        await box.mark_applied(tx, (await box.oldest())[:count])


async def waiting_in(box: Inbox) -> int:
    """How many bodies are in the file."""
    ((count,),) = await box.file.fetch("SELECT COUNT(*) FROM _rts_inbox")
    return int(count)


async def test_append_returns_only_after_the_commit(box: Inbox, committed: Callable[[], set[str]]) -> None:
    """Charter 1: while the commit is not through, nobody has an answer; when they have, it is on the disk."""
    answered: list[str] = []

    async def push(name: str) -> None:
        await box.append(arrival(name))
        assert name in committed(), "answered before the commit"
        answered.append(name)

    async with running(box):
        await asyncio.gather(*(push(f"m{number}") for number in range(50)))
    assert len(answered) == 50


async def test_while_the_disk_is_busy_nobody_is_answered(box: Inbox) -> None:
    """The writer's turn is taken: the append waits as long."""
    async with running(box):
        async with box.file.transaction():
            push = asyncio.create_task(box.append(arrival("m1")))
            for _ in range(20):
                await asyncio.sleep(0)
            assert not push.done()
        assert await push


async def test_one_commit_for_all_that_came_meanwhile(box: Inbox) -> None:
    """Group commit: the disk is asked once for many, at most for MAX_GROUP."""
    tasks = [asyncio.create_task(box.append(arrival(f"m{number}"))) for number in range(MAX_GROUP + 10)]
    await asyncio.sleep(0)
    assert await box.commit() == MAX_GROUP
    assert await box.commit() == 10
    assert await asyncio.gather(*tasks) == [True] * (MAX_GROUP + 10)


async def test_the_same_id_is_taken_once(database: Database, box: Inbox, tmp_path: Path) -> None:
    """In one group, in the next, and after a restart: one entry, and the truth about it."""
    assert await appended(box, arrival("a"), arrival("b"), arrival("a", b"other")) == [True, True, False]
    assert await appended(box, arrival("b"), arrival("c")) == [False, True]
    again = await restored(database, tmp_path / "mirror.db")
    assert await appended(again, arrival("a")) == [False]
    found = [(entry.webhook_id, entry.push.body) for entry in await again.oldest()]
    await again.file.close()
    assert found == [("a", b"{}"), ("b", b"{}"), ("c", b"{}")]


async def test_memory_and_file_give_the_same_pushes(
    database: Database, box: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fits is kept in memory, the rest is read from the file: each once, in order."""
    monkeypatch.setattr(recent_pushes, "MOST_KEPT", 4)
    names = [f"m{number}" for number in range(7)]
    await appended(box, *map(arrival, names[:3]))
    assert await box.oldest() == (await box.oldest()) != []
    given: list[str] = []
    while entries := await box.oldest():
        given += [entry.webhook_id for entry in entries]
        async with database.transaction() as tx:
            await box.mark_applied(tx, entries)
        if len(given) < 4:
            await appended(box, *map(arrival, names[3:]))
    assert given == names


def test_what_is_applied_makes_room_in_memory() -> None:
    """However many pushes came before, the next ones are kept."""
    found = recent_pushes.RecentPushes()
    large = MaskedPush(bytes(recent_pushes.MOST_KEPT // 2))
    for seq in range(1, 8):
        found.add([Entry(seq, f"m{seq}", 0, large)])
        assert [entry.seq for entry in found.after(seq - 1)] == [seq]
        found.forget(seq)


async def test_an_applied_push_is_remembered_until_it_is_purged(database: Database, box: Inbox) -> None:
    """Charter 13: a retry after the five minutes, or days later, is a duplicate."""
    await appended(box, arrival("a"), arrival("b"))
    await apply(database, box, 1)
    assert await appended(box, arrival("a")) == [False]
    assert box.pending == 1
    assert await box.purge(1_772_359_200_001, 1) == 1
    assert await appended(box, arrival("a"), arrival("b")) == [True, False]


async def test_a_push_does_not_wait_for_the_mirror(
    database: Database, box: Inbox, committed: Callable[[], set[str]]
) -> None:
    """A load or a long apply holds the mirror's writer: pushes are committed meanwhile."""
    async with running(box), database.transaction():
        async with asyncio.timeout(10):
            assert await box.append(arrival("a"))
        assert committed() == {"a"}


@sqlite_only("a push leaves the inbox of PostgreSQL in the transaction that applies it")
async def test_what_is_applied_goes_with_a_later_commit(
    database: Database, box: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Soon, and without a commit of its own while pushes arrive."""
    for number in range(3):
        await appended(box, *(arrival(f"{number}-{place}") for place in range(MAX_GROUP)))
    await apply(database, box, MAX_GROUP)
    assert await waiting_in(box) == 3 * MAX_GROUP
    await appended(box, arrival("one more"))
    assert await waiting_in(box) == 2 * MAX_GROUP + 1
    with monkeypatch.context() as patch:
        patch.setattr(inbox_file, "SETTLE_EVERY_S", 60.0)
        await apply(database, box, MAX_GROUP)
        assert await box.step() > 0.0
        assert await waiting_in(box) == 2 * MAX_GROUP + 1
    while box.pending:
        await apply(database, box, MAX_GROUP)

    async def emptied() -> bool:
        return await waiting_in(box) == 0

    async with running(box):
        await eventually(emptied, "the inbox is empty")


async def test_an_apply_that_is_rolled_back_keeps_its_pushes(database: Database, box: Inbox) -> None:
    """The number is written with the changes, or not at all."""
    await appended(box, arrival("a"), arrival("b"))
    with suppress(ZeroDivisionError):
        async with database.transaction() as tx:
            await box.mark_applied(tx, await box.oldest())
            raise ZeroDivisionError
    assert [entry.webhook_id for entry in await box.oldest()] == ["a", "b"]
    assert box.pending == 2


async def test_the_oldest_are_bounded_by_their_bytes(database: Database, box: Inbox) -> None:
    """A transaction of the mirror ends after a megabyte; one push alone may be larger."""
    sizes = (pushes.MOST_BYTES + 1, pushes.MOST_BYTES // 2, pushes.MOST_BYTES // 2, 1, 1)
    await appended(box, *(arrival(f"{number}", b"x" * size) for number, size in enumerate(sizes)))
    found = []
    while entries := await box.oldest():
        found.append([entry.webhook_id for entry in entries])
        async with database.transaction() as tx:
            await box.mark_applied(tx, entries)
    assert found == [["0"], ["1", "2"], ["3", "4"]]


async def test_a_crowd_is_turned_away_at_once(box: Inbox) -> None:
    """Backpressure: beyond MAX_WAITING nobody is kept waiting, and those who wait are served."""
    waiting = [asyncio.create_task(box.append(arrival(f"m{number}"))) for number in range(MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(CannotCommit) as caught:
        await box.append(arrival("one too many"))
    assert caught.value.retry_after_s > 0
    async with running(box):
        assert all(await asyncio.gather(*waiting))
    assert box.pending == MAX_WAITING


async def test_a_failing_commit_keeps_nothing_and_says_so(
    box: Inbox, committed: Callable[[], set[str]]
) -> None:
    """Charter 5: everybody in the group hears CannotCommit, nothing is on the disk, and the loop lives on."""
    await appended(box, arrival("before"))
    await fill_disk(box.file, "_rts_inbox")
    async with running(box):
        found = await asyncio.gather(
            *(box.append(arrival(f"m{number}", b"x" * 50_000)) for number in range(5)), return_exceptions=True
        )
        assert [type(answer) for answer in found] == [CannotCommit] * 5
        assert committed() == {"before"}
        await free_disk(box.file, "_rts_inbox")
        assert await box.append(arrival("m1", b"x" * 50_000))
    assert committed() == {"before", "m1"}


async def test_who_goes_away_takes_nobody_along(box: Inbox, committed: Callable[[], set[str]]) -> None:
    """A sender that hangs up does not undo its own push, nor its neighbours'."""
    leaving, neighbour = (
        asyncio.create_task(box.append(arrival("a"))),
        asyncio.create_task(box.append(arrival("b"))),
    )
    await asyncio.sleep(0)
    leaving.cancel()
    await box.commit()
    assert await neighbour
    assert committed() == {"a", "b"}


async def test_a_stop_answers_nobody_wrongly(box: Inbox, committed: Callable[[], set[str]]) -> None:
    """Ended amid a group: no 200 for what may not be on the disk."""
    async with box.file.transaction():
        push = asyncio.create_task(box.append(arrival("a")))
        async with running(box):
            for _ in range(5):
                await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await push
    assert committed() == set()


async def test_a_database_that_hangs_is_not_waited_for(box: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A push is refused in time, later ones at once, and health shows it; once it goes on, all are taken."""
    monkeypatch.setattr("rtsd.store.inbox.ANSWER_S", 0.2)
    async with running(box):
        async with box.file.alone():
            with pytest.raises(CannotCommit, match="has not answered"):
                await box.append(arrival("a"))
            monkeypatch.undo()
            assert box.file.failure
            async with asyncio.timeout(1):
                with pytest.raises(CannotCommit, match="has not answered"):
                    await box.append(arrival("b"))

        async def taken() -> bool:
            with suppress(CannotCommit):
                return await box.append(arrival("b"))
            return False

        await eventually(taken, "pushes are taken again")
        assert not box.file.failure
        assert await box.append(arrival("a")) is False


async def test_order_is_the_order_of_arrival(box: Inbox) -> None:
    """Oldest first, also after a restart."""
    for group in (["c", "a"], ["b"]):
        await appended(box, *(arrival(name) for name in group))
    assert [entry.webhook_id for entry in await box.oldest()] == ["c", "a", "b"]


def test_it_survives_a_kill(tmp_path: Path) -> None:
    """What was answered is there after SIGKILL of the process, uncheckpointed."""
    code = (
        "import asyncio, os, sys; from pathlib import Path\n"
        "from rtsd.core.privacy import MaskedPush; from rtsd.services import repeat\n"
        "from rtsd.store.inbox import Arrival; from tests.support.store import opened\n"
        "async def main():\n"
        "    async with opened(Path(sys.argv[1])) as (database, box):\n"
        "        task = asyncio.create_task(repeat(box, box.step))\n"
        "        for n in range(20): await box.append(Arrival(f'm{n}', 0, MaskedPush(b'{}')))\n"
        "        os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())"
    )
    path = tmp_path / "mirror.db"
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    assert asyncio.run(pending_in(path)) == 20


async def pending_in(path: Path) -> int:
    """How many pushes wait for a mirror."""
    async with opened(path) as (_, box):
        return box.pending


async def test_nobody_waits_for_an_inbox_that_has_ended(
    box: Inbox, committed: Callable[[], set[str]]
) -> None:
    """What still waits when its loop ends is refused, and so is what comes after; none of it is kept."""
    async with box.file.transaction():  # the first group can't be committed now
        first = asyncio.create_task(box.append(arrival("first")))
        await asyncio.sleep(0)
        loop = asyncio.create_task(repeat(box, box.step))
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
