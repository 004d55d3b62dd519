"""Transactions: DML grouped into commits, and commits that become visible late."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rtssim.interface import Commit, OrgError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rtssim.clock import Clock
    from rtssim.database import Store
    from rtssim.interface import Principal, RowChange


@dataclass(slots=True)
class Transaction:
    """Work in progress: what was written (to be replayed if it commits late) and what changed."""

    who: Principal
    started: datetime
    stamped: datetime
    due: datetime | None = None
    statements: list[tuple[str, Sequence[Any]]] = field(default_factory=list)
    changes: list[RowChange] = field(default_factory=list)
    touched: set[tuple[str, str]] = field(default_factory=set)


class Transactions:
    """All transactions of the org. Each DML call runs in `scope`; scopes nest into one commit.

    The SystemModstamp of every row is the second its transaction began in. A late transaction's rows are
    locked until it commits: another writer gets UNABLE_TO_LOCK_ROW.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
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
        self._store.execute("BEGIN IMMEDIATE")
        try:
            yield transaction
        except BaseException:
            self._current = None
            self._store.execute("ROLLBACK")
            raise
        self._current = None
        self._finish(transaction, commit_after)

    def _finish(self, transaction: Transaction, commit_after: float) -> None:
        if commit_after > 0:
            self._store.execute("ROLLBACK")
            transaction.due = transaction.started + timedelta(seconds=commit_after)
            self._late.append(transaction)
            return
        self._store.execute("COMMIT")
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
        """Run a statement of the open transaction, and remember it."""
        self._open().statements.append((sql, params))
        self._store.execute(sql, params)

    def record(self, change: RowChange) -> None:
        """Note a row's change; UNABLE_TO_LOCK_ROW if a late transaction holds the row."""
        transaction = self._open()
        transaction.changes.append(change)
        transaction.touched.add((change.object, change.id))

    def lock(self, obj: str, record_id: str) -> None:
        """Refuse to touch a row that an uncommitted late transaction has touched."""
        if any((obj, record_id) in late.touched for late in self._late):
            raise OrgError(
                400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record or 1 records"
            )

    @property
    def current(self) -> Transaction:
        """The open transaction."""
        return self._open()

    def _open(self) -> Transaction:
        if self._current is None:
            raise RuntimeError("DML needs an open transaction")
        return self._current

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo this part alone if it raises."""
        transaction = self._open()
        marks = len(transaction.statements), len(transaction.changes)
        self._store.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            self._store.execute("ROLLBACK TO part")
            del transaction.statements[marks[0] :]
            del transaction.changes[marks[1] :]
            raise
        finally:
            self._store.execute("RELEASE part")

    # -- late commits ----------------------------------------------------------------------------------
    def settle(self) -> None:
        """Commit every late transaction whose time has come, in the order of their times."""
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
                self._store.execute("BEGIN IMMEDIATE")
                for sql, params in transaction.statements:
                    self._store.execute(sql, params)
                self._store.execute("COMMIT")
                self._announce(transaction)
        finally:
            self._settling = False

    def next_due(self) -> datetime | None:
        """When the next late transaction becomes visible."""
        return min((t.due for t in self._late if t.due is not None), default=None)

    def now(self) -> datetime:
        """Return the org's time."""
        return self._clock.now()

    def oldest_start(self) -> datetime | None:
        """When the oldest transaction still open began: where `latestDateCovered` stops."""
        return min((t.started for t in self._late), default=None)

    def hold(self, who: Principal, seconds: float) -> None:
        """Keep an empty transaction open for `seconds`, as another tenant of the instance may."""
        now = self._clock.now()
        self._late.append(Transaction(who, now, now, due=now + timedelta(seconds=seconds)))
