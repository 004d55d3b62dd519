"""rtsd against an org that somebody else wrote: loads, pushes, silence, audits, kill -9."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from tests.support.second_org.data import ORG_ID
from tests.support.second_org.equality import columns, differences
from tests.support.second_org.home import Home, home
from tests.support.second_org.org import Answer, Habits
from tests.support.second_org.push import Reply, change, document, post
from tests.support.second_org.records import Field
from tests.support.second_org.server import serving
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = ("Account", "Contact", "Device__c", "Attachment", "CaseStatus", "AccountShare", "Region__mdt")


async def reached(
    place: Home, state: str = "live", within: float = 20.0, but: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Wait until every object is in this state; the status then."""
    last: dict[str, Any] = {}

    async def probe() -> bool:
        try:
            last.update(await place.get("/v1/status"))
        except OSError:
            assert place.processes[-1].returncode is None, place.log
            return False
        return all(one["state"] == state for one in last["objects"] if one["name"] not in but)

    try:
        await eventually(probe, f"every object is {state}", within)
    except AssertionError as late:
        raise AssertionError(
            f"{[(o['name'], o['state'], o['error']) for o in last.get('objects', [])]}\n{place.log}"
        ) from late
    return last


async def equal(place: Home, *names: str, within: float = 12.0) -> None:
    """Wait until mirror and org are equal in these objects."""
    last: list[str] = []

    def probe() -> bool:
        last[:] = differences(place, *names)
        return not last

    try:
        await eventually(probe, "equal", within)
    except AssertionError as unequal:
        raise AssertionError("\n".join(last[:20])) from unequal


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pushed() -> AsyncIterator[Home]:
    """A loaded mirror of an org that only pushes tell of: no polling within a test's time."""
    objects: dict[str, dict[str, Any]] = {name: {} for name in (*NAMES, "Payroll__c")}
    async with serving() as org, home(org, objects=objects) as place:
        await place.start()
        await reached(place, but=("Payroll__c",))
        yield place


async def send(place: Home, *changes: dict[str, Any], **more: Any) -> Reply:
    """Push changes, which must be accepted."""
    reply = await post(place.port, document(place.org, *changes, **more))
    assert reply.status == 200, reply
    assert reply.body == {"accepted": len(changes)}
    return reply


async def test_the_load_equals_the_org_in_every_field(pushed: Home) -> None:
    """Every kind of object and field comes in, whichever API can read it; who may not be seen is an error."""
    assert differences(pushed, *NAMES) == []
    assert [one for name in NAMES for one in columns(pushed, name)] == []
    status = await pushed.get("/v1/status")
    hidden = next(one for one in status["objects"] if one["name"] == "Payroll__c")
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
        return (await place.get("/v1/status"))["inbox"]["pending"] == 0

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
    package = await pushed.get("/v1/package?look=1")
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def silent() -> AsyncIterator[Home]:
    """A mirror whose org never pushes, has other habits, and shows its limits to nobody."""
    habits = Habits(quote_all=True, odd=True, page=1_000, bulk_page=5_000, job_waits=(), limits=False)
    habits.result_pages = True
    habits.conditional, habits.skew_s, habits.covered_s = True, -40.0, 3.0
    objects: dict[str, dict[str, Any]] = {name: {} for name in NAMES}
    sync = {"silence_after": "3s", "interval": "2s", "describe_every": "4s", "formula_refresh": "4s"}
    sync["fingerprint_every"] = "3s"
    async with serving(habits, contacts=150) as org, home(org, objects=objects, sync=sync) as place:
        await place.start()
        await reached(place)
        yield place


async def test_another_load_equals_the_org_too(silent: Home) -> None:
    """All quoted, odd texts, other pages, clocks and rights: the same mirror; no limit is made up."""
    assert differences(silent, *NAMES) == []
    assert (await silent.get("/v1/status"))["quota"]["limits"] == []


async def test_check_tells_what_it_may_not_see(silent: Home) -> None:
    """Without userinfo and limits the rest is checked and priced; what is unknown is said."""
    ended = await silent.verb("check", "--json", config=True)
    told = ended.json()
    assert told["org"]["id"] == ORG_ID
    assert (told["org"]["user"], told["org"]["sees_all"]) == (None, None)
    assert [one["name"] for one in told["objects"]] == list(NAMES)
    assert told["estimate"]["rows"] == sum(len(silent.org.records.objects[name].rows) for name in NAMES)
    assert any("View Setup and Configuration" in one["do"] for one in told["problems"])


async def test_silence_makes_interval_sync_read_every_object(silent: Home) -> None:
    """Edits, creates, deletes and merges without a push arrive, whichever stamp an object has."""
    records = silent.org.records
    for name, edit in (
        ("Contact", {"Email": "silent@example.com"}),
        ("Device__c", {"Notes__c": 'a\r\nb"', "Reading__c": None}),
        ("CaseStatus", {"SortOrder": 99}),
        ("AccountShare", {"AccountAccessLevel": "Read"}),
        ("Region__mdt", {"Population__c": 1e9}),
    ):
        first, second = list(records.objects[name].rows)[:2]
        records.update(name, first, **edit)
        if "IsDeleted" in records.objects[name].fields:
            records.delete(name, second)
    records.create("Account", Name="Silent", OwnerId=None)
    records.merge("Account", *list(records.objects["Account"].rows)[3:5])
    records.recalculate("Account", list(records.objects["Account"].rows)[9], Tier__c="quiet")
    await equal(silent, *NAMES, within=25)


async def test_hard_deletes_are_found_while_silent(silent: Home) -> None:
    """A row that is gone for good, unknown to queryAll, is gone from the mirror too."""
    records = silent.org.records
    people = list(records.objects["Contact"].rows)
    records.purge("Contact", people[60])
    records.purge("Device__c", list(records.objects["Device__c"].rows)[5])
    await equal(silent, "Contact", "Device__c", within=25)


async def test_a_session_that_ends_costs_one_login(silent: Home) -> None:
    """After 401 the next calls carry a new token; nothing is lost."""
    records = silent.org.records
    silent.org.expire_sessions()
    before = silent.org.logins
    records.update("Contact", list(records.objects["Contact"].rows)[30], LastName="After 401")
    await equal(silent, "Contact")
    assert silent.org.logins == before + 1


async def test_a_new_field_becomes_a_column_with_its_values(silent: Home) -> None:
    """A field that appears in the org is there within a describe period, back-filled."""
    contact = silent.org.records.objects["Contact"]
    contact.fields["Level__c"] = Field("Level__c", "double", 0)
    for number, row in enumerate(contact.rows.values()):
        row["Level__c"] = number / 4
    await eventually(lambda: not columns(silent, "Contact"), "the column is there", 15)
    await equal(silent, "Contact")


async def test_a_package_hidden_from_the_sync_user_is_no_missing_one(silent: Home) -> None:
    """Pushes prove the package: their silence is then judged, idle while nothing changes, else silent."""
    records = silent.org.records
    people = list(records.objects["Contact"].rows)

    async def is_quiet(wanted: str) -> bool:
        status = await silent.get("/v1/status")
        seen[:] = [status["mode"], status["push"]["quiet"], status["package"]["state"]]
        return seen == ["interval", wanted, "installed"]

    seen: list[str] = []
    records.update("Contact", people[40], LastName="Pushed once")
    await send(silent, change(silent.org, "Contact", "update", people[40]))
    assert (await silent.get("/v1/status"))["mode"] == "real_time"
    for wanted in ("idle", "silent"):
        if wanted == "silent":
            records.update("Contact", people[41], LastName="Never pushed")
        try:
            await eventually(partial(is_quiet, wanted), wanted)
        except AssertionError as other:
            raise AssertionError(f"{wanted}: {seen}") from other


async def test_a_load_killed_in_its_middle_goes_on() -> None:
    """After kill -9 only the pages that were not stored are read again, through outages of every kind.

    What the org cannot count in one query is counted in parts before, and proven so after.
    """
    reached_page, pages = asyncio.Event(), 0

    async def gate(kind: str) -> None:
        nonlocal pages
        pages += kind.endswith("/results")
        if pages == 3:
            reached_page.set()
            await asyncio.sleep(10)

    outages = [
        Answer(status=503, text="<html>Down</html>", headers={"Content-Type": "text/html"}),
        Answer(status=406),
        Answer([{"message": "Please retry", "errorCode": "UNKNOWN_EXCEPTION"}], 500),
    ]
    async with (
        serving(Habits(bulk_page=100, page=200, counted=450), contacts=600) as org,
        home(org, objects={"Contact": {}}) as place,
    ):
        org.gate = gate
        await place.start()
        await asyncio.wait_for(reached_page.wait(), 20)
        await eventually(
            lambda: place.read("SELECT count(*) FROM Contact")[0][0] >= 200, "two pages are stored"
        )
        assert await place.end(signal.SIGKILL) == -signal.SIGKILL
        org.gate = None
        org.calls.clear()
        org.faults += outages
        await place.start()
        await reached(place)
        assert differences(place, "Contact") == []
        assert org.calls["POST /jobs/query"] == 0
        assert org.calls["GET /jobs/query/ID/results"] <= 5
