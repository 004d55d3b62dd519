"""The mirror's changes through a logical replication slot, as Debezium and its like read them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from rtsd.store.postgres.engine import PostgresEngine
from rtsd.store.postgres.server import Server
from tests.support import postgres
from tests.support.life import Step, living, record_id

pytestmark = postgres.NEEDED
EMPTY = dict.fromkeys(
    ("Text__c", "Boolean__c", "Int__c", "Real__c", "Date__c", "Datetime__c", "Time__c", "Order", "a\"b'c")
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A cluster whose log can be decoded, with a slot for each plugin."""
    with postgres.cluster("-F", "-c", "wal_level=logical") as found:
        yield found


def administered(url: str, statement: str) -> list[tuple[object, ...]]:
    """Run a statement as the superuser."""
    with psycopg.connect(url.replace("user=rts", "user=postgres"), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


async def test_rows_that_come_change_and_go_are_decoded(url: str) -> None:
    """With their id, by both plugins that PostgreSQL has; loads and new columns included."""
    names = {"schema": "salesforce", "internal_schema": "rts", "node": "test", "settings": {}}
    engine = PostgresEngine(Server.of(url), state=Path("/nonexistent"), **names)  # type: ignore[arg-type]
    async with living(engine) as life:
        await life.begin("Thing")
        administered(url, "CREATE PUBLICATION everything FOR ALL TABLES")
        for plugin in ("test_decoding", "pgoutput"):
            administered(url, f"SELECT pg_create_logical_replication_slot('{plugin}', '{plugin}')")
        steps = [
            Step("load", 1, 0, EMPTY),
            Step("push", 0, 1_000, {**EMPTY, "Text__c": "first"}),
            Step("push", 0, 2_000, {**EMPTY, "Text__c": "second"}),
            Step("describe", 0, 0, EMPTY),
            Step("push", 0, 3_000, {**EMPTY, "Text__c": "third"}),
            Step("delete", 0, 4_000, EMPTY),
        ]
        await life.play(steps)
    own = record_id(0)
    texts = [
        str(data)
        for _, _, data in administered(
            url, "SELECT * FROM pg_logical_slot_get_changes('test_decoding', NULL, NULL)"
        )
        if "table salesforce.thing:" in str(data)
    ]
    kinds = [text.split(": ")[1] for text in texts]
    assert kinds == ["INSERT"] * 4 + ["UPDATE"] * 2 + ["DELETE"]
    assert ["third" in text and "later__c[boolean]:" in text for text in texts].count(True) == 1
    assert texts[-1] == f"table salesforce.thing: DELETE: id[text]:'{own}'"
    rows = administered(
        url,
        "SELECT data FROM pg_logical_slot_get_binary_changes('pgoutput', NULL, NULL,"
        " 'proto_version', '1', 'publication_names', 'everything')",
    )
    messages = [bytes(data) for (data,) in rows]  # type: ignore[call-overload]
    ours = [message for message in messages if message[:1] in b"IUD" and own.encode() in message]
    named = {message[:1] for message in messages if b"salesforce\0thing\0" in message}
    assert named == {b"R"}
    thing = next(message[1:5] for message in messages if b"salesforce\0thing\0" in message)
    assert b"".join(message[:1] for message in ours if message[1:5] == thing) == b"IUUD"


async def test_every_table_has_a_key_to_be_told_by(url: str) -> None:
    """Without one, PostgreSQL would refuse updates and deletes once somebody publishes the table."""
    without = administered(
        url,
        "SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname IN ('salesforce', 'rts') AND c.relkind = 'r'"
        " AND (c.relreplident <> 'd' OR NOT EXISTS (SELECT 1 FROM pg_index AS i WHERE i.indrelid = c.oid"
        " AND i.indisprimary))",
    )
    assert without == []
