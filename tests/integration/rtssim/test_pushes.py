"""Pushes of the Apex package: their content, and retries when the gateway refuses them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

from rtssim.process import SimulatedOrg
from tests.support.rtssim.api import Gateway


async def test_import_is_one_push(pushing: SimulatedOrg, gateway: Gateway) -> None:
    """200 rows created at once are one push, each with every plain field, nulls explicit."""
    ids = await pushing.dml("create", "Contact", rows=[{"LastName": f"Row {n}"} for n in range(200)])
    (push,) = await gateway.wait(1)
    assert push["kind"] == "changes"
    assert push["org"] == pushing.info["org_id"]
    assert [change["id"] for change in push["changes"]] == ids
    first = push["changes"][0]
    assert first["op"] == "create"
    truth = {row["Id"]: row async for row in pushing.rows("Contact")}
    assert first["fields"] == truth[ids[0]]
    assert first["fields"]["Email"] is None
    assert first["fields"]["IsDeleted"] is False
    assert (await pushing.stats())["pushes"]["pushes"] == 1


async def test_signature(pushing: SimulatedOrg, gateway: Gateway) -> None:
    """A push is signed after Standard Webhooks with the token's bytes, over id, timestamp and raw body."""
    await pushing.dml("create", "Lead", rows=[{"LastName": "X", "Company": "Y"}])
    await gateway.wait(1)
    headers, body = gateway.pushes[0]
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(gateway.token.encode(), content, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 5


async def test_update_delete_undelete_merge(pushing: SimulatedOrg, gateway: Gateway) -> None:
    """Updates name the changed fields, deletes carry no fields, a merge's loser names its master."""
    loser, winner = await pushing.dml("create", "Contact", rows=[{"LastName": "One"}, {"LastName": "Two"}])
    await pushing.dml("update", "Contact", rows=[{"Id": loser, "Title": "T"}])
    await pushing.dml("delete", "Contact", ids=[loser])
    await pushing.dml("undelete", "Contact", ids=[loser])
    await pushing.dml("merge", "Contact", master=winner, ids=[loser])
    pushes = await gateway.wait(5)
    by_op = {change["op"]: change for push in pushes for change in push["changes"] if change["id"] == loser}
    assert by_op["update"]["changed"] == ["Title"]
    assert by_op["update"]["fields"]["Title"] == "T"
    assert "fields" not in by_op["delete"]
    assert by_op["delete"]["master"] == winner
    assert by_op["undelete"]["op"] == "undelete"


async def test_a_change_of_a_person_account_names_its_contact(
    pushing: SimulatedOrg, gateway: Gateway
) -> None:
    """Salesforce fires no trigger of the contact, which changes all the same, whatever conditions say."""
    field = {"name": "PersonContactId", "type": "reference", "targets": "Contact"}
    await pushing.control("schema", {"op": "add_field", "object": "Account", "field": field})
    assert pushing.server is not None
    org = pushing.server.org
    row = {"Key__c": "Account.Site", "Object__c": "Account", "Field__c": "Site", "Condition__c": True}
    await pushing.dml("create", "RTS_Synced_Field__c", rows=[row])
    (contact,) = await pushing.dml("create", "Contact", rows=[{"LastName": "Before"}])
    (account,) = await pushing.dml("create", "Account", rows=[{"Name": "P", "PersonContactId": contact}])
    with org.transaction(org.admin):
        org.update(org.admin, "Account", [{"Id": account, "Phone": "1"}])
        org.update_untriggered(org.admin, "Contact", [{"Id": contact, "LastName": "After"}])
    pushes = await gateway.wait(3)
    (change,) = pushes[-1]["changes"]
    assert (change["object"], change["id"], change["op"]) == ("Contact", contact, "update")
    assert change["fields"]["LastName"] == "After"


async def test_conditions(pushing: SimulatedOrg, gateway: Gateway) -> None:
    """With an active condition only updates of watched fields are pushed; creates always are."""
    row = {"Key__c": "Contact.Email", "Object__c": "Contact", "Field__c": "Email", "Condition__c": True}
    await pushing.dml("create", "RTS_Synced_Field__c", rows=[row])
    (record_id,) = await pushing.dml("create", "Contact", rows=[{"LastName": "One"}])
    await pushing.dml("update", "Contact", rows=[{"Id": record_id, "Title": "unwatched"}])
    await pushing.dml("update", "Contact", rows=[{"Id": record_id, "Email": "a@b.co"}])
    pushes = await gateway.wait(2)
    await pushing.control("package/drain")
    assert len(gateway.pushes) == 2
    changes = sorted((c["op"], c.get("changed")) for push in pushes for c in push["changes"])
    assert changes == [("create", None), ("update", ["Email"])]
    assert (await pushing.stats())["pushes"]["filtered"] == 1


async def test_disable_and_uninstall_stop_pushes(pushing: SimulatedOrg, gateway: Gateway) -> None:
    """Nothing is sent while disabled, for another org's settings, or once the package is gone."""
    await pushing.control("package/settings", {"Disable_RTS__c": True})
    await pushing.dml("create", "Account", rows=[{"Name": "silent"}])
    await pushing.control("package/settings", {"Disable_RTS__c": False, "Org_Id__c": "00D000000000001AAA"})
    await pushing.dml("create", "Account", rows=[{"Name": "sandbox copy"}])
    await pushing.control("package/uninstall")
    await pushing.dml("create", "Account", rows=[{"Name": "gone"}])
    await pushing.control("package/drain")
    assert gateway.pushes == []
    assert (await pushing.stats())["pushes"]["suppressed"] == 2


async def test_retry(pushing: SimulatedOrg, gateway: Gateway) -> None:
    """A 503 is retried with the same webhook-id and the next attempt number until it is taken."""
    gateway.answers = [503, 500]
    await pushing.dml("create", "Account", rows=[{"Name": "again"}])
    pushes = await gateway.wait(3)
    await pushing.control("package/drain")
    assert [push["attempt"] for push in pushes] == [1, 2, 3]
    assert len({headers["webhook-id"] for headers, _ in gateway.pushes}) == 1
    assert (await pushing.stats())["pushes"]["acked"] == 1


async def test_given_up_push_is_logged_in_the_org(pushing: SimulatedOrg, gateway: Gateway) -> None:
    """A permanent refusal is not retried and leaves a row in RTS_Error__c."""
    gateway.answers = [401]
    (account,) = await pushing.dml("create", "Account", rows=[{"Name": "refused"}])
    await gateway.wait(1)
    await pushing.control("package/drain")
    (row,) = [row async for row in pushing.rows("RTS_Error__c")]
    assert row["HTTP_Status__c"] == 401
    assert row["Record_Ids__c"] == account
    assert len(gateway.pushes) == 1


async def test_heartbeat_and_ping(pushing: SimulatedOrg, gateway: Gateway) -> None:
    """Heartbeats tell settings and triggers, while disabled too; a ping is kind test."""
    assert await pushing.control("package/test") == {"status": 200}
    await pushing.control("package/settings", {"Disable_RTS__c": True})
    assert await pushing.control("package/heartbeat") == {"status": 200}
    ping, beat = await gateway.wait(2)
    assert ping["kind"] == "test"
    assert beat["kind"] == "heartbeat"
    assert beat["settings"] == {"disabled": True, "error_logging": True}
    assert "Contact" in beat["triggers"]


async def test_push_faults(pushing: SimulatedOrg, gateway: Gateway) -> None:
    """Pushes are lost, doubled and reordered on demand, each as often as asked."""
    await pushing.fault("push_lost", count=1)
    await pushing.dml("create", "Account", rows=[{"Name": "lost"}])
    await pushing.fault("push_doubled", count=1)
    (twice,) = await pushing.dml("create", "Account", rows=[{"Name": "doubled"}])
    await gateway.wait(2)
    await pushing.fault("push_reordered", count=1)
    (late,) = await pushing.dml("create", "Account", rows=[{"Name": "late"}])
    (early,) = await pushing.dml("create", "Account", rows=[{"Name": "early"}])
    pushes = await gateway.wait(4)
    order = [push["changes"][0]["id"] for push in pushes]
    assert order == [twice, twice, early, late]
    assert gateway.pushes[0][0]["webhook-id"] == gateway.pushes[1][0]["webhook-id"]
    assert (await pushing.stats())["pushes"]["lost"] == 1


async def test_untriggered_changes_push_nothing(pushing: SimulatedOrg, gateway: Gateway) -> None:
    """Changes that fire no trigger push nothing: a mass edit, and the children of a deleted parent."""
    (account,) = await pushing.dml("create", "Account", rows=[{"Name": "parent"}])
    (contact,) = await pushing.dml("create", "Contact", rows=[{"LastName": "child", "AccountId": account}])
    await gateway.wait(2)
    await pushing.dml("update", "Contact", rows=[{"Id": contact, "Title": "quiet"}], untriggered=True)
    await pushing.dml("delete", "Account", ids=[account])
    pushes = await gateway.wait(3)
    await pushing.control("package/drain")
    assert [change["object"] for push in pushes[2:] for change in push["changes"]] == ["Account"]


async def test_late_commit(pushing: SimulatedOrg, gateway: Gateway) -> None:
    """A late commit is invisible and unpushed until its time, and keeps its early stamp."""
    before = await pushing.count("Lead")
    rows = [{"LastName": "late", "Company": "c"}]
    await pushing.dml("create", "Lead", rows=rows, commit_after=3_600)
    assert await pushing.count("Lead") == before
    assert gateway.pushes == []
    now = (await pushing.control("clock", {"advance": 3_601}))["now"]
    (push,) = await gateway.wait(1)
    assert await pushing.count("Lead") == before + 1
    assert push["changes"][0]["modstamp"] < now[:19]


async def test_unreachable_gateway_is_given_up(pushing: SimulatedOrg, gateway: Gateway) -> None:
    """Six attempts without a taker end in one failed push and one error row that says why."""
    gateway.answers = [503] * 6
    await pushing.dml("create", "Account", rows=[{"Name": "lost"}])
    await gateway.wait(6)
    await pushing.control("package/drain")
    (row,) = [row async for row in pushing.rows("RTS_Error__c")]
    assert (row["HTTP_Status__c"], row["Attempt__c"]) == (503, 6)
    assert (await pushing.stats())["pushes"]["failed"] == 1
