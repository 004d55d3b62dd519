"""Heartbeats: an event that takes the way of the changes, a report of the package's state, the status row."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rtssim.apex_package.callouts import push_stamp
from rtssim.limits import ASYNC_APEX

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from rtssim.apex_package.relay import Relay
    from rtssim.apex_package.settings import PackageConfiguration, PackageSettings
    from rtssim.limits import Limits
    from rtssim.org import Org
    from rtssim.switches import ApiSwitches

GRACE = timedelta(minutes=5)  # the time an event may take
STOPPED = ("Error", "Suspended", "Missing")


class Heartbeats:
    """The scheduled job, and the job that reports."""

    def __init__(
        self,
        org: Org,
        limits: Limits,
        switches: ApiSwitches,
        *,
        relay: Relay,
        configuration: PackageConfiguration,
        post: Callable[[PackageSettings, dict[str, Any]], Awaitable[tuple[int, str]]],
    ) -> None:
        self._org = org
        self._limits = limits
        self._switches = switches
        self._relay = relay
        self._configuration = configuration
        self._post = post
        self._unanswered_since: datetime | None = None
        self._tasks: set[asyncio.Task[int | None]] = set()
        self.sent = 0

    async def beat(self) -> int | None:
        """Run the scheduled job; return the gateway's answer to the report, None if nothing was sent."""
        settings = self._configuration.configured()
        if settings is None or not self._configuration.triggers:
            return None
        if settings.disabled and not self._switches.heartbeat_while_disabled:
            return None
        self._limits.use(ASYNC_APEX, 2)
        if not self._switches.heartbeat_by_relay:
            return await self._report(None)
        return await self._probe(settings)

    async def _probe(self, settings: PackageSettings) -> int | None:
        now, reports = self._org.clock.now(), []
        since = self._unanswered_since
        late = since if since is not None and since + GRACE <= now else None
        if late is None:
            self._unanswered_since = now
        refused = self._relay.publish(lambda: reports.append(self._start({"relayed": True})))
        if refused is not None and late is None:
            self._unanswered_since = since
        broken = refused is not None or late is not None or self._relay.state()["status"] in STOPPED
        if broken and not reports:
            said = {"refused": refused, "unanswered_since": None if late is None else push_stamp(late)}
            reports.append(self._start(said))
        self._write({"Last_Heartbeat_At__c": push_stamp(now), "Channel__c": settings.channel or "gateway"})
        return (await asyncio.gather(*reports))[0] if reports else None

    def _start(self, said: dict[str, Any]) -> asyncio.Task[int | None]:
        """Start the job that reports."""
        known = {"relayed": False, "refused": None, "unanswered_since": None, **said}
        self._limits.use(ASYNC_APEX)
        task = asyncio.get_running_loop().create_task(self._report({**self._relay.state(), **known}))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _report(self, relay: dict[str, Any] | None) -> int | None:
        settings, triggers = self._configuration.configured(), self._configuration.triggers
        if settings is None:
            return None
        self.sent += 1
        errors = self._configuration.rows(
            "SELECT COUNT(Id) FROM RTS_Error__c WHERE CreatedDate = LAST_N_DAYS:1"
        )
        document: dict[str, Any] = {
            "v": 1,
            "kind": "heartbeat",
            "org": self._org.org_id,
            "settings": {"disabled": settings.disabled, "error_logging": settings.error_logging},
            "triggers": sorted(triggers),
            "async": {"used": self._limits.used(ASYNC_APEX), "max": self._limits.maximum[ASYNC_APEX]},
            "errors_24h": errors[0][0] if errors else 0,
        }
        if relay is not None:
            document["relay"] = relay
            if relay["relayed"]:
                self._unanswered_since = None
        status, text = await self._post(settings, document)
        answer = f"HTTP {status}: {text}"[:255] if status else text[:255]
        self._write(
            {
                "Last_Answer__c": answer,
                "Relay_Status__c": (relay or {}).get("status"),
                "Errors_24h__c": document["errors_24h"],
                "Gateway__c": None if settings.is_published else settings.push_url,
            }
        )
        return status

    def _write(self, values: dict[str, Any]) -> None:
        """Write the status row, where the package has one."""
        if self._org.schema.find("RTS_Status__c") is not None:
            row = {"Key__c": self._org.org_id, **values}
            self._org.upsert(self._org.sync_user, "RTS_Status__c", "Key__c", [row])
