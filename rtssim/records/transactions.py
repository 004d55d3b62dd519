"""Transactions: DML grouped into commits, some of which become visible late."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rtssim.interface import Commit, OrgError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rtssim.clock import Clock
    from rtssim.database import OrgDatabase
    from rtssim.interface import Principal, RowChange


@dataclass(slots=True)
class Transaction:
    """An open or late transaction: its statements, for replay at a late commit, and its changes."""

    who: Principal
    started: datetime
    stamped: datetime
    due: datetime | None = None
    statements: list[tuple[str, Sequence[Any]]] = field(default_factory=list)
    changes: list[RowChange] = field(default_factory=list)
    touched: set[tuple[str, str]] = field(default_factory=set)


class Transactions:
    """All transactions of the org. Each DML call runs in `scope`; nested scopes share a commit.

    Every row's SystemModstamp is the second in which its transaction began. A late transaction locks its
    rows until it commits: other writers get UNABLE_TO_LOCK_ROW.
    """

    def __init__(self, database: OrgDatabase, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._current: Transaction | None = None
        self._late: list[Transaction] = []
        self._listeners: list[Callable[[Commit], None]] = []
        self._settling = False

    def on_commit(self, listener: Callable[[Commit], None]) -> None:
        """Call `listener` after each commit."""
        self._listeners.append(listener)

    @contextmanager
    def scope(self, who: Principal, commit_after: float = 0.0) -> Iterator[Transaction]:
        """Open a transaction, or join the open one; an exception rolls everything back."""
        if self._current is not None:
            yield self._current
            return
        self.settle()
        now = self._clock.now()
        transaction = Transaction(who, now, now.replace(microsecond=0))
        self._current = transaction
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield transaction
        except BaseException:
            self._current = None
            self._database.execute("ROLLBACK")
            raise
        self._current = None
        self._finish(transaction, commit_after)

    def _finish(self, transaction: Transaction, commit_after: float) -> None:
        if commit_after > 0:
            self._database.execute("ROLLBACK")
            transaction.due = transaction.started + timedelta(seconds=commit_after)
            self._late.append(transaction)
            return
        self._database.execute("COMMIT")
        self._announce(transaction)

    def _announce(self, transaction: Transaction) -> None:
        if not transaction.changes:
            return
        commit = Commit(
            self._clock.now(), transaction.stamped, transaction.who.user_id, tuple(transaction.changes)
        )
        for listener in self._listeners:
            listener(commit)

    # -- within a transaction --------------------------------------------------------------------------
    def write(self, sql: str, params: Sequence[Any] = ()) -> None:
        """Run a statement in the open transaction and keep it for a replay."""
        self.current.statements.append((sql, params))
        self._database.execute(sql, params)

    def record(self, change: RowChange) -> None:
        """Record a row's change in the open transaction."""
        transaction = self.current
        transaction.changes.append(change)
        transaction.touched.add((change.object, change.id))

    def lock(self, obj: str, record_id: str) -> None:
        """Raise UNABLE_TO_LOCK_ROW if a late transaction holds the row."""
        if any((obj, record_id) in late.touched for late in self._late):
            raise OrgError(
                400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record or 1 records"
            )

    @property
    def current(self) -> Transaction:
        """The open transaction; RuntimeError if there is none."""
        if self._current is None:
            raise RuntimeError("DML needs an open transaction")
        return self._current

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Roll back only the body if it raises."""
        transaction = self.current
        marks = len(transaction.statements), len(transaction.changes)
        self._database.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK TO part")
            del transaction.statements[marks[0] :]
            del transaction.changes[marks[1] :]
            raise
        finally:
            self._database.execute("RELEASE part")

    # -- late commits ----------------------------------------------------------------------------------
    def settle(self) -> None:
        """Commit every late transaction that is due, in order of due time."""
        if self._current is not None or self._settling:
            return
        now = self._clock.now()
        ready = sorted(
            (t for t in self._late if t.due is not None and t.due <= now), key=lambda t: t.due or now
        )
        self._settling = True
        try:
            for transaction in ready:
                self._late.remove(transaction)
                self._database.execute("BEGIN IMMEDIATE")
                for sql, params in transaction.statements:
                    self._database.execute(sql, params)
                self._database.execute("COMMIT")
                self._announce(transaction)
        finally:
            self._settling = False

    def now(self) -> datetime:
        """Return the org's time."""
        return self._clock.now()

    def oldest_start(self) -> datetime | None:
        """Return the start of the oldest open transaction, the upper bound of `latestDateCovered`."""
        return min((t.started for t in self._late), default=None)

    def hold(self, who: Principal, seconds: float) -> None:
        """Keep an empty transaction open for `seconds`, as another tenant of the instance might."""
        now = self._clock.now()
        self._late.append(Transaction(who, now, now, due=now + timedelta(seconds=seconds)))
