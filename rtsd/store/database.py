"""A database of the store, whichever its engine: read connections, write transactions.

`store.sqlite` and `store.postgres` implement it. SQL is written once, as SQLite reads it, within what both
engines understand; what they spell differently comes from the `Dialect`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from rtsd.errors import RtsError
from rtsd.store.counts import Counts
from rtsd.store.dialect import Dialect

if TYPE_CHECKING:
    from rtsd.store.loader import Loader
    from rtsd.store.schema import Table

AMONG = "IN (SELECT value FROM json_each(?))"
"""Whether a column has one of many values, passed as one parameter: a list."""

PROBE_BYTES = 64 << 10
_PROBE = (
    "INSERT INTO _rts_meta (key, value) VALUES ('probe', ?)"
    " ON CONFLICT (key) DO UPDATE SET value=excluded.value"
)

Row = tuple[Any, ...]


class Queries(Protocol):
    """What answers queries on committed data."""

    @property
    def dialect(self) -> Dialect:
        """How the engine spells what differs."""

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query. Raises StoreError."""


class Tx(ABC):
    """A write transaction, created by `Database.transaction`."""

    refusals: tuple[type[Exception], ...] = ()
    """What the engine raises for a value that a column cannot hold, if it has such."""

    def __init__(self, dialect: Dialect, loader: Loader) -> None:
        self.dialect = dialect
        self.loader = loader
        self.counts = Counts()
        """The transaction's changes of the database's counts."""
        self._callbacks: list[Callable[[], None]] = []

    @asynccontextmanager
    async def altering(self, table: str) -> AsyncIterator[None]:  # noqa: ARG002 - for subclasses
        """Run a block that changes a table, as SQL names it, and its views.

        Raises TableLocked soon, if others use it in a way that the engine would wait for.
        """
        yield

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Run a callback after the commit and before the next transaction, but not after a rollback.

        Memory that reflects stored data changes only in such callbacks.
        """
        self._callbacks.append(callback)

    def committed(self) -> None:
        """Run the callbacks in order; for `Database.transaction` only."""
        for callback in self._callbacks:
            callback()

    @abstractmethod
    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement."""

    @abstractmethod
    async def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run a statement for every row; return the total number of rows changed."""

    @abstractmethod
    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query inside the transaction."""


class Database(ABC):
    """An open database; close it, or use it as an async context manager."""

    errors: tuple[type[Exception], ...]
    """The engine's own errors, which become StoreErrors."""

    def __init__(self, name: str, dialect: Dialect) -> None:
        self.name = name
        """What messages call it: a path, or a URL without its password."""
        self.dialect = dialect
        self.counts = Counts()
        """The counts of committed data."""
        self.failure: str | None = None
        """The reason the last write failed; None once a write succeeds."""
        self.took: Callable[[float], object] = _ignore
        """Takes the seconds of each transaction that succeeded."""
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """Run a write transaction: commit at the end, roll back on any exception. Raises StoreError."""
        async with self._turn:
            began = asyncio.get_running_loop().time()
            try:
                try:
                    tx = await self._begin()  # begins even if cancelled
                    yield tx
                    await self._commit_and_follow(tx)
                except BaseException:
                    await self._rollback()
                    raise
            except self.errors as error:
                self.failure = str(error)
                raise self._translated(error) from error
            self.failure = None
            self.took(asyncio.get_running_loop().time() - began)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Block this process's writers while another process works on the database."""
        async with self._turn:
            yield

    async def probe(self) -> None:
        """Probe the storage after a failure, with more bytes than a push needs. Raises StoreError."""
        async with self.transaction() as tx:
            await tx.execute(_PROBE, ("0" * PROBE_BYTES,))
        async with self.transaction() as tx:
            await tx.execute("DELETE FROM _rts_meta WHERE key='probe'")

    @property
    def is_log_held(self) -> bool:
        """Whether another program's reader keeps the write-ahead log from being reused, so that it grows."""
        return False

    async def pulse(self) -> None:
        """Return once a read succeeded, even during a long write. Raises RtsError."""
        await self.fetch("SELECT 1")

    @abstractmethod
    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query on committed data, without waiting for writers. Raises StoreError."""

    @abstractmethod
    def apart(self) -> AbstractAsyncContextManager[Queries]:
        """Open a separate connection for long queries, which do not block other readers."""

    @abstractmethod
    def stream(self, sql: str, at_once: int) -> AsyncGenerator[list[Row]]:
        """Yield the rows of a long query, so many at a time, all as of its begin. Raises StoreError.

        It has a connection of its own. Close it (`contextlib.aclosing`): until its end the store keeps what
        it reads.
        """

    @abstractmethod
    async def build_indexes(self, table: Table) -> None:
        """Build the missing indexes of a loaded table. Raises StoreError."""

    @abstractmethod
    async def faults(self) -> list[str]:
        """Return what is wrong with the structure of the storage; none if it is sound. Raises StoreError."""

    @abstractmethod
    async def erase_free_space(self) -> None:
        """Make sure that nobody can read former values, as far as the engine allows. Raises StoreError."""

    @abstractmethod
    async def close(self) -> None:
        """Close the database."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @abstractmethod
    async def _begin(self) -> Tx: ...

    @abstractmethod
    async def _commit(self) -> None: ...

    @abstractmethod
    async def _rollback(self) -> None: ...

    @abstractmethod
    def _translated(self, error: Exception) -> RtsError: ...

    async def _commit_and_follow(self, tx: Tx) -> None:
        """Commit, then update the counts and run the callbacks, even if cancelled."""
        committing = asyncio.ensure_future(self._commit())
        committing.add_done_callback(partial(self._follow, tx))
        await asyncio.shield(committing)

    def _follow(self, tx: Tx, committing: asyncio.Future[Any]) -> None:
        if not committing.cancelled() and committing.exception() is None:
            self.counts.add(tx.counts)
            tx.committed()


def _ignore(_seconds: float) -> None:
    """Measure nothing."""
