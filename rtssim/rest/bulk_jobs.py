"""Bulk API 2.0 query jobs, from creation to the last page of the result (Bulk API 2.0 guide, Query)."""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rtssim.clock import rest_stamp
from rtssim.interface import OrgError, not_found
from rtssim.routing import Call, Reply, Router
from rtssim.soql.result_file import Page, ResultFile, csv_splitter

if TYPE_CHECKING:
    from datetime import datetime

    from rtssim.faults import Faults
    from rtssim.limits import Limits
    from rtssim.org import Org
    from rtssim.soql.result import QueryResult
    from rtssim.switches import ApiSwitches

DELIMITERS = {"COMMA": ",", "CARET": "^", "PIPE": "|", "SEMICOLON": ";", "TAB": "\t", "BACKQUOTE": "`"}
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}
CHUNK_ROWS = 1_000  # rows per chunk; the search for a page boundary reads a whole chunk
LISTED = 1_000
RESULT_PAGES = 5
JOB_LIFE = timedelta(days=7)  # then Salesforce deletes an ended job (Bulk API 2.0 guide, Limits)
OPEN_STATES = ("UploadComplete", "InProgress")
NOT_TERMINATED = "Error encountered when deleting the job because the job is not terminated"


@dataclass(eq=False)
class Job:
    """A query job and, once complete, its result."""

    id: str
    operation: str
    object: str
    created_by: str
    created_at: datetime
    version: str
    delimiter: str
    line_ending: str
    changed_at: datetime
    state: str = "UploadComplete"
    error: str | None = None
    result: ResultFile | None = None
    header: bytes = b""
    milliseconds: int = 0
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def document(self, *, full: bool) -> dict[str, Any]:
        """Return the job as JSON: `full` as for polls, else as for creation."""
        data: dict[str, Any] = {
            "id": self.id,
            "operation": self.operation,
            "object": self.object,
            "createdById": self.created_by,
            "createdDate": rest_stamp(self.created_at),
            "systemModstamp": rest_stamp(self.changed_at),
            "state": self.state,
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": float(self.version),
            "lineEnding": self.line_ending,
            "columnDelimiter": self.delimiter,
        }
        if full:
            data["jobType"] = "V2Query"
            if self.result is not None and self.state == "JobComplete":
                data["numberRecordsProcessed"] = self.result.rows
            data |= {"retries": 0, "totalProcessingTime": self.milliseconds, "isPkChunkingSupported": True}
            if self.error is not None:
                data["errorMessage"] = self.error
        return data

    def close(self) -> None:
        """Cancel the job's work and remove its result."""
        if self.task is not None:
            self.task.cancel()
        if self.result is not None:
            self.result.close()
            self.result = None


class BulkQueries:
    """Answers everything below `/jobs/query`."""

    def __init__(self, org: Org, limits: Limits, faults: Faults, switches: ApiSwitches) -> None:
        self._org = org
        self._limits = limits
        self._faults = faults
        self._switches = switches
        self.jobs: dict[str, Job] = {}
        self.created = 0
        self.rows_served = 0

    def routes(self, router: Router) -> None:
        """Serve query jobs."""
        router.add("POST", "/jobs/query", self.create, "bulk_create")
        router.add("GET", "/jobs/query", self.listing, "bulk_list")
        router.add("GET", "/jobs/query/{job_id}", self.poll, "bulk_poll")
        router.add("PATCH", "/jobs/query/{job_id}", self.abort, "bulk_abort")
        router.add("DELETE", "/jobs/query/{job_id}", self.delete, "bulk_delete")
        router.add("GET", "/jobs/query/{job_id}/results", self.results, "bulk_results")
        router.add("GET", "/jobs/query/{job_id}/resultPages", self.result_pages, "bulk_result_pages")

    # -- creating and running -----------------------------------------------------------------------
    def create(self, call: Call) -> Reply:
        """Start a job; 200 with state UploadComplete."""
        body = call.json_object()
        operation = body.get("operation")
        if operation not in ("query", "queryAll"):
            raise OrgError(400, "INVALIDOPERATION", f"Unsupported operation: {operation}")
        delimiter = body.get("columnDelimiter", "COMMA")
        line_ending = body.get("lineEnding", "LF")
        if (
            delimiter not in DELIMITERS
            or line_ending not in LINE_ENDINGS
            or body.get("contentType", "CSV") != "CSV"
        ):
            raise OrgError(400, "CLIENTINPUTERROR", "Unsupported contentType, columnDelimiter or lineEnding")
        if not body.get("query"):
            raise OrgError(400, "CLIENTINPUTERROR", "The query is required")
        rows = self._org.query(call.session.who, body["query"], all_rows=operation == "queryAll", bulk=True)
        self._limits.take_bulk_job()
        self.created += 1
        now, user = self._org.clock.now(), call.session.who.user_id
        job = Job(
            f"750R{self.created:011d}AAA",
            operation,
            rows.object,
            user,
            now,
            call.version,
            delimiter,
            line_ending,
            now,
        )
        self.jobs[job.id] = job
        answer = Reply(job.document(full=False))
        job.task = asyncio.get_running_loop().create_task(self._run(job, rows))
        return answer

    async def _run(self, job: Job, rows: QueryResult) -> None:
        started = asyncio.get_running_loop().time()
        try:
            await asyncio.sleep(self._switches.bulk_queue_s)
            self._move(job, "InProgress")
            fault = self._faults.hit(("job_failed", "job_failed_silent", "job_stuck"), job.object)
            if fault is not None:
                self._fail(job, fault.kind, fault.parameters.get("message"))
                return
            job.result = result = ResultFile(csv_splitter(LINE_ENDINGS[job.line_ending].encode()))
            await asyncio.to_thread(_produce, rows, result, job)
            await asyncio.sleep(self._switches.bulk_run_s - (asyncio.get_running_loop().time() - started))
            job.milliseconds = int((asyncio.get_running_loop().time() - started) * 1000)
            self._limits.add_bulk_bytes(result.size)
            self._move(job, "JobComplete")
        except OrgError as error:
            job.error = f"{error.code}: {error.message}" if self._switches.bulk_error_message else None
            self._move(job, "Failed")
        finally:
            rows.close()

    def _fail(self, job: Job, kind: str, message: str | None) -> None:
        if kind == "job_stuck":
            return
        if kind == "job_failed" and self._switches.bulk_error_message:
            job.error = message or "QUERY_TIMEOUT: Your query request was running for too long."
        self._move(job, "Failed")

    def _move(self, job: Job, state: str) -> None:
        if job.state in OPEN_STATES:
            job.state, job.changed_at = state, self._org.clock.now()

    # -- managing -----------------------------------------------------------------------------------
    def _delete_expired(self) -> None:
        oldest = self._org.clock.now() - JOB_LIFE
        for job in [
            job for job in self.jobs.values() if job.changed_at < oldest and job.state not in OPEN_STATES
        ]:
            self.jobs.pop(job.id).close()

    def _job(self, job_id: str) -> Job:
        self._delete_expired()
        job = next((job for job in self.jobs.values() if job.id[:15] == job_id[:15]), None)
        if job is None:
            raise not_found()
        return job

    def poll(self, _call: Call, job_id: str) -> Reply:
        """Return a job's state."""
        return Reply(self._job(job_id).document(full=True))

    def listing(self, call: Call) -> Reply:
        """Return up to 1,000 jobs and the URL of the next."""
        first = int(call.query.get("queryLocator") or 0)
        jobs = list(self.jobs.values())
        page = jobs[first : first + LISTED]
        done = first + LISTED >= len(jobs)
        following = None if done else f"{call.base}/jobs/query?queryLocator={first + LISTED}"
        records = [job.document(full=False) | {"jobType": "V2Query"} for job in page]
        return Reply({"done": done, "records": records, "nextRecordsUrl": following})

    def abort(self, call: Call, job_id: str) -> Reply:
        """Abort a running job."""
        job = self._job(job_id)
        if call.json_object().get("state") != "Aborted":
            raise OrgError(400, "INVALIDJOBSTATE", "Only the state Aborted can be set")
        if job.state not in OPEN_STATES:
            raise OrgError(400, "INVALIDJOBSTATE", "Aborting already Completed Job not allowed")
        self._move(job, "Aborted")
        job.close()
        return Reply(job.document(full=True))

    def delete(self, _call: Call, job_id: str) -> Reply:
        """Delete an ended job; 204 without a body."""
        job = self._job(job_id)
        if job.state in OPEN_STATES:
            raise OrgError(400, "API_ERROR", NOT_TERMINATED)
        job.close()
        del self.jobs[job.id]
        return Reply(status=204)

    # -- results ------------------------------------------------------------------------------------
    def _complete(self, call: Call, job_id: str) -> tuple[Job, ResultFile] | None:
        job = self._job(job_id)
        if job.version != call.version:
            text = f"API version {call.version} does not match the job's version {job.version}"
            raise OrgError(409, "INVALIDVERSION", text)
        if job.state == "JobComplete" and job.result is not None:
            return job, job.result
        if self._switches.results_before_complete == 204:
            return None
        raise OrgError(400, "INVALIDJOBSTATE", f"Job is in state {job.state}: its results are not available")

    def results(self, call: Call, job_id: str) -> Reply:
        """Return a page of the result, which starts with the header line."""
        complete = self._complete(call, job_id)
        if complete is None:
            return Reply(status=204)
        job, result = complete
        first = _row_of(call.query.get("locator"), job, result)
        most = call.query.get("maxRecords")
        if most is not None and (not most.isdigit() or int(most) < 1):
            raise OrgError(400, "CLIENTINPUTERROR", f"maxRecords: not a positive number: {most}")
        page = result.page(first, int(most) if most else self._switches.bulk_page_rows, job.header)
        if not result.rows and not self._switches.empty_result_has_header:
            page = Page(result, b"", 0, 0, 0)
        following = first + page.rows
        self.rows_served += page.rows
        headers = {
            "Content-Type": "text/csv; charset=UTF-8",
            "Sforce-NumberOfRecords": str(page.rows),
            "Sforce-Locator": _locator(job, following) if following < result.rows else "null",
        }
        return Reply(page=page, headers=headers)

    def result_pages(self, call: Call, job_id: str) -> Reply:
        """Return the URLs of up to five pages, for parallel downloads (v58.0 and later)."""
        complete = self._complete(call, job_id)
        if complete is None:
            return Reply(status=204)
        job, result = complete
        rows = self._switches.bulk_page_rows
        first = _row_of(call.query.get("locator"), job, result)
        starts = list(range(first, max(result.rows, 1), rows))
        base = f"{call.base}/jobs/query/{job.id}"
        pages = [
            {"resultUrl": f"{base}/results?locator={_locator(job, row)}&maxRecords={rows}"} for row in starts
        ]
        following = starts[RESULT_PAGES] if len(starts) > RESULT_PAGES else None
        url = None if following is None else f"{base}/resultPages?locator={_locator(job, following)}"
        return Reply({"resultPages": pages[:RESULT_PAGES], "nextRecordsUrl": url, "done": following is None})

    def close(self) -> None:
        """Close every job."""
        for job in self.jobs.values():
            job.close()
        self.jobs.clear()


def _produce(rows: QueryResult, result: ResultFile, job: Job) -> None:
    """Write the rows of a query into the result file; runs in a thread."""
    delimiter, line_ending = DELIMITERS[job.delimiter], LINE_ENDINGS[job.line_ending]
    job.header = rows.csv_header(delimiter=delimiter, line_ending=line_ending)
    for count, chunk in rows.csv_chunks(CHUNK_ROWS, delimiter=delimiter, line_ending=line_ending):
        result.append(chunk, count)


def _locator(job: Job, row: int) -> str:
    return base64.urlsafe_b64encode(f"{row}:{job.id}".encode()).decode().rstrip("=")


def _row_of(locator: str | None, job: Job, result: ResultFile) -> int:
    if not locator or locator == "null":
        return 0
    try:
        text = base64.urlsafe_b64decode(locator + "=" * (-len(locator) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError) as problem:
        raise OrgError(400, "CLIENTINPUTERROR", f"invalid locator: {locator}") from problem
    row, _, owner = text.partition(":")
    if owner != job.id or not row.isdigit() or int(row) > result.rows:
        raise OrgError(400, "CLIENTINPUTERROR", f"invalid locator: {locator}")
    return int(row)
