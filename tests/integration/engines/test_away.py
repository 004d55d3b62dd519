"""A PostgreSQL that neither answers nor fails: who waits for it, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from rtsd.core.privacy import MaskedPush
from rtsd.errors import CannotCommit
from rtsd.services import repeat
from rtsd.store.inbox import Arrival, Inbox
from rtsd.store.postgres.server import Link, Server, rows
from tests.support import postgres
from tests.support.postgres import PostgresMirror
from tests.support.stream.wire import wire_to
from tests.support.waiting import eventually

pytestmark = postgres.NEEDED
CONNECT_S = 2


@asynccontextmanager
async def inbox(place: PostgresMirror) -> AsyncIterator[Inbox]:
    """The running inbox of a node."""
    engine = place.engine()
    async with await engine.open() as mirror:
        box = await engine.open_inbox(mirror)
        async with box.file:
            task = asyncio.create_task(repeat(box, box.step))
            try:
                yield box
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


def arrival(name: str) -> Arrival:
    """A push on its way in."""
    return Arrival(name, 1_772_359_200_000, MaskedPush(b"{}"))


async def test_a_server_that_does_not_answer_is_asked_once(server: str) -> None:
    """A broken connection is made again once: each attempt may take all of its time-out."""
    socket = Path(str(conninfo_to_dict(server)["host"])) / ".s.PGSQL.5432"
    async with wire_to(socket) as wire:
        url = f"postgresql://rts@127.0.0.1:{wire.port}/mirrors?connect_timeout={CONNECT_S}"
        link = Link(Server.of(url))
        assert await link.use(lambda connection: rows(connection, "SELECT 1")) == [(1,)]
        wire.freeze()
        wire.reset()
        for attempts in (2, 3):
            with pytest.raises(psycopg.OperationalError):
                await link.use(lambda connection: rows(connection, "SELECT 1"))
            assert wire.connections == attempts
        wire.thaw()
        assert await link.use(lambda connection: rows(connection, "SELECT 1")) == [(1,)]
        await link.close()


async def test_a_push_without_its_standby_is_not_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is one that is stored here already: the standby may lack it."""
    with postgres.cluster("-F") as url:
        monkeypatch.setenv(postgres.URL, url)
        async with inbox(PostgresMirror(tmp_path / "mirror.db")) as box:
            assert await box.append(arrival("a"))
            for name in ("b", "a"):
                restart(url, "-c", "synchronous_standby_names=nobody")
                with pytest.raises(CannotCommit, match="has not answered"):
                    await box.append(arrival(name))
                restart(url)
                await eventually(lambda name=name: taken(box, name), "pushes are taken again")


def restart(url: str, *options: str) -> None:
    """Have the server of a URL crash, and start it with these options."""
    place = Path(str(conninfo_to_dict(url)["host"]))
    postgres.stop(place)
    postgres.start(place, "-F", *options)


async def taken(box: Inbox, name: str) -> bool:
    """Whether a push is taken."""
    with suppress(CannotCommit):
        await box.append(arrival(name))
        return True
    return False


async def test_a_push_that_another_node_has_half_stored(place: PostgresMirror) -> None:
    """It is refused while that node is frozen, and holds up no other push."""
    async with inbox(place) as box:
        with place.connected() as frozen:
            ids = f"{place.internal}._rts_push_id (webhook_id, received_at)"
            frozen.execute(f"INSERT INTO {ids} VALUES ('a', 0)".encode())
            with pytest.raises(CannotCommit):
                await box.append(arrival("a"))
            assert await box.append(arrival("b"))
        assert not await box.append(arrival("a"))
