"""The REST client: query pages, records by id, the delete log, the org's limits and identity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtsd.core.ids import full_id
from rtsd.core.instant import Millis, from_iso, soql_literal
from rtsd.core.window import SHORTEST_MS
from rtsd.errors import ObjectUnavailable, SalesforceError
from rtsd.salesforce import soql
from rtsd.salesforce.responses import Deletions, Limit, Organization, Page, Response, Retrieved, UserInfo
from rtsd.salesforce.rest import RestConnection
from rtsd.salesforce.retry import RetryPolicy
from rtsd.salesforce.transport import Timeouts

__all__ = ["MAX_IDS", "Client", "RetryPolicy", "Timeouts"]

MAX_IDS = 2_000
"""Records per composite/sobjects call (REST API guide, sObject Collections)."""
_TORN_ATTEMPTS = 3


class Client(RestConnection):
    """The REST calls that rtsd makes; `RestConnection` documents the errors."""

    async def query(self, statement: str, *, purpose: str, all_rows: bool = False) -> Page:
        """Return the first page; `all_rows` includes deleted and archived rows (queryAll).

        Query further pages by keyset, not by locator: a locator expires with the session that opened it (not
        documented; seen in live orgs, airbytehq/airbyte#84302).
        """
        path = "queryAll" if all_rows else "query"
        return _page(await self.get_long(path, purpose=purpose, params={"q": statement}))

    async def tooling_query(self, statement: str, *, purpose: str) -> Page:
        """Return the first page of a Tooling API query."""
        return _page(await self.get_long("tooling/query", purpose=purpose, params={"q": statement}))

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
        response = await self.post(f"composite/sobjects/{object_name}", purpose=purpose, body=body)
        if not isinstance(response.data, list) or len(response.data) != len(ids):
            raise SalesforceError(
                f"Salesforce did not return one record per id for {len(ids)} {object_name} ids.",
                status=response.status,
            )
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
        response = await self.get(f"sobjects/{object_name}/deleted/", purpose=purpose, params=params)
        return Deletions(
            records=[
                (full_id(entry["id"]), from_iso(entry["deletedDate"]))
                for entry in response.data["deletedRecords"]
            ],
            earliest=from_iso(response.data["earliestDateAvailable"]),
            covered=from_iso(response.data["latestDateCovered"]),
            observed=response.observed,
        )

    async def limits(self, *, purpose: str) -> dict[str, Limit]:
        """Read `/limits`, by name. It costs a call, unlike the usage header of every response.

        Reads only `Max` and `Remaining`, as some entries nest further ones (REST API guide, Limits).
        """
        response = await self.get("limits/", purpose=purpose)
        return {
            name: Limit(int(entry["Max"]), int(entry["Remaining"]))
            for name, entry in response.data.items()
            if isinstance(entry, dict) and "Max" in entry and "Remaining" in entry
        }

    async def organization(self, *, purpose: str) -> Organization:
        """Read the Organization record. Raises ObjectUnavailable if the org lacks the API version."""
        try:
            row = (await self.query(soql.organization(), purpose=purpose)).records[0]
        except ObjectUnavailable as error:
            if error.status != 404:
                raise
            raise ObjectUnavailable(  # every org has this object, so the path is missing
                f"The org does not support API version {self.api_version}.",
                "Set org.api_version to a version listed by GET /services/data on the org's host.",
                reason=error.reason,
                status=error.status,
            ) from error
        return Organization(
            id=full_id(row["Id"]),
            name=row["Name"],
            edition=row["OrganizationType"],
            sandbox=bool(row["IsSandbox"]),
        )

    async def userinfo(self, *, purpose: str) -> UserInfo:
        """Read the current user (OAuth userinfo, on the org's host)."""
        response = await self.get("/services/oauth2/userinfo", purpose=purpose)
        return UserInfo(
            user_id=full_id(response.data["user_id"]),
            username=str(response.data.get("preferred_username") or ""),
        )


def _page(response: Response[Any]) -> Page:
    records = response.data["records"]
    for record in records:
        record.pop("attributes", None)
    return Page(records, response.data["totalSize"], response.data["done"], response.observed)


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
