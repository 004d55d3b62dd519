"""What an operator can see and do of the Salesforce package: details, on and off, sync conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated

import msgspec
from aiohttp import web

from rtsd import apex
from rtsd.control import protocol
from rtsd.control.documents import answer, body_of, find_object
from rtsd.core.instant import Millis, to_iso
from rtsd.core.mode import Signal
from rtsd.errors import Conflict
from rtsd.salesforce import package
from rtsd.store.journal import Note
from rtsd.sync.catalog import MirroredObject
from rtsd.sync.conditions import Conditions
from rtsd.sync.engine import Engine
from rtsd.sync.ledger import StoredLedger
from rtsd.sync.mode import ModeMachine
from rtsd.sync.package import PackageSettings, PackageState, PackageWatch
from rtsd.sync.package_probe import PackageProbe


class ChangedBody(msgspec.Struct):
    """`{"calls": {"DailyApiRequests": 12}, "look": true}`: what somebody spent beside the daemon, and did."""

    calls: dict[str, Annotated[int, msgspec.Meta(ge=0)]] = {}
    look: bool = True
    """Whether something has changed, so that the org is worth a look."""


class ConditionsBody(msgspec.Struct):
    """`{"fields": […]}`; none: any change pushes."""

    fields: list[str]


class PackageOperations:
    """Carries out what the control API is asked of the package."""

    def __init__(
        self,
        engine: Engine,
        ledger: StoredLedger,
        *,
        mode: ModeMachine,
        probe: PackageProbe | None,
        conditions: Conditions,
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._mode = mode
        self._probe = probe
        self._conditions = conditions

    async def details(self, *, look: bool) -> protocol.PackageDetails:
        """Everything that is known; `look` asks the org first, for two calls."""
        if self._probe is None:
            return protocol.PackageDetails(triggers=self._triggers(PackageState()))
        watch = self._probe.watch
        if look:
            await self._probe.take(await watch.probe_with_triggers())
            await self._conditions.refresh()
        return self._shown(watch)

    async def changed(self, calls: Mapping[str, int], *, look: bool) -> protocol.PackageDetails:
        """Somebody was at the package beside the daemon: write down the calls, and look if it was changed."""
        for resource, count in calls.items():
            await self._ledger.record(package.PURPOSE, resource, count)
        return await self.details(look=look)

    async def switch(self, *, disabled: bool) -> protocol.PackageDetails:
        """Switch the package off or on in the org; doing it again changes nothing. Raises Conflict."""
        if self._probe is None:
            raise Conflict("No gateway is configured, so nothing is pushed here.", "Set [gateway] listen.")
        watch = self._probe.watch
        changed = await watch.set_disabled(disabled=disabled)
        verb = "disabled" if disabled else "enabled"
        if changed:
            detail = {"disabled": disabled}
            await self._engine.note(Note("package", message=f"{verb} by an operator", detail=detail))
        signal = Signal.PACKAGE_DISABLED if disabled else Signal.PACKAGE_ENABLED
        await self._mode.observe(signal, f"{verb} by an operator")
        shown = self._shown(watch)
        shown.changed = changed
        return shown

    async def conditions(self, mirrored: MirroredObject, *, ask_org: bool = True) -> protocol.Conditions:
        """The sync conditions of an object, read now where the package is installed; else as last read."""
        installed = ask_org and self._is_installed
        shown = await self._conditions.show(mirrored, installed=installed)
        return protocol.Conditions(**asdict(shown))

    async def set_conditions(self, mirrored: MirroredObject, fields: Sequence[str]) -> protocol.Conditions:
        """Make these the sync conditions of an object, in the org."""
        return protocol.Conditions(**asdict(await self._conditions.put(mirrored, fields)))

    @property
    def _is_installed(self) -> bool:
        return self._probe is not None and self._probe.watch.known.state == "installed"

    def _shown(self, watch: PackageWatch) -> protocol.PackageDetails:
        known = watch.known
        return protocol.PackageDetails(
            state=known.state,
            version=known.version,
            disabled=known.disabled,
            last_seen_at=_iso(known.last_seen_at),
            expected_version=apex.VERSION,
            triggers=self._triggers(known),
            triggers_as_of=_iso(known.triggers_at or None),
            settings=_settings(known.settings),
            async_used=known.async_used,
            async_max=known.async_max,
            errors_24h=known.errors_24h,
            problems=[protocol.Problem(what=one.what, do=one.do) for one in watch.problems()],
            next_look_at=_iso(watch.next_probe_at),
        )

    def _triggers(self, known: PackageState) -> list[protocol.PackageTrigger]:
        have = known.triggers
        covered = {name.lower() for name in have or ()}
        return [
            protocol.PackageTrigger(
                object=one.name, installed=None if have is None else one.name.lower() in covered
            )
            for one in self._engine.catalog
        ]


class PackageRoutes:
    """The package's part of the control API."""

    def __init__(self, engine: Engine, operations: PackageOperations) -> None:
        self._engine = engine
        self._operations = operations

    def routes(self) -> list[web.RouteDef]:
        """What is served."""
        return [
            web.get("/v1/package", self._details),
            web.post("/v1/package/changed", self._changed),
            web.post("/v1/package/disable", self._disable),
            web.post("/v1/package/enable", self._enable),
            web.get("/v1/objects/{object}/conditions", self._conditions),
            web.put("/v1/objects/{object}/conditions", self._set_conditions),
        ]

    async def _details(self, request: web.Request) -> web.Response:
        look = request.query.get("look", "0") not in ("", "0")
        return answer(await self._operations.details(look=look))

    async def _changed(self, request: web.Request) -> web.Response:
        body = await body_of(request, ChangedBody)
        return answer(await self._operations.changed(body.calls, look=body.look))

    async def _disable(self, _request: web.Request) -> web.Response:
        return answer(await self._operations.switch(disabled=True))

    async def _enable(self, _request: web.Request) -> web.Response:
        return answer(await self._operations.switch(disabled=False))

    async def _conditions(self, request: web.Request) -> web.Response:
        return answer(await self._operations.conditions(self._object(request)))

    async def _set_conditions(self, request: web.Request) -> web.Response:
        body = await body_of(request, ConditionsBody)
        return answer(await self._operations.set_conditions(self._object(request), body.fields))

    def _object(self, request: web.Request) -> MirroredObject:
        return find_object(self._engine, request.match_info["object"])


def _settings(known: PackageSettings | None) -> protocol.PackageSettings | None:
    if known is None:
        return None
    return protocol.PackageSettings(
        as_of=to_iso(known.as_of),
        disabled=known.disabled,
        error_logging=known.error_logging,
        gateway_url=known.gateway_url,
        org_id=known.org_id,
    )


def _iso(moment: Millis | None) -> str | None:
    return to_iso(moment) if moment is not None else None
