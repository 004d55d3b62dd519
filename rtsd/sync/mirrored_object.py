"""A mirrored object: its configuration, its stored state, and the state of this run.

`stored` mirrors the object's row of `_rts_object`. Only the commit that wrote the row replaces it. The other
state is lost at a restart, which costs a proof, not correctness.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from rtsd.core.backoff import FIRST_MS, pause_ms
from rtsd.core.instant import Millis
from rtsd.core.object_state import ObjectState
from rtsd.core.privacy import Privacy
from rtsd.core.schema import Kind, ObjectConfig
from rtsd.errors import QuotaExhausted
from rtsd.salesforce import soql
from rtsd.store.objects import StoredObject
from rtsd.store.schema import Table
from rtsd.sync.freshness import Freshness

LOCKED_PAUSE_MS: Millis = 10_000
"""The pause before a table that others use is tried again; doubled with every further try."""


@dataclass(slots=True)
class Loading:
    """Progress of a full read."""

    rows: int
    started_ms: Millis
    at_start: int
    """Rows read before this read resumed."""

    def rate(self, rows: int, now: Millis) -> float:
        """Return the rows per second, given the `rows` read until `now` (ms)."""
        return (rows - self.at_start) / max((now - self.started_ms) / 1000, 0.001)


@dataclass(frozen=True, slots=True)
class Deferred:
    """Work on an object that waits for quota."""

    why: QuotaExhausted
    proof_holds: bool
    """True if only windows wait, and nothing has contradicted the last proof."""


@dataclass(frozen=True, slots=True)
class Drift:
    """The numbers of rows that the last fingerprint found to differ from the org's."""

    missing: int = 0
    stale: int = 0
    orphaned: int = 0
    held_back: int = 0
    """Stale rows that changed only in fields that no sync condition watches, which is not drift."""
    repaired: bool = False
    """True once the object was proven as of the check that found it."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.stale or self.orphaned)


@dataclass(slots=True)
class Suspicions:
    """Evidence against the mirror's rows, until a check or a proof resolves it."""

    reason: str = ""
    """Why a fingerprint is due early; empty if it is not."""
    check_now: bool = False
    """True if the delete log could not be read, so that a fingerprint has to find the deletions."""
    reread: str = ""
    """Why the object needs another full read; empty if it does not."""
    vanished: int = 0
    """Rows held by the deletion guard: the org no longer counts them, and they are too many to delete."""
    unexplained: int = 0
    """Rows deleted without evidence since the last proof, so that the guard also counts gradual losses."""
    drift: Drift | None = None
    """The result of the last fingerprint in this run."""

    def want_reread(self, reason: str) -> None:
        """Record that the object needs another full read."""
        self.reread = reason

    def suspect(self, reason: str) -> None:
        """Record a contradiction to the mirror."""
        self.reason = reason

    def guard(self, vanished: int) -> None:
        """Record the number of rows held by the deletion guard."""
        self.vanished = vanished

    def checked(self, drift: Drift, *, proven: bool) -> None:
        """Record the result of a fingerprint; `proven` if it found nothing."""
        self.drift, self.check_now = drift, False
        if proven:
            self.unexplained = 0

    def repaired(self) -> None:
        """Record that nothing that the last fingerprint found is left to fetch."""
        if self.drift is not None:
            self.drift = replace(self.drift, repaired=True)

    def counted(self) -> None:
        """Record that the org's count agrees with the mirror's."""
        self.vanished = self.unexplained = 0

    def fully_read(self) -> None:
        """Record a complete full read."""
        self.reread, self.check_now = "", False
        self.repaired()


@dataclass(slots=True)
class Backoff:
    """Pauses that grow with the failures of one kind of work on one object."""

    failures: int = 0
    """Consecutive failures."""
    not_before: Millis = 0
    """Local time (ms) of the next attempt."""

    def failed(self, now: Millis, first: Millis = FIRST_MS) -> None:
        """Record a failure at a local time (ms); `first` is the pause after the first of them."""
        self.failures += 1
        self.not_before = now + pause_ms(self.failures, first)

    def succeeded(self) -> None:
        """Record a success."""
        self.failures, self.not_before = 0, 0


@dataclass(slots=True)
class Retry:
    """When the next attempt at each kind of work on an object is due."""

    loads: Backoff = field(default_factory=Backoff)
    """Of loads and proofs."""
    windows: Backoff = field(default_factory=Backoff)
    checks: Backoff = field(default_factory=Backoff)
    alterations: Backoff = field(default_factory=Backoff)
    """Of changes of its table."""
    deferred: Deferred | None = None
    resumed_at: Millis = 0
    """The last resume after a pause in this run, on Salesforce's clock (ms): a proof has to reach past it."""
    read_until: Millis = 0
    """The end of the last window read for a proof, as far as the delete log is complete."""

    @property
    def awaits_log(self) -> bool:
        """Whether the delete log did not reach past the resume yet when it was last read."""
        return self.read_until < self.resumed_at

    def defer(self, deferred: Deferred) -> None:
        """Wait for quota."""
        self.deferred, self.loads.not_before = deferred, deferred.why.try_at

    def caught_up(self) -> None:
        """End the wait for quota, once the windows that waited were read."""
        self.loads.not_before = 0

    def resumed(self, at: Millis) -> None:
        """Allow an attempt immediately after a pause that ended `at` (ms, Salesforce's clock)."""
        self.resumed_at = at
        self.loads.succeeded()


@dataclass(slots=True)
class Learned:
    """Undocumented limits of this org, learned by reading the object."""

    max_characters: int = soql.MAX_FIELD_LIST
    """The longest field list, in characters, that the org accepts in a statement on this object."""
    rest_only: bool = False
    """True if the Bulk API has refused the object."""
    late_by: Millis = 0
    """The longest delay in ms between a row's stamp and its visibility."""


@dataclass(frozen=True, slots=True)
class OrgConditions:
    """The sync conditions in the org."""

    fields: tuple[str, ...] | None = None
    """None unless the package is known to be installed; then the configuration's conditions apply."""
    as_of: str | None = None


@dataclass
class MirroredObject:
    """A mirrored object (see the module)."""

    config: ObjectConfig
    privacy: Privacy
    stored: StoredObject
    loading: Loading | None = None
    suspicions: Suspicions = field(default_factory=Suspicions)
    retry: Retry = field(default_factory=Retry)
    learned: Learned = field(default_factory=Learned)
    freshness: Freshness = field(default_factory=Freshness)
    in_org: OrgConditions = OrgConditions()
    locked: str = ""
    """Who uses its table so that the last describe could not change it; empty if it could."""
    unindexed: bool = True
    """Whether indexes may be missing in its table."""
    unfit: dict[str, str] = field(default_factory=dict)
    """Fields with a value in the org that their column cannot hold, and the reasons; see `sync.fitting`."""

    @property
    def name(self) -> str:
        """The object's name."""
        return self.config.name

    @property
    def state(self) -> ObjectState:
        """The object's state: how far its rows are proven."""
        return self.stored.state

    @property
    def paused(self) -> bool:
        """True if an operator has paused the object."""
        return self.state is ObjectState.PAUSED

    @property
    def holds_pushes(self) -> bool:
        """Whether its pushes wait in the inbox: for the resume, or for a first describe to come."""
        return self.paused or (self.table is None and self.state is not ObjectState.ERROR)

    @property
    def deferred(self) -> Deferred | None:
        """The work that waits for quota, if any."""
        return self.retry.deferred if self.state is ObjectState.DEFERRED else None

    @property
    def table(self) -> Table | None:
        """The object's table; None before its first describe."""
        return self.stored.table

    @property
    def described(self) -> Table:
        """The object's table, for callers that run after the first describe."""
        if self.table is None:
            raise AssertionError(f"{self.name} has not been described yet")
        return self.table

    def kind_of(self, field: str) -> Kind | Literal["unmirrored"] | None:
        """Return the kind of a field of the object; None for one that the last describe did not have."""
        if self.table is None:
            return None
        found = self.table.schema.by_name.get(field)
        if found is not None:
            return found.kind
        return "unmirrored" if field in self.table.schema.unmirrored else None

    @property
    def hindrance(self) -> str:
        """Why its table does not have a column for every field's values; empty if it has."""
        return self.described.hindrance or self.locked

    @property
    def drifting(self) -> tuple[str, ...]:
        """The columns whose values change without a new stamp on the record."""
        return self.described.schema.drifting(self.config.refresh)

    @property
    def conditions(self) -> tuple[str, ...]:
        """The fields whose change makes the package push an update; without any, every update is pushed."""
        return self.config.conditions if self.in_org.fields is None else self.in_org.fields

    @property
    def loaded(self) -> bool:
        """True once the initial audit has read every row, from which on windows are read."""
        return self.stored.cursor is not None

    @property
    def unchecked(self) -> bool:
        """True if a fingerprint must precede the next proof, as after a time outside the configuration.

        The delete log may not reach back so far.
        """
        table = self.table
        has_stamp = table is not None and table.schema.cursor is not None
        return self.loaded and has_stamp and self.stored.checked_at is None

    def committed(self, stored: StoredObject) -> None:
        """Replace the stored state by that of a committed transaction."""
        self.stored = stored
