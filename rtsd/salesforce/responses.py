"""What the client's calls return; each says when Salesforce read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rtsd.core.instant import Millis
from rtsd.salesforce.ledger import Observed


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer: `data` is the decoded JSON (None when there was no body)."""

    status: int
    data: Any
    headers: Mapping[str, str]
    observed: Observed


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a query, rows as JSON objects without `attributes`.

    `done` False means there are more rows: ask again behind the last one. A page may be shorter than
    its LIMIT and than 2,000 rows without being the last (REST API guide, Query Options Header), so only
    `done` says so.
    """

    records: list[dict[str, Any]]
    total: int
    done: bool
    observed: Observed


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Records by id: aligned with the ids asked for, None for what is not there or not visible."""

    records: list[dict[str, Any] | None]
    observed: Observed


@dataclass(frozen=True, slots=True)
class Deletions:
    """The delete log of one object and window: `(id18, deleted at)`.

    The log is whole only from `earliest` up to `covered`: behind `covered` a transaction was still
    running, and the next window starts there (REST API guide, sObject Get Deleted).
    """

    records: list[tuple[str, Millis]]
    earliest: Millis
    covered: Millis
    observed: Observed


@dataclass(frozen=True, slots=True)
class Limit:
    """One entry of `/limits`; `remaining` may be negative."""

    maximum: int
    remaining: int


WITHOUT_APEX = frozenset({"Professional Edition", "Group Edition", "Essentials Edition", "Team Edition"})
"""Editions that run no Apex of their own (not documented by name; the Apex guide lists those that do)."""


@dataclass(frozen=True, slots=True)
class Organization:
    """The org's own record."""

    id: str
    name: str
    edition: str
    """OrganizationType, such as `Enterprise Edition`."""
    sandbox: bool
    instance: str

    @property
    def apex(self) -> bool:
        """Whether the edition runs Apex, which the package is made of."""
        return self.edition not in WITHOUT_APEX


@dataclass(frozen=True, slots=True)
class UserInfo:
    """Who we are logged in as."""

    user_id: str
    organization_id: str
    username: str
