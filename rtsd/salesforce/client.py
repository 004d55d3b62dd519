"""What rtsd reads over REST: pages of rows, records by id, the delete log, facts about the org."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtsd.core.ids import full_id
from rtsd.core.instant import Millis, from_iso, soql_literal
from rtsd.core.window import SHORTEST_MS
from rtsd.errors import ObjectUnavailable, SalesforceError
from rtsd.salesforce import soql
from rtsd.salesforce.connection import Connection
from rtsd.salesforce.responses import Answer, Deletions, Limit, Organization, Page, Retrieved, UserInfo
from rtsd.salesforce.retry import RetryPolicy
from rtsd.salesforce.transport import Timeouts

__all__ = ["MOST_IDS", "Client", "RetryPolicy", "Timeouts"]

MOST_IDS = 2_000
"""Records of one composite/sobjects call (REST API guide, sObject Collections)."""
_TORN_TRIES = 3


class Client(Connection):
    """Everything rtsd asks over REST."""

    async def query(self, statement: str, *, purpose: str, all_rows: bool = False) -> Page:
        """Return the first page; `all_rows` includes deleted and archived rows (queryAll).

        Further pages are asked for behind the last row, not by locator: a locator dies with the session
        that opened it (not documented; seen in live orgs, airbytehq/airbyte#84302).
        """
        path = "queryAll" if all_rows else "query"
        return _page(await self.get_long(path, purpose=purpose, params={"q": statement}))

    async def tooling_query(self, statement: str, *, purpose: str) -> Page:
        """Return the first page of a Tooling API query."""
        return _page(await self.get_long("tooling/query", purpose=purpose, params={"q": statement}))

    async def count(self, statement: str, *, purpose: str, all_rows: bool = False) -> int:
        """Return the answer of a `soql.count` statement."""
        return (await self.query(statement, purpose=purpose, all_rows=all_rows)).total

    async def retrieve(
        self,
        object_name: str,
        ids: Sequence[str],
        fields: Sequence[str],
        *,
        purpose: str,
        most_characters: int = soql.MOST_COLUMNS,
    ) -> Retrieved:
        """Fetch records of one object by id: one call per 2,000 ids (POST composite/sobjects).

        A field list of more than `most_characters` is read in parts; records that changed in between are
        read again, so that no record mixes two versions.
        """
        chunks = list(
            soql.column_chunks(
                ["Id", *fields], most_characters=most_characters, always=("Id", "SystemModstamp")
            )
        )
        parts = [
            await self._retrieve_whole(object_name, ids[start : start + MOST_IDS], chunks, purpose)
            for start in range(0, len(ids), MOST_IDS)
        ]
        observed = parts[0].observed
        for part in parts[1:]:
            observed = observed.union(part.observed)
        return Retrieved([record for part in parts for record in part.records], observed)

    async def _retrieve_whole(
        self, object_name: str, ids: Sequence[str], chunks: Sequence[Sequence[str]], purpose: str
    ) -> Retrieved:
        whole = await self._retrieve(object_name, ids, chunks[0], purpose)
        for _ in range(_TORN_TRIES):
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
            "It is tried again later; leave out fields that are not needed.",
        )

    async def _retrieve(
        self, object_name: str, ids: Sequence[str], fields: Sequence[str], purpose: str
    ) -> Retrieved:
        body = {"ids": list(ids), "fields": list(fields)}
        answer = await self.post(f"composite/sobjects/{object_name}", purpose=purpose, body=body)
        if not isinstance(answer.data, list) or len(answer.data) != len(ids):
            raise SalesforceError(
                f"Salesforce answered {len(ids)} {object_name} ids with something other than their records.",
                status=answer.status,
            )
        for wanted, record in zip(ids, answer.data, strict=True):
            if record is not None:
                record.pop("attributes", None)
                if full_id(record["Id"]) != full_id(wanted):
                    raise SalesforceError(f"Salesforce answered {object_name} {wanted} with {record['Id']}.")
        return Retrieved(answer.data, answer.observed)

    async def deleted(self, object_name: str, start: Millis, end: Millis, *, purpose: str) -> Deletions:
        """Read the delete log of a window (REST API guide, sObject Get Deleted).

        Bounds count in whole minutes; a window under two minutes is widened to the past. Raises
        SalesforceError with reason INVALID_REPLICATION_DATE where the log does not reach back so far
        (15 days at most), EXCEEDED_ID_LIMIT over 600,000 records: ask for less.
        """
        start = min(start, end - SHORTEST_MS)
        params = {"start": _offset_form(start), "end": _offset_form(end)}
        answer = await self.get(f"sobjects/{object_name}/deleted/", purpose=purpose, params=params)
        return Deletions(
            records=[
                (full_id(entry["id"]), from_iso(entry["deletedDate"]))
                for entry in answer.data["deletedRecords"]
            ],
            earliest=from_iso(answer.data["earliestDateAvailable"]),
            covered=from_iso(answer.data["latestDateCovered"]),
            observed=answer.observed,
        )

    async def limits(self, *, purpose: str) -> dict[str, Limit]:
        """Read `/limits`; it costs a call, the usage header of every answer does not.

        Only `Max` and `Remaining` of each entry are read: more is nested in some (REST API guide, Limits).
        """
        answer = await self.get("limits/", purpose=purpose)
        return {
            name: Limit(int(entry["Max"]), int(entry["Remaining"]))
            for name, entry in answer.data.items()
            if isinstance(entry, dict) and "Max" in entry and "Remaining" in entry
        }

    async def organization(self, *, purpose: str) -> Organization:
        """Read the org's own record."""
        try:
            row = (await self.query(soql.organization(), purpose=purpose)).records[0]
        except ObjectUnavailable as error:
            if error.status != 404:
                raise
            raise ObjectUnavailable(  # every org has this object: it is the path that is not there
                f"The org does not know version {self.api_version} of the API.",
                "Set org.api_version to one that GET /services/data on its address lists.",
                reason=error.reason,
                status=error.status,
            ) from error
        return Organization(
            id=full_id(row["Id"]),
            name=row["Name"],
            edition=row["OrganizationType"],
            sandbox=bool(row["IsSandbox"]),
            instance=row.get("InstanceName") or "",
        )

    async def userinfo(self, *, purpose: str) -> UserInfo:
        """Ask who we are (OAuth userinfo, on the org's host)."""
        answer = await self.get("/services/oauth2/userinfo", purpose=purpose)
        return UserInfo(
            user_id=full_id(answer.data["user_id"]),
            organization_id=full_id(answer.data["organization_id"]),
            username=str(answer.data.get("preferred_username") or ""),
        )


def _page(answer: Answer) -> Page:
    records = answer.data["records"]
    for record in records:
        record.pop("attributes", None)
    return Page(records, answer.data["totalSize"], answer.data["done"], answer.observed)


def _join(whole: list[dict[str, Any] | None], part: list[dict[str, Any] | None]) -> bool:
    """Add the part's columns to the rows; False when a row changed between the two reads."""
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
