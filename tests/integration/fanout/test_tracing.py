"""The work of finding the values that records had: it grows with the backlog, not with its square."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from rtsd.fanout import checkpoints
from rtsd.fanout.changes import Changes, RecordChange
from rtsd.store import journal
from rtsd.store.database import Database
from tests.support.life import FIELDS, Step, living, record_id
from tests.support.mirror import mirror_at

EMPTY = dict.fromkeys(FIELDS)
PAGE = 20


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small backlog is to this what a large one is to the defaults."""
    monkeypatch.setattr(checkpoints, "SHORTEST", 20)
    monkeypatch.setattr(checkpoints, "WORTH", 10)
    monkeypatch.setattr(checkpoints, "PARTS", 24)


def updates(records: Iterable[int], begin: int, end: int) -> list[Step]:
    """One change of each record a second, with its number as a value."""
    return [
        Step("push", record, number * 1_000, {**EMPTY, "Text__c": f"{number}"})
        for number in range(begin, end)
        for record in records
    ]


async def read(database: Database, size: int = PAGE) -> tuple[list[RecordChange], Changes]:
    """Read the whole journal, page by page."""
    changes, found = Changes(database), list[RecordChange]()
    newest = await journal.newest_seq(database)
    while page := await changes.after(found[-1].entry.seq if found else 0, newest, size):
        found += page
    return found, changes


@pytest.mark.parametrize("records", [1, 3])
async def test_the_work_grows_with_the_backlog(tmp_path: Path, records: int) -> None:
    """The same bound for each change of a backlog four times as long; and each has its values."""
    async with living(mirror_at(tmp_path / "mirror.db").engine()) as life:
        await life.begin("Thing")
        for done, length in ((0, 300), (300, 1_200)):
            await life.play(updates(range(records), done, length))
            found, changes = await read(life.database)
            for record in range(records):
                of_it = [change for change in found if change.record == ("Thing", record_id(record))]
                texts = [str(number) for number in range(length)]
                assert [change.after and change.after["Text__c"] for change in of_it] == texts
                assert [change.before and change.before["Text__c"] for change in of_it] == [None, *texts[:-1]]
            assert changes.undone <= 5 * len(found), "or every page undoes all that came later"


async def test_a_changed_table_begins_anew(tmp_path: Path) -> None:
    """What was kept of an object has the columns that it had then."""
    async with living(mirror_at(tmp_path / "mirror.db").engine()) as life:
        await life.begin("Thing")
        await life.play(updates([0], 0, 200))
        changes, newest = Changes(life.database), await journal.newest_seq(life.database)
        first = await changes.after(0, newest, PAGE)
        await life.play([Step("describe", 0, 0, EMPTY)])
        second = await changes.after(first[-1].entry.seq, newest, PAGE)
        assert first[-1].after is not None
        assert second[-1].after is not None
        assert set(second[-1].after) - set(first[-1].after) == {"Later__c"}


async def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for few, more is undone; what is read is the same."""
    async with living(mirror_at(tmp_path / "mirror.db").engine()) as life:
        await life.begin("Thing")
        await life.play(updates([0, 1], 0, 150))
        found, changes = await read(life.database)
        monkeypatch.setattr(checkpoints, "MOST", 1)
        again, harder = await read(life.database)
        assert again == found
        assert harder.undone > changes.undone
