"""`/updated`, `/deleted` and the delete log (REST API guide, sObject Get Updated and Get Deleted)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rtssim.clock import rest_form, rest_stamp, stamp
from rtssim.database import quote
from rtssim.interface import OrgError

if TYPE_CHECKING:
    from rtssim.clock import Clock
    from rtssim.interface import Principal
    from rtssim.records.rows import Rows
    from rtssim.schema.model import ObjectType

MAX_IDS = 600_000
_UPDATED_DAYS = 30
_DELETED_DAYS = 15


class Replication:
    """Changes between two moments; `latestDateCovered` stops at open transactions."""

    def __init__(self, rows: Rows, clock: Clock) -> None:
        self._rows = rows
        self._clock = clock
        self._earliest: datetime | None = None

    def purge_log(self, before: datetime) -> None:
        """Drop delete-log entries older than `before`, as Salesforce does to a full log every two hours."""
        self._rows.database.execute("DELETE FROM _deleted WHERE deleted_at < ?", [stamp(before)])
        self._earliest = before

    def deleted(self, who: Principal, obj: ObjectType, start: datetime, end: datetime) -> dict[str, Any]:
        """Return the answer of `/deleted`."""
        first, last = self._window(obj, start, end, _DELETED_DAYS)
        earliest = self._earliest_available()
        if first < earliest.replace(second=0, microsecond=0):
            message = f"start date is before the earliest date available: {rest_stamp(earliest)}"
            raise OrgError(400, "INVALID_REPLICATION_DATE", message)
        query = (
            "SELECT id, deleted_at FROM _deleted WHERE object = ? AND deleted_at BETWEEN ? AND ?"
            " ORDER BY deleted_at, id"
        )
        cursor = self._rows.database.execute(query, [obj.name, stamp(first), stamp(last)])
        records = [
            {"id": record_id, "deletedDate": rest_form(at)}
            for record_id, at in cursor
            if record_id not in who.hidden_records
        ]
        self._limit(len(records))
        return {
            "deletedRecords": records,
            "earliestDateAvailable": rest_stamp(earliest),
            "latestDateCovered": self._covered(last),
        }

    def updated(self, who: Principal, obj: ObjectType, start: datetime, end: datetime) -> dict[str, Any]:
        """Return the answer of `/updated`."""
        first, last = self._window(obj, start, end, _UPDATED_DAYS)
        where = "SystemModstamp BETWEEN ? AND ?"
        params: list[Any] = [stamp(first), stamp(last)]
        if "IsDeleted" in obj.fields:
            where += " AND IsDeleted = 0"
        if not who.view_all and "OwnerId" in obj.fields:
            where += " AND OwnerId = ?"
            params.append(who.user_id)
        query = f"SELECT Id FROM {quote(obj.name)} WHERE {where} ORDER BY SystemModstamp, Id"
        found = [
            row[0] for row in self._rows.database.execute(query, params) if row[0] not in who.hidden_records
        ]
        self._limit(len(found))
        return {"ids": found, "latestDateCovered": self._covered(last)}

    @staticmethod
    def _limit(count: int) -> None:
        if count > MAX_IDS:
            raise OrgError(400, "EXCEEDED_ID_LIMIT", f"more than {MAX_IDS} ids: use a smaller window")

    def _window(
        self, obj: ObjectType, start: datetime, end: datetime, days: int
    ) -> tuple[datetime, datetime]:
        """Return both bounds without seconds, as Salesforce reads them."""
        if not obj.replicateable or "SystemModstamp" not in obj.fields:
            raise OrgError(400, "INVALID_TYPE_FOR_OPERATION", f"{obj.name} is not replicateable")
        first = start.astimezone(UTC).replace(second=0, microsecond=0)
        last = end.astimezone(UTC).replace(second=0, microsecond=0)
        if last - first < timedelta(minutes=1):
            message = "startDate before endDate by at least one minute is required"
            raise OrgError(400, "INVALID_REPLICATION_DATE", message)
        if first < self._clock.now() - timedelta(days=days, minutes=1):
            message = f"startDate cannot be more than {days} days ago"
            raise OrgError(400, "INVALID_REPLICATION_DATE", message)
        return first, last

    def _earliest_available(self) -> datetime:
        oldest = self._clock.now() - timedelta(days=_DELETED_DAYS)
        return max(oldest, self._earliest) if self._earliest else oldest

    def _covered(self, end: datetime) -> str:
        """Return the end of complete data: the requested end, now, or the oldest open transaction's start."""
        bounds = [end, self._clock.now()]
        oldest = self._rows.transactions.oldest_start()
        return rest_stamp(min([*bounds, oldest] if oldest else bounds))
