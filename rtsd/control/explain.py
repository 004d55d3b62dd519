"""One record explained: its past values, and everything that touched it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rtsd.control import views
from rtsd.core.instant import from_iso, to_iso
from rtsd.core.privacy import convert
from rtsd.errors import NotFound, UsageError
from rtsd.salesforce import soql
from rtsd.store import dead_letters, fetches, journal, mirror
from rtsd.store.journal import Entry
from rtsd.sync.catalog import MirroredObject
from rtsd.sync.engine import Engine
from rtsd.sync.reading import Query, Reader
from rtsd.sync.rows import DELETED, read_columns

Step = tuple[Entry, dict[str, Any] | None]
"""A journal entry that touched the record, and the values it replaced."""


@dataclass(frozen=True, slots=True)
class _Past:
    """A record's steps that changed it, oldest first, and how it stands now."""

    record: dict[str, Any] | None
    steps: list[Step]


class Explainer:
    """Answers `history` and `why`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def history(self, mirrored: MirroredObject, record_id: str, at: str | None) -> dict[str, Any]:
        """Return the record's versions, oldest first, each with the source that brought it.

        With `at`, only how it looked then. Raises NotFound for a record the mirror never saw.
        """
        past = await self._past(mirrored, record_id)
        moment = _moment(at) if at else None
        versions = []
        state = dict((past.record or {}).get("values") or {})
        for entry, before in reversed(past.steps):
            versions.append(_version(entry, before, state))
            state = _state_before(entry, before, state)
        versions.reverse()
        answer: dict[str, Any] = {"object": mirrored.name, "id": record_id}
        if moment is not None:
            cursor = mirrored.table.schema.cursor if mirrored.table else None
            since = str(state.get(cursor) or "") if cursor else ""
            return {**answer, "at": moment, **_as_of(versions, past, state, moment, since)}
        return {**answer, "now": past.record, "versions": [_without_values(one) for one in versions]}

    async def why(self, mirrored: MirroredObject, record_id: str, *, ask_org: bool = True) -> dict[str, Any]:
        """Say what touched the record, what the mirror shows, and what the org shows, for one call.

        Without `ask_org` it costs none, and `org` and `equal` are None: not known.
        """
        database = self._engine.database
        record = await mirror.record(database, mirrored.described, record_id) if mirrored.table else None
        entries = [entry for entry, _ in await journal.of_record(database, mirrored.name, record_id)]
        org = await self._in_org(mirrored, record_id) if mirrored.table and ask_org else None
        return {
            "object": mirrored.name,
            "id": record_id,
            "mirror": record,
            "org": org,
            "equal": _equal(record, org),
            "events": [views.event(entry) for entry in entries],
            "dead_letters": await dead_letters.count_of(database, mirrored.name, record_id),
            "to_be_fetched": await fetches.reason_of(database, mirrored.name, record_id),
            "mirrored": {
                "state": mirrored.state.value,
                "error": mirrored.error,
                "as_of": mirrored.as_of,
                "proven_at": to_iso(mirrored.proven_at) if mirrored.proven_at else None,
                "conditions": list(mirrored.conditions),
                "where": mirrored.config.where,
                "privacy": dict(mirrored.config.privacy),
            },
        }

    async def _past(self, mirrored: MirroredObject, record_id: str) -> _Past:
        database = self._engine.database
        record = await mirror.record(database, mirrored.described, record_id) if mirrored.table else None
        steps = [
            (entry, before)
            for entry, before in await journal.of_record(database, mirrored.name, record_id)
            if entry.note.type == "change" and entry.note.outcome == "applied"
        ]
        if record is None and not steps:
            raise NotFound(
                f"the mirror has never seen {mirrored.name} {record_id}",
                f"`rtsd repair {mirrored.name} {record_id}` fetches it from Salesforce",
            )
        return _Past(record, steps)

    async def _in_org(self, mirrored: MirroredObject, record_id: str) -> dict[str, Any]:
        """How the record looks in the org now: `visible`, `deleted`, and its values by column."""
        schema = mirrored.described.schema
        query = Query(read_columns(schema), soql.one_of("Id", [record_id]), all_rows=True)
        batches = Reader(self._engine.client, mirrored, "why").rows(query)
        for record in [record async for batch in batches for record in batch.records]:
            values = convert(schema, record)
            return {"visible": True, "deleted": record.get(DELETED) is True, "values": values}
        return {"visible": False, "deleted": None, "values": None}


def _moment(text: str) -> str:
    try:
        return to_iso(from_iso(text))
    except ValueError as error:
        raise UsageError(f"at: {error}", "give a moment such as 2026-03-01T10:00:00Z") from error


def _version(entry: Entry, before: dict[str, Any] | None, after: dict[str, Any]) -> dict[str, Any]:
    """One version: what the entry made of the record, and what of it was new."""
    note = entry.note
    deleted = note.op == "delete"
    changed = {
        name: {"from": old, "to": after.get(name)} for name, old in (before or {}).items() if not deleted
    }
    return {
        "seq": entry.seq,
        "at": entry.at,
        "op": note.op,
        "source": note.source,
        "changed": changed,
        "master": (note.detail or {}).get("master"),
        "values": None if deleted else dict(after),
    }


def _state_before(entry: Entry, before: dict[str, Any] | None, after: dict[str, Any]) -> dict[str, Any]:
    if entry.note.op == "delete":
        return dict(before or {})
    return {**after, **before} if before is not None else {}


def _as_of(
    versions: list[dict[str, Any]], past: _Past, first: dict[str, Any], moment: str, since: str
) -> dict[str, Any]:
    """How the record looked at `moment`: the last version before it, or what was loaded before them all.

    What was loaded looked like that since its stamp, `since`; nothing tells how it looked before.
    """
    earlier = [one for one in versions if one["at"] <= moment]
    if earlier:
        last = earlier[-1]
        return {"values": last["values"], "deleted": last["op"] == "delete", "source": last["source"]}
    created = bool(versions) and versions[0]["op"] == "create"
    known = bool(first) and not created and moment >= since
    source = (past.record or {}).get("source") if not versions else "audit"
    return {"values": first if known else None, "deleted": False, "source": source if known else None}


def _without_values(version: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in version.items() if name != "values"}


def _equal(record: dict[str, Any] | None, org: dict[str, Any] | None) -> bool | None:
    """Whether the mirror shows what the org shows; None where that cannot be told."""
    if org is None:
        return None
    here = record is not None and record["state"] == "live"
    there = bool(org["visible"]) and not org["deleted"]
    if not here or not there or record is None:
        return here == there
    return bool(record["values"] == org["values"])
