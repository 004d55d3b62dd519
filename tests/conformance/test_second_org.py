"""rtsd against an org that somebody else wrote: loads, pushes, audits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.second_org.data import ORG_ID
from tests.support.second_org.equality import columns, differences
from tests.support.second_org.home import Home, home
from tests.support.second_org.mirroring import NAMES, equal, reached, send
from tests.support.second_org.push import change, document, post
from tests.support.second_org.server import serving
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pushed() -> AsyncIterator[Home]:
    """A loaded mirror of an org that only pushes tell of: no polling within a test's time."""
    objects: dict[str, dict[str, Any]] = {name: {} for name in (*NAMES, "Payroll__c")}
    async with serving() as org, home(org, objects=objects) as place:
        await place.start()
        await reached(place, but=("Payroll__c",))
        yield place


async def test_the_load_equals_the_org_in_every_field(pushed: Home) -> None:
    """Every kind of object and field comes in, whichever API can read it; who may not be seen is an error."""
    assert differences(pushed, *NAMES) == []
    assert [difference for name in NAMES for difference in columns(pushed, name)] == []
    status = await pushed.get("/v1/status")
    hidden = next(mirrored for mirrored in status["objects"] if mirrored["name"] == "Payroll__c")
    assert hidden["state"] == "error"
    assert "Payroll__c" in hidden["error"]
    table = pushed.read("SELECT name, state, rows, cursor, as_of FROM _rts_object WHERE name = 'Contact'")
    assert [(row["name"], row["state"], row["rows"]) for row in table] == [("Contact", "live", 2_300)]


async def test_pushed_creates_updates_and_deletes_are_applied(pushed: Home) -> None:
    """All that a package tells is in the mirror a moment later, in any form the contract allows."""
    records = pushed.org.records
    people = list(records.objects["Contact"].rows)
    new = records.create("Contact", LastName="New", Name="New", Phone='"\n;', HasOptedOutOfEmail=True)
    records.update("Contact", people[0], LastName="Ünï", Birthdate=None)
    records.delete("Contact", people[1])
    await send(
        pushed,
        change(pushed.org, "Contact", "create", new),
        change(pushed.org, "Contact", "update", people[0], id=people[0][:15], changed=["LastName"]),
        change(pushed.org, "Contact", "delete", people[1], id=people[1][:15]),
    )
    await equal(pushed, "Contact")
    grave = pushed.read("SELECT object, id, deleted_at FROM _rts_tombstone WHERE id = ?", people[1])
    assert [(row["object"], row["id"]) for row in grave] == [("Contact", people[1])]
    records.undelete("Contact", people[1])
    await send(pushed, change(pushed.org, "Contact", "undelete", people[1]))
    await equal(pushed, "Contact")
    assert pushed.read("SELECT 1 FROM _rts_tombstone WHERE id = ?", people[1]) == []


async def test_a_merge_leaves_the_winner_and_a_tombstone(pushed: Home) -> None:
    """The loser's delete names its master; the winner's update comes beside it."""
    records = pushed.org.records
    winner, loser = list(records.objects["Account"].rows)[40:42]
    records.merge("Account", winner, loser)
    await send(
        pushed,
        change(pushed.org, "Account", "delete", loser, master=winner[:15]),
        change(pushed.org, "Account", "update", winner, changed=["SystemModstamp"]),
    )
    await equal(pushed, "Account")


async def test_a_partial_or_empty_push_never_costs_a_value(pushed: Home) -> None:
    """A missing key keeps its value; without fields, or without the row, the record is fetched."""
    records = pushed.org.records
    people = list(records.objects["Contact"].rows)
    records.update("Contact", people[5], Email="new@example.com")
    partial = {"Id": people[5], "Email": "new@example.com", "SystemModstamp": None}
    image = pushed.org.image("Contact", people[5])
    partial |= {name: image[name] for name in ("SystemModstamp", "LastModifiedDate")}
    records.update("Contact", people[6], Email="fetched@example.com")
    unknown = records.create("Contact", LastName="Unknown", Name="Unknown", Email="u@example.com")
    await send(
        pushed,
        change(pushed.org, "Contact", "update", people[5], fields=partial),
        change(pushed.org, "Contact", "update", people[6], fields=None, modstamp=None),
        change(pushed.org, "Contact", "update", unknown, fields={"Id": unknown, "LastName": "Unknown"}),
    )
    await equal(pushed, "Contact")


async def test_late_and_doubled_pushes_change_nothing(pushed: Home) -> None:
    """An older image after a newer one, a delete told twice, the same push twice: the newest wins."""
    records = pushed.org.records
    person = list(records.objects["Contact"].rows)[9]
    old = document(pushed.org, change(pushed.org, "Contact", "update", person))
    records.update("Contact", person, at=records.stamp(), LastName="Newest")
    new = document(pushed.org, change(pushed.org, "Contact", "update", person))
    assert (await post(pushed.port, new, webhook_id="new")).body == {"accepted": 1}
    assert (await post(pushed.port, old, webhook_id="old")).body == {"accepted": 1}
    assert (await post(pushed.port, new, webhook_id="new")).body == {"accepted": 0, "duplicate": True}
    await equal(pushed, "Contact")
    gone = list(records.objects["Contact"].rows)[10]
    late = document(pushed.org, change(pushed.org, "Contact", "update", gone))
    records.delete("Contact", gone)
    await send(pushed, change(pushed.org, "Contact", "delete", gone))
    assert (await post(pushed.port, late)).body == {"accepted": 1}
    await settled(pushed)
    await equal(pushed, "Contact")


async def settled(place: Home) -> None:
    """Wait until no push waits to be applied."""

    async def probe() -> bool:
        return bool((await place.get("/v1/status"))["inbox"]["pending"] == 0)

    await eventually(probe, "no push is pending")


async def test_unknown_objects_and_fields_never_cost_the_push(pushed: Home) -> None:
    """What the mirror does not know is kept or dead, with its reason; what it knows is applied."""
    records = pushed.org.records
    person = list(records.objects["Contact"].rows)[12]
    records.update("Contact", person, LastName="Beside strangers")
    told = change(pushed.org, "Contact", "update", person)
    told["fields"]["Nickname__c"] = "never seen"
    stranger = {"object": "Planet__c", "op": "create", "id": "a1QZq0000000001AAA", "fields": {"Id": "x"}}
    await send(pushed, stranger, told)
    await equal(pushed, "Contact")
    await settled(pushed)
    letters = await pushed.verb("dead-letters", "list", "--json")
    assert "Planet__c" in letters.out


async def test_a_push_makes_the_mode_real_time(pushed: Home) -> None:
    """A valid push is evidence enough, in an org without Apex even; a test push changes no row."""
    before = pushed.read("SELECT count(*) FROM Contact")[0][0]
    test = {"v": 1, "kind": "test", "org": ORG_ID[:15], "sent": "2026-03-01T10:00:00Z"}
    assert (await post(pushed.port, test)).status == 200
    heartbeat = {"v": 1, "kind": "heartbeat", "org": ORG_ID, "sent": "2026-03-01T10:00:00Z", "pkg": "1.0.0"}
    heartbeat |= {"settings": {"disabled": False, "error_logging": True}, "triggers": ["Contact"]}
    heartbeat |= {"async": {"used": 1, "max": 250_000}, "errors_24h": 0}
    assert (await post(pushed.port, heartbeat)).status == 200
    status = await pushed.get("/v1/status")
    assert status["mode"] == "real_time"
    assert status["push"]["last_heartbeat_at"]
    assert pushed.read("SELECT count(*) FROM Contact")[0][0] == before


async def test_what_is_no_push_gets_its_error(pushed: Home) -> None:
    """Every refusal has its status and the one shape, and nothing of it is applied."""
    records = pushed.org.records
    person = list(records.objects["Contact"].rows)[15]
    good = document(
        pushed.org, change(pushed.org, "Contact", "update", person, fields={"Id": person, "LastName": "X"})
    )
    replies = {
        "wrong token": await post(pushed.port, good, token="wrong" * 5),
        "too old": await post(pushed.port, good, late_s=301),
        "too new": await post(pushed.port, good, late_s=-305),
        "unsigned": await post(pushed.port, good, headers={"Webhook-Signature": ""}),
        "no JSON": await post(pushed.port, b"{"),
        "no document": await post(pushed.port, {"v": 1, "kind": "changes"}),
        "other version": await post(pushed.port, good | {"v": 2}),
        "other org": await post(pushed.port, good | {"org": "00D7Q000000Xyz9"}),
        "compressed": await post(pushed.port, good, headers={"Content-Encoding": "gzip"}),
        "too large": await post(pushed.port, b" " * (12 * 1024 * 1024 + 1)),
    }
    statuses = {name: reply.status for name, reply in replies.items()}
    assert statuses == {
        **dict.fromkeys(("wrong token", "too old", "too new", "unsigned"), 401),
        **dict.fromkeys(("no JSON", "no document", "other version"), 400),
        "other org": 403,
        "compressed": 415,
        "too large": 413,
    }
    for name, reply in replies.items():
        assert set(reply.body) == {"error", "message"}, name
        assert reply.body["message"], name
    assert {replies[name].body["error"] for name in ("no JSON", "no document", "other version")} == {
        "MalformedPush"
    }
    assert differences(pushed, "Contact") == []


async def test_an_audit_finds_exactly_what_was_never_pushed(pushed: Home) -> None:
    """Edits, creates, deletes and hard deletes without a push are named by id, and repaired."""
    records = pushed.org.records
    people = list(records.objects["Contact"].rows)
    records.update("Contact", people[20], Email="unpushed@example.com")
    records.delete("Contact", people[21])
    records.purge("Contact", people[22])
    new = [records.create("Contact", LastName=f"Unpushed {n}", Name="U") for n in range(2)]
    priced = (await pushed.verb("audit", "Contact", "--dry-run", "--json")).json()
    assert set(priced["estimate"]) >= {"rows", "api_calls", "bulk_jobs", "mb", "minutes", "share_of_daily"}
    assert priced["problems"] == []
    before = pushed.org.calls.total()
    ended = await pushed.verb("audit", "Contact", "--json")
    assert ended.status == 0, ended
    told = ended.json()
    assert set(told) >= {"objects", "api_calls"}
    (found,) = told["objects"]
    assert found["name"] == "Contact"
    assert found["checked"] >= 2_000
    assert (sorted(found["missing"]), found["stale"]) == (sorted(new), [people[20]])
    assert sorted(found["orphaned"]) == sorted([people[21], people[22]])
    assert (found["missing_count"], found["stale_count"], found["orphaned_count"]) == (2, 1, 2)
    assert found["repaired"] == 5
    assert 0 < told["api_calls"] == found["api_calls"] <= pushed.org.calls.total() - before
    assert isinstance(found["seconds"], float)
    assert differences(pushed, "Contact") == []


async def test_a_full_audit_finds_what_moved_no_stamp(pushed: Home) -> None:
    """A formula that changed quietly is stale for `--full`, though no fingerprint shows it."""
    records = pushed.org.records
    account = next(iter(records.objects["Account"].rows))
    records.recalculate("Account", account, Tier__c="tier 99")
    ended = await pushed.verb("audit", "Account", "--full", "--json")
    (found,) = ended.json()["objects"]
    assert (found["missing"], found["stale"], found["orphaned"]) == ([], [account], [])
    assert differences(pushed, "Account") == []


async def test_counts_that_take_too_long_are_taken_in_parts(pushed: Home) -> None:
    """An audit of an object that the org cannot count in one query finds the same."""
    records = pushed.org.records
    people = list(records.objects["Contact"].rows)
    records.update("Contact", people[50], Email="slow@example.com")
    records.purge("Contact", people[1_900])
    pushed.org.habits.counted = 1_500
    ended = await pushed.verb("audit", "Contact", "--json")
    pushed.org.habits.counted = 10**9
    (found,) = ended.json()["objects"]
    assert (found["missing"], found["stale"], found["orphaned"]) == ([], [people[50]], [people[1_900]])
    assert differences(pushed, "Contact") == []


async def test_a_value_that_fits_no_field_is_read_from_the_org(pushed: Home) -> None:
    """A push that holds nonsense is a dead letter with its reason, and costs the record nothing."""
    device = next(iter(pushed.org.records.objects["Device__c"].rows))
    pushed.org.records.update("Device__c", device, Score__c=1.5)
    await send(pushed, change(pushed.org, "Device__c", "update", device))
    await equal(pushed, "Device__c")  # whatever is read when pushes begin has been read now
    pushed.org.records.update("Device__c", device, Score__c=2.5)
    told = change(pushed.org, "Device__c", "update", device)
    told["fields"]["Score__c"] = "two and a half"
    await send(pushed, told)
    await equal(pushed, "Device__c")
    assert "BadValue" in (await pushed.verb("dead-letters", "list", "--json")).out


async def test_the_package_is_told_without_the_tooling_api(pushed: Home) -> None:
    """Where the sync user may not ask for triggers, the rest is told."""
    package = await pushed.get("/v1/package?probe=1")
    assert package["state"] == "installed"


async def test_every_call_is_in_the_ledger(pushed: Home) -> None:
    """What the org counted is what rtsd says it used."""

    async def probe() -> bool:
        quota = (await pushed.get("/v1/status"))["quota"]
        last[:] = [sum(quota["calls_24h"].values()), pushed.org.calls.total()]
        return last[0] == last[1]

    last: list[int] = []
    try:
        await eventually(probe, "the ledger agrees", 8)
    except AssertionError as wrong:
        raise AssertionError(f"{last} {pushed.org.calls}") from wrong
