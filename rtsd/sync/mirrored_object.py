"""One mirrored object, in parts: configured, stored, and what only this run knows of it.

`stored` is what `_rts_object` holds: it is replaced by the commit that wrote the row, and by nothing else.
The other parts are lost at a restart, which costs a proof, not correctness.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from rtsd.core.instant import Millis
from rtsd.core.object_state import ObjectState
from rtsd.core.privacy import Privacy
from rtsd.core.schema import ObjectConfig
from rtsd.errors import QuotaExhausted
from rtsd.salesforce import soql
from rtsd.store.objects import StoredObject
from rtsd.store.schema import Table
from rtsd.sync.freshness import Freshness


@dataclass(slots=True)
class Loading:
    """Progress of a full read."""

    rows: int
    started_ms: Millis
    at_start: int
    """Rows that had been read before, when it resumes."""

    def rate(self, rows: int, now: Millis) -> float:
        """Rows per second, when `rows` were read by now."""
        return (rows - self.at_start) / max((now - self.started_ms) / 1000, 0.001)


@dataclass(frozen=True, slots=True)
class Deferred:
    """An object waits for quota."""

    why: QuotaExhausted
    proof_stands: bool
    """Only windows wait: the rows were proven before, and nothing has contradicted that since."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Rows that the last fingerprint found different from the org's."""

    missing: int = 0
    stale: int = 0
    orphaned: int = 0
    held_back: int = 0
    """Stale rows that changed only in fields that no sync condition watches: they are no drift."""
    repaired: bool = False
    """True once the object was proven as of the check that found it."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.stale or self.orphaned)


@dataclass(slots=True)
class Suspicions:
    """Evidence against the mirror's rows, until a check or a proof has settled it."""

    reason: str = ""
    """Why a fingerprint is due before its time; empty when it is not."""
    check_now: bool = False
    """The delete log did not answer: a fingerprint finds what it would have named."""
    reread: str = ""
    """Why the object has to be read whole again; empty when it need not be."""
    vanished: int = 0
    """Rows that the org no longer counts, more than are believed to be deleted: nothing is, meanwhile."""
    unexplained: int = 0
    """Rows taken for deleted without a trace since the last proof: little by little is much, too."""
    contradicted: int = 0
    """Rows whose stamps the org denied when they were last checked: it is not live until they are right."""
    drift: Drift | None = None
    """The result of the last fingerprint in this run."""

    def suspect(self, reason: str) -> None:
        """Note what contradicts the mirror."""
        self.reason = reason

    def guard(self, vanished: int) -> None:
        """Note how many rows have vanished and are kept."""
        self.vanished = vanished

    def checked(self, drift: Drift, *, proven: bool) -> None:
        """Take the result of a fingerprint; one that found nothing is a proof."""
        self.drift, self.check_now = drift, False
        if proven:
            self.unexplained = 0

    def repaired(self) -> None:
        """What the last fingerprint found was fetched, and nothing is left to fetch."""
        if self.drift is not None:
            self.drift = replace(self.drift, repaired=True)

    def counted(self) -> None:
        """The org's count agrees with the mirror's."""
        self.vanished = self.unexplained = 0

    def read_whole(self) -> None:
        """Every row was read."""
        self.reread, self.check_now = "", False
        self.repaired()


@dataclass(slots=True)
class Retry:
    """When an object is loaded or proven again."""

    failures: int = 0
    """Loads and proofs that failed in a row."""
    not_before: Millis = 0
    """Local time."""
    deferred: Deferred | None = None
    resumes: int = 0
    """How often it was resumed after a pause: a proof that began before does not count."""

    def defer(self, deferred: Deferred) -> None:
        """Wait for quota."""
        self.deferred, self.not_before = deferred, deferred.why.try_at

    def caught_up(self) -> None:
        """What waited for quota was read."""
        self.not_before = 0

    def resumed(self) -> None:
        """Try at once after a pause."""
        self.resumes += 1
        self.failures, self.not_before = 0, 0


@dataclass(slots=True)
class Learned:
    """What reading the object has taught: limits of this org that nothing announces."""

    max_characters: int = soql.MAX_FIELD_LIST
    """Characters of a field list that the org is known to take in one statement of this object."""
    rest_only: bool = False
    """The Bulk API has refused the object."""
    late_by: Millis = 0
    """By how much a row was visible later than its stamp says, at most."""


@dataclass(frozen=True, slots=True)
class OrgConditions:
    """The sync conditions in the org."""

    fields: tuple[str, ...] | None = None
    """None where it is not known that the package is there: then the configuration's count."""
    as_of: str | None = None


@dataclass
class MirroredObject:
    """One mirrored object."""

    config: ObjectConfig
    privacy: Privacy
    stored: StoredObject
    loading: Loading | None = None
    suspicions: Suspicions = field(default_factory=Suspicions)
    retry: Retry = field(default_factory=Retry)
    learned: Learned = field(default_factory=Learned)
    freshness: Freshness = field(default_factory=Freshness)
    in_org: OrgConditions = OrgConditions()

    @property
    def name(self) -> str:
        """The object's name."""
        return self.config.name

    @property
    def state(self) -> ObjectState:
        """How far its rows are proven."""
        return self.stored.state

    @property
    def paused(self) -> bool:
        """Whether an operator has paused it."""
        return self.state is ObjectState.PAUSED

    @property
    def deferred(self) -> Deferred | None:
        """Why it waits for quota, if it does."""
        return self.retry.deferred if self.state is ObjectState.DEFERRED else None

    @property
    def table(self) -> Table | None:
        """Its table; None before the first describe."""
        return self.stored.table

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
        return self.config.conditions if self.in_org.fields is None else self.in_org.fields

    @property
    def loaded(self) -> bool:
        """Whether an initial audit has come to its end, so that windows make sense."""
        return self.stored.cursor is not None

    def committed(self, stored: StoredObject) -> None:
        """Take what a transaction has stored."""
        self.stored = stored
