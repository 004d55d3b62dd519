"""The past in SQL: versions and rows at a moment, as the records really were, on both engines."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rtsd.control.explain import Explainer
from rtsd.core.instant import from_iso, to_iso
from rtsd.salesforce.client import Client
from rtsd.store import past
from rtsd.store.sqlite.engine import SqliteEngine
from tests.support.chronicle import NAMES, Chronicle, Known
from tests.support.life import FIELDS, FILLED, LATER, START, STEPS, Life, Step, living
from tests.support.postgres import PostgresMirror

Lives = tuple[asyncio.Runner, list[Life]]
TENTHS = st.integers(0, 40).map(lambda tenths: tenths * 100)
OTHERS = st.builds(Step, st.sampled_from(["fill", "clock"]), st.just(0), TENTHS, FILLED)
PASTS = st.lists(STEPS | STEPS | STEPS | OTHERS, min_size=1, max_size=14)


def edit(at: int, text: str) -> Step:
    """A push of one record."""
    return Step("push", 0, at, {**dict.fromkeys(FIELDS), "Text__c": text})


_numbers = iter(range(1_000_000))


@pytest.fixture(scope="module")
def lives(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lives]:
    """A mirror on each engine, for all examples."""
    path: Path = tmp_path_factory.mktemp("past") / "mirror.db"
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        engines = (SqliteEngine(path), PostgresMirror(path).engine())
        opened = [runner.run(stack.enter_async_context(living(engine))) for engine in engines]
        yield runner, opened
        runner.run(stack.aclose())


@settings(max_examples=60)
@given(PASTS)
@example([edit(1_000, "a"), Step("clock", 0, 3_000, {}), edit(2_000, "b"), edit(4_500, "c")])
def test_every_version_is_what_the_record_was(lives: Lives, steps: list[Step]) -> None:
    """The versions, the rows at any moment, and `rtsd history --at`: all agree with what was written down."""
    runner, opened = lives
    number = next(_numbers)

    async def check(life: Life) -> None:
        await life.begin(f"Past{number}")
        chronicle, life.behind = Chronicle(life), 0
        await chronicle.play(steps)
        assert sorted(map(repr, await listed(life))) == sorted(map(repr, chronicle.all()))
        for moment in moments(chronicle):
            expected = chronicle.at(moment)
            assert await rows_at(life, moment) == expected
            assert await told_at(life, moment) == expected

    for life in opened:
        runner.run(check(life))


@settings(max_examples=40)
@given(PASTS, st.integers(1, 8))
def test_what_retention_has_deleted_is_not_made_up(lives: Lives, steps: list[Step], forgotten: int) -> None:
    """Without its oldest entries the journal shows fewer versions, but none that a record never was."""
    runner, opened = lives
    number = next(_numbers)

    async def check(life: Life) -> None:
        await life.begin(f"Kept{number}")
        chronicle, life.behind = Chronicle(life), 0
        await chronicle.play(steps)
        since = await forget(life, forgotten)
        real = {(name, repr(told(version.values))) for name, version in chronicle.all()}
        found = await listed(life)
        assert {(name, repr(told(version.values))) for name, version in found} <= real
        ends = {(name, version.end) for name, version in chronicle.all()}
        assert {(name, version.end) for name, version in found if version.source} <= ends
        for moment in moments(chronicle):
            if moment >= since:
                assert await rows_at(life, moment) == chronicle.at(moment)

    for life in opened:
        runner.run(check(life))


def told(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values without the field that came later."""
    return {name: value for name, value in values.items() if name != LATER}


async def forget(life: Life, count: int) -> str:
    """Delete the oldest entries; return since when nothing was deleted."""
    rows = await life.database.fetch(
        "SELECT seq, at FROM _rts_journal WHERE object=? ORDER BY seq LIMIT ?", (life.name, count)
    )
    async with life.database.transaction() as tx:
        await tx.executemany("DELETE FROM _rts_journal WHERE seq=?", [(seq,) for seq, _ in rows])
    return max((at for _, at in rows), default="")


def moments(chronicle: Chronicle) -> list[str]:
    """The begins and ends of all versions, and the moments before and after each."""
    found = {version.begin for _, version in chronicle.all()}
    found |= {version.end for _, version in chronicle.all() if version.end}
    near = {to_iso(from_iso(moment) + offset) for moment in found for offset in (-1, 0, 1)}
    return sorted(moment for moment in near if moment >= to_iso(START))


async def listed(life: Life) -> list[tuple[str, Known]]:
    """The versions in SQL, by the records' ids."""
    table = life.mirrored.described
    rows = await life.database.fetch(f"SELECT * FROM ({past.versions_of(table)}) AS history")
    found = []
    for row in rows:
        values = padded(dict(zip(table.columns, row, strict=False)))
        begin, end, source, op, ended_by, *_ = row[len(table.columns) :]
        found.append((str(values["Id"]), Known(values, begin, end, source, op, ended_by)))
    return found


async def rows_at(life: Life, moment: str) -> Mapping[str, Any]:
    """The rows at a moment in SQL."""
    table = life.mirrored.described
    known = await past.known_since(life.database, life.name)
    rows = await life.database.fetch(past.rows_at(table, moment, known))
    return {row[0]: padded(dict(zip(table.columns, row, strict=True))) for row in rows}


async def told_at(life: Life, moment: str) -> Mapping[str, Any]:
    """The records as `rtsd history --at` tells them."""
    explainer = Explainer(life.database, cast("Client", None))
    names = await life.database.fetch(
        "SELECT DISTINCT id FROM _rts_journal WHERE object=? AND outcome='applied'", (life.name,)
    )
    found = {}
    for name in {str(name) for (name,) in names} | (await life.present()).keys():
        told = await explainer.record_at(life.mirrored, name, moment)
        if told.values is not None:
            found[name] = padded(told.values)
    return found


def padded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values by name, None for those that are not there."""
    return {name: values.get(name) for name in NAMES}
