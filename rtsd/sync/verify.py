"""Verification of the mirror: the file, the counts, the stored values, and the org's fingerprint."""

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
from rtsd.core.plural import plural
from rtsd.errors import Conflict, RtsError
from rtsd.store import mirror, objects, row_checksums
from rtsd.store.database import Database
from rtsd.store.inbox import Inbox
from rtsd.store.journal import Note
from rtsd.sync.catalog import Catalog
from rtsd.sync.checks import Checks
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.org import OrgIdentity
from rtsd.sync.repair import Repair
from rtsd.sync.unit_of_work import UnitsOfWork

MAX_LISTED = 1_000
MAX_FAULTS = 100
BROKEN = "its stored values differ from those written"


@dataclass(slots=True)
class Verified:
    """The findings of one object."""

    name: str
    state: str
    rows: int = 0
    counted: int = 0
    """The number of rows according to `_rts_object`; `rows` is the actual one."""
    checksummed: int = 0
    broken: list[str] = field(default_factory=list)
    """Ids of rows whose values changed without a write."""
    repaired: int = 0
    drift: tuple[int, int, int] | None = None
    """Numbers of missing, stale and orphaned rows before the repair; None without a fingerprint."""
    error: str | None = None
    as_of: str | None = None
    proven_at: str | None = None
    fingerprint: str | None = None
    """SHA-256 of the rows' counts by the day of their stamp."""

    @property
    def is_sound(self) -> bool:
        """True if the object is live and correct, after repairs."""
        live = self.state == ObjectState.LIVE
        return live and self.error is None and self.rows == self.counted and self.repaired >= len(self.broken)


@dataclass(frozen=True, slots=True)
class Verification:
    """The findings of all objects. `ok` is True if everything is correct, after repairs; `at` is in ms."""

    ok: bool
    at: Millis
    org: str | None
    faults: list[str]
    """Damage to the structure of the mirror's or the inbox's file, in SQLite's words."""
    objects: list[Verified]


class Verifier:
    """Verifies the mirror."""

    def __init__(
        self,
        database: Database,
        inbox: Inbox,
        catalog: Catalog,
        work: UnitsOfWork,
        *,
        now: Callable[[], Millis],
        org: OrgIdentity,
        checks: Checks,
        repair: Repair,
        key_file: Path,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._inbox = inbox
        self._catalog = catalog
        self._work = work
        self._now = now
        self._org = org
        self._checks = checks
        self._repair = repair
        self._key_file = key_file
        self._random_bytes = random_bytes
        self.checking: tuple[str, row_checksums.Checked] | None = None
        """The object whose stored values are compared now, and how far that is."""

    async def verify(self) -> Verification:
        """Verify everything, and repair as far as possible."""
        faults = await self._faults()
        found = [await self._object(mirrored) for mirrored in self._catalog]
        ok = not faults and all(verified.is_sound for verified in found)
        return Verification(ok, self._now(), self._org.id, faults, found)

    def signing_key(self) -> bytes:
        """Return the key that signs certificates. Raises Conflict if others can read it or it is damaged."""
        return signing_key(self._key_file, self._random_bytes)

    async def _faults(self) -> list[str]:
        """Return SQLite's findings on the structure of both files, none if they are sound."""
        faults = []
        for name, file in (("mirror", self._database), ("inbox", self._inbox.file)):
            faults += [f"{name}: {fault}" for fault in await file.faults()]
        return faults

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
        """Compare the rows with their checksums, and fetch rows that do not match from the org."""
        table = mirrored.described
        if mirrored.stored.to_fill:  # filling a column changes values without a new version
            await row_checksums.forget(self._database, table)
            return
        drifting = set(mirrored.drifting)
        columns = [name for name in table.columns if name not in drifting]
        checked = row_checksums.Checked()
        self.checking = mirrored.name, checked
        try:
            await row_checksums.check(self._database, table, columns, checked)
        finally:
            self.checking = None
        found.checksummed, found.broken = checked.checksummed, checked.broken
        if not checked.broken:
            return
        async with self._work.begin() as unit:
            rows = plural(len(checked.broken), "row", "were")
            message = f"{rows} changed by the disk or another program, not by rtsd"
            detail = {"broken": checked.broken[:MAX_LISTED]}
            await unit.note(Note("drift", mirrored.name, message=message, detail=detail))
            await objects.recount(unit.tx, mirrored.name)
        done = await self._repair.records(mirrored, checked.broken, BROKEN)
        found.repaired = done.changed

    async def _fingerprint(self, mirrored: MirroredObject, found: Verified) -> None:
        if mirrored.described.schema.cursor is None:
            return
        result = (await self._checks.check(mirrored)).found
        found.drift = len(result.missing), len(result.stale), len(result.orphaned)
        days = await mirror.histogram(self._database, mirrored.described, mirror.END)
        found.fingerprint = sha256(msgspec.json.encode(sorted(days.items()))).hexdigest()


def signing_key(path: Path, random_bytes: Callable[[int], bytes]) -> bytes:
    """Return the key in the file, created on first use with its directory, readable only by its owner.

    Raises Conflict if others can read it or it has the wrong length.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
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
