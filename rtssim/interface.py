"""Values that the org exchanges with its callers: principals, errors, save results, commits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

Op = Literal["create", "update", "delete", "undelete", "purge"]


@dataclass(frozen=True, slots=True)
class Principal:
    """A user and the limits of what that user can see.

    `view_all` False: of objects with an owner, only the user's own rows. `hidden_objects` holds object
    names, `hidden_fields` (object, field) pairs (field-level security), `hidden_records` 18-character ids.
    """

    user_id: str
    view_all: bool = True
    hidden_objects: frozenset[str] = frozenset()
    hidden_fields: frozenset[tuple[str, str]] = frozenset()
    hidden_records: frozenset[str] = frozenset()


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


def not_found() -> OrgError:
    """Return the error for a path, object or row that does not exist or is hidden from the user."""
    return OrgError(404, "NOT_FOUND", "The requested resource does not exist")


def entity_is_deleted() -> OrgError:
    """Return the error for a row in the recycle bin."""
    return OrgError(404, "ENTITY_IS_DELETED", "entity is deleted")


def malformed_id(obj_name: str, record_id: str) -> OrgError:
    """Return the error for an id of another object, or for text that is not an id."""
    message = f"{obj_name} ID: id value of incorrect type: {record_id}"
    return OrgError(400, "MALFORMED_ID", message, ("Id",))


def session_expired() -> OrgError:
    """Return the error for a session that has ended or never existed."""
    return OrgError(401, "INVALID_SESSION_ID", "Session expired or invalid")


@dataclass(frozen=True, slots=True)
class SaveResult:
    """Outcome of a DML call for a single row; `created` tells an upsert's insert from its update."""

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
    """A single row's change within a commit.

    `old` and `new` hold the stored fields (formulas left out) as REST prints them; `new` is None for a
    purge, `old` for a create. `modstamp` is the row's SystemModstamp after the change. `fires_trigger` is
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
    """A transaction that became visible at `at`; its rows carry the stamp `stamped`, possibly much older."""

    at: datetime
    stamped: datetime
    by: str
    changes: tuple[RowChange, ...]
