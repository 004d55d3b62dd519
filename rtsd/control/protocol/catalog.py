"""What is mirrored, and what a search found in it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class MirroredField(msgspec.Struct, kw_only=True):
    """A field, with the type that Salesforce's describe gives it."""

    name: str
    type: str


class ObjectFields(msgspec.Struct, kw_only=True):
    """An object, the table that SQL finds it in, and its fields in the order of the columns."""

    object: str
    table: str
    fields: list[MirroredField]


class MirroredFields(msgspec.Struct, kw_only=True):
    """`GET /v1/schema`."""

    objects: list[ObjectFields]


class FoundRecord(msgspec.Struct, kw_only=True):
    """A record, the first field that has what was looked for, and the record's name if it has one."""

    object: str
    id: str
    field: str
    value: Any = None
    name: str | None = None
    state: Literal["live", "deleted"] = "live"


class Found(msgspec.Struct, kw_only=True):
    """`GET /v1/find?text=T`: at most 20 records; `truncated` where there were more."""

    records: list[FoundRecord]
    truncated: bool


class AssistantBody(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/assistant`: an assistant uses a tool, on a record if it names one."""

    tool: str
    object: str | None = None
    id: str | None = None
    sql: str | None = None
