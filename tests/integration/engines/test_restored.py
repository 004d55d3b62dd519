"""Backups by pg_dump, and what a restored mirror is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rtsd.core.privacy import MaskedPush
from rtsd.store import row_checksums
from rtsd.store.inbox import Arrival
from rtsd.store.postgres.engine import PostgresEngine
from rtsd.store.postgres.server import Server
from rtsd.store.schema import Table
from rtsd.store.sqlite.engine import SqliteEngine
from tests.support import postgres
from tests.support.life import START, living, received, schema
from tests.support.moved import content, make, moved
from tests.support.postgres import PostgresMirror


async def test_a_dump_of_both_schemas_is_a_mirror_again(
    server: str, place: PostgresMirror, tmp_path: Path
) -> None:
    """In another database: equal in every row and type, checksums fit, and new rows get new numbers."""
    await make(place.engine())
    url = postgres.restored(server, (place.schema, place.internal), f"d_{place.schema}")
    names: dict[str, Any] = {"schema": place.schema, "internal_schema": place.internal, "settings": {}}
    engine = PostgresEngine(Server.of(url), node="restored", state=tmp_path, **names)
    files = [tmp_path / name for name in ("original.db", "restored.db")]
    await moved(place.engine(), SqliteEngine(files[0]))
    await moved(engine, SqliteEngine(files[1]))
    assert content(files[1]) == content(files[0])
    async with living(engine) as life:
        table = Table(schema("Thing1__c", widened=True), life.database.dialect)
        found = await row_checksums.check(life.database, table, table.columns)
        assert (found.broken, found.checksummed) == ([], found.rows)
        last = (await life.inbox.oldest())[-1].seq
        await received(life.inbox, Arrival("new", START, MaskedPush(b"{}")))
        assert (await life.inbox.oldest())[-1].seq > last
