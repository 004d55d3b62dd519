"""REST: query, retrieve, deleted, limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from rtsd.core.instant import Millis
from rtsd.salesforce.answers import Answer, Deletions, Limit, Organization, Page, Retrieved, UserInfo
from rtsd.salesforce.ledger import Clock, Ledger, ignore_server_time, ignore_usage
from rtsd.salesforce.session import Session, Sleep


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: until connected, until the first byte (a query may run 2 minutes), between two bytes."""

    connect_s: float = 10.0
    first_byte_s: float = 150.0
    stall_s: float = 60.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call is tried, the first pause (doubling, with jitter), and retries per hour in all."""

    attempts: int = 5
    first_pause_s: float = 0.5
    longest_pause_s: float = 60.0
    per_hour: int = 200


class Client:
    """Everything rtsd asks over REST, on one pooled connection. `async with` opens and closes it.

    Every call takes the `purpose` under which the ledger counts it. All of them raise QuotaExhausted,
    AuthenticationFailed, SessionExpired, OrgUnreachable, ObjectUnavailable, or SalesforceError with
    Salesforce's `reason` (QUERY_TIMEOUT, MALFORMED_QUERY, EXCEEDED_ID_LIMIT...).
    """

    def __init__(
        self,
        session: Session,
        ledger: Ledger,
        clock: Clock,
        *,
        api_version: str = "66.0",
        on_usage: Callable[[int, int], None] = ignore_usage,
        on_server_time: Callable[[Millis], None] = ignore_server_time,
        timeouts: Timeouts = Timeouts(),
        retries: RetryPolicy = RetryPolicy(),
        concurrency: int = 8,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        raise NotImplementedError

    async def __aexit__(self, *_error: object) -> None:
        raise NotImplementedError

    async def request(
        self,
        method: str,
        path: str,
        *,
        purpose: str,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        repeatable: bool = True,
        cost: int = 1,
    ) -> Answer:
        """Call `path` below `/services/data/vNN.N` (or from the root when it starts with `/services/`).

        `body` is sent as JSON. A call that is not `repeatable` is tried again only when it was surely
        not processed. `cost` is how many API calls it counts as (composite/batch).
        """
        raise NotImplementedError

    async def get(self, path: str, *, purpose: str, params: Mapping[str, str] | None = None) -> Answer:
        """GET `path`."""
        raise NotImplementedError

    async def post(self, path: str, *, purpose: str, body: Any, repeatable: bool = True) -> Answer:
        """POST `body` as JSON to `path`."""
        raise NotImplementedError

    async def query(self, soql: str, *, purpose: str, all_rows: bool = False) -> Page:
        """Return the first page; `all_rows` includes deleted and archived rows (queryAll)."""
        raise NotImplementedError

    async def tooling_query(self, soql: str, *, purpose: str) -> Page:
        """Return the first page of a Tooling API query."""
        raise NotImplementedError

    async def count(self, soql: str, *, purpose: str, all_rows: bool = False) -> int:
        """Return the answer of a `SELECT COUNT() FROM …`."""
        raise NotImplementedError

    async def retrieve(
        self, object_name: str, ids: Sequence[str], fields: Sequence[str], *, purpose: str
    ) -> Retrieved:
        """Fetch up to 2,000 records of one object by id in one call (POST composite/sobjects)."""
        raise NotImplementedError

    async def deleted(self, object_name: str, start: Millis, end: Millis, *, purpose: str) -> Deletions:
        """Read the delete log (REST API guide, sObject Get Deleted); bounds count in whole minutes."""
        raise NotImplementedError

    async def limits(self, *, purpose: str) -> dict[str, Limit]:
        """Read `/limits`; it costs a call, the usage header of every answer does not."""
        raise NotImplementedError

    async def organization(self, *, purpose: str) -> Organization:
        """Read the org's own record."""
        raise NotImplementedError

    async def userinfo(self, *, purpose: str) -> UserInfo:
        """Ask who we are."""
        raise NotImplementedError
