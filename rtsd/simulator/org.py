"""The simulated org: describe, query, DML and replication over one SQLite store, as Salesforce does it.

Synchronous and single-threaded, except `QueryResult.csv` and `csv_chunks`, which read on a connection of
their own and may run in a thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtsd.simulator.behaviour import Behaviour
from rtsd.simulator.changes import Commit, Principal, RowChange, SaveResult
from rtsd.simulator.clock import Clock
from rtsd.simulator.errors import OrgError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

__all__ = ["Behaviour", "Clock", "Commit", "Org", "OrgError", "Principal", "QueryResult", "RowChange", "SaveResult"]


class QueryResult:
    """A planned query: nothing is read until rows are asked for."""

    object: str  # canonical name of the FROM object
    columns: tuple[str, ...]  # select order, canonical; "Owner.Name" for a parent's field
    is_count: bool  # SELECT COUNT()
    is_aggregate: bool  # AggregateResult rows

    @property
    def total_size(self) -> int:
        """Number of rows (for SELECT COUNT() the count)."""
        raise NotImplementedError

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """REST-typed rows, lazily, from one consistent snapshot taken when the query was made."""
        raise NotImplementedError

    def records(self, base: str = "/services/data/v62.0") -> Iterator[dict[str, Any]]:
        """REST JSON records with `attributes` (urls under `base`), parents nested, child subqueries."""
        raise NotImplementedError

    def csv_header(self, *, delimiter: str = ",", line_ending: str = "\n") -> bytes:
        """Return the CSV header line."""
        raise NotImplementedError

    def csv_chunks(
        self, rows: int, *, start: int = 0, delimiter: str = ",", line_ending: str = "\n"
    ) -> Iterator[tuple[int, bytes]]:
        """(row count, UTF-8 CSV lines without header) of `rows` rows each, the last fewer; own snapshot."""
        raise NotImplementedError

    def csv(self, write: Callable[[bytes], object], *, delimiter: str = ",", line_ending: str = "\n") -> int:
        """Write header and every row as Bulk CSV; return the number of rows. May run in a thread."""
        raise NotImplementedError

    def close(self) -> None:
        """Give the snapshot back; a result read to its end closes itself."""
        raise NotImplementedError


class Org:
    """One org. `records` maps object names to how many rows to generate (None: a CRM of about 50,000).

    `path` is the SQLite file (None: a temporary one, removed by `close`). `sync_user` is a principal that
    sees everything; `admin_id` the user who made the data.
    """

    org_id: str
    name: str
    instance_url: str
    clock: Clock
    behaviour: Behaviour
    sync_user: Principal

    def __init__(
        self,
        *,
        seed: int = 1,
        records: Mapping[str, int] | None = None,
        clock: Clock | None = None,
        path: str | None = None,
        behaviour: Behaviour | None = None,
        name: str = "Acme",
    ) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Close the store and remove a temporary file."""
        raise NotImplementedError

    # -- reading ---------------------------------------------------------------------------------------
    def describe_global(self, who: Principal) -> list[dict[str, Any]]:
        """Entries of `/sobjects` (REST API guide, Describe Global)."""
        raise NotImplementedError

    def describe(self, who: Principal, name: str) -> tuple[dict[str, Any], datetime]:
        """Describe document and the moment the object's definition last changed; NOT_FOUND if unknown."""
        raise NotImplementedError

    def described_at(self) -> datetime:
        """Moment any object's definition last changed (Last-Modified of describeGlobal)."""
        raise NotImplementedError

    def query(self, who: Principal, soql: str, *, all_rows: bool = False, bulk: bool = False) -> QueryResult:
        """Parse and plan `soql`; OrgError MALFORMED_QUERY, INVALID_FIELD, INVALID_TYPE, ..."""
        raise NotImplementedError

    def retrieve(
        self, who: Principal, obj: str, ids: Sequence[str], fields: Sequence[str] | None = None
    ) -> list[dict[str, Any] | None]:
        """REST records aligned with `ids`, None where missing, deleted or invisible; None = all fields."""
        raise NotImplementedError

    def state_of(self, obj: str, record_id: str) -> str:
        """'live', 'deleted' (in the recycle bin) or 'absent': what a 404 has to say."""
        raise NotImplementedError

    def blob(self, who: Principal, obj: str, record_id: str, field: str) -> bytes:
        """Return the bytes of a base64 field."""
        raise NotImplementedError

    # -- DML: one call is one transaction unless inside `transaction` --------------------------------------
    def create(
        self, who: Principal, obj: str, rows: Sequence[Mapping[str, Any]], *, all_or_none: bool = True
    ) -> list[SaveResult]:
        """Insert rows; one result each, in order."""
        raise NotImplementedError

    def update(
        self, who: Principal, obj: str, rows: Sequence[Mapping[str, Any]], *, all_or_none: bool = True
    ) -> list[SaveResult]:
        """Update rows named by their `Id`."""
        raise NotImplementedError

    def upsert(
        self,
        who: Principal,
        obj: str,
        key_field: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        all_or_none: bool = True,
    ) -> list[SaveResult]:
        """Insert or update by an external id field (or `Id`)."""
        raise NotImplementedError

    def delete(
        self, who: Principal, obj: str, ids: Sequence[str], *, all_or_none: bool = True
    ) -> list[SaveResult]:
        """Move rows to the recycle bin, children with them (no trigger for those)."""
        raise NotImplementedError

    def undelete(
        self, who: Principal, obj: str, ids: Sequence[str], *, all_or_none: bool = True
    ) -> list[SaveResult]:
        """Take rows out of the recycle bin, with the children that went in with them."""
        raise NotImplementedError

    def hard_delete(
        self, who: Principal, obj: str, ids: Sequence[str], *, all_or_none: bool = True
    ) -> list[SaveResult]:
        """Delete rows past the recycle bin (Bulk hardDelete): the delete trigger fires, no row remains."""
        raise NotImplementedError

    def empty_bin(self, obj: str | None = None, ids: Sequence[str] | None = None) -> int:
        """Purge deleted rows for good, firing nothing; return how many."""
        raise NotImplementedError

    def merge(
        self,
        who: Principal,
        obj: str,
        master_id: str,
        loser_ids: Sequence[str],
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """Merge one or two losers into the master (Account, Contact, Lead)."""
        raise NotImplementedError

    def transaction(self, who: Principal, *, commit_after: float = 0.0) -> AbstractContextManager[None]:
        """Group DML into one commit, visible `commit_after` org seconds later with the stamp of now."""
        raise NotImplementedError

    def settle(self) -> None:
        """Let every late transaction whose time has come become visible (reads and DML do it too)."""
        raise NotImplementedError

    def next_due(self) -> datetime | None:
        """When the next late transaction becomes visible."""
        raise NotImplementedError

    def on_commit(self, listener: Callable[[Commit], None]) -> None:
        """Call `listener` after each commit, in commit order."""
        raise NotImplementedError

    # -- replication ------------------------------------------------------------------------------------
    def deleted(self, who: Principal, obj: str, start: datetime, end: datetime) -> dict[str, Any]:
        """Answer of `/sobjects/X/deleted` (REST API guide, sObject Get Deleted)."""
        raise NotImplementedError

    def updated(self, who: Principal, obj: str, start: datetime, end: datetime) -> dict[str, Any]:
        """Answer of `/sobjects/X/updated` (REST API guide, sObject Get Updated)."""
        raise NotImplementedError

    # -- truth, for tests ----------------------------------------------------------------------------------
    def count(self, obj: str, *, deleted: bool = False) -> int:
        """Return the number of live (or, `deleted`, of recycled) rows."""
        raise NotImplementedError

    def snapshot(self, obj: str) -> Iterator[dict[str, Any]]:
        """Every live row with every plain field (formulas too), REST-typed, by Id, without attributes."""
        raise NotImplementedError
