"""What a status costs: no scan of a table that grows, and one computation a second for all who follow."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest

from rtsd.store import objects
from rtsd.store.database import Database
from tests.support.inprocess.control import Socket
from tests.support.mirror import sqlite_only

BOUNDED = {"_rts_object"}
"""Tables with a row for each configured object: to scan them costs nothing."""


async def plans(socket: Socket, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The query plan of each statement that a status runs, on whichever connection."""
    database, ran = socket.rig.parts.base.database, list[tuple[str, Any]]()
    fetch = database.fetch

    async def traced(sql: str, parameters: Any = ()) -> Any:
        ran.append((sql, parameters))
        return await fetch(sql, parameters)

    monkeypatch.setattr(database, "fetch", traced)
    await socket.rig.parts.views.status()
    monkeypatch.undo()
    return {
        sql: "; ".join(row[3] for row in await fetch(f"EXPLAIN QUERY PLAN {sql}", parameters))
        for sql, parameters in ran
    }


@sqlite_only("PostgreSQL's plans for tables this small say nothing")
async def test_a_status_scans_no_table(socket: Socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many pushes, letters, errors, entries and calls there were, it takes as long."""
    found = await plans(socket, monkeypatch)
    assert found
    scans = {
        sql: plan
        for sql, plan in found.items()
        if "SCAN" in plan and not any(f"SCAN {table}" in plan for table in BOUNDED)
    }
    assert scans == {}
    counting = [sql for sql in found if "COUNT(" in sql or "SUM(" in sql]
    assert counting == []


async def test_followers_share_one_status(socket: Socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight dashboards cost one computation a second, besides the one that each begins with."""
    computed = 0
    row_counts = objects.row_counts  # which every status asks for

    async def counting(database: Database) -> dict[str, int]:
        nonlocal computed
        computed += 1
        return await row_counts(database)

    monkeypatch.setattr(objects, "row_counts", counting)
    async with AsyncExitStack() as stack:
        feeds = [
            await stack.enter_async_context(socket.following("/v1/events?follow=1&hz=20")) for _ in range(8)
        ]
        for content in feeds:
            assert json.loads(await content.readline())["type"] == "snapshot"
        begun = computed
        await asyncio.sleep(2.5)
        assert begun <= 8
        assert 1 <= computed - begun <= 4


async def test_a_status_never_goes_back(socket: Socket) -> None:
    """A change that a follower's snapshot shows is not taken back by an older status that is shared."""
    async with socket.following("/v1/events?follow=1&hz=20") as first:
        await first.readline()
        await asyncio.sleep(0.2)  # a status is shared, from before the pause
        await socket.ask("POST", "/v1/pause")
        async with socket.following("/v1/events?follow=1&hz=20") as second:
            assert json.loads(await second.readline())["status"]["mode"] == "paused"
            lines: list[dict[str, Any]] = []
            try:
                async with asyncio.timeout(1.5):
                    while True:
                        lines.append(json.loads(await second.readline()))
            except TimeoutError:
                pass
    assert {line["status"]["mode"] for line in lines if line.get("status")} <= {"paused"}
