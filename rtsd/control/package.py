"""The Salesforce package on the control socket: details, on and off, sync conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from aiohttp import web

from rtsd import apex
from rtsd.control import protocol
from rtsd.control.documents import answer, body_of, is_on, object_of
from rtsd.control.wire import iso, problems, relay
from rtsd.core.instant import to_iso
from rtsd.core.mode import Signal
from rtsd.errors import Conflict
from rtsd.salesforce import package
from rtsd.store.journal import Note
from rtsd.sync.capture import Capture
from rtsd.sync.catalog import Catalog
from rtsd.sync.conditions import Conditions
from rtsd.sync.ledger import StoredLedger
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.mode import ModeMachine
from rtsd.sync.package import PackageSettings, PackageState, PackageWatch
from rtsd.sync.package_probe import PackageProbe
from rtsd.sync.unit_of_work import UnitsOfWork


class PackageOperations:
    """Reads and changes the package and its sync conditions for operators."""

    def __init__(
        self,
        catalog: Catalog,
        work: UnitsOfWork,
        ledger: StoredLedger,
        *,
        mode: ModeMachine,
        probe: PackageProbe | None,
        conditions: Conditions,
        capture: Capture | None,
    ) -> None:
        self._catalog = catalog
        self._work = work
        self._ledger = ledger
        self._mode = mode
        self._probe = probe
        self._conditions = conditions
        self._capture = capture

    async def details(self, *, probe: bool) -> protocol.PackageDetails:
        """Return all that is known; `probe` asks the org first, for three calls."""
        if self._probe is None:
            return protocol.PackageDetails(triggers=self._triggers(PackageState()))
        watch = self._probe.watch
        if probe:
            await self._probe.handle(await watch.probe_with_code())
            await self._conditions.refresh()
        return self._details(watch)

    async def changed(self, calls: Mapping[str, int], *, probe: bool) -> protocol.PackageDetails:
        """Account for calls that another program spent, and probe what it changed."""
        for resource, count in calls.items():
            await self._ledger.record(package.PURPOSE, resource, count)
        if probe and self._capture is not None:
            self._capture.wake.set()
        return await self.details(probe=probe)

    async def switch(self, *, disabled: bool) -> protocol.PackageDetails:
        """Switch the package off or on in the org; doing it again changes nothing. Raises Conflict."""
        if self._probe is None:
            raise Conflict("No gateway is configured, so nothing is pushed here.", "Set [gateway] listen.")
        watch = self._probe.watch
        changed = await watch.set_disabled(disabled=disabled)
        verb = "disabled" if disabled else "enabled"
        if changed:
            detail = {"disabled": disabled}
            await self._work.note(Note("package", message=f"{verb} by an operator", detail=detail))
        signal = Signal.PACKAGE_DISABLED if disabled else Signal.PACKAGE_ENABLED
        await self._mode.observe(signal, f"{verb} by an operator")
        details = self._details(watch)
        details.changed = changed
        return details

    async def conditions(self, mirrored: MirroredObject, *, ask_org: bool) -> protocol.Conditions:
        """Return an object's sync conditions: from the org if it may be asked, else as last read."""
        installed = self._probe is not None and self._probe.watch.known.state == "installed"
        shown = await self._conditions.show(mirrored, installed=ask_org and installed)
        return msgspec.convert(shown, protocol.Conditions, from_attributes=True)

    async def set_conditions(self, mirrored: MirroredObject, fields: Sequence[str]) -> protocol.Conditions:
        """Replace an object's sync conditions, in the org."""
        shown = await self._conditions.put(mirrored, fields)
        return msgspec.convert(shown, protocol.Conditions, from_attributes=True)

    def _details(self, watch: PackageWatch) -> protocol.PackageDetails:
        known = watch.known
        return protocol.PackageDetails(
            state=known.state,
            version=known.version,
            disabled=known.disabled,
            last_seen_at=iso(known.last_seen_at),
            expected_version=apex.VERSION,
            triggers=self._triggers(known),
            triggers_as_of=iso(known.triggers_at or None),
            settings=_settings(known.settings),
            relay=relay(known),
            async_used=known.async_used,
            async_max=known.async_max,
            errors_24h=known.errors_24h,
            problems=problems(watch.problems()),
            next_probe_at=iso(watch.next_probe_at),
        )

    def _triggers(self, known: PackageState) -> list[protocol.PackageTrigger]:
        have = known.triggers
        covered = {name.lower() for name in have or ()}
        return [
            protocol.PackageTrigger(
                object=mirrored.name, installed=None if have is None else mirrored.name.lower() in covered
            )
            for mirrored in self._catalog
        ]


class PackageRoutes:
    """Answers `/v1/package` and `/v1/objects/{o}/conditions`."""

    def __init__(self, catalog: Catalog, operations: PackageOperations) -> None:
        self._catalog = catalog
        self._operations = operations

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/v1/package", self._details),
            web.post("/v1/package/changed", self._changed),
            web.post("/v1/package/disable", self._disable),
            web.post("/v1/package/enable", self._enable),
            web.get("/v1/objects/{object}/conditions", self._conditions),
            web.put("/v1/objects/{object}/conditions", self._set_conditions),
        ]

    async def _details(self, request: web.Request) -> web.Response:
        """`?probe=1` asks the org first; `look` is its former name."""
        probe = is_on(request, "probe", default=is_on(request, "look"))
        return answer(await self._operations.details(probe=probe))

    async def _changed(self, request: web.Request) -> web.Response:
        body = await body_of(request, protocol.PackageChangedBody)
        probe = body.probe and body.look is not False
        return answer(await self._operations.changed(body.calls, probe=probe))

    async def _disable(self, _request: web.Request) -> web.Response:
        return answer(await self._operations.switch(disabled=True))

    async def _enable(self, _request: web.Request) -> web.Response:
        return answer(await self._operations.switch(disabled=False))

    async def _conditions(self, request: web.Request) -> web.Response:
        """`?org=0` does not ask the org, and so costs no call."""
        mirrored, ask_org = object_of(request, self._catalog), is_on(request, "org", default=True)
        return answer(await self._operations.conditions(mirrored, ask_org=ask_org))

    async def _set_conditions(self, request: web.Request) -> web.Response:
        body = await body_of(request, protocol.ConditionsBody)
        return answer(await self._operations.set_conditions(object_of(request, self._catalog), body.fields))


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
