"""The lease on a PostgreSQL database: no two nodes write in one epoch."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from rtsd.errors import LeaseLost, StoreError
from rtsd.store import meta
from rtsd.store.postgres.engine import PostgresEngine
from rtsd.store.postgres.server import Server
from tests.support import postgres

pytestmark = postgres.NEEDED


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A cluster for this file."""
    with postgres.cluster("-F") as url:
        yield url


@pytest.fixture
def url(cluster: str) -> Iterator[str]:
    """A database without rtsd's schemas."""
    yield cluster
    with psycopg.connect(cluster) as connection:
        connection.execute("DROP SCHEMA rts, salesforce CASCADE")


def engine(url: str, node: str) -> PostgresEngine:
    """A node's way to the database."""
    return PostgresEngine(
        Server.of(url),
        schema="salesforce",
        internal_schema="rts",
        node=node,
        settings={},
        state=Path("/nowhere"),
    )


def silence(url: str, node: str) -> None:
    """Have a node be seen for the last time a minute ago."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "UPDATE rts._rts_node SET seen_at = seen_at - interval '1 minute' WHERE name = %s", (node,)
        )


async def test_a_former_leader_writes_nothing(url: str) -> None:
    """Nor does it renew its lease."""
    first, second = engine(url, "a"), engine(url, "b")
    async with await first.open() as before:
        silence(url, "a")
        async with await second.open() as after:
            assert (first.lease.epoch, second.lease.epoch) == (1, 2)
            with pytest.raises(LeaseLost):
                async with before.transaction() as tx:
                    await meta.put(tx, "who", "a")
            with pytest.raises(LeaseLost):
                await first.lease.step()
            async with after.transaction() as tx:
                await meta.put(tx, "who", "b")
            assert await meta.get(after, "who") == "b"


async def test_a_take_over_ends_what_the_former_leader_was_writing(url: str) -> None:
    """Its transaction is rolled back, sooner than the idle-in-transaction time-out would do it."""
    async with await engine(url, "a").open() as before:
        with pytest.raises(StoreError):  # noqa: PT012 - the transaction fails where it ends
            async with before.transaction() as tx:
                await meta.put(tx, "who", "a")
                silence(url, "a")
                async with asyncio.timeout(6.0):
                    after = await engine(url, "b").open()
                async with after:
                    assert await meta.get(after, "who") is None
                    async with after.transaction() as other:
                        await meta.put(other, "who", "b")
        assert await meta.get(before, "who") == "b"


async def test_a_take_over_whose_answer_was_lost(url: str) -> None:
    """A node that has the lease and does not know leads: nobody else could."""
    first, second = engine(url, "a"), engine(url, "b")
    async with await first.open():
        assert not await second.lease.join()
        with psycopg.connect(url) as connection:
            connection.execute(
                "UPDATE rts._rts_lease SET epoch = epoch + 1, node = n.name, instance = n.instance"
                " FROM rts._rts_node AS n WHERE n.name = 'b'"
            )
        assert await second.lease.join()
        assert second.lease.node.leader
        with pytest.raises(LeaseLost):
            await first.lease.step()
        await second.lease.release()


async def test_a_lease_that_was_given_back_is_free(url: str) -> None:
    """No node waits for the end of its life."""
    async with await engine(url, "a").open():
        pass
    second = engine(url, "b")
    async with await second.open():
        assert [(node.name, node.leader, node.epoch) for node in await second.lease.nodes()] == [
            ("b", True, 2)
        ]
