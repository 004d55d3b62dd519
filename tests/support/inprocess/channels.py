"""How a change travels from the org to the daemon beside it: the same calls for every push channel.

`gateway`: the package posts signed documents. `stream`: it publishes the same documents as events. `cdc`:
Change Data Capture publishes an event of each change.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import pytest

from rtssim.bus.event_bus import Touched
from rtssim.bus.event_schema import ABSENT, HEADER, body, event_name
from rtssim.server import OrgServer
from tests.support.inprocess.pushes import document, push
from tests.support.inprocess.stand import Row, Stand
from tests.support.stream.following import following, responded

CHANNELS = ("gateway", "stream", "cdc")
SIGNED = ("gateway", "stream")
"""Those of the package: events of Change Data Capture have no signature, no heartbeat and no condition."""
BUSES = ("stream", "cdc")
"""Those that keep what was sent while nobody took it."""

on_every_channel = pytest.mark.parametrize("channel", CHANNELS)
where_signed = pytest.mark.parametrize("channel", SIGNED)
_SLOWLY = pytest.param("stream", marks=pytest.mark.slow)
on_every_channel_in_time = pytest.mark.parametrize("channel", ["gateway", _SLOWLY, "cdc"])
where_signed_in_time = pytest.mark.parametrize("channel", ["gateway", _SLOWLY])
"""The stream among the slow tests: up to where the package sends, its way is the same."""
on_the_bus = pytest.mark.parametrize("channel", BUSES)


async def connect(org: Stand, *objects: str, mute: bool = False, inbox_runs: bool = False) -> None:
    """Let the org send the changes of objects, and the daemon take them.

    A `mute` org sends nothing by itself: what comes is what a test sends by hand. `inbox_runs`: the inbox is
    at work already.
    """
    if org.channel == "gateway":
        if not mute:
            await org.install_package(*objects)
        return
    if org.channel == "stream":
        await org.install_package(*(() if mute else objects))
    else:
        _select(org, objects)
        if mute:
            await org.simulated.fault("event_lost")
    if org.parts.services.capture is not None:
        await org.parts.services.capture.step()
    async with following(org.parts, org.bus) if inbox_runs else org.taking():
        await responded(org.parts, org.bus)


def _select(org: Stand, objects: tuple[str, ...]) -> None:
    """Select objects for Change Data Capture, as an administrator does."""
    for name in objects:
        event = event_name(name)
        metadata = {"eventChannel": "ChangeEvents", "selectedEntity": event}
        _server(org).channels.select(
            org.org.admin, {"FullName": f"ChangeEvents_{event}", "Metadata": metadata}
        )


async def lose_pushes(org: Stand, **options: Any) -> int:
    """Let what the org sends get lost; return the fault's id."""
    return await org.simulated.fault("event_lost" if org.channel == "cdc" else "push_lost", **options)


async def send(org: Stand, changes: list[Row], name: str) -> None:
    """Send changes that the org did not send: they are in the inbox once `Stand.taking` ends."""
    if org.channel == "cdc":
        for number, change in enumerate(changes, start=1):
            _announce(org, change, name, number)
    else:
        await send_document(org, document(org, changes), name)


async def send_document(org: Stand, body: bytes, name: str) -> None:
    """Send a document that the package did not send, where there is a package."""
    if org.channel == "gateway":
        assert (await push(org, body, name))["status"] == 200
        return
    server = _server(org)
    settings = server.package.configuration.configured()
    assert settings is not None
    assert server.publication.publish(settings, name, msgspec.json.decode(body)) is None


def _announce(org: Stand, change: Row, transaction: str, number: int) -> None:
    """Publish the change event of a change; one without fields is a gap."""
    server, fields = _server(org), change.get("fields")
    schema = server.channels.schema(change["object"])
    kind, touched, values = change["op"].upper(), Touched(), {}
    if fields is not None:
        names = frozenset(fields) - ABSENT
        values = body(schema, fields, names)
        if kind == "UPDATE":
            touched = Touched(names, frozenset(name for name in names if fields[name] is None))
    elif kind != "DELETE":
        kind = f"GAP_{kind}"
    stamp = change.get("modstamp")
    header = {
        "entityName": change["object"],
        "recordIds": [change["id"]],
        "changeType": kind,
        "changeOrigin": "",
        "transactionKey": transaction,
        "sequenceNumber": number,
        "commitTimestamp": int(datetime.fromisoformat(stamp).timestamp() * 1000) if stamp else org.now(),
        "commitNumber": 1,
        "commitUser": org.org.admin.user_id,
    }
    server.bus.publish(change["object"], schema, {HEADER: header, **values}, touched)


def _server(org: Stand) -> OrgServer:
    assert org.simulated.server is not None
    return org.simulated.server
