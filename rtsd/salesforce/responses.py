"""The results of REST calls, each with the bounds of the time at which Salesforce read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rtsd.core.instant import Millis
from rtsd.salesforce.ledger import Observed
from rtsd.salesforce.shapes import shaped

T = TypeVar("T")

UNKNOWN_TIME = Observed(0, 0)


@dataclass(frozen=True, slots=True)
class Response(Generic[T]):
    """An HTTP response: `data` is the decoded body of a success, `error_body` the text of an error."""

    status: int
    headers: Mapping[str, str]
    data: T
    error_body: str = ""
    observed: Observed = UNKNOWN_TIME


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a query, with rows as JSON objects without `attributes`.

    If `done` is False, query on after the last row. Only `done` marks the last page: others may also be
    shorter than LIMIT or 2,000 rows (REST API guide, Query Options Header).
    """

    records: list[dict[str, Any]]
    total: int
    done: bool
    observed: Observed

    def rows(self, shape: type[T]) -> list[T]:
        """The records as this shape. Raises SalesforceError if one of them does not have it."""
        return shaped(self.records, list[shape], what="a query")  # type: ignore[valid-type]  # a type at run time


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Records in the order of the requested ids, None for missing or invisible ones."""

    records: list[dict[str, Any] | None]
    observed: Observed


@dataclass(frozen=True, slots=True)
class Deletions:
    """The delete log of an object for a window, as (18-character id, time of deletion).

    The log is complete from `earliest` to `covered` only. After `covered` a transaction was still running;
    the next window starts there (REST API guide, sObject Get Deleted).
    """

    records: list[tuple[str, Millis]]
    earliest: Millis
    covered: Millis
    observed: Observed


@dataclass(frozen=True, slots=True)
class Limit:
    """An entry of `/limits`; `remaining` may be negative."""

    maximum: int
    remaining: int


WITHOUT_APEX = frozenset({"Professional Edition", "Group Edition", "Essentials Edition", "Team Edition"})
"""Editions without custom Apex (not documented by name; the Apex guide lists those with it)."""


@dataclass(frozen=True, slots=True)
class Organization:
    """The org's Organization record; None for what the sync user may not see."""

    id: str
    name: str | None = None
    edition: str | None = None
    """OrganizationType, such as `Enterprise Edition`."""
    sandbox: bool | None = None

    @property
    def apex(self) -> bool | None:
        """Whether the edition runs Apex, which the package needs."""
        return None if self.edition is None else self.edition not in WITHOUT_APEX


@dataclass(frozen=True, slots=True)
class UserInfo:
    """The user that rtsd is logged in as."""

    user_id: str
    username: str
