"""Reading the journal: what is asked for costs what it has, however long the journal is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rtsd.core.instant import to_iso
from rtsd.store import journal
from rtsd.store.database import Database
from rtsd.store.journal import Chosen, Journal, Note
from rtsd.store.sqlite.library import pysqlite3
from tests.support.mirror import sqlite_only

ENTRIES = 5_000
START = 1_772_359_200_000
LATE = ENTRIES - 50
SINCE = to_iso(START + (LATE + 1) * 1_000)
READS: dict[str, Callable[[Database], Awaitable[list[Any]]]] = {
    "a page": lambda database: journal.after(database, LATE, limit=50),
    "a page of an object": lambda database: journal.after(database, LATE, object_name="Contact", limit=50),
    "a page of some": lambda database: journal.chosen(
        database, Chosen(types=["change"]), after=LATE, limit=50
    ),
    "a page since": lambda database: journal.chosen(
        database, Chosen(since=to_iso(START + 10_000)), after=LATE, limit=50
    ),
    "since": lambda database: journal.chosen(database, Chosen(since=SINCE), after=0),
    "the newest": lambda database: journal.chosen(database, Chosen(), limit=50),
    "unpushed": lambda database: journal.without_push(database, 0, SINCE),
}


@sqlite_only("its steps are counted")
@pytest.mark.parametrize("what", READS)
async def test_the_newest_entries_cost_no_more_in_a_long_journal(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Fifty of thousands: the rest is not read."""
    await fill(database)
    ran, fetch = list[tuple[str, Any]](), database.fetch

    async def traced(sql: str, parameters: Any = ()) -> Any:
        ran.append((sql, parameters))
        return await fetch(sql, parameters)

    monkeypatch.setattr(database, "fetch", traced)
    assert len(await READS[what](database)) == 50
    assert sum(steps(tmp_path / "mirror.db", *statement) for statement in ran) < 5_000


async def fill(database: Database) -> None:
    """Write entries, one a second."""
    entries = await Journal.open(database)
    note = Note("change", "Contact", op="update", source="interval", outcome="applied", latency_ms=0)
    async with database.transaction() as tx:
        for place in range(1, ENTRIES + 1):
            await entries.append(tx, START + place * 1_000, [note])


def steps(path: Path, sql: str, parameters: Any) -> int:
    """How many instructions SQLite runs for a statement, in tens."""
    ran = 0

    def count() -> int:
        nonlocal ran
        ran += 10
        return 0

    with closing(pysqlite3.connect(str(path))) as connection:
        connection.set_progress_handler(count, 10)
        connection.execute(sql, parameters).fetchall()
    return ran
