"""Both engines, side by side: the same life leaves the same rows, journal and bookkeeping."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings

from rtsd.store.sqlite.engine import SqliteEngine
from tests.support.life import LIVES, Life, Step, living
from tests.support.postgres import PostgresMirror

Lives = tuple[asyncio.Runner, list[Life]]


@pytest.fixture(scope="module")
def lives(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lives]:
    """A mirror on each engine, for all examples."""
    path: Path = tmp_path_factory.mktemp("engines") / "mirror.db"
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        engines = (SqliteEngine(path), PostgresMirror(path).engine())
        opened = [runner.run(stack.enter_async_context(living(engine))) for engine in engines]
        yield runner, opened
        runner.run(stack.aclose())


@settings(max_examples=40)
@given(LIVES)
def test_the_same_life_leaves_the_same_on_both_engines(lives: Lives, steps: list[Step]) -> None:
    """Changes in any order, loads, describes: equal rows, journals, deleted records and requests."""
    runner, (first, second) = lives
    number = _next_number()

    async def live(life: Life) -> tuple[object, ...]:
        await life.begin(f"Thing{number}")
        await life.play(steps)
        return await life.rows(), await life.journal(), await life.kept()

    left, right = runner.run(live(first)), runner.run(live(second))
    for one_engine, other_engine in zip(left, right, strict=True):
        assert one_engine == other_engine
    assert repr(left) == repr(right)  # 1 is no 1.0


_numbers = iter(range(1_000_000))


def _next_number() -> int:
    return next(_numbers)
