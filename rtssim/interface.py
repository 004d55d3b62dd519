"""What passes between the org and who works with it: principals, save results, commits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime


class OrgError(Exception):
    """A refusal by the org; on the wire `[{"message", "errorCode", "fields"?}]` with `status`.

    `status` is the HTTP status, `code` Salesforce's errorCode, `fields` the names a write error is about.
    """

    def __init__(self, status: int, code: str, message: str, fields: Sequence[str] = ()) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.fields = tuple(fields)


Op = Literal["create", "update", "delete", "undelete", "purge"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a user and what this user can't see.

    `view_all` False: of objects with an owner only the user's own rows. `hidden_objects` holds object
    names, `hidden_fields` (object, field) pairs (field-level security), `hidden_records` 18-character ids.
    """

    user_id: str
    view_all: bool = True
    hidden_objects: frozenset[str] = frozenset()
    hidden_fields: frozenset[tuple[str, str]] = frozenset()
    hidden_records: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SaveResult:
    """The outcome of one row of a DML call; `created` says which way an upsert went."""

    id: str | None
    success: bool
    created: bool = False
    errors: tuple[OrgError, ...] = ()

    def unwrap(self) -> str:
        """Return the id, or raise the row's first error."""
        if self.errors:
            raise self.errors[0]
        if self.id is None:
            raise ValueError("a save result has an id or an error")
        return self.id


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row's change in a commit.

    `old` and `new` hold the stored fields (formulas left out) as REST would print them; `new` is None for
    a purge, `old` for a create. `modstamp` is the row's SystemModstamp after the change. `fires_trigger` is
    False where Salesforce runs no Apex trigger (cascade delete, re-parenting, mass edits, purge, ...).
    """

    object: str
    id: str
    op: Op
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None
    modstamp: datetime
    master_id: str | None = None
    fires_trigger: bool = True


@dataclass(frozen=True, slots=True)
class Commit:
    """One transaction, visible since `at`; its rows were stamped at `stamped`, perhaps long before."""

    at: datetime
    stamped: datetime
    by: str
    changes: tuple[RowChange, ...]
