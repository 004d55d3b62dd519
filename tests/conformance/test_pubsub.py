"""The simulated Pub/Sub API, read by Salesforce's own stubs and by Apache Avro."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from rtssim.org import Org
from rtssim.process import SimulatedOrg, serve
from tests.support.rtssim.api import Api
from tests.support.rtssim.pubsub import contacts, edit, select

CLIENT = Path(__file__).with_name("pubsub_client.py")


async def read_by_client(org: SimulatedOrg, token: str, topic: str, count: int) -> list[dict[str, Any]]:
    """What the client prints."""
    arguments = (org.info["pubsub"].removeprefix("http://"), topic, str(count), token)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(CLIENT), *arguments, org.url, org.info["org_id"], stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return [json.loads(line) for line in output.splitlines()]


async def test_a_published_client_decodes_the_events() -> None:
    """Topics, schemas, change events and the package's event."""
    engine = Org(seed=4, records={"Account": 2, "Contact": 3})
    async with serve(engine, pubsub=True) as org:
        form = {
            "grant_type": "client_credentials",
            "client_id": org.info["client_id"],
            "client_secret": org.info["client_secret"],
        }
        async with org.http.post(f"{org.url}/services/oauth2/token", data=form) as answer:
            token = (await answer.json())["access_token"]
        await select(Api(org, token), "Contact")
        settings = {"channel": "stream", "objects": ["Contact"], "settings": {"Token__c": "token"}}
        await org.control("package/install", settings)
        first, second = (await contacts(org))[:2]
        await edit(org, first, LastName="Çelik", MailingCity="İzmir")
        await org.dml("delete", "Contact", ids=[second])
        await org.control("package/drain")
        topic, changed, deleted = await read_by_client(org, token, "/data/ChangeEvents", 2)
        _, pushed, _ = await read_by_client(org, token, "/event/RTS_Push__e", 2)
    engine.close()
    assert topic == {"topic": "/data/ChangeEvents", "can_subscribe": True}
    assert (changed["Name"]["LastName"], changed["MailingAddress"]["City"]) == ("Çelik", "İzmir")
    assert changed["ChangeEventHeader"]["recordIds"] == [first]
    assert deleted["ChangeEventHeader"]["changeType"] == "DELETE"
    assert (pushed["Part__c"], pushed["Parts__c"]) == (1.0, 1.0)
