"""The reader: refusals of the Bulk API, pages by Id, and pages that come empty."""

from __future__ import annotations

import pytest

from rtsd.core.change import Source
from rtsd.errors import SalesforceError
from rtsd.salesforce.responses import Page
from rtsd.sync import comparison, reading
from rtsd.sync.reading import Query, Reader
from tests.support.inprocess.rig import Rig, Start


@pytest.fixture
async def rig(start: Start) -> Rig:
    """Contacts, loaded before the Bulk API refuses them."""
    made = await start({"Contact": 12})
    await made.load()
    made.advance(60)
    made.org.switches.bulk_refuses = frozenset({"Contact"})
    return made


async def jobs_asked_for(rig: Rig) -> int:
    """Calls that were to create a Bulk job, refused ones included."""
    return (await rig.calls()).get("bulk_create", 0)


async def test_a_fingerprint_of_an_object_that_bulk_refuses(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many rows are listed over REST then, and what differs is found all the same."""
    monkeypatch.setattr(comparison, "BULK_ABOVE", -1)
    record = await rig.a_record("Contact")
    await rig.dml("update", "Contact", rows=[{"Id": record, "LastName": "edited"}])
    result = await rig.parts.readers.fingerprinter.step(rig["Contact"])
    assert result.found.stale == {record}


async def test_a_refusal_is_remembered(rig: Rig) -> None:
    """Columns are read over REST, and the next reads do not ask again for a job."""
    before = await jobs_asked_for(rig)
    for _ in range(3):
        await rig.parts.readers.columns.reread(rig["Contact"], ["Phone"])
    await rig.parts.readers.audit.run(rig["Contact"])
    assert await jobs_asked_for(rig) == before + 1
    assert rig["Contact"].learned.rest_only
    assert await rig.differences() == []


async def test_pages_by_id_resume_and_end(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row once, in the order of ids, from a row on; a short page is the last, a full one is not."""
    monkeypatch.setattr(reading, "REST_PAGE", 5)
    reader = Reader(rig.parts.base.client, rig["Contact"], "audit")
    ids = sorted([str(row["Id"]) async for row in rig.sim.rows("Contact")])
    batches = [batch async for batch in reader.rows(Query(("Id",)))]
    assert [len(batch.records) for batch in batches] == [5, 5, 2]
    assert [record["Id"] for batch in batches for record in batch.records] == ids
    batches = [batch async for batch in reader.rows(Query(("Id",)), last_id=ids[1])]
    assert [len(batch.records) for batch in batches] == [5, 5, 0]
    assert [record["Id"] for batch in batches for record in batch.records] == ids[2:]


async def test_an_empty_page_that_is_not_the_last(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing says where to go on: an error, not an endless loop and not a silent end."""
    observed = (await rig.parts.base.client.query("SELECT COUNT() FROM Contact", purpose="audit")).observed

    async def empty(*_statement: object, **_options: object) -> Page:
        return Page([], 1, done=False, observed=observed)

    monkeypatch.setattr(rig.parts.base.client, "query", empty)
    reader = Reader(rig.parts.base.client, rig["Contact"], "audit")
    with pytest.raises(SalesforceError, match="is empty"):
        _ = [batch async for batch in reader.rows(Query(("Id",)))]


async def test_bulk_and_rest_bring_the_same_changes(rig: Rig) -> None:
    """Whichever API brings a row, JSON or CSV text: the values are equal."""
    columns = list(rig["Contact"].described.columns)
    reader = Reader(rig.parts.base.client, rig["Contact"], "audit")

    async def read(bulk_after: int) -> dict[str, object]:
        batches = [batch async for batch in reader.rows(Query(columns), bulk_after=bulk_after)]
        changes = [change for batch in batches for change in batch.changes(Source.AUDIT)]
        return {change.id: change.fields for change in changes}

    by_rest = await read(reading.NEVER)
    rig.org.switches.bulk_refuses = frozenset()
    assert by_rest == await read(0)
    assert len(by_rest) == 12
