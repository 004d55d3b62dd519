"""What is mirrored: the objects with their fields, and the search through their records."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from aiohttp import web

from rtsd.control import protocol
from rtsd.control.documents import answer
from rtsd.core.ids import full_id, is_id
from rtsd.store import mirror, search
from rtsd.store.answers import Answers
from rtsd.store.database import Database
from rtsd.store.schema import Table
from rtsd.sync.catalog import Catalog


class CatalogRoutes:
    """Answers `/v1/schema` and `/v1/find`; neither asks the org."""

    def __init__(self, catalog: Catalog, database: Database, answers: Answers) -> None:
        self._catalog = catalog
        self._database = database
        self._answers = answers

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/v1/schema", self._schema), web.get("/v1/find", self._find)]

    async def _schema(self, _request: web.Request) -> web.Response:
        shown = [
            protocol.ObjectFields(
                object=mirrored.name,
                table=mirrored.table.sql_name,
                fields=[
                    protocol.MirroredField(name=field.name, type=field.type)
                    for field in mirrored.table.schema.fields
                ],
            )
            for mirrored in self._catalog
            if mirrored.table is not None
        ]
        return answer(protocol.MirroredFields(objects=shown))

    async def _find(self, request: web.Request) -> web.Response:
        text = request.query.get("text", "").strip()
        found: list[protocol.FoundRecord] = []
        async with aclosing(self._found(text)) as records:
            async for each in records:
                found.append(each)
                if len(found) > search.MOST:
                    break
        return answer(protocol.Found(records=found[: search.MOST], truncated=len(found) > search.MOST))

    async def _found(self, text: str) -> AsyncGenerator[protocol.FoundRecord]:
        """Yield the record with that id, else those that have the text in a field."""
        tables = [mirrored.table for mirrored in self._catalog if mirrored.table is not None]
        if is_id(text):
            record = full_id(text)
            by_id = [each async for each in self._by_id(tables, record)]
            for each in by_id:
                yield each
            tables = [] if by_id else tables
        for table in tables:
            if query := search.statement(table, text):
                rows = msgspec.json.decode(await self._answers.run(query), type=protocol.QueryResult).rows
                for record, field, value, *named in rows:
                    name = table.schema.name_of(dict(zip(table.schema.naming, named, strict=True)))
                    yield protocol.FoundRecord(
                        object=table.name, id=record, field=field, value=value, name=name
                    )

    async def _by_id(self, tables: list[Table], record: str) -> AsyncGenerator[protocol.FoundRecord]:
        """Yield the record with that id, also a deleted one."""
        for table in tables:
            if (found := await mirror.record(self._database, table, record)) is not None:
                yield protocol.FoundRecord(
                    object=table.name,
                    id=record,
                    field="Id",
                    value=record,
                    name=table.schema.name_of(found["values"] or {}),
                    state=found["state"],
                )
