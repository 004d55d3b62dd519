"""The calls of the REST and Bulk APIs."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.support.second_org.describe import describe, summary
from tests.support.second_org.errors import Refused, no_field, no_object
from tests.support.second_org.org import Answer, Asked, Org, as_record, not_found, route
from tests.support.second_org.records import Field, SObject, as_json, long_id
from tests.support.second_org.soql import parse


@route("GET", "")
def root(_org: Org, _asked: Asked, found: re.Match[str]) -> Answer:
    """The resources of a version."""
    names = ("sobjects", "query", "queryAll", "limits", "jobs", "composite")
    return Answer({name: f"/services/data/v{found['version']}/{name}" for name in names})


@route("GET", "/limits")
def limits(org: Org, _asked: Asked, _found: re.Match[str]) -> Answer:
    """Limits with strangers among them, and without one that is usual (REST API guide, Limits)."""
    if not org.habits.limits:
        raise Refused(
            403, "INSUFFICIENT_ACCESS", "You do not have the permission View Setup and Configuration"
        )
    used = org.calls.total()
    return Answer(
        {
            "AnalyticsThings": {"Max": 3, "Remaining": -2, "Nested": {"Max": 1, "Remaining": 1}},
            "DailyApiRequests": {
                "Max": 15_000,
                "Remaining": 15_000 - used,
                "Data Loader": {"Max": 0, "Remaining": 0},
            },
            "DailyBulkV2QueryJobs": {"Max": 10_000, "Remaining": 10_000 - org.bulk.made},
            "SomethingOfNextRelease": {"Max": 1, "Remaining": 1},
            **_deliveries(org),
        }
    )


def _deliveries(org: Org) -> dict[str, Any]:
    """Platform events and change events together, to every subscriber."""
    if org.deliveries is None:
        return {}
    used, most = org.deliveries
    return {"DailyDeliveredPlatformEvents": {"Max": most, "Remaining": most - used}}


@route("GET", "/sobjects")
def sobjects(org: Org, _asked: Asked, found: re.Match[str]) -> Answer:
    """Describe all objects."""
    seen = [summary(entity, found["version"]) for entity in org.records.objects.values() if not entity.hidden]
    return Answer({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": seen})


@route("GET", r"/sobjects/(?P<name>\w+)/describe")
def described(org: Org, asked: Asked, found: re.Match[str]) -> Answer:
    """The describe of one object."""
    try:
        entity = org.entity(found["name"])
    except Refused as unknown:
        raise not_found() from unknown
    body = describe(entity, found["version"], odd=org.habits.odd)
    if not org.habits.conditional:
        return Answer(body)
    if asked.headers.get("if-modified-since"):
        return Answer(None, 304)
    return Answer(body, headers={"last-modified": format_datetime(org.records.now(), usegmt=True)})


@route("GET", r"/sobjects/(?P<name>\w+)/(?P<which>updated|deleted)")
def replication(org: Org, asked: Asked, found: re.Match[str]) -> Answer:
    """What was changed or deleted, as far as the org vouches (REST API guide, sObject Get Updated)."""
    entity = org.entity(found["name"])
    if "IsDeleted" not in entity.fields:
        raise Refused(400, "INVALID_TYPE_FOR_OPERATION", f"entity {entity.name} is not replicateable")
    start, end = (datetime.fromisoformat(asked.query[name]).replace(second=0) for name in ("start", "end"))
    if (end - start).total_seconds() < 60:
        raise Refused(400, "INVALID_REPLICATION_DATE", "startDate must be more than a minute before endDate")
    now = org.records.now()
    if now - start > timedelta(days=15 if found["which"] == "deleted" else 30):
        raise Refused(400, "INVALID_REPLICATION_DATE", "startDate before org replication enabled date")
    covered = min(end, (now - timedelta(seconds=org.habits.covered_s))).replace(microsecond=0)
    kind = Field("", "datetime")
    told: dict[str, Any] = {"latestDateCovered": as_json(covered, kind)}
    if found["which"] == "updated":
        stamp = "SystemModstamp" if "SystemModstamp" in entity.fields else "LastModifiedDate"
        told["ids"] = [key for key, row in entity.rows.items() if start <= row[stamp] <= covered]  # type: ignore[operator]
        return Answer(told)
    gone = [
        (at, key) for at, name, key in org.records.deletions if name == entity.name and start <= at <= covered
    ]
    told["deletedRecords"] = [{"id": key, "deletedDate": as_json(at, kind)} for at, key in gone]
    told["earliestDateAvailable"] = as_json(now - timedelta(days=14), kind)
    return Answer(told)


@route("GET", r"/sobjects/(?P<name>\w+)/(?P<id>\w{15,18})")
def record(org: Org, asked: Asked, found: re.Match[str]) -> Answer:
    """One record."""
    entity = org.entity(found["name"])
    row = entity.rows.get(found["id"] if len(found["id"]) == 18 else long_id(found["id"]))
    if row is None:
        raise Refused(404, "NOT_FOUND", f"The requested record does not exist: {found['id']}")
    if row.get("IsDeleted"):
        raise Refused(404, "ENTITY_IS_DELETED", "entity is deleted")
    names = asked.query.get("fields")
    fields = _fields(entity, names.split(",")) if names else list(entity.visible())
    return Answer(as_record(entity, row, fields, found["version"]))


@route("POST", r"/composite/sobjects/(?P<name>\w+)")
def collection(org: Org, asked: Asked, found: re.Match[str]) -> Answer:
    """Many records by id: null for what is not there (REST API guide, sObject Collections)."""
    entity = org.entity(found["name"])
    fields = _fields(entity, asked.body["fields"])
    if len(asked.body["ids"]) > 2_000:
        raise Refused(400, "EXCEEDED_ID_LIMIT", "too many ids")
    told = []
    for key in asked.body["ids"]:
        if not key.startswith(entity.prefix) or len(key) not in (15, 18):
            raise Refused(400, "MALFORMED_ID", f"malformed id {key}", ["Id"])
        row = entity.rows.get(key if len(key) == 18 else long_id(key))
        alive = row is not None and not row.get("IsDeleted")
        told.append(as_record(entity, row, fields, found["version"]) if alive and row else None)
    return Answer(told)


@route("POST", "/composite")
def composite(org: Org, asked: Asked, _found: re.Match[str]) -> Answer:
    """Several calls in one."""
    told = []
    for request in asked.body["compositeRequest"]:
        parts = urlsplit(request["url"])
        inner = Asked(
            request["method"], parts.path, dict(parse_qsl(parts.query)), request.get("body"), {}, asked.token
        )
        try:
            answer = org.answer(inner)
        except Refused as refused:
            answer = Answer(refused.body, refused.status)
        told.append({"body": answer.body, "httpHeaders": {}, "httpStatusCode": answer.status})
        told[-1]["referenceId"] = request["referenceId"]
    return Answer({"compositeResponse": told})


def _fields(entity: SObject, names: list[str]) -> list[Field]:
    found = [(name, entity.find(name)) for name in names]
    for name, kind in found:
        if kind is None:
            raise no_field(name, entity.name)
    return [kind for _, kind in found if kind]


@route("GET", "/(?P<verb>query|queryAll)")
def query(org: Org, asked: Asked, found: re.Match[str]) -> Answer:
    """SOQL."""
    return org.first_page(asked, found["version"], deleted=found["verb"] == "queryAll")


@route("GET", "/(?P<verb>query|queryAll)/(?P<locator>[^/]+)")
def query_more(org: Org, asked: Asked, found: re.Match[str]) -> Answer:
    """The next page of SOQL."""
    return org.next_page(asked, found["version"], found["locator"], deleted=found["verb"] == "queryAll")


@route("GET", "/tooling/query")
def tooling(org: Org, asked: Asked, found: re.Match[str]) -> Answer:
    """SOQL over what is selected for Change Data Capture (Tooling API, PlatformEventChannelMember)."""
    if not org.habits.captured:
        raise not_found()
    names = ("Id", "DeveloperName", "EventChannel", "SelectedEntity")
    members = SObject("PlatformEventChannelMember", "0v8", {name: Field(name) for name in names})
    for number, entity in enumerate(org.habits.captured):
        key = long_id(f"0v8Zq0000{number:06}")
        row = (key, f"ChangeEvents_{entity}".replace("__", "_"), "ChangeEvents", entity)
        members.rows[key] = dict(zip(names, row, strict=True))

    def find(name: str) -> SObject:
        if name.lower() != members.name.lower():
            raise no_object(name)
        return members

    asks = parse(asked.query.get("q", ""), find)
    rows = asks.rows(deleted=False)
    kinds = [item.field for item in asks.items if item.field]
    told = (
        asks.sums(rows)
        if asks.aggregate
        else [as_record(members, row, kinds, found["version"]) for row in rows]
    )
    return Answer({"size": len(told), "totalSize": len(told), "done": True, "records": told})


@route("POST", "/jobs/query")
def create_job(org: Org, asked: Asked, found: re.Match[str]) -> Answer:
    """A bulk query job (Bulk API 2.0 guide, Create a Query Job)."""
    job = org.bulk.create(
        asked.body, parse(asked.body["query"], org.entity), found["version"], org.habits.job_waits
    )
    return Answer(job.info)


@route("GET", r"/jobs/query/(?P<id>\w{15,18})")
def poll_job(org: Org, _asked: Asked, found: re.Match[str]) -> Answer:
    """How far a job is."""
    return Answer(org.bulk.find(found["id"], found["version"]).poll(processed_s=3))


@route("GET", r"/jobs/query/(?P<id>\w{15,18})/resultPages")
def result_pages(org: Org, asked: Asked, found: re.Match[str]) -> Answer:
    """Where the pages are, five at a time."""
    if not org.habits.result_pages:
        raise not_found()
    job = org.bulk.find(found["id"], found["version"])
    first = int(asked.query.get("queryLocator") or asked.query.get("locator") or 0)
    starts = range(first, max(len(job.rows), 1), org.habits.bulk_page)
    root = f"/services/data/v{job.version}/jobs/query/{job.id}"
    told: dict[str, Any] = {
        "resultPages": [{"resultUrl": f"{root}/results?locator=at{n}"} for n in starts[:5]]
    }
    if len(starts) > 5:
        told["nextRecordsUrl"] = f"{root}/resultPages?locator={starts[5]}"
    return Answer(told | {"done": len(starts) <= 5})


@route("GET", r"/jobs/query/(?P<id>\w{15,18})/results")
def results(org: Org, asked: Asked, found: re.Match[str]) -> Answer:
    """One page of a job's CSV (Bulk API 2.0 guide, Get Results)."""
    job = org.bulk.find(found["id"], found["version"])
    if job.info["state"] != "JobComplete":
        raise Refused(400, "INVALIDJOBSTATE", "the job has no results yet")
    start = int(asked.query.get("locator", "at0").removeprefix("at"))
    size = min(org.habits.bulk_page, int(asked.query.get("maxRecords", "50000")))
    end = start + size
    count = max(0, min(end, len(job.rows)) - start)
    headers = {
        "SFORCE-LOCATOR": f"at{end}" if end < len(job.rows) else "null",
        "SFORCE-NUMBEROFRECORDS": str(count),
        "Content-Type": "text/csv",
    }
    return Answer(
        headers=headers, text=job.page(start, size, quote_all=org.habits.quote_all, odd=org.habits.odd)
    )


@route("PATCH", r"/jobs/query/(?P<id>\w{15,18})")
def abort_job(org: Org, asked: Asked, found: re.Match[str]) -> Answer:
    """Abort a job."""
    job = org.bulk.find(found["id"], found["version"])
    job.info["state"] = asked.body["state"]
    return Answer(job.info)


@route("DELETE", r"/jobs/query/(?P<id>\w{15,18})")
def delete_job(org: Org, _asked: Asked, found: re.Match[str]) -> Answer:
    """Forget a job."""
    job = org.bulk.find(found["id"], found["version"])
    if job.info["state"] not in ("JobComplete", "Failed", "Aborted"):
        raise Refused(400, "API_ERROR", "the job is not terminated")
    del org.bulk.jobs[job.id]
    return Answer(None, 204)
