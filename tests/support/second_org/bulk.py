"""Bulk API 2.0 queries: jobs that take their time, and CSV pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from tests.support.second_org.data import USER_ID
from tests.support.second_org.errors import Refused
from tests.support.second_org.records import Records, Value, as_json, long_id
from tests.support.second_org.soql import Query

DELIMITERS = {"COMMA": ",", "CARET": "^", "PIPE": "|", "SEMICOLON": ";", "TAB": "\t", "BACKQUOTE": "`"}
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}


@dataclass
class Job:
    """One query job; `waits` are the states it still goes through before it is complete."""

    id: str
    info: dict[str, Any]
    header: list[str]
    rows: list[list[Value]]
    delimiter: str
    line_ending: str
    version: str
    waits: list[str] = field(default_factory=list)

    def poll(self, *, processed_s: int) -> dict[str, Any]:
        """The job (Bulk API 2.0 guide, Get Information); numberRecordsProcessed comes with the end only."""
        if self.info["state"] in ("UploadComplete", "InProgress"):
            self.info["state"] = self.waits.pop(0) if self.waits else "JobComplete"
        told = self.info | {"jobType": "V2Query", "retries": 0, "totalProcessingTime": processed_s}
        if self.info["state"] == "JobComplete":
            told["numberRecordsProcessed"] = len(self.rows)
        return told

    def page(self, start: int, size: int, *, quote_all: bool, odd: bool) -> str:
        """One page of the result: the header line, then the rows."""
        cell = _odd_cell if odd else _cell
        header = [name.lower() for name in self.header] if odd else self.header
        hurts = ('"', "\r", "\n", self.delimiter)

        def written(cell: str) -> str:
            if not quote_all and not any(sign in cell for sign in hurts):
                return cell
            return '"' + cell.replace('"', '""') + '"'

        lines = [header, *([cell(value) for value in row] for row in self.rows[start : start + size])]
        return "\ufeff" * odd + "".join(
            self.delimiter.join(map(written, line)) + self.line_ending for line in lines
        )


def _cell(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return value.isoformat() if isinstance(value, date) else str(value)


def _odd_cell(value: Value) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _cell(value)
    return f"{value:.17E}" if abs(value) >= 1e7 or isinstance(value, float) else f"{value}.0"


class Bulk:
    """The org's query jobs."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self.jobs: dict[str, Job] = {}
        self.made = 0

    def create(self, asked: dict[str, Any], query: Query, version: str, waits: tuple[str, ...]) -> Job:
        """Take a job and read its rows, as of now."""
        entity = query.entity
        if not entity.bulk:
            raise Refused(400, "INVALIDENTITY", f"Entity '{entity.name}' is not supported by the Bulk API.")
        if query.aggregate or query.words & {"GROUP", "ORDER", "LIMIT", "OFFSET", "TYPEOF"}:
            raise Refused(400, "API_ERROR", "Implementation restriction: clause not supported in bulk query")
        kinds = [item.field for item in query.items if item.field]
        if any(kind.type in ("address", "location") for kind in kinds):
            raise Refused(400, "INVALID_FIELD", "Selecting compound data not supported in Bulk Query")
        if any(kind.type == "base64" for kind in kinds):
            raise Refused(400, "API_ERROR", "Binary fields are not supported in bulk query")
        self.made += 1
        key = long_id(f"750Zq0000{self.made:06}")
        now = as_json(self._records.stamp(), kinds[0])
        info = {
            "id": key,
            "operation": asked["operation"],
            "object": entity.name,
            "createdById": USER_ID,
            "createdDate": now,
            "systemModstamp": now,
            "state": "UploadComplete",
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": float(version),
            "lineEnding": asked.get("lineEnding", "LF"),
            "columnDelimiter": asked.get("columnDelimiter", "COMMA"),
        }
        rows = [
            [row.get(kind.name) for kind in kinds]
            for row in query.rows(deleted=asked["operation"] == "queryAll")
        ]
        self.jobs[key] = Job(
            key,
            info,
            [kind.name for kind in kinds],
            rows,
            DELIMITERS[info["columnDelimiter"]],
            LINE_ENDINGS[info["lineEnding"]],
            version,
            list(waits),
        )
        return self.jobs[key]

    def find(self, key: str, version: str) -> Job:
        """A job by its id; it answers to its own version only (Bulk API 2.0 guide, Get Results)."""
        job = self.jobs.get(key if len(key) == 18 else long_id(key))
        if job is None:
            raise Refused(404, "NOT_FOUND", "The requested resource does not exist")
        if job.version != version:
            raise Refused(409, "VERSION_MISMATCH", "the job was created with another API version")
        return job
