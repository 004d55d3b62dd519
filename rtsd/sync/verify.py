"""Verifying the mirror: the file, the counts, the stored values, and the org's fingerprint."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import msgspec

from rtsd.core import certificate
from rtsd.core.instant import Millis, to_iso
from rtsd.core.object_state import ObjectState
from rtsd.errors import Conflict, RtsError
from rtsd.store import mirror, objects, row_checksums
from rtsd.store.database import Database
from rtsd.store.journal import Note
from rtsd.sync.catalog import Catalog
from rtsd.sync.checks import Checks
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.org import OrgIdentity
from rtsd.sync.repair import Repair
from rtsd.sync.unit_of_work import UnitsOfWork

MOST_NAMED = 1_000
MOST_FAULTS = 100
LAST = "9999"
BROKEN = "its stored values are not those that were written"


@dataclass(slots=True)
class Verified:
    """What was found of one object."""

    name: str
    state: str
    rows: int = 0
    counted: int = 0
    """What `_rts_object` says; `rows` are there."""
    checksummed: int = 0
    broken: list[str] = field(default_factory=list)
    """Ids of rows whose values had changed without a write."""
    repaired: int = 0
    drift: tuple[int, int, int] | None = None
    """Missing, stale and orphaned before the repair; None where no fingerprint could be taken."""
    error: str | None = None
    as_of: str | None = None
    proven_at: str | None = None
    fingerprint: str | None = None
    """SHA-256 of the rows' counts by the day of their stamp."""

    @property
    def right(self) -> bool:
        """Whether all is well now: what was wrong is repaired."""
        live = self.state == ObjectState.LIVE
        return live and self.error is None and self.rows == self.counted and self.repaired >= len(self.broken)


@dataclass(frozen=True, slots=True)
class Verification:
    """The findings of all objects. `ok`: everything is right now, repairs included."""

    ok: bool
    at: Millis
    org: str | None
    faults: list[str]
    """Damage to the file's structure, in SQLite's words."""
    objects: list[Verified]


class Verifier:
    """Verifies the mirror."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        work: UnitsOfWork,
        *,
        now: Callable[[], Millis],
        org: OrgIdentity,
        checks: Checks,
        repair: Repair,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._work = work
        self._now = now
        self._org = org
        self._checks = checks
        self._repair = repair
        self._random_bytes = random_bytes

    async def verify(self) -> Verification:
        """Verify everything, and repair what can be repaired."""
        faults = await self._faults()
        found = [await self._object(mirrored) for mirrored in self._catalog]
        ok = not faults and all(verified.right for verified in found)
        return Verification(ok, self._now(), self._org.id, faults, found)

    def signing_key(self) -> bytes:
        """Return the key that certificates are signed with. Raises Conflict for a bad one."""
        path = self._database.path
        return signing_key(path.with_name(path.name + ".key"), self._random_bytes)

    async def _faults(self) -> list[str]:
        """What SQLite says of the file's structure; nothing when it is sound."""
        async with self._database.apart() as reader:
            rows = await reader.fetch(f"PRAGMA integrity_check({MOST_FAULTS})")
        return [str(row[0]) for row in rows if row[0] != "ok"]

    async def _object(self, mirrored: MirroredObject) -> Verified:
        found = Verified(mirrored.name, mirrored.state.value)
        if mirrored.table is None or not mirrored.loaded:
            found.error = mirrored.stored.error or "it is not loaded yet"
            return found
        await self._values(mirrored, found)
        try:
            await self._fingerprint(mirrored, found)
        except RtsError as error:
            found.error = str(error)
        database, table = self._database, mirrored.described
        found.counted = (await objects.row_counts(database)).get(mirrored.name, 0)
        found.rows = await mirror.count(database, table)
        if found.rows != found.counted:
            async with self._work.begin() as unit:
                await objects.recount(unit.tx, mirrored.name)
        proven_at = mirrored.stored.proven_at
        found.state, found.as_of = mirrored.state.value, mirrored.stored.as_of
        found.proven_at = to_iso(proven_at) if proven_at else None
        return found

    async def _values(self, mirrored: MirroredObject, found: Verified) -> None:
        """Compare the rows with their checksums; rows that do not match are fetched from the org."""
        table = mirrored.described
        if mirrored.stored.to_fill:  # a column is being filled, which moves no version
            await row_checksums.forget(self._database, table)
            return
        drifting = set(mirrored.drifting)
        columns = [name for name in table.columns if name not in drifting]
        checked = await row_checksums.check(self._database, table, columns)
        found.checksummed, found.broken = checked.checksummed, checked.broken
        if not checked.broken:
            return
        async with self._work.begin() as unit:
            message = f"{len(checked.broken)} rows are not as they were written: the disk, or another program"
            detail = {"broken": checked.broken[:MOST_NAMED]}
            await unit.note(Note("drift", mirrored.name, message=message, detail=detail))
        done = await self._repair.records(mirrored, checked.broken, BROKEN)
        found.repaired = done.changed

    async def _fingerprint(self, mirrored: MirroredObject, found: Verified) -> None:
        if mirrored.described.schema.cursor is None:
            return
        result = (await self._checks.check(mirrored)).found
        found.drift = len(result.missing), len(result.stale), len(result.orphaned)
        days = await mirror.histogram(self._database, mirrored.described, LAST)
        found.fingerprint = sha256(msgspec.json.encode(sorted(days.items()))).hexdigest()


def signing_key(path: Path, random_bytes: Callable[[int], bytes]) -> bytes:
    """Return the key in the file, made on first use, for its owner only. Raises Conflict for a bad one."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        key = path.read_bytes()
        if len(key) != certificate.KEY_BYTES or path.stat().st_mode & 0o077:
            raise Conflict(
                f"{path} is not a key that only its owner can read", "chmod 600 it, or remove it"
            ) from None
        return key
    key = random_bytes(certificate.KEY_BYTES)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
    return key
