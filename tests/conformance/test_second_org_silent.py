"""rtsd against an org that somebody else wrote and that never pushes: Interval Sync, audits, kill -9."""

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
from tests.support.second_org.mirroring import NAMES, equal, reached, send
from tests.support.second_org.org import Answer, Habits
from tests.support.second_org.push import change
from tests.support.second_org.records import Field
from tests.support.second_org.server import serving
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
    assert [mirrored["name"] for mirrored in told["objects"]] == list(NAMES)
    assert told["estimate"]["rows"] == sum(len(silent.org.records.objects[name].rows) for name in NAMES)
    assert any("View Setup and Configuration" in problem["do"] for problem in told["problems"])


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
    await equal(silent, *NAMES)


async def test_hard_deletes_are_found_while_silent(silent: Home) -> None:
    """A row that is gone for good, unknown to queryAll, is gone from the mirror too."""
    records = silent.org.records
    people = list(records.objects["Contact"].rows)
    records.purge("Contact", people[60])
    records.purge("Device__c", list(records.objects["Device__c"].rows)[5])
    await equal(silent, "Contact", "Device__c")


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

    async def is_real_time() -> bool:
        return bool((await silent.get("/v1/status"))["mode"] == "real_time")

    await eventually(is_real_time, "the push is evidence")
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
