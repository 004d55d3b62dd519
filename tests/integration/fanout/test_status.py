"""What is shown of streams: status, metrics, alerts, `rtsd check`; and documents on the control socket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from rtsd.daemon import fanout
from tests.integration.fanout.conftest import Publish, Publishing
from tests.support import nats
from tests.support.inprocess.control import Socket
from tests.support.nats import Server

pytestmark = nats.needed
ALERT = '[[alerts]]\non = ["stream"]\nresolved = true\n[alerts.command]\nargv = ["/bin/true"]\n'


async def shown(made: Publishing) -> dict[str, Any]:
    """The stream in status."""
    (stream,) = (await made.rig.parts.views.status()).streams
    return {name: getattr(stream, name) for name in stream.__struct_fields__}


async def test_status_says_how_far_it_is_and_what_is_wrong(publishing: Publish, server: Server) -> None:
    """While the server is away and after; a metric for each."""
    made = await publishing()
    record_id = await made.rig.a_record("Contact")
    await made.rename(record_id, "One")
    await made.publish()
    ((newest,),) = await made.rig.rows("SELECT MAX(seq) FROM _rts_journal")
    wanted = {"name": "rts", "stream": "rts", "url": [server.url], "connected": True, "acknowledged": newest}
    counts = {"lag": 0, "lag_s": 0, "published": 1, "cut": 0, "failures": 0, "lost": 0, "error": None}
    assert await shown(made) == {**wanted, **counts}
    await server.end()
    await made.rename(record_id, "Two")
    made.rig.advance(7)
    await made.outlet.turn()
    found = await shown(made)
    assert (found["connected"], found["lag_s"], found["failures"], found["published"]) == (False, 7, 1, 1)
    assert found["lag"] > 0
    assert found["error"].startswith("no connection to NATS")
    async with aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(str(made.rig.place / "rtsd.sock"))
    ) as http:
        text = await (await http.get("http://rtsd/metrics")).text()
    for line in (
        'rtsd_fanout_connected{stream="rts"} 0.0',
        'rtsd_fanout_failing{stream="rts"} 1.0',
        'rtsd_fanout_lag_seconds{stream="rts"} 7.0',
        'rtsd_fanout_published_total{stream="rts"} 1.0',
        'rtsd_fanout_failures_total{stream="rts"} 1.0',
    ):
        assert line in text.splitlines()


async def test_an_alert_after_a_minute(publishing: Publish, server: Server) -> None:
    """A stream that is away for a moment is none; one that stays away is told, and its return."""
    made = await publishing(f'begin = "journal"\n{ALERT}')
    watch = made.rig.parts.rule_engine.watch
    await made.publish()
    await server.end()
    sent = []
    for seconds in (0, 50, 20):
        made.rig.advance(seconds)
        await made.outlet.turn()
        sent.append(await watch.check())
    await server.start()
    await made.publish()
    sent.append(await watch.check())
    assert sent == [0, 0, 1, 1]
    fired = [note for note in await made.rig.notes("rule") if note.outcome == "fired"]
    assert [note.object for note in fired] == ["rts", "rts"]
    assert (fired[0].message or "").startswith("alert stream fired: rts: no connection to NATS")


async def test_the_socket_has_the_same_documents(publishing: Publish) -> None:
    """As a page, of one object, after a number, and followed as they come."""
    made = await publishing()
    rig = made.rig
    record_id = await rig.a_record("Contact")
    for number in range(3):
        await made.rename(record_id, f"Name {number}")
    await rig.dml("create", "Lead", rows=[{"LastName": "Lead", "Company": "ACME"}])
    documents = [message.document for message in sorted(await made.settle(), key=lambda each: each.seq)]
    assert len(documents) == 4
    path = "/v1/events?format=cloudevents"
    connector = aiohttp.UnixConnector(str(rig.place / "rtsd.sock"))
    async with aiohttp.ClientSession(connector=connector) as http:
        socket = Socket(rig, http)
        assert await socket.lines(path) == documents
        assert await socket.lines(f"{path}&limit=2") == documents[:2]
        assert await socket.lines(f"{path}&limit=0") == []
        assert await socket.lines(f"{path}&object=lead") == documents[3:]
        assert await socket.lines(f"{path}&after={documents[0]['id']}") == documents[1:]
        assert await socket.lines(f"{path}&after={documents[3]['id']}") == []
        status, refused = await socket.ask("GET", "/v1/events?format=avro")
        assert (status, refused["error"]) == (400, "UsageError")
        async with socket.following(f"{path}&follow=1&after={documents[1]['id']}") as content:
            assert [json.loads(await content.readline()) for _ in range(2)] == documents[2:]
            await made.rename(record_id, "Followed")
            async with asyncio.timeout(5):
                followed = json.loads(await content.readline())
            assert followed["data"]["after"]["LastName"] == "Followed"
            assert followed["data"]["before"]["LastName"] == "Name 2"


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (None, "[[streams]] rts: there is no stream rts."),
        ({"duplicate_window": 5}, "[[streams]] rts: the stream knows messages again for 5 s only"),
        ({}, ""),
    ],
)
async def test_check_connects(publishing: Publish, config: dict[str, Any] | None, problem: str) -> None:
    """It publishes nothing, and says what would be wrong."""
    made = await publishing(add=config is not None, **(config or {}))
    settings = made.rig.parts.base.config
    found = [each async for each in fanout.problems_of(settings, made.rig.org.org_id, ["Contact"])]
    assert [each.what.startswith(problem) for each in found] == [True] * bool(problem)
    if config is not None:
        assert await made.server.messages() == []
