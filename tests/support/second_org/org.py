"""The org: its habits, its sessions and cursors, and which handler answers a call."""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.second_org.bulk import Bulk
from tests.support.second_org.data import ORG_ID, USER_ID, fill, objects
from tests.support.second_org.errors import Refused, no_object
from tests.support.second_org.records import Field, Records, Row, SObject, as_json, long_id
from tests.support.second_org.soql import Query, parse

VERSIONS = ("58.0", "62.0", "66.0")
CLIENT_ID = "3MVG9second"
CLIENT_SECRET = "second-org-secret-9a71"


@dataclass
class Habits:
    """Where documents allow several behaviours: what this org does."""

    quote_all: bool = False
    page: int = 250
    bulk_page: int = 700
    job_waits: tuple[str, ...] = ("UploadComplete", "InProgress", "InProgress")
    limits: bool = True
    result_pages: bool = False
    conditional: bool = False
    counted: int = 10**9
    """How many rows an aggregate query may look at before it takes too long."""
    odd: bool = False
    """Whether it writes what only some have seen: exponents, `4.0` for 4, a BOM, headers in lower case."""
    skew_s: float = 7.0
    covered_s: float = 95.0
    captured: tuple[str, ...] = ()
    """What is selected for Change Data Capture; without any the sync user may not use the Tooling API."""


@dataclass
class Answer:
    """What goes back: JSON, or text that is sent as it is."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    text: str | None = None


@dataclass
class Asked:
    """One request, without the envelope."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]
    token: str


Route = Callable[["Org", Asked, "re.Match[str]"], Answer]
ROUTES: list[tuple[str, re.Pattern[str], Route]] = []


def route(method: str, pattern: str) -> Callable[[Route], Route]:
    """Serve `pattern` below /services/data/vNN.N."""

    def register(handler: Route) -> Route:
        ROUTES.append((method, re.compile(rf"/services/data/v(?P<version>\d+\.0){pattern}/?"), handler))
        return handler

    return register


class Org:
    """The org, and what a test may ask and do directly."""

    def __init__(self, habits: Habits, contacts: int) -> None:
        self.habits = habits
        self.records = Records(objects(), skew_s=habits.skew_s)
        fill(self.records, contacts)
        self.bulk = Bulk(self.records)
        self.calls: Counter[str] = Counter()
        self.logins = 0
        self.deliveries: list[int] | None = None
        """Used and allowed in 24 hours; None without events (REST API guide, Limits)."""
        self.gate: Callable[[str], Awaitable[None]] | None = None
        self.faults: list[Answer] = []
        self.login_url = self.instance_url = ""
        self._sessions: set[str] = set()
        self._cursors: dict[str, tuple[str, Query, list[Row]]] = {}
        self._cursor = 0

    def expire_sessions(self) -> None:
        """End every session, and with it every query's cursor."""
        self._sessions.clear()

    def knows(self, token: str) -> bool:
        """Whether a session has not ended."""
        return token in self._sessions

    def entity(self, name: str) -> SObject:
        """An object that the user sees; Refused when there is none."""
        found = next(
            (entity for key, entity in self.records.objects.items() if key.lower() == name.lower()), None
        )
        if found is None or found.hidden:
            raise no_object(name)
        return found

    def image(self, name: str, key: str) -> dict[str, Any]:
        """A record as REST shows it, without attributes."""
        entity = self.records.objects[name]
        row = entity.rows[key]
        return {kind.name: as_rest(row, kind, entity) for kind in entity.visible()}

    def login(self, form: dict[str, str]) -> Answer:
        """The client credentials flow (Salesforce Help, OAuth Authorization Flows)."""
        if form.get("grant_type") != "client_credentials":
            return Answer({"error": "unsupported_grant_type"}, 400)
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return Answer({"error": "invalid_client", "error_description": "invalid client credentials"}, 401)
        self.logins += 1
        token = f"{ORG_ID[:15]}!AQ.{secrets.token_urlsafe(30)}"
        self._sessions.add(token)
        return Answer(
            {
                "access_token": token,
                "signature": "c2lnbmF0dXJl",
                "instance_url": self.instance_url + ("/" if self.habits.odd else ""),
                "id": f"{self.login_url}/id/{ORG_ID}/{USER_ID}",
                "token_type": "Bearer",
                "issued_at": str(int(self.records.now().timestamp() * 1000)),
                "api_instance_url": "https://api.salesforce.invalid",
                "token_format": "opaque",
                "sfdc_community_id": None,
            },
            headers={"Cache-Control": "no-store"},
        )

    def answer(self, asked: Asked) -> Answer:
        """Answer a call to the instance."""
        if asked.path.rstrip("/") == "/services/data":
            told = [
                {"label": "Any", "url": f"/services/data/v{number}", "version": number} for number in VERSIONS
            ]
            return Answer(told)
        self.calls[kind_of(asked)] += 1
        if not self.knows(asked.token):
            raise Refused(401, "INVALID_SESSION_ID", "Session expired or invalid (please log in again)")
        if asked.path == "/services/oauth2/userinfo":
            if self.habits.odd:
                return Answer(status=403, text="Missing_OAuth_Token")
            return Answer({"sub": asked.path, "user_id": USER_ID, "organization_id": ORG_ID} | _IDENTITY)
        if asked.path == f"/id/{ORG_ID}/{USER_ID}":
            return Answer({"id": asked.path, "user_id": USER_ID, "organization_id": ORG_ID} | _IDENTITY)
        if "//" in asked.path:
            raise not_found()
        for method, pattern, handler in ROUTES:
            if (found := pattern.fullmatch(asked.path)) and method == asked.method:
                if found["version"] not in VERSIONS:
                    raise not_found()
                return handler(self, asked, found)
        raise not_found()

    def first_page(self, asked: Asked, version: str, *, deleted: bool) -> Answer:
        """Run SOQL, and give the first page (REST API guide, Query)."""
        query = parse(asked.query.get("q", ""), self.entity)
        rows = query.rows(deleted=deleted)
        if query.aggregate and len(rows) > self.habits.counted:
            raise Refused(400, "QUERY_TIMEOUT", "Your query was running for too long.")
        if query.counts:
            return Answer({"totalSize": len(rows), "done": True, "records": []})
        if query.aggregate:
            sums = query.sums(rows)
            return Answer({"totalSize": len(sums), "done": True, "records": sums})
        self._cursor += 1
        key = long_id(f"0r8Zq0000{self._cursor:06}")
        self._cursors[key] = (asked.token, query, rows)
        return self.page(key, 0, version, deleted=deleted)

    def page(self, key: str, start: int, version: str, *, deleted: bool) -> Answer:
        """One page of a query; later pages are smaller, and the cursor ends with its session."""
        _, query, rows = self._cursors[key]
        end = start + (self.habits.page if start == 0 else max(200, self.habits.page // 2))
        told = [
            as_record(query.entity, row, [item.field for item in query.items if item.field], version)
            for row in rows[start:end]
        ]
        body = {"done": end >= len(rows), "totalSize": len(rows), "records": told}
        if end < len(rows):
            verb = "queryAll" if deleted and not self.habits.odd else "query"
            body["nextRecordsUrl"] = f"/services/data/v{version}/{verb}/{key}-{end}"
        return Answer(body)

    def next_page(self, asked: Asked, version: str, locator: str, *, deleted: bool) -> Answer:
        """The page a nextRecordsUrl names."""
        key, _, start = locator.partition("-")
        if key not in self._cursors or not start.isdigit():
            raise Refused(400, "INVALID_QUERY_LOCATOR", "that locator is not known")
        if self._cursors[key][0] != asked.token:
            raise Refused(401, "INVALID_SESSION_ID", "Session expired or invalid")
        return self.page(key, int(start), version, deleted=deleted)


_IDENTITY = {"preferred_username": "sync@zweite.example", "username": "sync@zweite.example", "active": True}


def kind_of(asked: Asked) -> str:
    path = re.sub(r"/[0-9A-Za-z]{15,18}(-\d+)?(?=/|$)", "/ID", asked.path)
    return f"{asked.method} {re.sub(r'^/services/data/v[0-9.]+', '', path)}"


def not_found() -> Refused:
    return Refused(404, "NOT_FOUND", "There is nothing here")


def as_rest(row: Row, kind: Field, entity: SObject) -> Any:
    if kind.type in ("address", "location"):
        parts = [part for part in entity.fields.values() if part.compound == kind.name]
        named = {
            re.sub(r"^.*?(?=[A-Z][a-z]+(__s)?$)", "", part.name).removesuffix("__s"): part for part in parts
        }
        values = {name[0].lower() + name[1:]: row.get(part.name) for name, part in named.items()}
        return values if any(value is not None for value in values.values()) else None
    if kind.type == "base64":
        return f"/services/data/v66.0/sobjects/{entity.name}/{row['Id']}/{kind.name}"
    return as_json(row.get(kind.name), kind)


def as_record(entity: SObject, row: Row, fields: list[Field], version: str) -> dict[str, Any]:
    url = f"/services/data/v{version}/sobjects/{entity.name}/{row['Id']}"
    told = {kind.name: as_rest(row, kind, entity) for kind in fields}
    return {"attributes": {"type": entity.name, "url": url}} | told
