"""Estimates of work on the org before it is done: full reads, reads of columns, an idle day.

The calls are estimated by the modules that make them (`…_cost`), which share their sizes of pages and
batches. `fingerprint_cost` estimates audits by counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from rtsd.core import delivery_budget
from rtsd.core.cost import Cost
from rtsd.core.deletion_guard import is_plausible
from rtsd.core.instant import DAY_MS, Millis
from rtsd.core.privacy import Privacy
from rtsd.core.schema import ObjectConfig, ObjectSchema
from rtsd.salesforce import soql
from rtsd.salesforce.client import Client
from rtsd.salesforce.counting import count_rows
from rtsd.store import mirror
from rtsd.store.database import Database
from rtsd.store.objects import StoredObject
from rtsd.store.schema import Table
from rtsd.store.sqlite.dialect import SQLITE
from rtsd.sync import audit, package
from rtsd.sync.audit import failed_proof_cost, proof_cost
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.reading import REST_PAGE, parts, read_cost, result_cost, retry_narrower
from rtsd.sync.repair import AT_ONCE, fetch_cost
from rtsd.sync.windows import window_cost

PURPOSE = "estimate"
"""The purpose of its calls in the ledger."""
CELL_BYTES = 3
"""Quotes and a comma around each cell of the CSV."""
MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class ObjectSize:
    """The size of an object in the org."""

    rows: int
    row_bytes: float
    """The CSV bytes of an average row."""
    recent: int = 0
    """Rows that the window after a full read looks at again: those of the last `lookback`."""


def unread(config: ObjectConfig, schema: ObjectSchema) -> MirroredObject:
    """Return an object as it is before its first read, to be measured."""
    table = Table(schema, SQLITE)  # of any engine: nothing is stored
    return MirroredObject(config, Privacy(config.privacy, b""), StoredObject(config.name, table=table))


async def measure(
    client: Client, mirrored: MirroredObject, lookback: Millis, *, purpose: str = PURPOSE
) -> ObjectSize:
    """Count an object's rows and sample a page of them, in two calls; large and filtered objects take three.

    A wide object is sampled in as many parts as it is read in. Raises the client's errors.
    """
    schema, where = mirrored.described.schema, mirrored.config.where
    rows = await count_rows(client, schema, where, purpose=purpose)
    row_bytes, now = await retry_narrower(mirrored, lambda: _sample(client, mirrored, purpose))
    recent = rows
    if schema.cursor and (where or rows >= REST_PAGE):
        since = soql.since(schema.cursor, now - lookback)
        recent = await client.count(soql.count(schema.name, since), purpose=purpose, all_rows=True)
    return ObjectSize(rows, row_bytes, recent)


async def measure_mirror(database: Database, mirrored: MirroredObject, rows: int) -> ObjectSize:
    """Return the size of an object of which the mirror has `rows` rows, without a call."""
    table = mirrored.described
    some = await mirror.sample(database, table, REST_PAGE)
    cells = sum(_cell_bytes(value) for row in some for value in row[: len(table.columns)])
    return ObjectSize(rows, cells / max(len(some), 1), rows)


async def _sample(client: Client, mirrored: MirroredObject, purpose: str) -> tuple[float, Millis]:
    """Return the CSV bytes of an average row, and the time on Salesforce's clock."""
    total, now = 0.0, 0
    for names in parts(mirrored):
        statement = soql.select(names, mirrored.name, mirrored.config.where, limit=REST_PAGE)
        page = await client.query(statement, purpose=purpose)
        cells = sum(_cell_bytes(row.get(name)) for row in page.records for name in names)
        total += cells / max(len(page.records), 1)
        now = page.observed.seen
    return total, now


def _cell_bytes(value: Any) -> int:
    return CELL_BYTES + (0 if value is None else len(str(value).encode()))


def full_read_cost(
    mirrored: MirroredObject, size: ObjectSize, *, own: int = 0, reads_limits: bool = False
) -> Cost:
    """Estimate a state audit of an object of which the mirror has `own` rows.

    Rows beyond the org's number are looked up by id, and a batch more may be, unless they are too many.
    """
    counting = Cost(api_calls=1 + bool(mirrored.config.where) + reads_limits)
    reading = result_cost(mirrored, size.rows, audit.PAGE)
    for _ in parts(mirrored)[1:]:
        reading += read_cost(mirrored, size.rows, bulk_after=0)
    proof = proof_cost(mirrored, size.recent, min(size.recent, size.rows))
    gone = max(own - size.rows, 0)
    orphans = fetch_cost(mirrored, gone, gone)
    if not is_plausible(gone, own):
        orphans, proof = Cost(), failed_proof_cost(mirrored)
    elif own:
        orphans = orphans.or_at_most(fetch_cost(mirrored, gone + AT_ONCE, gone + AT_ONCE))
    size_of_all = Cost(rows=size.rows, mb=size.rows * size.row_bytes / MEGABYTE)
    return counting + reading + orphans + proof + size_of_all


def first_load_cost(loads: Iterable[tuple[MirroredObject, ObjectSize]], *, with_package: bool) -> Cost:
    """Estimate the start of the daemon and the first load of these objects.

    It asks for the org, the user and the limits, describes each object, and `with_package` probes for it.
    """
    cost = Cost(api_calls=3 + with_package)
    for mirrored, size in loads:
        cost += Cost(api_calls=1) + full_read_cost(mirrored, size)
    return cost


def narrowed(mirrored: MirroredObject, columns: Sequence[str]) -> MirroredObject:
    """Return the object with only these columns, its Id and its stamp."""
    schema = mirrored.described.schema
    wanted = {"Id", schema.cursor, *columns}
    fields = tuple(field for field in schema.fields if field.name in wanted)
    table = replace(mirrored.described, schema=replace(schema, fields=fields))
    return replace(mirrored, stored=replace(mirrored.stored, table=table))


def columns_cost(mirrored: MirroredObject, size: ObjectSize) -> Cost:
    """Estimate a read of every row of an object that was narrowed to the columns."""
    cost = Cost(rows=size.rows, mb=size.rows * size.row_bytes / MEGABYTE)
    for _ in parts(mirrored):
        cost += read_cost(mirrored, size.rows, bulk_after=0)
    return cost


@dataclass(frozen=True, slots=True)
class Periods:
    """Intervals between calls in ms, 0 for never (contract section 2, `[sync]`)."""

    interval: Millis
    describe: Millis
    fingerprint: Millis
    formula: Millis
    silence: Millis


@dataclass(frozen=True, slots=True)
class IdleDay:
    """API calls on a day without changes: in real-time mode, under Interval Sync, without the package."""

    real_time: int
    interval: int
    awaiting_package: int

    def document(self) -> dict[str, int]:
        """Return it as JSON."""
        return asdict(self)


def idle_day(
    loaded: Iterable[tuple[MirroredObject, ObjectSize]],
    periods: Periods,
    *,
    with_package: bool = False,
    is_awaited: bool = False,
    is_subscribed: bool = False,
) -> IdleDay:
    """Estimate a day without changes.

    `with_package` adds the package's sync conditions once per describe period and, while nothing pushes, its
    error log and the package probes. `is_awaited` means that its gateway is configured, so that while it is
    missing rtsd probes for it often. `is_subscribed` adds the reads of the org's event deliveries.

    Pushes cost no calls, but while only heartbeats arrive, every object is read once per `silence_after` to
    prove that nothing was missed. Conditional describes count like others: every call except the one for the
    API versions counts (REST API guide, Limit Info Header).
    """
    windows = proofs = 0.0
    always = _a_day(delivery_budget.LEAST_OFTEN) if is_subscribed else 0.0
    for mirrored, size in loaded:
        window = window_cost(mirrored, 0, 0).api_calls
        always += _a_day(periods.describe) + _upkeep(mirrored, size, periods)
        windows += window * _a_day(periods.interval)
        proofs += window * _a_day(periods.silence)
    missing = always + windows
    if not with_package:
        return IdleDay(round(always), round(missing), round(missing))
    conditions = error_log = _a_day(periods.describe)
    rare, often = (_a_day(round(pause * 1000)) for pause in (package.LONGEST_PAUSE_S, package.FIRST_PAUSE_S))
    return IdleDay(
        real_time=round(always + conditions + proofs),
        interval=round(missing + conditions + error_log + rare),
        awaiting_package=round(missing + (often if is_awaited else rare)),
    )


def _upkeep(mirrored: MirroredObject, size: ObjectSize, periods: Periods) -> float:
    """Return the calls a day of fingerprints and of refreshes; without stamps, of full reads instead."""
    if mirrored.described.schema.cursor is None:
        return full_read_cost(mirrored, size, own=size.rows, reads_limits=True).api_calls * _a_day(
            periods.formula
        )
    calls = _a_day(periods.fingerprint)
    if mirrored.drifting:
        refresh = read_cost(mirrored, size.rows, bulk_after=0)
        calls += refresh.api_calls * _a_day(periods.formula)
    return calls


def _a_day(period: Millis) -> float:
    return DAY_MS / period if period else 0.0
