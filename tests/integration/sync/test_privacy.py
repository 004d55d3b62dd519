"""The one door for values: a canary is sent through every source, and no file ever holds it in the clear."""

from __future__ import annotations

import ast
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

import rtsd
from rtsd.core.object_state import ObjectState
from rtsd.sync import windows
from tests.support.inprocess.rig import Rig, Start

PRIVACY = (
    '[[objects]]\nname = "Contact"\n[objects.privacy]\nPhone = "hash"\nEmail = "last4"\nTitle = "drop"\n'
)
CANARY = {"Phone": "PRIVATE-PHONE-1", "Email": "PRIVATE-2@canary.example", "Title": "PRIVATE-TITLE-3"}
SEEN = "SEEN-4"
"""What is not private: it tells that the source has brought the record."""

Source = Callable[[Rig], Awaitable[object]]


async def load(rig: Rig) -> None:
    """The first audit, whose rows go into an empty table."""
    await rig.load()
    assert rig["Contact"].state is ObjectState.LIVE


async def changed(rig: Rig, **more: object) -> str:
    """Load, then write the canary into a record that the mirror knows."""
    await load(rig)
    rig.advance(60)
    record = await rig.a_record("Contact")
    await rig.dml("update", "Contact", rows=[{"Id": record, "LastName": SEEN, **CANARY, **more}])
    return record


async def bulk_load(rig: Rig) -> None:
    """Bulk rows that are new to the mirror."""
    await rig.dml("create", "Contact", rows=[{"LastName": SEEN, **CANARY}])
    await load(rig)


async def rest_load(rig: Rig) -> None:
    """REST pages, because the Bulk API refuses the object."""
    rig.org.switches.bulk_refuses = frozenset({"Contact"})
    await bulk_load(rig)


async def audit(rig: Rig) -> None:
    """Bulk rows of records that the mirror knows."""
    await changed(rig)
    await rig.parts.readers.audit.run(rig["Contact"])


async def window(rig: Rig) -> None:
    """REST pages of Interval Sync."""
    await changed(rig)
    await rig.parts.readers.windows.step(rig["Contact"])


async def wide_window(rig: Rig) -> None:
    """Whole rows of an object that is too wide for one statement."""
    await changed(rig)
    rig["Contact"].learned.max_characters = 200
    await rig.parts.readers.windows.step(rig["Contact"])


async def repair(rig: Rig) -> None:
    """A record by its id."""
    record = await changed(rig)
    await rig.parts.readers.repair.records(rig["Contact"], [record], "a test")


async def deletion(rig: Rig) -> None:
    """The last values of a deleted record, in its tombstone and its history."""
    await window(rig)
    ((record,),) = await rig.rows("SELECT Id FROM Contact WHERE LastName=?", SEEN)
    await rig.dml("delete", "Contact", ids=[record])
    await rig.parts.readers.windows.step(rig["Contact"])


async def push(rig: Rig) -> None:
    """A push, with a field that nobody knows: it is kept as a dead letter, too."""
    record = await changed(rig)
    fields = {"Id": record, "LastName": SEEN, "Strange__c": 1, **CANARY}
    change = {"object": "contact", "op": "update", "id": record, "modstamp": stamp(rig), "fields": fields}
    assert (await rig.push(rig.changes(change)))[0] == 200
    await rig.parts.services.realtime.apply_batch()
    assert await rig.rows("SELECT 1 FROM _rts_dead_letter WHERE reason='UnknownField'")


async def columns_by_bulk(rig: Rig) -> None:
    """Columns of every row, after an edit that moves no stamp."""
    await window(rig)
    rig.org.switches.untriggered_edit_moves_stamp = False
    record = await rig.a_record("Contact")
    again = {name: f"{value}-again" for name, value in CANARY.items()}
    rig.org.update_untriggered(rig.org.sync_user, "Contact", [{"Id": record, **again}])
    assert await rig.parts.readers.columns.reread(rig["Contact"], ["Phone", "Email"]) == 1


async def columns_by_rest(rig: Rig) -> None:
    """The same by REST pages."""
    rig.org.switches.bulk_refuses = frozenset({"Contact"})
    await columns_by_bulk(rig)


def stamp(rig: Rig) -> str:
    """Now, as the org would stamp a record."""
    return rig.org.clock.now().strftime("%Y-%m-%dT%H:%M:%S.000Z")


SOURCES: list[Source] = [
    bulk_load,
    rest_load,
    audit,
    window,
    wide_window,
    repair,
    deletion,
    push,
    columns_by_bulk,
    columns_by_rest,
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
async def test_no_source_brings_a_private_value_to_the_disk(start: Start, source: Source) -> None:
    """Hashed, cut or dropped before it is written, whichever way it came."""
    rig = await start({"Contact": 3, "Lead": 0}, objects=("Lead",), more=PRIVACY)
    await source(rig)
    content = rig.mirror.content()
    assert SEEN.encode() in content
    assert b"PRIVATE" not in content


async def test_bulk_rows_of_a_window(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large window goes over to a Bulk job; the same value has the same hash by every way."""
    rig = await start({"Contact": 3, "Lead": 0}, objects=("Lead",), more=PRIVACY)
    record = await changed(rig)
    monkeypatch.setattr(windows, "BULK_ABOVE", 0)
    await rig.parts.readers.windows.step(rig["Contact"])
    by_bulk = await rig.rows("SELECT LastName, Phone, Email FROM Contact WHERE Id=?", record)
    assert b"PRIVATE" not in rig.mirror.content()
    await rig.dml("update", "Contact", rows=[{"Id": record, "Phone": None}])
    await rig.dml("update", "Contact", rows=[{"Id": record, **CANARY}])
    await rig.parts.readers.repair.records(rig["Contact"], [record], "a test")
    assert await rig.rows("SELECT LastName, Phone, Email FROM Contact WHERE Id=?", record) == by_bulk
    assert by_bulk[0][2] == "mple"


async def test_a_field_that_is_dropped_from_now_on(start: Start) -> None:
    """Until the first describe of a run its column is still there: a window must not fill it."""
    rig = await start({"Contact": 3}, run=False)
    async with rig.running():
        record = await changed(rig)
    rig.more, rig.objects = PRIVACY, ()
    async with rig.running():
        await rig.parts.readers.windows.step(rig["Contact"])
        assert await rig.rows("SELECT LastName, Title FROM Contact WHERE Id=?", record) == [(SEEN, None)]
        assert b"PRIVATE" not in rig.mirror.content()


def test_only_the_door_makes_what_apply_accepts() -> None:
    """The types say that a value is masked: whoever could make one elsewhere could go around the door."""
    source = Path(rtsd.__file__).parent
    makers = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if any(_made(ast.parse(path.read_text())))
    }
    assert makers == {"core/privacy.py"}


def _made(tree: ast.AST) -> Iterator[str]:
    """The masked types that are made, not only named."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", "") or getattr(node.func, "attr", "")
            if name in ("MaskedPush", "MaskedRecord", "MaskedRows", "MaskedValues"):
                yield name
