"""Sync conditions: the fields whose change makes the package push, as read from and written to the org.

While the package is installed, its `RTS_Synced_Field__c` rows apply. The configuration's `conditions` seed
them: they are written for an object without rows, and again after a change of the configuration. An edit
made in Salesforce is saved, and read within one describe period.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from rtsd.core.condition_fields import STAMPS, unsuitable
from rtsd.core.instant import Millis, to_iso
from rtsd.core.spelling import did_you_mean
from rtsd.errors import Conflict, UsageError
from rtsd.salesforce import objects, package
from rtsd.salesforce.client import Client
from rtsd.salesforce.package import SyncedField
from rtsd.store import meta
from rtsd.store.database import Database, Tx
from rtsd.store.journal import Note
from rtsd.sync.catalog import Catalog
from rtsd.sync.mirrored_object import MirroredObject, OrgConditions
from rtsd.sync.unit_of_work import UnitsOfWork


class _Saved(msgspec.Struct):
    """The state of one object that survives a restart."""

    in_org: list[str] | None = None
    as_of: str | None = None
    configured: list[str] | None = None
    """The configuration's conditions when the org's were last seeded."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The conditions of one object, as shown (contract section 5)."""

    object: str
    fields: list[str]
    source: str
    """Which conditions apply: org or config."""
    in_org: list[str] | None
    as_of: str | None
    available: list[str]
    """Fields that can be conditions; not formulas, which change without a save."""
    before: list[str] | None = None
    """The org's conditions that were replaced, after a change."""


class Conditions:
    """Reads the org's synced fields, and writes them for operators and for the configuration."""

    def __init__(
        self,
        client: Client,
        database: Database,
        catalog: Catalog,
        work: UnitsOfWork,
        *,
        now: Callable[[], Millis],
        period_ms: Millis,
    ) -> None:
        self._client = client
        self._database = database
        self._catalog = catalog
        self._work = work
        self._now = now
        self._period = period_ms
        self._read_at: Millis = 0

    async def restore(self) -> None:
        """Restore the conditions known to the last run."""
        for mirrored in self._catalog:
            saved = await self._saved(mirrored)
            mirrored.in_org = OrgConditions(_tuple(saved.in_org), saved.as_of)

    async def step(self, package_state: str) -> bool:
        """Read the org's conditions if that is due, in one call; return whether it was due."""
        if package_state == "missing":
            for mirrored in self._catalog:
                if mirrored.in_org.fields is not None:
                    await self._remember(mirrored, None, "")
        if package_state != "installed":
            return False
        now = self._now()
        if self._read_at and now - self._read_at < self._period:
            return False
        self._read_at = now
        await self.refresh()
        return True

    async def refresh(self) -> None:
        """Read the conditions of every object now, and seed them from the configuration where needed.

        Without the package, only the configuration's conditions remain. Raises the client's errors.
        """
        catalog = list(self._catalog)
        rows = await package.read_synced_fields(self._client, [mirrored.name for mirrored in catalog])
        for mirrored in catalog:
            if rows is None:
                await self._remember(mirrored, None, "")
                continue
            own = _rows_of(mirrored, rows)
            await self._remember(mirrored, _conditions(own), "edited in Salesforce")
            await self._seed(mirrored, own)

    async def show(self, mirrored: MirroredObject, *, installed: bool) -> Shown:
        """Return the conditions of one object, read from the org in one call if the package is installed."""
        if installed:
            rows = await package.read_synced_fields(self._client, [mirrored.name])
            in_org = None if rows is None else _conditions(_rows_of(mirrored, rows))
            await self._remember(mirrored, in_org, "edited in Salesforce")
        return self.known(mirrored)

    def known(self, mirrored: MirroredObject) -> Shown:
        """Return the last known conditions of one object, without a call."""
        in_org = mirrored.in_org.fields
        return Shown(
            object=mirrored.name,
            fields=list(mirrored.conditions),
            source="config" if in_org is None else "org",
            in_org=None if in_org is None else list(in_org),
            as_of=mirrored.in_org.as_of,
            available=_available(mirrored),
        )

    async def put(self, mirrored: MirroredObject, fields: Sequence[str]) -> Shown:
        """Write the conditions of an object to the org; without any, every update is pushed.

        Raises UsageError for a field that cannot be a condition, Conflict without the package.
        """
        wanted = await self._suitable(mirrored, fields)
        rows = await package.read_synced_fields(self._client, [mirrored.name])
        if rows is None:
            raise Conflict(
                "The package is not in the org, so there are no sync conditions to change.",
                "`rtsd package deploy` installs it, with the `conditions` of the configuration.",
            )
        own = _rows_of(mirrored, rows)
        await self._write(mirrored, own, wanted, "set by an operator")
        return replace(self.known(mirrored), before=list(_conditions(own)))

    async def _suitable(self, mirrored: MirroredObject, fields: Sequence[str]) -> list[str]:
        """Return the fields as the org spells them. Raises UsageError for one that cannot be a condition."""
        wanted = _known_fields(mirrored, fields)
        unmirrored = set(mirrored.table.schema.unmirrored) if mirrored.table else set()
        compounds: Mapping[str, Sequence[str]] = {}
        if unmirrored.intersection(wanted):  # compound fields are among these
            described = await objects.describe(self._client, mirrored.name, purpose=package.PURPOSE)
            compounds = described.compounds if described else {}
        if reasons := unsuitable(wanted, compounds):
            raise UsageError(f"{mirrored.name}: {'; '.join(reasons)}.", "Name other fields, or none.")
        return wanted

    async def _seed(self, mirrored: MirroredObject, rows: Sequence[SyncedField]) -> None:
        """Write the configuration's conditions if the org has none, or if the configuration has changed."""
        saved, configured = await self._saved(mirrored), list(mirrored.config.conditions)
        if saved.configured == configured or mirrored.table is None:
            return
        is_first = saved.configured is None
        if not is_first or (configured and not rows):
            try:
                wanted = await self._suitable(mirrored, configured)
            except UsageError as error:
                await self._work.report(error, mirrored.name)
                return
            await self._write(mirrored, rows, wanted, "from the configuration")
        async with self._database.transaction() as tx:
            await self._save(tx, mirrored, mirrored.in_org, configured)

    async def _write(
        self, mirrored: MirroredObject, rows: Sequence[SyncedField], wanted: Sequence[str], how: str
    ) -> None:
        await package.write_synced_fields(self._client, package.changed_rows(mirrored.name, rows, wanted))
        await self._remember(mirrored, tuple(wanted), how)

    async def _remember(self, mirrored: MirroredObject, in_org: tuple[str, ...] | None, how: str) -> None:
        """Store the org's conditions, and journal a change."""
        before = mirrored.in_org
        found = OrgConditions(in_org, to_iso(self._now()))
        async with self._work.begin() as unit:
            await self._save(unit.tx, mirrored, found)
            if _has_changed(before, found):
                conditions = mirrored.config.conditions if in_org is None else in_org
                await unit.note(_changed(mirrored.name, before, conditions, how))
        mirrored.in_org = found

    async def _saved(self, mirrored: MirroredObject) -> _Saved:
        text = await meta.get(self._database, _key(mirrored))
        return msgspec.json.decode(text, type=_Saved) if text else _Saved()

    async def _save(
        self, tx: Tx, mirrored: MirroredObject, found: OrgConditions, configured: list[str] | None = None
    ) -> None:
        saved = await self._saved(mirrored)
        saved.in_org = None if found.fields is None else list(found.fields)
        saved.as_of = found.as_of
        saved.configured = configured if configured is not None else saved.configured
        await meta.put(tx, _key(mirrored), msgspec.json.encode(saved).decode())


def _has_changed(before: OrgConditions, found: OrgConditions) -> bool:
    if before.fields is None or found.fields is None:
        known_before = before.as_of is not None
        return before.fields is not found.fields and (known_before or bool(found.fields))
    return sorted(before.fields) != sorted(found.fields)


def _changed(name: str, before: OrgConditions, conditions: Sequence[str], how: str) -> Note:
    names = ", ".join(conditions) or "none: every update is pushed"
    message = f"sync conditions {how}: {names}" if how else f"sync conditions of the configuration: {names}"
    detail = {
        "conditions": list(conditions),
        "before": list(before.fields) if before.fields is not None else None,
    }
    return Note("package", name, message=message, detail=detail)


def _key(mirrored: MirroredObject) -> str:
    return f"conditions {mirrored.name}"


def _tuple(names: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


def _rows_of(mirrored: MirroredObject, rows: Iterable[SyncedField]) -> list[SyncedField]:
    return [row for row in rows if row.object.lower() == mirrored.name.lower()]


def _conditions(rows: Iterable[SyncedField]) -> tuple[str, ...]:
    return tuple(sorted(row.field for row in rows if row.condition))


def _available(mirrored: MirroredObject) -> list[str]:
    if mirrored.table is None:
        return []
    schema = mirrored.table.schema
    names = [field.name for field in schema.fields if not field.calculated]
    return sorted(name for name in {*names, *schema.unmirrored} if name.lower() not in STAMPS)


def _known_fields(mirrored: MirroredObject, fields: Iterable[str]) -> list[str]:
    """Return the fields as the org spells them, sorted.

    Raises UsageError for a field that cannot be a condition, Conflict before the object's first describe.
    """
    if mirrored.table is None:
        raise Conflict(f"{mirrored.name} has not been described yet.", "Wait until it is loading.")
    if reasons := unsuitable(fields, {}):
        raise UsageError(f"{mirrored.name}: {'; '.join(reasons)}.", "Name other fields, or none.")
    spelled = {name.lower(): name for name in _available(mirrored)}
    unknown = [name for name in fields if name.lower() not in spelled]
    if unknown:
        hint = did_you_mean(unknown, spelled.values())
        raise UsageError(
            f"{mirrored.name} has no field {', '.join(unknown)} that can be a sync condition.{hint}",
            f"Allowed, without formulas: {', '.join(spelled.values())}.",
        )
    return sorted({spelled[name.lower()] for name in fields})
