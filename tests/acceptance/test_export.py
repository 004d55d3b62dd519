"""`rtsd export`: all rows of an object in a file, now or as they were, and nothing half-written."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from aiohttp import web

from rtsd.cli import main
from rtsd.core.instant import to_iso
from rtsd.core.schema import Kind
from rtsd.store.mirror import rows_of
from tests.support.inprocess.stand import Stand, Standing

Run = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
def rtsd(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `rtsd` against a stand's socket, in a thread: the daemon answers in this one."""

    async def run(org: Stand, *words: str) -> tuple[int, str]:
        capfd.readouterr()
        status = await asyncio.to_thread(main, [*words, "--socket", str(org.place / "rtsd.sock")])
        said = capfd.readouterr()
        return status, said.out + said.err

    return run


async def mirrored(org: Stand, name: str) -> dict[str, dict[str, Any]]:
    """The rows as the mirror has them, by id."""
    table = org.parts.base.catalog[name].described
    ids = [row[0] for row in org.sql(f"SELECT Id FROM {name}")]
    found = await rows_of(org.parts.base.database, table, ids)
    return {record: dict(row) for record, row in found.items()}


def told(value: Any) -> Any:
    """A value of a Parquet file, as the mirror writes it."""
    if isinstance(value, datetime):
        return to_iso(int(value.timestamp() * 1000))
    if isinstance(value, time):
        return f"{value.isoformat(timespec='milliseconds')}Z"
    return value.isoformat() if isinstance(value, date) else value


def read(path: Path) -> dict[str, dict[str, Any]]:
    """The rows of a Parquet file, by id."""
    rows = pyarrow.parquet.read_table(path).to_pylist()
    return {row["Id"]: {name: told(value) for name, value in row.items()} for row in rows}


def names(place: Path) -> list[str]:
    """What is in a directory."""
    return sorted(path.name for path in place.iterdir())


async def test_a_parquet_file_has_every_row_with_its_types(
    stand: Standing, rtsd: Run, tmp_path: Path
) -> None:
    """Types of their own, NULL as null; as many rows and values as the mirror has."""
    org = await (await stand({"Contact": 2_500, "Opportunity": 50})).loaded()
    for name, rows in (("Contact", 2_500), ("Opportunity", 50)):
        file = tmp_path / f"{name}.parquet"
        status, said = await rtsd(org, "export", name, str(file), "--json")
        assert status == 0, said
        document = json.loads(said)
        assert (document["rows"], document["format"], document["state"]) == (rows, "parquet", "live")
        assert document["bytes"] == file.stat().st_size
        assert read(file) == await mirrored(org, name)
        kinds = {field.name: field.kind for field in org.parts.base.catalog[name].described.schema.fields}
        expected = {Kind.DATETIME: "timestamp[ms, tz=UTC]", Kind.BOOLEAN: "bool", Kind.REAL: "double"}
        expected |= {
            Kind.TEXT: "string",
            Kind.DATE: "date32[day]",
            Kind.INT: "int64",
            Kind.TIME: "time32[ms]",
        }
        schema = pyarrow.parquet.read_schema(file)
        assert {field.name: str(field.type) for field in schema} == {
            field: expected[kind] for field, kind in kinds.items()
        }


async def test_csv_goes_to_stdout_or_into_a_file(stand: Standing, rtsd: Run, tmp_path: Path) -> None:
    """Booleans as true and false, NULL as nothing, line breaks within quotes."""
    org = await stand({"Lead": 20})
    org.update("Lead", org.ids("Lead")[:1], Description='two\nlines, "quoted" é😀')
    org.advance(60)
    await org.loaded()
    status, said = await rtsd(org, "export", "Lead")
    assert status == 0
    rows = list(csv.DictReader(io.StringIO(said, newline="")))
    schema = org.parts.base.catalog["Lead"].described.schema
    for row in rows:
        expected = (await mirrored(org, "Lead"))[row["Id"]]
        for name, value in expected.items():
            if schema.by_name[name].kind is Kind.BOOLEAN and value is not None:
                value = "true" if value else "false"  # noqa: PLW2901
            assert row[name] == ("" if value is None else str(value))
    assert len(rows) == 20
    file = tmp_path / "leads.csv"
    status, text = await rtsd(org, "export", "lead", str(file))
    assert status == 0
    assert f"{file} has 20 rows of Lead as of " in text
    assert file.read_bytes().decode() == said


async def test_the_rows_of_a_moment(stand: Standing, rtsd: Run, tmp_path: Path) -> None:
    """`--at` writes the rows that the mirror had then."""
    org = await (await stand({"Lead": 20})).loaded()
    before, then = await mirrored(org, "Lead"), to_iso(org.parts.base.machine.wall())
    org.advance(60)
    org.update("Lead", org.ids("Lead")[:5], Company="later")
    org.org.delete(org.org.admin, "Lead", org.ids("Lead")[-3:])
    org.create("Lead", 2, LastName="New", Company="New")
    org.advance(60)
    await org.read()
    for place, (moment, expected) in enumerate(((then, before), (None, await mirrored(org, "Lead")))):
        file = tmp_path / f"{place}.parquet"
        status, said = await rtsd(org, "export", "Lead", str(file), *(["--at", moment] if moment else []))
        assert status == 0, said
        assert read(file) == expected


@asynccontextmanager
async def breaking_off(socket: Path) -> AsyncIterator[Path]:
    """A daemon that ends within an export: a head and a row come, and no end."""

    async def answer(_request: web.Request) -> web.Response:
        head = {"object": "Lead", "columns": [{"name": "Id", "type": "text"}], "rows": 2, "state": "live"}
        head["at"] = to_iso(0)
        return web.Response(text=f'{json.dumps(head)}\n{{"values":[["00Q000000000001AAA"]]}}\n')

    app = web.Application()
    app.router.add_get("/v1/objects/Lead/export", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.UnixSite(runner, str(socket)).start()
        yield socket
    finally:
        await runner.cleanup()


async def test_nothing_half_written_is_left(stand: Standing, rtsd: Run, tmp_path: Path) -> None:
    """A wrong name, a taken name, an export that breaks off: no file appears, and none is replaced."""
    org = await (await stand({"Lead": 2_500})).loaded()
    place = tmp_path / "out"
    place.mkdir()
    file = place / "leads.csv"
    for words, status, reason in (
        (("Nothing", str(file)), 1, "Nothing is not mirrored"),
        (("Lead", str(place / "leads.txt")), 2, "neither .csv nor .parquet"),
        (("Lead", str(place / "no" / "leads.csv")), 2, "is not a directory"),
        (("Lead", str(file), "--at", "2020-01-01T00:00:00Z"), 2, "Lead is not known as it was"),
    ):
        found, said = await rtsd(org, "export", *words)
        assert (found, reason in said) == (status, True), said
    assert names(place) == []
    file.write_text("mine")
    status, said = await rtsd(org, "export", "Lead", str(file))
    assert (status, "--force" in said, file.read_text()) == (2, True, "mine")
    async with breaking_off(tmp_path / "broken.sock") as socket:
        command = ["export", "Lead", str(file), "--force", "--socket", str(socket)]
        assert await asyncio.to_thread(main, command) == 3
    assert file.read_text() == "mine"
    status, said = await rtsd(org, "export", "Lead", str(file), "--force")
    assert status == 0, said
    assert len(list(csv.reader(file.open(newline="")))) == 2_501
    assert names(place) == ["leads.csv"]


async def test_a_missing_extra_is_named(
    stand: Standing, rtsd: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parquet without pyarrow: what to install, and nothing is left."""
    org = await (await stand({"Lead": 5})).loaded()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    status, said = await rtsd(org, "export", "Lead", str(tmp_path / "leads.parquet"))
    assert (status, "rtsd[parquet]" in said) == (2, True)
    assert [name for name in names(tmp_path) if "leads" in name] == []


async def test_an_object_that_was_never_loaded_is_refused(stand: Standing, rtsd: Run, tmp_path: Path) -> None:
    """An empty file would say that the org has no rows."""
    org = await (await stand({"Lead": 5})).start()
    status, said = await rtsd(org, "export", "Lead", str(tmp_path / "leads.csv"))
    assert (status, "not been loaded" in said) == (1, True)
