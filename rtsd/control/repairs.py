"""Repairs that operators ask for: of records, of a stretch of time, of columns; priced first on request."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web

from rtsd.control import protocol
from rtsd.control.documents import answer, body_of, moment, object_of
from rtsd.control.pricing import Pricing, Spending
from rtsd.core.cost import Cost
from rtsd.core.ids import checked_id
from rtsd.core.instant import Millis, to_iso
from rtsd.core.plural import plural
from rtsd.core.quota import API_REQUESTS, BULK_JOBS
from rtsd.core.server_clock import ServerClock
from rtsd.core.spelling import did_you_mean
from rtsd.errors import Conflict, UsageError
from rtsd.salesforce import soql
from rtsd.salesforce.client import Client
from rtsd.store import mirror
from rtsd.store.database import Database
from rtsd.store.journal import Note
from rtsd.sync.catalog import Catalog
from rtsd.sync.columns import Columns
from rtsd.sync.comparison import listing_cost
from rtsd.sync.fingerprint import Fingerprinter
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.repair import AT_ONCE, Repair, fetch_cost
from rtsd.sync.unit_of_work import UnitsOfWork

MOST_RECORDS = 50_000
"""Above this a full audit takes fewer calls than fetching by id."""
REASON = "asked for by an operator"

Outcome = protocol.Repaired | protocol.Priced


class RepairRoutes:
    """Answers `POST /v1/objects/{o}/repair`."""

    def __init__(
        self,
        client: Client,
        database: Database,
        catalog: Catalog,
        work: UnitsOfWork,
        *,
        now: Callable[[], Millis],
        server_clock: ServerClock,
        repair: Repair,
        columns: Columns,
        fingerprinter: Fingerprinter,
        pricing: Pricing,
    ) -> None:
        self._client = client
        self._database = database
        self._catalog = catalog
        self._work = work
        self._now = now
        self._server_clock = server_clock
        self._repair = repair
        self._columns = columns
        self._fingerprinter = fingerprinter
        self._pricing = pricing

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.post("/v1/objects/{object}/repair", self._answer)]

    async def _answer(self, request: web.Request) -> web.Response:
        mirrored = object_of(request, self._catalog)
        return answer(await self._run(mirrored, await body_of(request, protocol.RepairBody)))

    async def _run(self, mirrored: MirroredObject, body: protocol.RepairBody) -> Outcome:
        """Repair, or price that.

        Raises UsageError for a contradictory body, Conflict for work that has to wait, and what the
        client raises.
        """
        if mirrored.table is None:
            raise Conflict(f"{mirrored.name} has not been described yet", "wait until it is loading")
        if sum((bool(body.ids), body.since is not None, bool(body.fields))) != 1:
            raise UsageError("A repair is of ids, or of fields, or of a stretch since a time.", "Name one.")
        if body.fields:
            return await self._read_columns(mirrored, _fields(mirrored, body.fields), dry_run=body.dry_run)
        if body.since is None:
            return await self._fetch(mirrored, [_id(text) for text in body.ids], dry_run=body.dry_run)
        since = moment(body.since, "since")
        until = moment(body.until, "until") if body.until else self._server_clock.now()
        if until <= since:
            raise UsageError(f"{body.until} is not after {body.since}.", "Give an earlier --since.")
        return await self._fetch_stretch(mirrored, since, until, dry_run=body.dry_run)

    async def _fetch(self, mirrored: MirroredObject, ids: Sequence[str], *, dry_run: bool) -> Outcome:
        """Fetch records by id."""
        if dry_run:
            return await self._pricing.priced(_fetch_cost(mirrored, len(ids)))
        return await self._fetched(mirrored, ids, await self._spending())

    async def _fetched(
        self, mirrored: MirroredObject, ids: Sequence[str], spending: Spending
    ) -> protocol.Repaired:
        done = await self._repair.records(mirrored, ids, REASON)
        spent = await spending.so_far()
        return protocol.Repaired(fetched=done.fetched, repaired=done.changed, api_calls=spent[API_REQUESTS])

    async def _fetch_stretch(
        self, mirrored: MirroredObject, since: Millis, until: Millis, *, dry_run: bool
    ) -> Outcome:
        """Fetch every record that either side has stamped in the stretch; counting takes a call."""
        if mirrored.described.schema.cursor is None:
            raise Conflict(f"{mirrored.name} has no stamps to go by", "name ids, or audit it with --full")
        spending = await self._spending()
        theirs, ours = await self._counts(mirrored, since, until)
        rows = max(theirs, ours)
        if dry_run:
            listing = Cost(api_calls=1) + listing_cost(mirrored, theirs, ours)
            return await self._pricing.priced(listing + _fetch_cost(mirrored, rows, rows - theirs))
        if rows > MOST_RECORDS:
            raise Conflict(
                f"{plural(rows, 'record')} of {mirrored.name} are stamped then: an audit takes fewer calls",
                f"run `rtsd audit {mirrored.name} --full`, or name a shorter time",
            )
        ids = await self._fingerprinter.stamped(mirrored, to_iso(since), to_iso(until))
        return await self._fetched(mirrored, sorted(ids), spending)

    async def _counts(self, mirrored: MirroredObject, since: Millis, until: Millis) -> tuple[int, int]:
        """Return the org's number of records stamped then, and the mirror's."""
        cursor = mirrored.described.schema.cursor or ""
        where = soql.all_of(soql.between(cursor, since, until), mirrored.config.where)
        theirs = await self._client.count(soql.count(mirrored.name, where), purpose="repair")
        table = mirrored.described
        ours = await mirror.count_since(self._database, table, to_iso(since), to_iso(until))
        return theirs, ours

    async def _read_columns(
        self, mirrored: MirroredObject, columns: Sequence[str], *, dry_run: bool
    ) -> Outcome:
        """Read the columns of every row again."""
        if dry_run:
            return await self._pricing.columns(mirrored, columns)
        spending = await self._spending()
        changed = await self._columns.reread(mirrored, columns)
        message = f"{', '.join(columns)} read again for every row: {plural(changed, 'row')} differed"
        await self._work.note(Note("repair", mirrored.name, source="repair", message=message))
        spent = await spending.so_far()
        return protocol.Repaired(
            fetched=await mirror.count(self._database, mirrored.described),
            repaired=changed,
            api_calls=spent[API_REQUESTS],
            bulk_jobs=spent[BULK_JOBS],
        )

    async def _spending(self) -> Spending:
        return await Spending.begin(self._database, self._now())


def _fetch_cost(mirrored: MirroredObject, records: int, gone: int = 0) -> Cost:
    """Return the cost of fetching records by id, of which `gone` are missing in the org, or a batch more."""
    known = fetch_cost(mirrored, records, gone)
    most = fetch_cost(mirrored, records, min(records, gone + AT_ONCE))
    return known.or_at_most(most) + Cost(rows=records)


def _id(text: str) -> str:
    try:
        return checked_id(text)
    except ValueError as error:
        raise UsageError(f"{error}.", "Copy it from the record's address in Salesforce.") from None


def _fields(mirrored: MirroredObject, names: Sequence[str]) -> list[str]:
    """Return the fields as the org spells them. Raises UsageError."""
    schema = mirrored.described.schema
    unknown = [name for name in names if name.lower() not in schema.by_lower_name]
    if unknown:
        hint = did_you_mean(unknown, schema.names)
        raise UsageError(
            f"{mirrored.name} has no mirrored field {', '.join(unknown)}.{hint}",
            f"There are {', '.join(schema.names)}."[:1_000],
        )
    return list(dict.fromkeys(schema.by_lower_name[name.lower()].name for name in names))
