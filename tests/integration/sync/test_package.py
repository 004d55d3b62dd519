"""The package at work: recognised, set in the org, missing, and what its error log leads to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from rtsd import services
from rtsd.core.mode import Mode
from rtsd.store import error_log
from rtsd.sync.estimate import Periods, idle_day
from rtsd.sync.package import EAGER_PROBES, FIRST_PAUSE_S, LONGEST_PAUSE_S, Wanted
from tests.support.inprocess.rig import Rig, Start

CONDITIONS = 'conditions = ["Email"]\n'
HOUR_S = 3_600
PERIODS = Periods(interval=0, describe=HOUR_S * 1000, fingerprint=0, formula=0, silence=0)


async def probe(rig: Rig) -> float:
    """One step of the service that probes for the package; returns how long it would rest."""
    return await rig.package_probe.step()


async def in_real_time(rig: Rig) -> None:
    """A push has come, and nothing is owed any more."""
    await rig.dml("update", "Contact", rows=[{"Id": await rig.a_record("Contact"), "Title": "pushed"}])
    await rig.settle()
    await rig.parts.services.interval_sync.step()
    await probe(rig)
    assert rig.mode is Mode.REAL_TIME


async def told(rig: Rig, kind: str) -> list[str]:
    """The journal's entries of one type."""
    return [str(note.message) for note in await rig.notes(kind)]


async def spent(rig: Rig, before: dict[str, int]) -> dict[str, int]:
    """API calls by kind since `before`, as the org counted them."""
    after = await rig.calls()
    return {kind: after[kind] - before.get(kind, 0) for kind in after if after[kind] != before.get(kind, 0)}


async def on_the_ledger(rig: Rig) -> int:
    """Calls that the daemon's own ledger has for the package."""
    return (await rig.parts.views.status()).quota.calls_24h["package"]


async def test_an_awaited_package_is_noticed_within_30_s_at_the_price_stated(start: Start) -> None:
    """However long it takes, where public_url is configured; ledger, org and `rtsd check` agree."""
    rig = await start({"Contact": 3})
    await rig.load()
    before, ledger = await rig.calls(), await on_the_ledger(rig)
    pauses: list[float] = []
    while sum(pauses) < HOUR_S:
        pauses.append(await probe(rig))
        rig.advance(pauses[-1])
    assert max(pauses) < 30
    assert rig.mode is Mode.AWAITING_PACKAGE
    priced = idle_day((), PERIODS, with_package=True, is_awaited=True).awaiting_package / 24
    assert await spent(rig, before) == {"query": len(pauses)}
    assert await on_the_ledger(rig) - ledger == len(pauses) == priced == 144
    await rig.sim.control(
        "package/install", {"objects": ["Contact"], "settings": {"Gateway_URL__c": rig.gateway}}
    )
    await probe(rig)
    details = rig.package_probe.watch.known
    assert (details.state, details.version) == ("installed", "1.0.0")
    assert details.triggers is not None
    assert "Contact" in details.triggers
    assert details.settings is not None
    assert details.settings.gateway_url == rig.gateway


async def test_nothing_waits_for_a_package_that_was_given_no_address(start: Start) -> None:
    """Without public_url probes get rarer, down to 24 calls a day; status shows the next."""
    rig = await start({"Contact": 3})
    await rig.load()
    rig.package_probe.watch.wanted = Wanted("", ["Contact"])
    pauses = [await probe(rig) for _ in range(EAGER_PROBES + 12)]
    assert pauses[:EAGER_PROBES] == [FIRST_PAUSE_S] * EAGER_PROBES
    assert pauses[-1] == LONGEST_PAUSE_S
    assert sorted(pauses) == pauses
    shown = (await rig.parts.views.status()).package
    assert shown.next_probe_at == "2026-03-01T11:00:00.000Z"


async def test_real_time_costs_nothing_to_recognise(start: Start) -> None:
    """The first heartbeat counts at once, however rare probes are, and has the package looked at once."""
    rig = await start({"Contact": 3})
    await rig.load()
    await rig.install_package()
    await rig.heartbeat()
    assert rig.mode is Mode.REAL_TIME
    before, ledger = await rig.calls(), await on_the_ledger(rig)
    for _ in range(3):
        await probe(rig)
    assert await spent(rig, before) == {"query": 2}  # once: can it be seen, and the sync conditions
    assert await on_the_ledger(rig) - ledger == 2


async def test_another_version_is_looked_at_once(contacts: Rig) -> None:
    """Deployed by another tool: the next push says so, and the settings are read again."""
    await in_real_time(contacts)
    before = await contacts.calls()
    beat = {"v": 1, "kind": "heartbeat", "org": contacts.org.org_id, "pkg": "1.1.0"}
    for name in ("msg_1", "msg_2"):
        assert (await contacts.push(beat, name=name))[0] == 200
        await probe(contacts)
    assert (await contacts.parts.views.status()).package.version == "1.1.0"
    assert await spent(contacts, before) == {"query": 1}


async def test_a_removal_is_noticed_at_once_when_somebody_says_so(contacts: Rig) -> None:
    """`rtsd package remove` tells the daemon: no half hour of silence before anything is read."""
    await in_real_time(contacts)
    await contacts.sim.control("package/uninstall")
    await contacts.dml("create", "Contact", rows=[{"LastName": "Unpushed"}])
    assert contacts.parts.channel.package is not None
    contacts.parts.channel.package.request_probe()
    await probe(contacts)
    assert contacts.mode is Mode.AWAITING_PACKAGE
    assert (await told(contacts, "mode"))[-2:] == [
        "real_time: push received",
        "awaiting_package: package not in the org",
    ]
    await contacts.parts.services.interval_sync.step()
    assert await contacts.differences() == []


async def test_a_package_that_is_hidden_from_the_sync_user_is_not_taken_for_removed(contacts: Rig) -> None:
    """The org answers alike for hidden and for absent: pushes are the proof, with one probe at the first."""
    await contacts.sim.control("visibility", {"hidden_objects": ["RTS_Settings__c", "RTS_Synced_Field__c"]})
    silence_watch = contacts.parts.services.silence_watch
    await in_real_time(contacts)
    assert (await contacts.parts.views.status()).package.state == "installed"
    before = await contacts.calls()
    await probe(contacts)
    assert await contacts.calls() == before
    contacts.advance(1_800)
    await silence_watch.step()
    await probe(contacts)
    assert contacts.mode is Mode.INTERVAL


async def test_silence_leads_to_one_probe(contacts: Rig) -> None:
    """Removed by another tool: after silence_after it is asked once, and then the mirror is read."""
    services = contacts.parts.services
    await in_real_time(contacts)
    await contacts.sim.control("package/uninstall")
    contacts.advance(1_800)
    await services.silence_watch.step()
    assert services.package_probe is not None
    assert services.package_probe.wake.is_set()
    await probe(contacts)
    assert contacts.mode is Mode.AWAITING_PACKAGE


async def test_a_push_under_way_does_not_hide_that_the_package_is_disabled(contacts: Rig) -> None:
    """It is evidence, so the mode is real_time; the setting is read again at once."""
    await in_real_time(contacts)
    await contacts.sim.control("package/settings", {"Disable_RTS__c": True})
    await contacts.heartbeat()
    assert contacts.mode is Mode.DISABLED
    await contacts.push(contacts.changes(), name="late")
    assert contacts.mode is Mode.REAL_TIME
    await probe(contacts)
    assert contacts.mode is Mode.DISABLED


async def test_an_object_without_a_trigger_is_read_in_real_time_too(start: Start) -> None:
    """Added to the configuration and not deployed yet: nothing pushes it, and that is no missed push."""
    rig = await start({"Contact": 3, "Lead": 3})
    await rig.load()
    await rig.sim.control(
        "package/install",
        {
            "objects": ["Contact"],
            "settings": {"Gateway_URL__c": rig.gateway, "Token__c": "push-token-of-the-tests-0001"},
        },
    )
    assert rig.sim.server is not None
    rig.sim.server.switches.push_timestamp_by_org_clock = True
    await rig.heartbeat()
    await rig.parts.services.interval_sync.step()
    rig.advance(120)
    await rig.dml("create", "Lead", rows=[{"LastName": "Novák", "Company": "Č"}])
    await rig.settle()
    before = await rig.calls()
    rig.advance(120)
    await rig.parts.services.interval_sync.step()
    assert await rig.differences() == []
    assert rig.mode is Mode.REAL_TIME
    spent = {kind: count - before.get(kind, 0) for kind, count in (await rig.calls()).items()}
    assert sum(spent.values()) <= 4  # Lead alone
    shown = await rig.parts.views.status()
    assert shown.push.missed_24h == 0
    assert [problem.what for problem in shown.package.problems if "trigger" in problem.what] == [
        "No trigger pushes Lead: Interval Sync reads them."
    ]


async def error_row(rig: Rig, ids: list[str], **values: Any) -> str:
    """What the package writes when it gives a push up."""
    row = {"Object__c": "Contact", "Operation__c": "update", "Record_Ids__c": ",".join(ids), **values}
    return rig.org.create(rig.org.admin, "RTS_Error__c", [row])[0].unwrap()


async def test_what_the_package_gave_up_is_fetched_and_shown(contacts: Rig) -> None:
    """A heartbeat counts errors: their records are read again, once, and the reason is in the error log."""
    await in_real_time(contacts)
    record = await contacts.a_record("Contact")
    await contacts.sim.fault("push_lost", count=1)
    await contacts.dml("update", "Contact", rows=[{"Id": record, "Title": "given up"}])
    await contacts.settle()
    assert len(await contacts.differences()) == 1
    await error_row(contacts, [record], HTTP_Status__c=503, Message__c="Service Unavailable")
    await contacts.heartbeat()
    await probe(contacts)
    await contacts.settle()
    assert await contacts.differences() == []
    (logged,) = [
        error
        for error in await error_log.newest(contacts.parts.base.database)
        if error.error == "PackageError"
    ]
    assert (logged.object, logged.message) == (
        "Contact",
        "The package could not push 1 record (HTTP 503): Service Unavailable",
    )
    before = await contacts.calls()
    contacts.advance(900)
    await contacts.heartbeat()
    await probe(contacts)
    assert await contacts.calls() == before  # the same count: nothing is asked
    await error_row(contacts, [record], Message__c="x")
    contacts.advance(900)
    await contacts.heartbeat()
    await probe(contacts)
    assert [error.count for error in await error_log.newest(contacts.parts.base.database)] == [1, 1]


async def test_without_heartbeats_the_error_log_is_read_on_its_own_schedule(start: Start) -> None:
    """Where error logging is on: one call in a describe period; where it is off, none."""
    rig = await start({"Contact": 3})
    await rig.load()
    await rig.install_package()
    await probe(rig)
    record = await rig.a_record("Contact")
    await error_row(rig, [record], Message__c="shed")
    rig.advance(HOUR_S)
    await probe(rig)
    assert [error.message for error in await error_log.newest(rig.parts.base.database)] == [
        "The package could not push 1 record: shed"
    ]
    await rig.sim.control("package/settings", {"Error_Logging__c": False})
    await error_row(rig, [record], Message__c="not read")
    await probe(rig)
    rig.advance(HOUR_S)
    await probe(rig)
    assert len(await error_log.newest(rig.parts.base.database)) == 1


async def test_old_rows_of_the_error_log_are_deleted(start: Start) -> None:
    """After a month, where the package's own heartbeat does not do it; the journal says so."""
    rig = await start({"Contact": 3})
    await rig.load()
    await rig.install_package()
    await error_row(rig, [], Message__c="old")
    rig.advance(31 * 24 * HOUR_S)
    young = await error_row(rig, [], Message__c="young")
    await probe(rig)
    left = [row["Id"] async for row in rig.sim.rows("RTS_Error__c")]
    assert left == [young]
    assert "1 old rows of RTS_Error__c deleted in the org" in await told(rig, "package")


async def test_conditions_that_the_org_has_are_not_seeded_over(start: Start) -> None:
    """An administrator was first: rows that are there stay as they are."""
    rig = await start({"Contact": 3}, run=False)
    rig.objects = ()
    async with rig_with(rig, f'[[objects]]\nname = "Contact"\n{CONDITIONS}'):
        await rig.load()
        await rig.install_package()
        own = {"Key__c": "Contact.Phone", "Object__c": "Contact", "Field__c": "Phone", "Condition__c": True}
        rig.org.create(rig.org.admin, "RTS_Synced_Field__c", [own])[0].unwrap()
        await probe(rig)
        assert rig["Contact"].conditions == ("Phone",)
    found = rig.org.query(rig.org.admin, "SELECT Field__c FROM RTS_Synced_Field__c")
    assert list(found.rows()) == [("Phone",)]


async def test_conditions_of_the_configuration_seed_the_org_once(start: Start) -> None:
    """Written where there are none; an admin's clearing stays; a changed configuration is written again."""
    rig = await start({"Contact": 3}, run=False)
    rows = "SELECT Field__c, Condition__c FROM RTS_Synced_Field__c ORDER BY Field__c"

    async def run(more: str) -> list[tuple[Any, ...]]:
        rig.more = more
        rig.advance(HOUR_S)
        async with rig.running():
            await rig.load()
            await probe(rig)
        return list(rig.org.query(rig.org.admin, rows).rows())

    rig.objects = ()
    contact = '[[objects]]\nname = "Contact"\n'
    async with rig_with(rig, contact):
        await rig.load()
        await rig.install_package()
    assert await run(contact + CONDITIONS) == [("Email", True)]
    rig.org.database.execute("UPDATE RTS_Synced_Field__c SET Condition__c = 0")
    assert await run(contact + CONDITIONS) == [("Email", False)]
    assert await run(contact + 'conditions = ["Phone"]\n') == [("Email", False), ("Phone", True)]
    assert await run(contact) == [("Email", False), ("Phone", False)]


def rig_with(rig: Rig, more: str) -> Any:
    """The rig, running with other objects."""
    rig.more = more
    return rig.running()


async def test_a_day_beside_the_package_costs_what_rtsd_check_says(start: Start) -> None:
    """One call for the sync conditions in each describe period while pushes come; the rest is for windows."""
    rig = await start({"Contact": 3})
    await rig.load()
    await rig.install_package()
    await rig.heartbeat()
    await probe(rig)
    before = sum((await rig.calls()).values())
    for _ in range(96):
        rig.advance(900)
        await rig.heartbeat()
        await probe(rig)
    periods = Periods(interval=300_000, describe=HOUR_S * 1000, fingerprint=0, formula=0, silence=0)
    beside = idle_day((), periods, with_package=True)
    assert sum((await rig.calls()).values()) - before == beside.real_time == 24


async def test_a_probe_that_is_refused_is_not_repeated_at_once(
    start: Start, monkeypatch: pytest.MonkeyPatch, until: Callable[[Callable[[], Any]], Awaitable[None]]
) -> None:
    """Without access to the settings it is probed as rarely as a package that is not there."""
    rig = await start({"Contact": 3})
    await rig.load()
    await rig.sim.fault("no_access", path="/query")
    monkeypatch.setattr(services, "RETRY_S", 0.0)  # what a service with something to do waits
    before, seq = (await rig.calls())["query"], rig.parts.base.journal.last_seq
    watch = asyncio.create_task(rig.parts.runner.run(rig.package_probe))
    try:
        await until(lambda: rig.parts.base.journal.last_seq > seq)
        await asyncio.sleep(0.1)  # time enough for a hundred probes
    finally:
        watch.cancel()
    assert (await rig.calls())["query"] == before + 1
