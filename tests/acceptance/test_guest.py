"""The package as a guest in orgs whose own components stand in its way: deployed, at work, removed.

Nothing of the org's own changes: no component, no schema, no assignment, no job, no save that passed or was
refused. That the package compiles beside classes with the names of standard types, such as here, the compiler
says in `tests/apex`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rtsd.apex.bundle import manifest, zipped
from rtsd.config import Config
from rtsd.errors import DeployFailed
from rtsd.salesforce import deploy
from rtsd.salesforce.deploy import ApexTests
from rtsd.workflows.installation.plan import Choice
from rtssim.switchboard.administration import change_schema
from tests.support.inprocess.stand import Stand, Standing
from tests.support.installation import Office

COMPONENTS = (
    "ApexClass", "ApexTrigger", "AsyncApexJob", "CronJobDetail", "CronTrigger", "CustomPermission", "Folder",
    "PermissionSet", "PermissionSetAssignment", "PlatformEventSubscriberConfig", "Profile", "RecordType",
    "RemoteProxy",
)  # fmt: skip
FIELD = "Branch__c"
"""What the org's own rules want in a row; no package knows it."""
ROWS = 12
Snapshot = dict[str, dict[str, dict[str, Any]]]
"""Kind of component -> id -> its row."""


@dataclass(frozen=True)
class Host:
    """An org with rules of its own."""

    classes: Mapping[str, str]
    triggers: Mapping[str, str]
    rules: Mapping[str, tuple[str, ...]]
    jobs: int
    persons: bool = False
    without: tuple[str, ...] = ()
    """Objects that no test can save."""


BANK = Host(
    classes={
        **{name: f"public class {name} {{ }}" for name in ("UUID", "HttpRequest", "Limits", "Account")},
        "Bank_Failing_Test": "@IsTest private class Bank_Failing_Test { }",
        "Bank_Test": "@IsTest private class Bank_Test { }",
        "RTS_Theirs": "public class RTS_Theirs { }",
    },
    triggers={"Bank_Contact": "Contact", "Bank_Lead": "Lead"},
    rules={
        "Contact": ("validation_rule", "duplicate_rule"),
        "Lead": ("duplicate_rule",),
        "Opportunity": ("required_lookup", "validation_rule"),
    },
    jobs=3,
)
SHOP = Host(
    classes={
        **{name: f"public class {name} {{ }}" for name in ("Test", "JSON", "EventBus", "Contact")},
        "Shop_Test": "@IsTest private class Shop_Test { }",
        "Shop_Failing_Test": "@IsTest private class Shop_Failing_Test { }",
    },
    triggers={"Shop_Account": "Account", "Shop_Task": "Task"},
    rules={"Account": ("validation_rule",), "Invoice__c": ("required_lookup",), "Task": ("before_flow",)},
    jobs=2,
    persons=True,
    without=("Task",),
)
OBJECTS = {
    "bank": ("Account", "Contact", "Lead", "Opportunity"),
    "shop": ("Account", "Contact", "Invoice__c", "Task"),
}


async def settle(org: Stand, host: Host) -> None:
    """Give the org what it has before the package comes."""
    admin = org.org.admin
    for name, body in host.classes.items():
        org.org.create(admin, "ApexClass", [{"Name": name, "Body": body}])[0].unwrap()
    for name, obj in host.triggers.items():
        body = f"trigger {name} on {obj} (before insert) {{ }}"
        org.org.create(admin, "ApexTrigger", [{"Name": name, "TableEnumOrId": obj, "Body": body}])[0].unwrap()
    for number in range(host.jobs):
        detail = org.org.create(admin, "CronJobDetail", [{"Name": f"Nightly {number}"}])[0].unwrap()
        nightly = {"CronJobDetailId": detail, "State": "WAITING", "CronExpression": "0 0 1 * * ?"}
        org.org.create(admin, "CronTrigger", [nightly])[0].unwrap()
    granted = org.org.create(admin, "PermissionSet", [{"Name": "Clerks", "Label": "Clerks"}])[0].unwrap()
    given = {"PermissionSetId": granted, "AssigneeId": admin.user_id}
    org.org.create(admin, "PermissionSetAssignment", [given])[0].unwrap()
    own = {"DeveloperName": "Own", "MasterLabel": "Own"}
    org.org.create(admin, "CustomPermission", [own])[0].unwrap()
    site = {"SiteName": "Ledger", "EndpointUrl": "https://ledger.example", "IsActive": True}
    org.org.create(admin, "RemoteProxy", [site])[0].unwrap()
    org.org.create(admin, "Folder", [{"DeveloperName": "Own", "Name": "Own", "Type": "Report"}])[0].unwrap()
    if host.persons:
        add_field(org, "Account", "PersonContactId", "reference", targets="Contact")
    for obj, kinds in host.rules.items():
        add_field(org, obj, FIELD, "string")
        for kind in kinds:
            await org.simulated.rule(obj, kind, FIELD)


def add_field(org: Stand, obj: str, name: str, kind: str, **more: Any) -> None:
    """Add a field to an object of the org."""
    change_schema(org.org, {"op": "add_field", "object": obj, "field": {"name": name, "type": kind, **more}})


def guest(org: Stand, place: Path, names: tuple[str, ...]) -> tuple[Office, Config]:
    """Whoever deploys the package to this org, which then pushes to the daemon beside it."""
    assert org.parts.gateway is not None
    folder = place / "office"
    folder.mkdir()
    office = Office(org.simulated, org.org, folder)
    office.become("Enterprise Edition")
    objects = "".join(f'[[objects]]\nname = "{name}"\n' for name in names)
    settings = office.configuration(objects, public_url=f"http://{org.parts.gateway.address}")
    return office, settings


def snapshot(org: Stand) -> Snapshot:
    """Every component that is a row, with all its fields."""
    return {kind: {str(row["Id"]): row for row in org.org.snapshot(kind)} for kind in COMPONENTS}


def schema(org: Stand) -> dict[str, Any]:
    """The description of every object."""
    return {entity.name: org.org.describe(org.org.admin, entity.name)[0] for entity in org.org.schema}


def changed(before: Snapshot, now: Snapshot) -> list[str]:
    """Which of the components from before are gone or different."""
    return [
        f"{kind} {row.get('Name') or row_id}"
        for kind, rows in before.items()
        for row_id, row in rows.items()
        if now[kind].get(row_id) != row
    ]


def added(before: Snapshot, now: Snapshot) -> dict[str, int]:
    """How many components there are more, by kind."""
    return {kind: len(now[kind].keys() - rows) for kind, rows in before.items() if now[kind].keys() - rows}


def refusals(org: Stand, host: Host) -> dict[str, str]:
    """The error of a save that breaks the rules, by object."""
    found = {}
    for obj in host.rules:
        row = {"Id": org.ids(obj)[-1], "Description": "nothing else"}
        with org.org.transaction(org.org.admin):
            (result,) = org.org.update(org.org.admin, obj, [row])
        found[obj] = result.errors[0].code
    return found


async def work(org: Stand, host: Host, names: tuple[str, ...]) -> int:
    """Users save what keeps the rules, and the mirror follows; return how many changes came as pushes."""
    seq = (await org.journal())[-1].seq
    org.advance(60)
    for obj in names:
        org.update(obj, org.ids(obj)[:5], **({FIELD: "Basel"} if obj in host.rules else {"Description": "x"}))
    if host.persons:
        contact = org.ids("Contact")[-2]
        person = org.ids("Account")[-2]
        with org.org.transaction(org.org.admin):
            changes = [{"Id": person, "PersonContactId": contact, FIELD: "Bern"}]
            org.org.update(org.org.admin, "Account", changes)[0].unwrap()
            org.org.update_untriggered(org.org.admin, "Contact", [{"Id": contact, "LastName": "Married"}])
    await org.pushed()
    came = [event for event in await org.journal("change") if event.seq > seq and event.source == "push"]
    pushed = {(event.object, event.id) for event in came}
    wanted = {(obj, row) for obj in names if obj not in host.without for row in org.ids(obj)[:5]}
    assert wanted <= pushed
    if host.persons:
        assert {("Account", person), ("Contact", contact)} <= pushed
    await org.read()
    for obj in names:  # `Stand.equal` compares the ledger, too: here somebody else deploys
        found = await org.mirror.compare(obj, org.truth(obj, None, ()))
        assert (found.equal, found.rows) == (True, ROWS), found.examples
    return len(pushed)


async def own_tests(office: Office, settings: Config, host: Host) -> list[str]:
    """Run every test of the org, and return the org's own, each with its outcome."""
    nothing = zipped({"package.xml": manifest({}, "62.0")})
    failed: tuple[str, ...] = ()
    async with office.session(settings, pushes=False) as (session, _):
        try:
            await deploy.deploy(
                session.client,
                nothing,
                ApexTests("RunLocalTests"),
                check_only=True,
                purge=False,
                on_progress=office.progress.append,
            )
        except DeployFailed as error:
            failed = error.untested
    total = office.progress[-1].tests_total
    tests = sorted(name for name in host.classes if name.endswith("_Test"))
    assert total >= len(tests)
    return [f"{name} {'fails' if f'{name}.runs' in failed else 'passes'}" for name in tests]


async def deployed(office: Office, settings: Config, org: Stand, host: Host, before: Snapshot) -> None:
    """Deploy, if need be without the objects that no test can save, which the error names."""
    if host.without:
        with pytest.raises(DeployFailed) as caught:
            await office.deploy(settings)
        assert all(f"--without {obj}" in caught.value.do for obj in host.without)
        assert snapshot(org) == before, "a refused deployment changes nothing"
    outcome = await office.deploy(settings, Choice(without=host.without))
    assert outcome.left == []
    found = await office.status(settings)
    assert (found.differences, tuple(found.left_out)) == ([], host.without)


@pytest.mark.parametrize(("name", "host"), [("bank", BANK), ("shop", SHOP)], ids=["bank", "shop"])
async def test_a_guest_changes_nothing_of_its_host(
    name: str, host: Host, stand: Standing, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    """Deployed beside it all, at work, and gone: what was there before is there, byte for byte."""
    names = OBJECTS[name]
    org = await stand(
        dict.fromkeys(names, ROWS), objects={obj: {} for obj in names}, listen="127.0.0.1:0", interval="5m"
    )
    quick = {"push_timestamp_by_org_clock": True, "push_retry_scale": 0.001}
    await org.simulated.control("switches", quick)
    await settle(org, host)
    await org.loaded()
    office, settings = guest(org, tmp_path, names)
    before, described, refused = snapshot(org), schema(org), refusals(org, host)
    assert set(refused) == set(host.rules)
    await org.simulated.fault("test_failed", path="Failing_Test")
    tests = await own_tests(office, settings, host)
    assert [test.partition(" ")[2] for test in tests] == ["fails", "passes"]
    await deployed(office, settings, org, host, before)
    while_there = added(before, snapshot(org))
    assert changed(before, snapshot(org)) == []
    now = schema(org)
    assert all(now[obj]["fields"] == described[obj]["fields"] for obj in described)
    pushed = await work(org, host, names)
    assert refusals(org, host) == refused
    assert changed(before, snapshot(org)) == []
    assert await own_tests(office, settings, host) == tests
    removed = await office.remove(settings)
    assert removed.left == ["ApexClass RTS_Removal_Test"], "the org has a failing test"
    (passing,) = [test for test in host.classes if test.endswith("_Test") and "Failing" not in test]
    assert (await office.remove(settings, run_test=passing)).left == []
    after = snapshot(org)
    left = {kind: count for kind, count in added(before, after).items() if kind != "AsyncApexJob"}
    assert (changed(before, after), left, schema(org) == described) == ([], {}, True)
    assert {row["Status"] for row in after["AsyncApexJob"].values()} <= {"Aborted", "Completed"}
    assert refusals(org, host) == refused
    assert await own_tests(office, settings, host) == tests
    own = sum(len(rows) for rows in before.values())
    came = ", ".join(f"{count} {kind}" for kind, count in sorted(while_there.items()))
    measured(
        f"guest in {name}: of the org's own {own} components, {len(described)} objects, {len(tests)} tests:"
        " 0 changed;"
        f" while there: {came}; {pushed} changes pushed; left: 0"
    )
