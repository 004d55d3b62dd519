"""The installed Apex package: trigger, handler, sender, retry.

Its configuration is data of the org: the `RTS_*` triggers, the org's `RTS_Settings__c` row and the
`RTS_Synced_Field__c` rows. The package runs as the system, so it also sees rows hidden from the sync user.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

from rtssim.apex_package.callouts import Callouts
from rtssim.apex_package.heartbeats import Heartbeats
from rtssim.apex_package.payloads import Push, PushBuilder, changed_fields
from rtssim.apex_package.relay import Relay
from rtssim.apex_package.settings import PackageConfiguration, PackageSettings
from rtssim.interface import OrgError, RowChange
from rtssim.limits import ASYNC_APEX

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from rtssim.apex_package.publication import Publication
    from rtssim.faults import Faults
    from rtssim.interface import Commit
    from rtssim.limits import Limits
    from rtssim.org import Org
    from rtssim.switches import ApiSwitches

PERSON_CONTACT = "PersonContactId"
VERSION = "1.0.0"
JOBS = 10  # senders that a save starts itself where its events are refused
INVOCATION = 200  # changes per trigger invocation, hence per push
OPERATIONS = ("create", "update", "delete", "undelete")
RETRY_DELAYS_S = (
    1.0,
    2.0,
    5.0,
    10.0,
    10.0,
)  # a real finalizer waits minutes: see the switch push_retry_scale
RETRIED_STATUSES = (408, 429)


class ApexPackage:
    """Sends pushes for every commit that fires the package's triggers."""

    def __init__(
        self,
        org: Org,
        limits: Limits,
        faults: Faults,
        switches: ApiSwitches,
        *,
        publication: Publication,
        heartbeat_s: float = 900.0,
    ) -> None:
        self._org = org
        self._limits = limits
        self._faults = faults
        self._switches = switches
        self._builder = PushBuilder(org)
        self._callouts = Callouts(org.clock, switches)
        self._publication = publication
        self._tasks: set[asyncio.Task[None]] = set()
        self.configuration = PackageConfiguration(org)
        self.relay = Relay(org, faults, switches, self.configuration)
        self._heartbeats = Heartbeats(
            org,
            limits,
            switches,
            relay=self.relay,
            configuration=self.configuration,
            post=self._post,
        )
        self.heartbeat_s = heartbeat_s
        self.statistics = self._callouts.statistics
        org.on_commit(self._on_commit)

    async def start(self) -> None:
        """Start sending pushes and heartbeats."""
        await self._callouts.start()
        self._spawn(self._beat())

    async def close(self) -> None:
        """Stop; drop pushes in flight."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._callouts.close()

    async def drain(self) -> None:
        """Wait until every push in flight is answered or given up."""
        while pending := [task for task in self._tasks if task.get_name() == "push"]:
            await asyncio.gather(*pending, return_exceptions=True)

    @property
    def pending(self) -> int:
        """Pushes in flight, including those that wait for a retry."""
        return sum(task.get_name() == "push" for task in self._tasks)

    def enqueue(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a sending job in the background, after the current transaction (System.enqueueJob)."""
        self._spawn(work, "push")

    def _spawn(self, work: Any, name: str = "simulated package") -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- the trigger handler ------------------------------------------------------------------------
    def _on_commit(self, commit: Commit) -> None:
        self.configuration.observe(commit)
        self.relay.observe(commit)
        triggers = self.configuration.triggers
        fired = [c for c in commit.changes if c.fires_trigger and c.object in triggers and c.op in OPERATIONS]
        if not fired:
            return
        disabled = self.configuration.active() is None or self.configuration.is_disabled_for(commit.by)
        if disabled or not self._callouts.running:
            self.statistics.suppressed += len(fired)
            return
        kept = [change for change in fired if self._is_watched(change)]
        self.statistics.filtered += len(fired) - len(kept)
        if "Contact" in triggers:
            kept += _contacts_of(fired)
        jobs = JOBS
        for start in range(0, len(kept), INVOCATION):
            jobs -= not self._leave(kept[start : start + INVOCATION], commit.by, jobs)

    def _leave(self, changes: list[RowChange], by: str, jobs: int) -> bool:
        """Publish an event with changes; return False if a job had to take them, of which `jobs` are left."""
        send = partial(self._send, changes, by)
        refused = self.relay.publish(lambda: self._spawn(send(), "push"))
        if refused is None:
            return True
        if jobs > 0:
            self._spawn(send(), "push")
        else:
            self.statistics.shed += len(changes)
            reason = f"Not pushed: the event was not taken: {refused}"
            self._log_error(changes, message=reason, status=None, attempt=0)
        return False

    def _is_watched(self, change: RowChange) -> bool:
        watched = self.configuration.conditions.get(change.object)
        return change.op != "update" or watched is None or not watched.isdisjoint(changed_fields(change))

    # -- the sender ---------------------------------------------------------------------------------
    async def _send(self, changes: list[RowChange], by: str) -> None:
        if self._faults.hit(("push_lost",)):
            self.statistics.lost += 1
            return
        late = self._faults.hit(("push_late",))
        if late is not None:
            await asyncio.sleep(late.number("seconds", 2.0))
        pushes = self._builder.pushes(changes, by)
        reordered = self._faults.hit(("push_reordered",))
        if reordered is not None:  # already read back; now let a later push overtake it
            self._callouts.sent.clear()
            await _wait(self._callouts.sent, reordered.number("seconds", 2.0))
        doubled = self._faults.hit(("push_doubled",))
        for push in pushes * 2 if doubled else pushes:
            await self._deliver(push)

    async def _deliver(self, push: Push) -> None:
        """Send a push until the answer is final or the retries are used up."""
        self.statistics.pushes += 1
        self.statistics.changes += len(push.changes)
        for attempt, delay in enumerate((*RETRY_DELAYS_S, None), start=1):
            self._limits.use(ASYNC_APEX)
            settings = self.configuration.active()
            if settings is None:
                self.statistics.suppressed += len(push.changes)
                return
            status, text = await self._post(settings, {**push.document, "attempt": attempt}, push.id)
            if status == 200:
                self.statistics.acked += 1
                return
            retried = status == 0 or status >= 500 or status in RETRIED_STATUSES
            if not retried or delay is None:
                self.statistics.failed += 1
                self._log_error(push.changes, message=text, status=status, attempt=attempt, uid=push.id)
                return
            await asyncio.sleep(delay * self._switches.push_retry_scale * random.uniform(0.8, 1.2))

    def _log_error(
        self, changes: Sequence[RowChange], *, message: str, status: int | None, attempt: int, uid: str = ""
    ) -> None:
        settings = self.configuration.active()
        if settings is None or not settings.error_logging:
            return
        row = {
            "Object__c": changes[0].object,
            "Operation__c": changes[0].op,
            "Record_Ids__c": ",".join(change.id for change in changes)[:32_768],
            "HTTP_Status__c": status,
            "Message__c": message[:255],
            "Attempt__c": attempt,
            "Batch_Uid__c": uid,
        }
        try:
            self._org.create(self._org.sync_user, "RTS_Error__c", [row])
        except OrgError as error:  # an installed package may have other fields
            self.statistics.answers[f"error row: {error.code}"] += 1

    async def _post(
        self, settings: PackageSettings, document: dict[str, Any], message_id: str | None = None
    ) -> tuple[int, str]:
        name = message_id or f"msg_{uuid.uuid4().hex}"
        if settings.is_published:
            refused = self._publication.publish(settings, name, {"pkg": VERSION, **document})
            return (200, "") if refused is None else (0, refused)
        return await self._callouts.post(settings, name, {"pkg": VERSION, **document})

    # -- heartbeat and ping -------------------------------------------------------------------------
    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.heartbeat_s)
            await self.heartbeat()

    async def heartbeat(self) -> int | None:
        """Run the scheduled job now; return the answer to the heartbeat, None if none was sent."""
        answer = await self._heartbeats.beat()
        self.statistics.heartbeats = self._heartbeats.sent
        return answer

    async def ping(self) -> int | None:
        """Send an admin's test push, disabled or not; return the answer's status, or None if not set up."""
        settings = self.configuration.configured()
        if settings is None:
            return None
        document = {"v": 1, "kind": "test", "org": self._org.org_id}
        return (await self._post(settings, document))[0]


def _contacts_of(changes: Sequence[RowChange]) -> list[RowChange]:
    """Return the changes of the contacts of person accounts, for which no trigger of Contact fires.

    (Apex Developer Guide, Operations That Don't Invoke Triggers.) Orgs with person accounts have the field.
    """
    found = []
    for change in changes:
        contact = (change.new or change.old or {}).get(PERSON_CONTACT)
        if change.object == "Account" and contact:
            found.append(RowChange("Contact", contact, change.op, None, None, change.modstamp))
    return found


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
