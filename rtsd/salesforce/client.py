"""The REST client: query pages, records by id, the delete log, the org's limits and identity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtsd.core.ids import full_id
from rtsd.core.instant import Millis, from_iso, soql_literal
from rtsd.core.plural import plural
from rtsd.core.window import SHORTEST_MS
from rtsd.errors import ObjectUnavailable, SalesforceError
from rtsd.salesforce import soql
from rtsd.salesforce.responses import Deletions, Limit, Organization, Page, Response, Retrieved, UserInfo
from rtsd.salesforce.rest import RestConnection
from rtsd.salesforce.retry import RetryPolicy
from rtsd.salesforce.shapes import (
    DeletionsShape,
    LimitShape,
    OrganizationShape,
    PageShape,
    Row,
    UserInfoShape,
    odd,
    require_columns,
    shaped,
)
from rtsd.salesforce.transport import Timeouts

__all__ = ["MAX_IDS", "Client", "RetryPolicy", "Timeouts"]

MAX_IDS = 2_000
"""Records per composite/sobjects call (REST API guide, sObject Collections)."""
_TORN_ATTEMPTS = 3


class Client(RestConnection):
    """The REST calls that rtsd makes; `RestConnection` documents the errors."""

    async def query(
        self,
        statement: str,
        *,
        purpose: str,
        all_rows: bool = False,
        columns: Sequence[str] = (),
        stamp: str = "",
    ) -> Page:
        """Return the first page; `all_rows` includes deleted and archived rows (queryAll).

        With `columns`, an Id among them, each row is checked for them, and for its `stamp`.

        Query further pages by keyset, not by locator: a locator expires with the session that opened it (not
        documented; seen in live orgs, airbytehq/airbyte#84302).
        """
        path = "queryAll" if all_rows else "query"
        page = _page(await self.get_long(path, PageShape, purpose=purpose, params={"q": statement}))
        if columns:
            require_columns(page.records, columns, stamp)
        return page

    async def tooling_query(self, statement: str, *, purpose: str) -> Page:
        """Return the first page of a Tooling API query."""
        params = {"q": statement}
        return _page(await self.get_long("tooling/query", PageShape, purpose=purpose, params=params))

    async def count(self, statement: str, *, purpose: str, all_rows: bool = False) -> int:
        """Return the result of a `soql.count` statement."""
        return (await self.query(statement, purpose=purpose, all_rows=all_rows)).total

    async def retrieve(
        self,
        object_name: str,
        ids: Sequence[str],
        fields: Sequence[str],
        *,
        purpose: str,
        max_characters: int = soql.MAX_FIELD_LIST,
    ) -> Retrieved:
        """Fetch records of an object by id, 2,000 ids per call (POST composite/sobjects).

        A field list longer than `max_characters` is read in parts. If a record changes between two parts,
        all parts are read again, so that no record mixes two versions.
        """
        chunks = list(
            soql.column_chunks(
                ["Id", *fields], max_characters=max_characters, always=("Id", "SystemModstamp")
            )
        )
        parts = [
            await self._retrieve_whole(object_name, ids[start : start + MAX_IDS], chunks, purpose)
            for start in range(0, len(ids), MAX_IDS)
        ]
        observed = parts[0].observed
        for part in parts[1:]:
            observed = observed.union(part.observed)
        return Retrieved([record for part in parts for record in part.records], observed)

    async def _retrieve_whole(
        self, object_name: str, ids: Sequence[str], chunks: Sequence[Sequence[str]], purpose: str
    ) -> Retrieved:
        whole = await self._retrieve(object_name, ids, chunks[0], purpose)
        for _ in range(_TORN_ATTEMPTS):
            torn = False
            for chunk in chunks[1:]:
                part = await self._retrieve(object_name, ids, chunk, purpose)
                whole = Retrieved(whole.records, whole.observed.union(part.observed))
                torn |= not _join(whole.records, part.records)
            if not torn:
                return whole
            whole = await self._retrieve(object_name, ids, chunks[0], purpose)
        raise SalesforceError(
            f"Some {object_name} records change faster than they can be read in {len(chunks)} parts.",
            "rtsd retries later; exclude fields that you do not need.",
        )

    async def _retrieve(
        self, object_name: str, ids: Sequence[str], fields: Sequence[str], purpose: str
    ) -> Retrieved:
        body = {"ids": list(ids), "fields": list(fields)}
        path = f"composite/sobjects/{object_name}"
        response = await self.post(path, list[Row | None], purpose=purpose, body=body)
        if len(response.data) != len(ids):
            raise SalesforceError(
                f"Salesforce did not return one record per id for {plural(len(ids), f'{object_name} id')}.",
                status=response.status,
            )
        require_columns(response.data, fields, "SystemModstamp")
        for wanted, record in zip(ids, response.data, strict=True):
            if record is not None:
                record.pop("attributes", None)
                if full_id(record["Id"]) != full_id(wanted):
                    raise SalesforceError(f"Salesforce returned {record['Id']} for {object_name} {wanted}.")
        return Retrieved(response.data, response.observed)

    async def deleted(self, object_name: str, start: Millis, end: Millis, *, purpose: str) -> Deletions:
        """Read the delete log of a window in ms (REST API guide, sObject Get Deleted).

        Salesforce truncates the bounds to minutes; a window under two minutes is extended into the past.
        Raises SalesforceError with reason INVALID_REPLICATION_DATE beyond the log's retention (15 days at
        most), and EXCEEDED_ID_LIMIT for more than 600,000 records.
        """
        start = min(start, end - SHORTEST_MS)
        params = {"start": _offset_form(start), "end": _offset_form(end)}
        path = f"sobjects/{object_name}/deleted/"
        response = await self.get(path, DeletionsShape, purpose=purpose, params=params)
        told = response.data
        return Deletions(
            records=[(full_id(entry.id), from_iso(entry.deleted_date)) for entry in told.deleted_records],
            earliest=from_iso(told.earliest_date_available),
            covered=from_iso(told.latest_date_covered),
            observed=response.observed,
        )

    async def limits(self, *, purpose: str) -> dict[str, Limit]:
        """Read `/limits`, by name. It costs a call, unlike the usage header of every response.

        Reads only `Max` and `Remaining`, as some entries nest further ones (REST API guide, Limits).
        """
        response = await self.get("limits/", Row, purpose=purpose)
        limits = {
            name: shaped(entry, LimitShape, what=f"limits, {name}")
            for name, entry in response.data.items()
            if isinstance(entry, dict) and "Max" in entry and "Remaining" in entry
        }
        return {name: Limit(limit.Max, limit.Remaining) for name, limit in limits.items()}

    async def organization(self, *, purpose: str) -> Organization:
        """Read the Organization record; what the sync user may not see of it is None.

        Raises ObjectUnavailable if the org lacks the API version, or hides the whole object.
        """
        fields = list(soql.ORGANIZATION)
        while True:
            try:
                page = await self.query(soql.organization(fields), purpose=purpose)
            except ObjectUnavailable as error:
                if error.status == 404:
                    raise self._unsupported_version(error) from error
                hidden = [name for name in fields[1:] if f"'{name}'" in error.message] or fields[1:]
                if error.reason != "INVALID_FIELD" or not hidden:
                    raise
                fields = [name for name in fields if name not in hidden]
            else:
                break
        rows = page.rows(OrganizationShape)
        if not rows:
            raise odd("a query of Organization", "it has no row")
        row = rows[0]
        return Organization(full_id(row.Id), row.Name, row.OrganizationType, row.IsSandbox)

    def _unsupported_version(self, error: ObjectUnavailable) -> ObjectUnavailable:
        return ObjectUnavailable(  # every org has this object, so the path is missing
            f"The org does not support API version {self.api_version}.",
            "Set org.api_version to a version listed by GET /services/data on the org's host.",
            reason=error.reason,
            status=error.status,
        )

    async def userinfo(self, *, purpose: str) -> UserInfo:
        """Read the current user (OAuth userinfo, on the org's host)."""
        response = await self.get("/services/oauth2/userinfo", UserInfoShape, purpose=purpose)
        told = response.data
        return UserInfo(full_id(told.user_id), told.preferred_username or "")


def _page(response: Response[PageShape]) -> Page:
    page = response.data
    for record in page.records:
        record.pop("attributes", None)
    return Page(page.records, page.total_size, page.done, response.observed)


def _join(whole: list[dict[str, Any] | None], part: list[dict[str, Any] | None]) -> bool:
    """Merge the columns of `part` into the rows; False if a row changed between the two reads."""
    for row, more in zip(whole, part, strict=True):
        if (row is None) != (more is None):
            return False
        if row is None or more is None:
            continue
        if row.get("SystemModstamp") != more.get("SystemModstamp"):
            return False
        row.update(more)
    return True


def _offset_form(moment: Millis) -> str:
    return soql_literal(moment).replace("Z", "+00:00")
