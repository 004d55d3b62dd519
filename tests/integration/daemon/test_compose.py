"""The composition root: whatever runs is in one list, and time and randomness come from outside."""

from __future__ import annotations

import gc
from dataclasses import fields
from importlib import import_module
from inspect import isabstract
from pathlib import Path

import rtsd
from rtsd.control.forwarding import ForwardedRequests
from rtsd.control.standby import JournalTail
from rtsd.daemon.parts import Services
from rtsd.daemon.standby import StandbyGateway
from rtsd.services import Service
from rtsd.store.postgres.inbox_table import InboxTable
from rtsd.store.postgres.lease import RowLease
from rtsd.store.sqlite.inbox_file import InboxFile
from rtsd.stream.subscriber import Subscriber
from rtsd.sync.capture import Capture
from rtsd.sync.deliveries import Deliveries
from rtsd.sync.package_probe import PackageProbe
from tests.support.inprocess.rig import Start
from tests.support.mirror import ENGINE

OF_STANDBYS: set[type[Service]] = {JournalTail, StandbyGateway}
"""Those of a node that does not lead; tests/e2e/test_nodes.py has them."""
OF_LEADERS: set[type[Service]] = {ForwardedRequests, InboxTable, RowLease}
"""Those of the node that leads."""
OF_THE_ENGINE: set[type[Service]] = OF_LEADERS if ENGINE == "postgres" else {InboxFile}
ABSENT = {"subscriber", "deliveries", "capture"} | (set() if ENGINE == "postgres" else {"lease", "requests"})
"""What a daemon does not have that shares its mirror with nobody, or subscribes to nothing."""


def kinds() -> set[type[Service]]:
    """Every service class there is in rtsd for the engine in use."""
    home = Path(rtsd.__file__).parent
    for path in home.rglob("*.py"):
        if path.stem not in {"__init__", "__main__"} and "(Service" in path.read_text():
            import_module(".".join(("rtsd", *path.relative_to(home).with_suffix("").parts)))
    found = {kind for kind in Service.__subclasses__() if kind.__module__.startswith("rtsd.")}
    return {kind for kind in found if not isabstract(kind)} - OF_STANDBYS - OF_LEADERS | OF_THE_ENGINE


def existing() -> list[Service]:
    """Every service object in this process."""
    return [candidate for candidate in gc.get_objects() if isinstance(candidate, Service)]


async def test_every_service_that_is_built_runs(start: Start) -> None:
    """No object of a service class is anywhere in the daemon but in the list; retention once was."""
    before = existing()
    rig = await start({"Contact": 1})
    built = [service for service in existing() if service not in before]
    assert {id(service) for service in rig.parts.services} == {id(service) for service in built}
    assert len(built) == len(fields(Services)) - len(ABSENT)


async def test_every_kind_of_service_is_built(start: Start) -> None:
    """A service that was written and is built nowhere would be dead code."""
    rig = await start({"Contact": 1})
    assert len(kinds()) > 10
    assert {type(service) for service in rig.parts.services} == kinds() - {Subscriber, Deliveries, Capture}


async def test_a_stream_has_a_subscriber(start: Start) -> None:
    """Where it is configured, and the package is probed for even without a gateway."""
    rig = await start({"Contact": 1}, more='[push]\nchannel = "stream"\n', run=False)
    rig.listen = ""
    async with rig.running() as parts:
        assert {type(service) for service in parts.services} == kinds() - {Capture}
        names = [service.name for service in parts.services]
        assert sorted(set(names)) == sorted(names)


async def test_change_events_need_no_package(start: Start) -> None:
    """A subscriber, and what knows the selection; nothing probes for a package."""
    rig = await start({"Contact": 1}, more='[push]\nchannel = "cdc"\n', run=False)
    rig.listen = ""
    async with rig.running() as parts:
        assert {type(service) for service in parts.services} == kinds() - {PackageProbe}
        assert (parts.channel.package, parts.channel.relay, parts.gateway) == (None, None, None)


async def test_services_have_names_of_their_own(start: Start) -> None:
    """They name tasks and log lines."""
    rig = await start({"Contact": 1})
    names = [service.name for service in rig.parts.services]
    assert sorted(set(names)) == sorted(names)


async def test_without_a_gateway_nothing_probes_for_the_package(start: Start) -> None:
    """Nothing could push; everything else runs as before."""
    rig = await start({"Contact": 1}, run=False)
    rig.listen = ""
    async with rig.running() as parts:
        running = {service.name for service in parts.services}
    missing = {field.name for field in fields(Services) if getattr(parts.services, field.name) is None}
    assert missing == ABSENT | {"package_probe"}
    assert len(running) == len(fields(Services)) - len(missing)


async def test_random_bytes_are_the_machines(start: Start) -> None:
    """The privacy key of a new mirror is drawn from the machine that compose is given."""
    drawn: list[int] = []

    def draw(count: int) -> bytes:
        drawn.append(count)
        return bytes(range(count))

    rig = await start({"Contact": 1}, run=False)
    rig.random_bytes = draw
    async with rig.running():
        ((key,),) = await rig.rows("SELECT value FROM _rts_meta WHERE key='privacy_key'")
    assert key == bytes(range(32)).hex()
    assert drawn == [32]
