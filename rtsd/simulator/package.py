"""Plays the installed Apex package: trigger, handler, sender, retry, heartbeat.

What it reads is data of the org: the `RTS_*` triggers, the org's `RTS_Settings__c` row and the
`RTS_Synced_Field__c` rows. It runs as the system, so it sees what the sync user may not see.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import random
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from rtsd.simulator.errors import OrgError
from rtsd.simulator.limits import ASYNC_APEX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from rtsd.simulator.changes import Commit, RowChange
    from rtsd.simulator.faults import Faults
    from rtsd.simulator.limits import Limits
    from rtsd.simulator.org import Org
    from rtsd.simulator.switches import Switches

VERSION = "1.0.0"
BATCH_CHANGES = 200  # one trigger invocation
BATCH_BYTES = 6_000_000  # what a synchronous heap holds
SETTINGS = ("Disable_RTS__c", "Error_Logging__c", "Gateway_URL__c", "Token__c", "Org_Id__c")
OPERATIONS = ("create", "update", "delete", "undelete")
UNREADABLE_TYPES = ("address", "location", "base64")
SENDERS = 50  # pushes under way at once
CALLOUT_TIMEOUT = aiohttp.ClientTimeout(total=20)
RETRIED = (408, 429)
AUDIT_FIELDS = ("SystemModstamp", "LastModifiedDate", "LastModifiedById")


@dataclass(frozen=True)
class Settings:
    """The org's row of `RTS_Settings__c`."""

    disabled: bool
    error_logging: bool
    url: str
    token: str
    org_id: str

    @property
    def push_url(self) -> str:
        """Where pushes go."""
        base = self.url.rstrip("/")
        return base if base.endswith("/v1/push") else f"{base}/v1/push"


@dataclass
class Batch:
    """Changes of one commit that travel together; `id` stays the same over all retries."""

    changes: Sequence[RowChange]
    kind: str = "changes"
    id: str = field(default_factory=lambda: f"msg_{uuid.uuid4().hex}")


@dataclass
class Statistics:
    """What was sent and how it was answered, since the start."""

    pushes: int = 0
    changes: int = 0
    attempts: int = 0
    acked: int = 0
    failed: int = 0
    lost: int = 0
    heartbeats: int = 0
    filtered: int = 0  # updates that no sync condition let through
    suppressed: int = 0  # changes met with the package disabled or not set up
    answers: Counter[str] = field(default_factory=Counter)

    def document(self) -> dict[str, Any]:
        """Return the numbers as JSON."""
        return {name: dict(value) if name == "answers" else value for name, value in vars(self).items()}


class Package:
    """Sends a push for every commit that fires the package's triggers."""

    def __init__(
        self, org: Org, limits: Limits, faults: Faults, switches: Switches, *, heartbeat_s: float = 900.0
    ) -> None:
        self._org = org
        self._system = org.sync_user
        self._limits = limits
        self._faults = faults
        self._switches = switches
        self.heartbeat_s = heartbeat_s
        self.retry_delays_s: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 10.0)
        self.statistics = Statistics()
        self._http: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(SENDERS)
        self._sent = asyncio.Event()  # set at every push that left, for the reordering fault
        self._known: tuple[frozenset[str], Settings | None, dict[str, frozenset[str]]] | None = None
        self._fields: dict[str, tuple[datetime, list[str]]] = {}
        org.on_commit(self._on_commit)

    async def start(self) -> None:
        """Begin to send."""
        connector = aiohttp.TCPConnector(limit=SENDERS, force_close=False)
        self._http = aiohttp.ClientSession(
            connector=connector, timeout=CALLOUT_TIMEOUT, auto_decompress=False
        )
        self._spawn(self._beat())

    async def close(self) -> None:
        """Drop what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def drain(self) -> None:
        """Wait until every push that is under way was answered or given up."""
        while pending := [task for task in self._tasks if task.get_name() == "push"]:
            await asyncio.gather(*pending, return_exceptions=True)

    @property
    def pending(self) -> int:
        """Pushes under way, those that wait for a retry included."""
        return sum(task.get_name() == "push" for task in self._tasks)

    def _spawn(self, work: Any, name: str = "package") -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- what the org says --------------------------------------------------------------------------
    def reload(self) -> None:
        """Read triggers, settings and conditions again before the next use."""
        self._known = None

    def _read(self) -> tuple[frozenset[str], Settings | None, dict[str, frozenset[str]]]:
        if self._known is None:
            rows = self._rows(
                "SELECT TableEnumOrId FROM ApexTrigger WHERE Name LIKE 'RTS_%' AND Status = 'Active'"
            )
            conditions: dict[str, set[str]] = {}
            for name, watched, active in self._rows(
                "SELECT Object__c, Field__c, Condition__c FROM RTS_Synced_Field__c"
            ):
                if active and name and watched:
                    conditions.setdefault(name, set()).add(watched)
            frozen = {name: frozenset(fields) for name, fields in conditions.items()}
            self._known = (frozenset(row[0] for row in rows), self._read_settings(), frozen)
        return self._known

    def _read_settings(self) -> Settings | None:
        rows = self._rows(
            f"SELECT {', '.join(SETTINGS)} FROM RTS_Settings__c "  # noqa: S608 - SOQL with the org's own id
            f"WHERE SetupOwnerId = '{self._org.org_id}'"
        )
        if not rows:
            return None
        disabled, logging, url, token, org_id = rows[0]
        return Settings(bool(disabled), bool(logging), url or "", token or "", org_id or "")

    def _rows(self, soql: str) -> list[tuple[Any, ...]]:
        try:
            return list(self._org.query(self._system, soql).rows())
        except OrgError:  # the object is not there: the package is not installed
            return []

    @property
    def triggers(self) -> list[str]:
        """Objects that have a trigger of the package."""
        return sorted(self._read()[0])

    def settings(self) -> Settings | None:
        """Return the settings under which pushes are sent now, or None where nothing is to be sent."""
        settings = self._read()[1]
        if settings is None or settings.disabled or not settings.url or not settings.token:
            return None
        mine = self._org.org_id
        return settings if settings.org_id[:15] in ("", mine[:15]) else None

    # -- the trigger handler ------------------------------------------------------------------------
    def _on_commit(self, commit: Commit) -> None:
        if any(c.object.startswith("RTS_") or c.object == "ApexTrigger" for c in commit.changes):
            self.reload()
        triggers, _, conditions = self._read()
        fired = [c for c in commit.changes if c.fires_trigger and c.object in triggers and c.op in OPERATIONS]
        if not fired:
            return
        if self.settings() is None or self._http is None:
            self.statistics.suppressed += len(fired)
            return
        kept = [c for c in fired if c.op != "update" or self._is_watched(c, conditions)]
        self.statistics.filtered += len(fired) - len(kept)
        for start in range(0, len(kept), BATCH_CHANGES):
            self._spawn(self._send(Batch(kept[start : start + BATCH_CHANGES]), commit.by), "push")

    def _is_watched(self, change: RowChange, conditions: dict[str, frozenset[str]]) -> bool:
        watched = conditions.get(change.object)
        return watched is None or not watched.isdisjoint(_changed(change))

    # -- the sender ---------------------------------------------------------------------------------
    async def _send(self, batch: Batch, by: str) -> None:
        if self._faults.hit(("push_lost",)):
            self.statistics.lost += 1
            return
        late = self._faults.hit(("push_late",))
        if late is not None:
            await asyncio.sleep(late.number("seconds", 2.0))
        async with self._slots:
            documents = self._documents(batch, by)
        reordered = self._faults.hit(("push_reordered",))
        if reordered is not None:  # it was read, and now a later push overtakes it
            self._sent.clear()
            await _wait(self._sent, reordered.number("seconds", 2.0))
        twice = self._faults.hit(("push_doubled",))
        for part, document in documents:
            for _ in range(2 if twice else 1):
                await self._deliver(part, document)

    def _documents(self, batch: Batch, by: str) -> list[tuple[Batch, dict[str, Any]]]:
        """Read the rows back and return the pushes, split where one would be too large."""
        read_at = self._org.clock.now()
        rows = self._read_back(batch.changes)
        changes = [self._change(change, rows, by) for change in batch.changes]
        sizes = [len(msgspec.json.encode(change)) for change in changes]
        for change, size in zip(changes, sizes, strict=True):
            if size > BATCH_BYTES:
                del change["fields"]
        parts: list[list[int]] = [[]]
        room = BATCH_BYTES
        for index, size in enumerate(sizes):
            if size > room and parts[-1]:
                parts.append([])
                room = BATCH_BYTES
            parts[-1].append(index)
            room -= min(size, BATCH_BYTES)
        head = {"v": 1, "kind": "changes", "org": self._org.org_id, "pkg": VERSION, "read_at": _iso(read_at)}
        documents = []
        for number, indexes in enumerate(parts):
            part = batch if number == 0 else Batch([batch.changes[i] for i in indexes])
            documents.append((part, {**head, "changes": [changes[i] for i in indexes]}))
        return documents

    def _read_back(self, changes: Iterable[RowChange]) -> dict[tuple[str, str], dict[str, Any]]:
        wanted: dict[str, list[str]] = {}
        for change in changes:
            if change.op != "delete":
                wanted.setdefault(change.object, []).append(change.id)
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for name, ids in wanted.items():
            try:
                records = self._org.retrieve(self._system, name, ids, self._fields_of(name))
            except OrgError:  # the object went away meanwhile
                continue
            for record_id, record in zip(ids, records, strict=True):
                if record is not None:
                    record.pop("attributes", None)
                    rows[name, record_id] = record
        return rows

    def _fields_of(self, name: str) -> list[str]:
        stamp = self._org.described_at()
        known = self._fields.get(name)
        if known is None or known[0] != stamp:
            described = self._org.describe(self._system, name)[0]["fields"]
            known = (stamp, [f["name"] for f in described if f["type"] not in UNREADABLE_TYPES])
            self._fields[name] = known
        return known[1]

    def _change(
        self, change: RowChange, rows: dict[tuple[str, str], dict[str, Any]], by: str
    ) -> dict[str, Any]:
        document: dict[str, Any] = {
            "object": change.object,
            "op": change.op,
            "id": change.id,
            "modstamp": _iso(change.modstamp),
            "by": by,
        }
        if change.op == "update":
            document["changed"] = _changed(change)
        if change.op == "delete":
            if change.master_id is not None:
                document["master"] = change.master_id
            return document
        record = rows.get((change.object, change.id))
        if record is not None:
            document["fields"] = record
        return document

    async def _deliver(self, batch: Batch, document: dict[str, Any]) -> None:
        """Send one push until it is answered for good or the retries are used up."""
        self.statistics.pushes += 1
        self.statistics.changes += len(batch.changes)
        for attempt, delay in enumerate((*self.retry_delays_s, None), start=1):
            self._limits.use(ASYNC_APEX)
            settings = self.settings()
            if settings is None:
                self.statistics.suppressed += len(batch.changes)
                return
            status, text = await self._post(settings, batch.id, {**document, "attempt": attempt})
            if status == 200:
                self.statistics.acked += 1
                return
            retried = status == 0 or status >= 500 or status in RETRIED
            if not retried or delay is None:
                self.statistics.failed += 1
                self._log_error(settings, batch, status, text, attempt)
                return
            await asyncio.sleep(delay * random.uniform(0.8, 1.2))

    async def _post(self, settings: Settings, message_id: str, document: dict[str, Any]) -> tuple[int, str]:
        """Sign and POST; return the status (0: no answer) and the start of the body."""
        if self._http is None:
            return 0, "closed"
        self.statistics.attempts += 1
        body = msgspec.json.encode({**document, "sent": _iso(self._org.clock.now())})
        by_org = self._switches.push_timestamp_by_org_clock
        stamp = str(int(self._org.clock.now().timestamp() if by_org else time.time()))
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": stamp,
            "webhook-signature": sign(settings.token, message_id, stamp, body),
        }
        try:
            async with (
                self._slots,
                self._http.post(
                    settings.push_url, data=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                text = (await answer.content.read(1_000)).decode(errors="replace")
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as problem:
            status, text = 0, f"{type(problem).__name__}: {problem}"
        self.statistics.answers[str(status)] += 1
        self._sent.set()
        return status, text

    def _log_error(self, settings: Settings, batch: Batch, status: int, text: str, attempt: int) -> None:
        if not settings.error_logging:
            return
        first = batch.changes[0] if batch.changes else None
        row = {
            "Object__c": first.object if first else None,
            "Operation__c": first.op if first else batch.kind,
            "Record_Ids__c": ",".join(change.id for change in batch.changes)[:32_768],
            "HTTP_Status__c": status,
            "Message__c": text[:255],
            "Attempt__c": attempt,
            "Batch_Uid__c": batch.id,
        }
        try:
            self._org.create(self._system, "RTS_Error__c", [row])
        except (
            OrgError
        ) as error:  # a foreign package version without these fields: the push failed all the same
            self.statistics.answers[f"error row: {error.code}"] += 1

    # -- heartbeat and test -------------------------------------------------------------------------
    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.heartbeat_s)
            await self.heartbeat()

    async def heartbeat(self) -> int | None:
        """Send a heartbeat; return the answer's status, or None where the package is not set up."""
        triggers, settings, _ = self._read()
        if settings is None or not settings.url or not settings.token or not triggers:
            return None
        if settings.disabled and not self._switches.heartbeat_while_disabled:
            return None
        self.statistics.heartbeats += 1
        self._limits.use(ASYNC_APEX, 2)
        errors = self._rows("SELECT COUNT(Id) FROM RTS_Error__c WHERE CreatedDate = LAST_N_DAYS:1")
        document = {
            "v": 1,
            "kind": "heartbeat",
            "org": self._org.org_id,
            "pkg": VERSION,
            "settings": {"disabled": settings.disabled, "error_logging": settings.error_logging},
            "triggers": sorted(triggers),
            "async": {"used": self._limits.used(ASYNC_APEX), "max": self._limits.maximum[ASYNC_APEX]},
            "errors_24h": errors[0][0] if errors else 0,
        }
        return (await self._post(settings, f"msg_{uuid.uuid4().hex}", document))[0]

    async def test(self) -> int | None:
        """Send an admin's ping; return the answer's status, or None where the package is not set up."""
        settings = self.settings()
        if settings is None:
            return None
        document = {"v": 1, "kind": "test", "org": self._org.org_id}
        return (await self._post(settings, f"msg_{uuid.uuid4().hex}", document))[0]


def sign(token: str, message_id: str, stamp: str, body: bytes) -> str:
    """Return the `webhook-signature` of a body (Standard Webhooks; the key is the token's UTF-8 bytes)."""
    content = f"{message_id}.{stamp}.".encode() + body
    digest = hmac.new(token.encode(), content, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _changed(change: RowChange) -> list[str]:
    old, new = change.old or {}, change.new or {}
    return [name for name in new if old.get(name) != new[name] and name not in AUDIT_FIELDS]


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
