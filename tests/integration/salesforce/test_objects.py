"""Describes against the simulated org, and against answers it does not give."""

from __future__ import annotations

import asyncio

import pytest

from rtsd.core.schema import Kind
from rtsd.errors import ObjectUnavailable, OrgUnreachable, QuotaExhausted, SessionExpired
from rtsd.salesforce import objects
from tests.support.salesforce.bench import Bench, Desk, Script, described

V = "/services/data/v66.0"


async def test_a_described_object_can_be_read(desk: Desk) -> None:
    """Each field of the schema can be selected, and no compound is among them."""
    client = await desk.client()
    schema = (await described(client)).schema
    assert schema.names[0] == "Id"
    assert schema.cursor == "SystemModstamp"
    assert "MailingAddress" not in schema.names
    assert {"MailingCity", "MailingLatitude"} <= set(schema.names)
    assert schema.by_name["Account_Tier__c"].calculated
    assert schema.by_name["SystemModstamp"].kind is Kind.DATETIME
    page = await client.query(f"SELECT {','.join(schema.names)} FROM Contact LIMIT 1", purpose="x")
    assert set(page.records[0]) == set(schema.names)


async def test_an_unchanged_object_is_not_sent_again(desk: Desk) -> None:
    """ac_33: If-Modified-Since makes a describe cheap; a change is seen, and each is one call."""
    client = await desk.client()
    first = await described(client)
    assert first.last_modified
    assert await objects.describe(client, "Contact", modified_since=first.last_modified) is None
    earlier = "Tue, 01 Jan 2008 00:00:00 GMT"
    assert await objects.describe(client, "Contact", modified_since=earlier) is not None
    assert desk.ledger.sent_by["describe", "DailyApiRequests"] == 3
    assert desk.server.limits.used("DailyApiRequests") == 3


async def test_a_missing_or_hidden_object_is_said_to_be(desk: Desk) -> None:
    """Gone and invisible look the same from outside; both are ObjectUnavailable."""
    client = await desk.client()
    with pytest.raises(ObjectUnavailable):
        await objects.describe(client, "Nonsense__c")
    desk.server.accounts.change_visibility(hidden_objects=frozenset({"Contact"}))
    with pytest.raises(ObjectUnavailable):
        await objects.describe(client, "Contact")
    assert "Contact" not in await objects.list_objects(client)


async def test_field_level_security_narrows_the_schema(desk: Desk) -> None:
    """A hidden field is not in the schema, so it is not asked for."""
    desk.server.accounts.change_visibility(hidden_fields=frozenset({("Contact", "Email")}))
    shown = await described(await desk.client())
    assert "Email" not in shown.schema.names


async def test_all_objects_are_listed(desk: Desk) -> None:
    """The global describe lists each object by name, and whether it takes Apex triggers."""
    listed = await objects.list_objects(await desk.client())
    assert listed["Contact"].name == "Contact"
    assert listed["Contact"].triggerable


async def test_a_dead_session_is_renewed_once_for_many_describes(desk: Desk) -> None:
    """ac_33: parallel describes on a dead session make one login, never simple-salesforce's own loop."""
    client = await desk.client()
    await objects.describe(client, "Account")
    desk.server.accounts.expire_sessions()
    names = ["Account", "Contact", "Lead", "Opportunity", "Task"]
    shown = await asyncio.gather(*(described(client, name) for name in names))
    assert [each.schema.name for each in shown] == names
    assert desk.server.accounts.logins == 2


async def test_a_persistent_401_ends(bench: Bench, script: type[Script]) -> None:
    """Where simple-salesforce alone would log in for ever, a second 401 is the answer."""
    bench.org.on(f"GET {V}/sobjects/Account/describe", script.refused(401, "INVALID_SESSION_ID", "expired"))
    with pytest.raises(SessionExpired):
        await objects.describe(await bench.client(), "Account")
    assert len(bench.org.paths("oauth2/token")) == 2


@pytest.mark.parametrize("fault", ["503", "html_502", "html_420", "html_maintenance", "406", "reset", "429"])
async def test_passing_errors_are_outlasted(desk: Desk, fault: str) -> None:
    """Web pages, resets and overload cost a retry, and the ledger has each."""
    client = await desk.client()
    await desk.sim.fault(fault, count=2, path="describe")
    assert (await described(client)).schema.name == "Contact"
    assert desk.ledger.sent_by["describe", "DailyApiRequests"] == 3


async def test_a_silent_server_is_given_up(desk: Desk, script: type[Script]) -> None:
    """simple-salesforce has no time-outs; ours hold."""
    client = await desk.client(timeouts=script.timeouts(first_byte_s=0.1))
    await desk.sim.fault("slow_answer", count=5, seconds=0.4, path="describe")
    with pytest.raises(OrgUnreachable, match="in time"):
        await objects.describe(client, "Contact")


async def test_describes_obey_the_ledger(desk: Desk) -> None:
    """No quota, no describe."""
    client = await desk.client()
    desk.ledger.refuse.add("DailyApiRequests")
    with pytest.raises(QuotaExhausted):
        await objects.describe(client, "Contact")
    assert desk.server.limits.used("DailyApiRequests") == 0


async def test_usage_comes_with_describes_too(desk: Desk) -> None:
    """The free header and the server's clock are read from simple-salesforce's answers."""
    desk.server.org.clock.set_offset(3_600)
    client = await desk.client()
    shown = await described(client)
    assert desk.usage == [(1, 100_000)]
    date, sent, received = desk.offsets[0]
    assert sent - 1_000 <= date - 3_600_000 <= received
    assert abs(shown.observed.until - (desk.clock() + 3_600_000)) < 3_000
