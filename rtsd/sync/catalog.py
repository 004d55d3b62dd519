"""The mirrored objects: what is wished, what the org has, how each stands.

The state that status shows lives here in memory; `update` writes the same to `_rts_object` in the
caller's transaction, so that a restart shows no more than was true.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rtsd.core.change import Source
from rtsd.core.instant import Millis, from_iso
from rtsd.core.payload import Push
from rtsd.core.privacy import MaskedPush, Privacy, masked_push
from rtsd.core.schema import ObjectConfig, ObjectSchema, narrow
from rtsd.errors import QuotaExhausted
from rtsd.salesforce import soql
from rtsd.store import meta
from rtsd.store import objects as records
from rtsd.store import schema as tables
from rtsd.store.database import Database, Tx
from rtsd.store.objects import ObjectRecord, ObjectState
from rtsd.store.schema import Table

FRESHNESS_SAMPLES = 1_000
"""Latencies kept for the percentiles of one object."""

_MOMENTS = ("cursor", "proven_at")
"""Facts that are ISO text in the row, and milliseconds here."""

_PRIVACY_KEY = "privacy_key"


@dataclass(slots=True)
class Loading:
    """How a running audit comes along."""

    rows: int
    started_ms: Millis
    at_start: int
    """Rows that had been read before, when it resumes."""

    def rate(self, now: Millis) -> float:
        """Rows per second."""
        return (self.rows - self.at_start) / max((now - self.started_ms) / 1000, 0.001)


@dataclass(frozen=True, slots=True)
class Deferred:
    """An object waits for quota."""

    why: QuotaExhausted
    was_live: bool
    """Whether only windows wait: its rows were proven before."""


@dataclass
class MirroredObject:
    """One mirrored object."""

    config: ObjectConfig
    privacy: Privacy
    table: Table | None = None
    state: ObjectState = ObjectState.PENDING
    cursor: Millis | None = None
    as_of: str | None = None
    expected_rows: int | None = None
    error: str | None = None
    described_at: str | None = None
    paused: bool = False
    to_fill: tuple[str, ...] = ()
    """Columns that came to a loaded table and are empty in old rows."""
    formulas_as_of: str | None = None
    proven_at: Millis = 0
    """Up to here (Salesforce's clock) the rows were proven equal to the org's; 0: never."""
    checked_at: str | None = None
    drift: tuple[int, int, int] | None = None
    """What the last fingerprint found missing, stale and orphaned."""
    held_back: int = 0
    """Rows that it found changed only in fields that no sync condition watches: they are no drift."""
    suspicion: str = ""
    """What contradicted the mirror, so that a fingerprint is due before its time; empty when nothing did."""
    failures: int = 0
    """Loads and proofs that failed in a row."""
    retry_at: Millis = 0
    """Not before this (local clock) is it tried again."""
    vanished: int = 0
    """Rows that the org no longer counts, more than are believed to be deleted: nothing is, meanwhile."""
    unexplained: int = 0
    """Rows taken for deleted without a trace since the last proof: little by little is much, too."""
    reread: str = ""
    """Why the object has to be read whole again; empty when it need not be."""
    most_characters: int = soql.MOST_COLUMNS
    """Characters of a field list that the org is known to take in one statement of this object."""
    rest_only: bool = False
    """The Bulk API has refused the object."""
    late_by: Millis = 0
    """By how much a row was visible later than its stamp says, at most."""
    loading: Loading | None = None
    deferred: Deferred | None = None
    last_change_at: str | None = None
    in_org: tuple[str, ...] | None = None
    """The sync conditions in the org; None where it is not known that the package is there."""
    conditions_as_of: str | None = None
    contradicted: int = 0
    """Rows whose stamps the org denied when they were checked last: it is not live until they are right."""
    loaded_from: Millis = 0
    """When this run began the initial audit: what changed before was not late."""
    latencies: deque[tuple[Source, Millis]] = field(default_factory=lambda: deque(maxlen=FRESHNESS_SAMPLES))
    """How late the newest changes were in the mirror, each with the source that brought it."""

    @property
    def name(self) -> str:
        """The object's name."""
        return self.config.name

    @property
    def described(self) -> Table:
        """Its table; only for callers that run after the describe."""
        if self.table is None:
            raise AssertionError(f"{self.name} has not been described yet")
        return self.table

    @property
    def drifting(self) -> tuple[str, ...]:
        """The columns whose values change without the record's stamp moving."""
        return self.described.schema.drifting(self.config.refresh)

    @property
    def conditions(self) -> tuple[str, ...]:
        """The fields whose change makes the package push; none: any."""
        return self.config.conditions if self.in_org is None else self.in_org

    @property
    def loaded(self) -> bool:
        """Whether an initial audit has come to its end, so that windows make sense."""
        return self.cursor is not None


class Catalog:
    """Every mirrored object, in the order of the configuration."""

    def __init__(self, objects: dict[str, MirroredObject]) -> None:
        self._objects = objects
        self._lower = {name.lower(): mirrored for name, mirrored in objects.items()}

    @classmethod
    async def open(
        cls, database: Database, configs: Sequence[ObjectConfig], random_bytes: Callable[[int], bytes]
    ) -> Catalog:
        """Take up what an earlier run left, and make rows for what is new."""
        key = await _privacy_key(database, random_bytes)
        known = await records.all_records(database)
        objects = {config.name: _restore(config, key, known.get(config.name)) for config in configs}
        for mirrored in objects.values():
            await _compare_filter(database, mirrored)
        async with database.transaction() as tx:
            for config in configs:
                await records.add(tx, config.name)
        return cls(objects)

    def __iter__(self) -> Iterator[MirroredObject]:
        return iter(self._objects.values())

    def __getitem__(self, name: str) -> MirroredObject:
        return self._objects[name]

    def protect(self, push: Push) -> MaskedPush:
        """Apply the privacy rules to a push, in place, before it reaches the disk."""
        return masked_push(push, self._privacy_of)

    def _privacy_of(self, name: str) -> Privacy | None:
        mirrored = self.find(name)
        return mirrored.privacy if mirrored else None

    def find(self, name: str) -> MirroredObject | None:
        """The object of that name, whatever its case; None when it is not mirrored."""
        return self._lower.get(name.lower())

    async def update(self, tx: Tx, mirrored: MirroredObject, **values: Any) -> None:
        """Set facts of an object, here and in its row."""
        stored = dict(values)
        if isinstance(stored.get("state"), ObjectState):
            stored["state"] = stored["state"].value
        if "to_fill" in stored:
            stored["to_fill"] = msgspec.json.encode(stored["to_fill"]).decode()
        await records.update(tx, mirrored.name, stored)
        for name, value in values.items():
            setattr(mirrored, name, from_iso(value) if name in _MOMENTS and value else value)

    async def set_schema(
        self,
        tx: Tx,
        mirrored: MirroredObject,
        schema: ObjectSchema,
        existing: Iterable[str],
        described_at: str,
    ) -> list[str]:
        """Take a describe: make the table or widen it; return the columns that came to an old table.

        A field that was out of sight for a while is among them: its column is there, but out of date.
        Raises ValueError when the configuration names a field that the org does not show.
        """
        table = Table(narrow(schema, mirrored.config, existing))
        added = await tables.ensure(tx, table)
        if mirrored.table is not None:
            known = {*mirrored.table.columns, *added}
            added = [*added, *(name for name in table.columns if name not in known)]
        await records.set_schema(tx, table.schema, described_at)
        mirrored.table, mirrored.described_at = table, described_at
        return added


async def _privacy_key(database: Database, random_bytes: Callable[[int], bytes]) -> bytes:
    """The key of this mirror's hashes, made once."""
    found = await meta.get(database, _PRIVACY_KEY)
    if found is None:
        found = random_bytes(32).hex()
        async with database.transaction() as tx:
            await meta.put(tx, _PRIVACY_KEY, found)
    return bytes.fromhex(found)


async def _compare_filter(database: Database, mirrored: MirroredObject) -> None:
    """Rows that another filter has let in prove nothing: then the object has to be read again."""
    if not mirrored.loaded or await meta.get(database, f"filter {mirrored.name}") == mirrored.config.where:
        return
    mirrored.reread = "its filter has changed"
    mirrored.state, mirrored.error = ObjectState.INCOMPLETE, "its filter has changed; it is read again"


def _restore(config: ObjectConfig, key: bytes, record: ObjectRecord | None) -> MirroredObject:
    mirrored = MirroredObject(config, Privacy(config.privacy, key))
    if record is None:
        return mirrored
    mirrored.table = Table(record.schema) if record.schema else None
    mirrored.state = ObjectState.PENDING if record.state is ObjectState.LOADING else record.state
    mirrored.expected_rows = record.expected_rows
    mirrored.cursor = from_iso(record.cursor) if record.cursor else None
    mirrored.as_of, mirrored.error = record.as_of, record.error
    mirrored.described_at, mirrored.paused = record.described_at, record.paused
    mirrored.to_fill, mirrored.formulas_as_of = record.to_fill, record.formulas_as_of
    mirrored.proven_at = from_iso(record.proven_at) if record.proven_at else 0
    mirrored.checked_at = record.checked_at
    return mirrored
