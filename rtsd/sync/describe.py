"""Describes of the org's objects, which create and widen the mirror's tables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial

from rtsd.core.instant import Millis
from rtsd.core.layout import Layout
from rtsd.core.object_state import ObjectState
from rtsd.core.schema import Field, ObjectSchema, narrow
from rtsd.errors import Conflict, ForeignDatabase, ObjectUnavailable, SalesforceError, TableLocked
from rtsd.salesforce import objects
from rtsd.salesforce.client import Client
from rtsd.salesforce.objects import Described
from rtsd.store import audits, held, past, row_checksums, views
from rtsd.store import schema as tables
from rtsd.store.journal import Note
from rtsd.store.mirror import END
from rtsd.store.schema import Table
from rtsd.store.views import Ensured
from rtsd.sync import object_states
from rtsd.sync.catalog import Catalog
from rtsd.sync.mirrored_object import LOCKED_PAUSE_MS, MirroredObject
from rtsd.sync.unit_of_work import UnitOfWork, UnitsOfWork

UNKNOWN_FIELD_PAUSE_MS = 60_000
"""Minimum time between describes caused by pushes with unknown fields."""
UNUSABLE_PAUSE_MS: Millis = 600_000
"""Maximum time between describes of an object that cannot be used."""
UNCONDITIONAL_EVERY = 2
"""One in this many describes of an object is unconditional; a conditional one costs a call too."""


class Describer:
    """Describes each object once per period, and earlier on demand."""

    def __init__(
        self,
        client: Client,
        catalog: Catalog,
        work: UnitsOfWork,
        now: Callable[[], Millis],
        *,
        period_ms: Millis,
        layouts: Mapping[Layout, str],
    ) -> None:
        self._client = client
        self._catalog = catalog
        self._work = work
        self._now = now
        self._period = period_ms
        self._layouts = layouts
        self._last: dict[str, Millis] = {}
        self._asked: dict[str, int] = {}
        self._hidden: dict[str, set[str]] = {}
        """Fields in pushes that a describe did not show."""
        self._wanted: dict[str, set[str]] = {}
        """Unknown fields by object that came too soon after its last describe."""

    async def step(self) -> int:
        """Describe the objects that are due; return their number."""
        now = self._now()
        due = [
            mirrored
            for mirrored in self._catalog
            if now - self._last.get(mirrored.name, 0) >= self._pause(mirrored) or _is_to_leave_out(mirrored)
        ]
        for mirrored in due:
            await self._describe_for(mirrored, ())
        return len(due)

    def _pause(self, mirrored: MirroredObject) -> Millis:
        """Return the time between two describes in ms; it is shorter where something is amiss."""
        if mirrored.locked:
            pause = mirrored.retry.alterations.not_before - self._last.get(mirrored.name, 0)
            return min(self._period, UNUSABLE_PAUSE_MS, pause)
        if mirrored.name in self._wanted:
            return min(self._period, UNKNOWN_FIELD_PAUSE_MS)
        if _is_unusable(mirrored) or (mirrored.table is not None and mirrored.table.hindrance):
            return min(self._period, UNUSABLE_PAUSE_MS)
        return self._period

    async def describe_for_push(self, mirrored: MirroredObject, names: Collection[str] = ()) -> None:
        """Describe an object whose push had the unknown fields `names`, at most once a minute.

        What comes sooner is described by `step` at the end of the minute, even without another push. The
        package reads in system mode, so its pushes carry fields that are hidden from the sync user. For
        fields that an earlier describe did not show either, wait for the regular one.
        """
        last, hidden = self._last.get(mirrored.name), self._hidden.setdefault(mirrored.name, set())
        is_new = not names or not hidden.issuperset(names)
        pause = UNKNOWN_FIELD_PAUSE_MS if is_new else self._period
        if last is None or self._now() - last >= pause:
            await self._describe_for(mirrored, names)
        elif is_new:
            self._wanted.setdefault(mirrored.name, set()).update(names)

    async def _describe_for(self, mirrored: MirroredObject, names: Collection[str]) -> None:
        """Describe an object, for these unknown fields and those that have waited; if it fails, they wait."""
        if names:
            self._wanted.setdefault(mirrored.name, set()).update(names)
        await self.describe(mirrored)
        self._hidden.setdefault(mirrored.name, set()).update(self._wanted.pop(mirrored.name, ()))

    async def report_failure(self, mirrored: MirroredObject, error: SalesforceError) -> None:
        """Report that an object could not be read; describe it again where a field or the object is gone."""
        await self._work.report(error, mirrored.name)
        if isinstance(error, ObjectUnavailable):
            await self.describe_for_push(mirrored)

    def invalidate(self, mirrored: MirroredObject) -> None:
        """Discard the last describe of an object, so that the next step repeats it."""
        self._last.pop(mirrored.name, None)

    async def require(self, mirrored: MirroredObject) -> None:
        """Ensure that an object is described. Raises Conflict with the reason if it cannot be."""
        if _is_unusable(mirrored):
            await self.describe(mirrored)
        require_described(mirrored)

    async def describe(self, mirrored: MirroredObject) -> None:
        """Describe one object and update its table.

        A deleted or hidden object goes into state `error`; a table that others use is tried again. Raises the
        client's other errors.
        """
        since = mirrored.stored.described_at or "" if self._may_be_conditional(mirrored) else ""
        self._last[mirrored.name] = self._now()
        try:
            found = await objects.describe(self._client, mirrored.name, modified_since=since)
            if found is not None:
                await self._store(mirrored, found)
        except ObjectUnavailable as error:
            why = error.message.rstrip(".")
            reason = (
                f"{mirrored.name} cannot be described: {why}. If it was not removed, give the sync user"
                f" the object permission Read on {mirrored.name} (permission set RTS_Sync)."
            )
            await object_states.unusable(self._work, mirrored, reason)
        except (ValueError, ForeignDatabase) as error:
            await object_states.unusable(self._work, mirrored, str(error))
        except TableLocked as error:
            await self._wait_for_lock(mirrored, error)

    async def _wait_for_lock(self, mirrored: MirroredObject, error: TableLocked) -> None:
        """Leave the table as it is for now, and say who uses it; the object is incomplete until then."""
        mirrored.retry.alterations.failed(self._now(), LOCKED_PAUSE_MS)
        if not mirrored.locked:
            await self._work.report(error, mirrored.name)
        mirrored.locked = str(error)
        async with self._work.begin() as unit:
            await object_states.hindered(unit, mirrored, mirrored.locked)

    async def _store(self, mirrored: MirroredObject, found: Described) -> None:
        """Store a describe, and create or widen the table.

        Raises ValueError if the configuration names a field that the sync user cannot see.
        """
        schema = narrow(found.schema, mirrored.config, found.existing)
        async with self._work.begin() as unit:
            before = unit.stored(mirrored)
            ensured = await views.ensure(unit.tx, Table(schema, unit.tx.dialect), self._layouts, before.table)
            table = ensured.table
            _forget_retyped(mirrored, before.table, schema)
            unit.on_commit(partial(_was_altered, mirrored, ensured))
            if mirrored.loading is None:  # a read under way has the columns that it began with
                table = tables.without(table, mirrored.unfit)
            to_fill = _columns_to_fill(ensured.added, before.table, table)
            await unit.store(mirrored, replace(before, table=table, described_at=found.last_modified))
            await object_states.described(unit, mirrored)
            if before.table is None:
                await held.release(unit.tx, mirrored.name)
            if to_fill:
                await _note_to_fill(unit, mirrored, to_fill)
            for message in ensured.messages:
                await unit.note(Note("schema", mirrored.name, message=message))
            await _note_what_stays(unit, mirrored, before.table, table)
            lost = set(before.table.columns if before.table else ()).difference(schema.names)
            if lost:
                message = (
                    f"no longer visible: {', '.join(sorted(lost))}; the mirror keeps the values it has."
                    " If it was not removed, give the sync user field-level access to it again"
                )
                await unit.note(Note("schema", mirrored.name, message=message))

    def _may_be_conditional(self, mirrored: MirroredObject) -> bool:
        """Return whether to request the describe only if the object's definition has changed since the last.

        Not for the first describe of a run, as the configuration may name other fields than before. Not for
        an unusable object, nor while a user's view keeps a column as it is. And not every time: permissions
        are not part of the definition, so a change of what the sync user can see is no modification.
        """
        asked = self._asked.get(mirrored.name, 0)
        self._asked[mirrored.name] = asked + 1
        table, is_usable = mirrored.table, mirrored.state is not ObjectState.ERROR
        is_whole = table is not None and not (table.kept or mirrored.hindrance or mirrored.unfit)
        return asked % UNCONDITIONAL_EVERY != 0 and is_usable and is_whole


def require_described(mirrored: MirroredObject) -> None:
    """Require that an object was described. Raises Conflict with the reason if it was not."""
    if _is_unusable(mirrored):
        reason = mirrored.stored.error or f"{mirrored.name} has not been described."
        raise Conflict(reason, "Then run it again.")


def _was_altered(mirrored: MirroredObject, ensured: Ensured) -> None:
    """Note that a describe is in the table; if that took a while, the object is proven at once."""
    if mirrored.locked:
        mirrored.locked = ""
        mirrored.retry.alterations.succeeded()
        mirrored.retry.loads.succeeded()
    mirrored.unindexed |= bool(ensured.added) or ensured.numbered


def _is_to_leave_out(mirrored: MirroredObject) -> bool:
    """Return whether a field that its column cannot hold is in the table yet."""
    if _is_unusable(mirrored) or mirrored.table is None or mirrored.loading is not None:
        return False
    return not mirrored.unfit.keys().isdisjoint(mirrored.table.columns)


def _forget_retyped(mirrored: MirroredObject, before: Table | None, schema: ObjectSchema) -> None:
    """Forget what was wrong with the values of fields that have another type now."""
    known = before.schema.by_name if before is not None else {}
    for name in list(mirrored.unfit):
        was, now = known.get(name), schema.by_name.get(name)
        if now is None or (was is not None and was.type != now.type):
            del mirrored.unfit[name]


def _is_unusable(mirrored: MirroredObject) -> bool:
    return mirrored.table is None or mirrored.state is ObjectState.ERROR


def _columns_to_fill(added: Collection[str], before: Table | None, table: Table) -> dict[str, str]:
    """Return why each column of an existing table must be filled, by its name; `added` are its new ones.

    A field that was hidden for a while is out of date, and so is one of another type: Salesforce converts its
    values without new stamps, and SQLite may store both types alike.
    """
    if before is None:
        return dict.fromkeys(added, "new")
    known = before.schema.by_name
    reasons = {}
    for field in table.schema.fields:
        was = known.get(field.name)
        if was is None:
            reasons[field.name] = "new"
        elif _values_differ(was, field) or field.name in added:
            reasons[field.name] = f"{_type(was)} -> {_type(field)}"
    return reasons


async def _note_what_stays(
    unit: UnitOfWork, mirrored: MirroredObject, before: Table | None, table: Table
) -> None:
    """Journal columns that a user's view keeps as they are; the object is incomplete without their values."""
    known = before.kept if before is not None else frozenset()
    if new := table.kept - known:
        message = f"stays text, as something of a user's depends on it: {', '.join(sorted(new))}"
        await unit.note(Note("schema", mirrored.name, message=message))
    if table.hindrance:
        if before is None or before.hindrance != table.hindrance:
            await unit.note(Note("schema", mirrored.name, message=table.hindrance))
            await audits.abandon(unit.tx, mirrored.name)  # a job that was begun reads the field, too
        await object_states.hindered(unit, mirrored, table.hindrance)


def _values_differ(was: Field, now: Field) -> bool:
    """Return whether a describe shows another type: the values may differ although no stamp has moved."""
    return (was.type, was.calculated) != (now.type, now.calculated)


def _type(field: Field) -> str:
    return f"formula of type {field.type}" if field.calculated else field.type


async def _note_to_fill(unit: UnitOfWork, mirrored: MirroredObject, reasons: Mapping[str, str]) -> None:
    """Journal new columns and types, and mark a loaded object as incomplete until old rows have the values.

    An interrupted initial audit resumes with the columns that it began with, so the others are noted, too.
    """
    new = [name for name, reason in reasons.items() if reason == "new"]
    changed = [f"{name} ({reason})" for name, reason in reasons.items() if reason != "new"]
    said = [f"new columns: {', '.join(new)}"] * bool(new)
    said += [f"other types: {', '.join(changed)}"] * bool(changed)
    await unit.note(Note("schema", mirrored.name, message="; ".join(said)))
    stored = unit.stored(mirrored)
    to_fill = tuple(dict.fromkeys((*stored.to_fill, *reasons)))
    await unit.store(mirrored, replace(stored, to_fill=to_fill))
    await row_checksums.forget_in(unit.tx, mirrored.name)
    await past.learned(unit.tx, mirrored.name, reasons, END)
    if mirrored.loaded or mirrored.loading is not None:
        await object_states.columns_to_fill(unit, mirrored, list(reasons))
