"""Logins and reads against the simulated org: what a real org would say to them."""

from __future__ import annotations

import asyncio

import pytest

from rtsd.errors import AuthenticationFailed, SalesforceError
from rtsd.salesforce import package
from rtsd.salesforce.credentials import Auth
from tests.support.salesforce.bench import Desk


@pytest.mark.parametrize("auth", [auth for auth in Auth if auth is not Auth.SF])
async def test_every_flow_logs_in(desk: Desk, auth: Auth) -> None:
    """The four flows end in a session that reads."""
    client = await desk.client(desk.session(desk.credentials(auth)))
    who = await client.userinfo(purpose="check")
    assert who.username == desk.sim.info["username"]


WRONG = [
    (Auth.CLIENT_CREDENTIALS, {"client_secret": "wrong"}, "client_secret"),
    (Auth.CLIENT_CREDENTIALS, {"client_id": "wrong"}, "client_id"),
    (Auth.PASSWORD, {"password": "wrong"}, "secrets"),
    (Auth.JWT, {"username": "nobody@acme.example"}, "Pre-authorise"),
    (Auth.REFRESH_TOKEN, {"refresh_token": "wrong"}, "Authorise again"),
]


@pytest.mark.parametrize("case", WRONG, ids=str)
async def test_wrong_credentials_say_which(desk: Desk, case: tuple[Auth, dict[str, str], str]) -> None:
    """Each mistake names the key to look at."""
    auth, changes, advice = case
    with pytest.raises(AuthenticationFailed) as caught:
        await desk.session(desk.credentials(auth, **changes)).token()
    assert advice in caught.value.do


async def test_rotation_survives_many_expiries(desk: Desk) -> None:
    """ac_47: with rotation on, every refresh saves the next token, also under parallel calls."""
    desk.server.switches.rotate_refresh_tokens = True
    saved: list[str] = []

    async def save(token: str) -> None:
        saved.append(token)

    client = await desk.client(desk.session(desk.credentials(Auth.REFRESH_TOKEN, save_refresh_token=save)))
    for _ in range(4):
        await asyncio.gather(*(client.count("SELECT COUNT() FROM Contact", purpose="x") for _ in range(5)))
        desk.server.accounts.expire_sessions()
        desk.clock.advance(60)
    assert len(set(saved)) == 4
    later = desk.session(desk.credentials(Auth.REFRESH_TOKEN, refresh_token=saved[-1]))
    assert (await later.token()).instance_url == desk.sim.url


async def test_a_page_shorter_than_asked_is_not_taken_for_the_last(desk: Desk) -> None:
    """ac_08: wide rows shrink pages; `done` says whether more is there, and keys lead on."""
    desk.server.switches.page_rows = 200
    client = await desk.client()
    ids: list[str] = []
    done = False
    while not done:
        behind = f"WHERE Id > '{ids[-1]}' " if ids else ""
        page = await client.query(f"SELECT Id FROM Contact {behind}ORDER BY Id LIMIT 2000", purpose="x")
        ids += [record["Id"] for record in page.records]
        done = page.done
    assert ids == [row["Id"] async for row in desk.sim.rows("Contact")]


async def test_deleted_records_are_in_the_log_and_in_query_all(desk: Desk) -> None:
    """ac_28: a soft delete is seen by both ways, and retrieve gives None."""
    client = await desk.client()
    (first, *_rest) = [row["Id"] async for row in desk.sim.rows("Contact")]
    await desk.sim.dml("delete", "Contact", ids=[first])
    now = int(desk.server.org.clock.now().timestamp() * 1000)
    log = await client.deleted("Contact", now - 600_000, now + 60_000, purpose="interval")
    assert [record[0] for record in log.records] == [first]
    where = f"WHERE Id = '{first}'"
    assert await client.count(f"SELECT COUNT() FROM Contact {where}", purpose="x") == 0
    assert await client.count(f"SELECT COUNT() FROM Contact {where}", purpose="x", all_rows=True) == 1
    assert (await client.retrieve("Contact", [first], ["LastName"], purpose="repair")).records == [None]


async def test_a_long_statement_reads_like_a_short_one(desk: Desk) -> None:
    """ac_44: over 16,384 bytes of URI the same rows come through a composite call."""
    client = await desk.client()
    ids = [row["Id"] async for row in desk.sim.rows("Contact")][:800]
    listed = ",".join(f"'{each}'" for each in ids)
    statement = f"SELECT Id FROM Contact WHERE Id IN ({listed}) ORDER BY Id"
    page = await client.query(statement, purpose="x")
    assert [record["Id"] for record in page.records] == ids


async def test_too_many_ids_and_windows_out_of_reach_keep_their_reason(desk: Desk) -> None:
    """Callers decide by Salesforce's own code."""
    client = await desk.client()
    now = int(desk.server.org.clock.now().timestamp() * 1000)
    with pytest.raises(SalesforceError) as caught:
        await client.deleted("Contact", now - 30 * 86_400_000, now, purpose="interval")
    assert caught.value.reason == "INVALID_REPLICATION_DATE"


async def test_the_org_describes_itself(desk: Desk) -> None:
    """Edition, sandbox and limits are there for `check`."""
    client = await desk.client()
    organization = await client.organization(purpose="check")
    assert organization.id == desk.sim.info["org_id"]
    assert organization.edition is not None
    assert organization.edition.endswith("Edition")
    limits = await client.limits(purpose="check")
    assert limits["DailyApiRequests"].maximum == 100_000
    packages = await client.tooling_query("SELECT Id, Name FROM ApexTrigger", purpose="package")
    assert packages.done


async def test_triggers_say_whose_they_are(desk: Desk) -> None:
    """A custom object's trigger holds its object's id where the name is wanted: its source has the name."""
    client = await desk.client()
    for name, table, of in (
        ("RTS_Contact", "Contact", "Contact"),
        ("RTS_Invoice", "01I000000000001", "Invoice__c"),
    ):
        body = {"Name": name, "TableEnumOrId": table, "Status": "Active", "ApiVersion": 62}
        body["Body"] = f"trigger {name} on {of} (after insert) {{\n}}\n"
        await client.command("POST", "tooling/sobjects/ApexTrigger", purpose="package", body=body)
    assert await package.read_triggers(client) == {"Contact": "RTS_Contact", "Invoice__c": "RTS_Invoice"}
