"""/sobjects: describe, single records, records by external id, replication."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from rtssim.interface import OrgError, entity_is_deleted, malformed_id, not_found
from rtssim.routing import Call, Reply, Router

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtssim.interface import SaveResult
    from rtssim.org import Org

RESOURCES = ("sobjects", "query", "queryAll", "limits", "jobs", "tooling", "composite", "metadata", "search")


class SObjects:
    """Answers the version root and everything below `/sobjects`."""

    def __init__(self, org: Org) -> None:
        self._org = org

    def routes(self, router: Router) -> None:
        """Serve the resources; fixed words come before the ids that they could be taken for."""
        router.add("GET", "", self.root, "root")
        router.add("GET", "/sobjects", self.describe_global, "describe_global")
        router.add("GET", "/sobjects/{name}", self.basic_info, "basic_info")
        router.add("POST", "/sobjects/{name}", self.create, "create")
        router.add("GET", "/sobjects/{name}/describe", self.describe, "describe")
        router.add("GET", "/sobjects/{name}/updated", self.updated, "updated")
        router.add("GET", "/sobjects/{name}/deleted", self.deleted, "deleted")
        router.add("GET", "/sobjects/{name}/{record_id}", self.read, "read")
        router.add("PATCH", "/sobjects/{name}/{record_id}", self.update, "update")
        router.add("DELETE", "/sobjects/{name}/{record_id}", self.delete, "delete")
        router.add("GET", "/sobjects/{name}/{field}/{value}", self.read_by_field, "read")
        router.add("PATCH", "/sobjects/{name}/{field}/{value}", self.upsert, "upsert")
        router.add("DELETE", "/sobjects/{name}/{field}/{value}", self.delete_by_field, "delete")

    # -- describe -----------------------------------------------------------------------------------
    def root(self, call: Call) -> Reply:
        """Map resource names to paths (REST API guide, Resources by Version)."""
        paths = {name: f"{call.base}/{name}" for name in RESOURCES}
        user = call.session.who.user_id
        return Reply({**paths, "identity": f"{self._org.instance_url}/id/{self._org.org_id}/{user}"})

    def describe_global(self, call: Call) -> Reply:
        """List the objects that the user can see (REST API guide, Describe Global)."""
        stamp = self._org.described_at()
        if _unchanged(call, stamp):
            return Reply(status=304, headers=_last_modified(stamp))
        entries = self._org.describe_global(call.session.who, call.base)
        data = {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": entries}
        return Reply(data, headers=_last_modified(stamp))

    def describe(self, call: Call, name: str) -> Reply:
        """Describe an object; 304 if unchanged since If-Modified-Since."""
        document, stamp = self._org.describe(call.session.who, name, call.base)
        if _unchanged(call, stamp):
            return Reply(status=304, headers=_last_modified(stamp))
        return Reply(document, headers=_last_modified(stamp))

    def basic_info(self, call: Call, name: str) -> Reply:
        """Return an object's describeGlobal entry (REST API guide, sObject Basic Information)."""
        document, stamp = self._org.describe(call.session.who, name)
        entries = self._org.describe_global(call.session.who, call.base)
        entry = next(item for item in entries if item["name"] == document["name"])
        return Reply({"objectDescribe": entry, "recentItems": []}, headers=_last_modified(stamp))

    # -- replication --------------------------------------------------------------------------------
    def updated(self, call: Call, name: str) -> Reply:
        """Return the ids of records changed in a window (REST API guide, sObject Get Updated)."""
        start, end = _time(call.query, "start"), _time(call.query, "end")
        return Reply(self._org.updated(call.session.who, name, start, end))

    def deleted(self, call: Call, name: str) -> Reply:
        """Return the ids of records deleted in a window (REST API guide, sObject Get Deleted)."""
        start, end = _time(call.query, "start"), _time(call.query, "end")
        return Reply(self._org.deleted(call.session.who, name, start, end))

    # -- single records -----------------------------------------------------------------------------
    def read(self, call: Call, name: str, record_id: str) -> Reply:
        """Return a record with all fields, or those of `?fields=`."""
        selected = call.query.get("fields")
        fields = [field.strip() for field in selected.split(",")] if selected else None
        record = self._org.retrieve(call.session.who, name, [record_id], fields, call.base)[0]
        if record is None:
            raise self._missing(call, name, record_id)
        return Reply(record)

    def _missing(self, call: Call, name: str, record_id: str) -> OrgError:
        prefix = self._org.describe(call.session.who, name)[0]["keyPrefix"]
        if len(record_id) not in (15, 18) or not record_id.startswith(prefix or ""):
            return malformed_id(name, record_id)
        if self._org.state_of(name, record_id) == "deleted":
            return entity_is_deleted()
        text = f"Provided external ID field does not exist or is not accessible: {record_id}"
        return OrgError(404, "NOT_FOUND", text)

    def create(self, call: Call, name: str) -> Reply:
        """Create a record; 201 with its id."""
        result = self._org.create(call.session.who, name, [call.json_object()])[0]
        return Reply({"id": result.unwrap(), "success": True, "errors": []}, 201)

    def update(self, call: Call, name: str, record_id: str) -> Reply:
        """Update a record; 204."""
        row = {**call.json_object(), "Id": record_id}
        self._org.update(call.session.who, name, [row])[0].unwrap()
        return Reply(status=204)

    def delete(self, call: Call, name: str, record_id: str) -> Reply:
        """Move a record to the recycle bin; 204."""
        self._org.delete(call.session.who, name, [record_id])[0].unwrap()
        return Reply(status=204)

    # -- by external id -----------------------------------------------------------------------------
    def read_by_field(self, call: Call, name: str, field: str, value: str) -> Reply:
        """Return the record with an external id, or the content of a base64 field (`/<id>/Body`)."""
        described = {
            item["name"].lower(): item for item in self._org.describe(call.session.who, name)[0]["fields"]
        }
        blob = described.get(value.lower())
        if blob is not None and blob["type"] == "base64":
            content = self._org.blob(call.session.who, name, field, blob["name"])
            return Reply(raw=content, headers={"Content-Type": "application/octetstream"})
        record_id = self._find(call, name, field, value)
        if record_id is None:
            raise not_found()
        return self.read(call, name, record_id)

    def upsert(self, call: Call, name: str, field: str, value: str) -> Reply:
        """Create or update by external id; 201 if created, else 200 (v46.0 and later)."""
        row = {**call.json_object(), field: value}
        result: SaveResult = self._org.upsert(call.session.who, name, field, [row])[0]
        data = {"id": result.unwrap(), "success": True, "errors": [], "created": result.created}
        return Reply(data, 201 if result.created else 200)

    def delete_by_field(self, call: Call, name: str, field: str, value: str) -> Reply:
        """Delete the record with an external id; 204."""
        record_id = self._find(call, name, field, value)
        if record_id is None:
            raise not_found()
        return self.delete(call, name, record_id)

    def _find(self, call: Call, name: str, field: str, value: str) -> str | None:
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        soql = f"SELECT Id FROM {name} WHERE {field} = '{quoted}' LIMIT 2"
        result = self._org.query(call.session.who, soql)
        found: list[Any] = [row[0] for row in result.rows()]
        if len(found) > 1:
            raise OrgError(300, "DUPLICATE_VALUE", "more than one record has this external id")
        return found[0] if found else None


def _unchanged(call: Call, stamp: datetime) -> bool:
    since = call.headers.get("If-Modified-Since")
    if since is None:
        return False
    try:
        moment = parsedate_to_datetime(since)
    except ValueError:
        return False
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return stamp.replace(microsecond=0) <= moment


def _last_modified(stamp: datetime) -> dict[str, str]:
    return {"Last-Modified": format_datetime(stamp.astimezone(UTC), usegmt=True)}


def _time(query: Mapping[str, str], name: str) -> datetime:
    text = query.get(name)
    if text is None:
        raise OrgError(400, "MISSING_ARGUMENT", f"The {name} parameter is required")
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))  # an unencoded + arrives as a space
    except ValueError as problem:
        raise OrgError(400, "INVALID_REPLICATION_DATE", f"{name}: not a date: {text}") from problem
    if moment.tzinfo is None:
        raise OrgError(400, "INVALID_REPLICATION_DATE", f"{name}: the time zone is missing: {text}")
    return moment
