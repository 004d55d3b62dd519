"""The package and its sync conditions on the control socket: what the dashboard and `rtsd conditions` use."""

from __future__ import annotations

from typing import Any

import pytest

from rtsd.core.mode import Mode
from rtsd.sync.package import Wanted
from tests.support.inprocess.control import Socket

PACKAGE_PERIOD_S = 3_600


async def installed(socket: Socket) -> None:
    """Install the package, and let the daemon see it."""
    await socket.rig.install_package()
    assert (await socket.ask("GET", "/v1/package?probe=1"))[1]["state"] == "installed"


async def rows(socket: Socket) -> dict[str, bool]:
    """The synced fields in the org."""
    return {row["Key__c"]: row["Condition__c"] async for row in socket.rig.sim.rows("RTS_Synced_Field__c")}


async def notes(socket: Socket) -> list[str]:
    """What the journal tells of the package."""
    return [str(note.message) for note in await socket.rig.notes("package")]


async def test_package_is_shown_as_far_as_it_is_known(socket: Socket) -> None:
    """Unknown before anyone looked, missing after, installed with its settings once it is there."""
    _, shown = await socket.ask("GET", "/v1/package")
    assert (shown["state"], shown["settings"]) == ("unknown", None)
    assert shown["triggers"] == [{"object": "Contact", "installed": None}]
    assert (await socket.ask("GET", "/v1/package?probe=1"))[1]["state"] == "missing"
    await installed(socket)
    _, shown = await socket.ask("GET", "/v1/package")
    assert shown["triggers"] == [{"object": "Contact", "installed": True}]
    assert shown["settings"]["gateway_url"] == socket.rig.gateway
    assert shown["settings"]["error_logging"] is True
    assert "oken" not in str(shown["settings"])
    assert socket.rig.mode is Mode.INTERVAL  # real_time only on the evidence of a push


@pytest.mark.parametrize("name", ["probe", "look"])
async def test_the_org_is_probed_on_request_only(socket: Socket, name: str) -> None:
    """`probe`, or `look` as it was called: in the query, and in the report of a change."""
    rig = socket.rig
    before = await rig.calls()
    await socket.ask("GET", f"/v1/package?{name}=0")
    await socket.ask("POST", "/v1/package/changed", {"calls": {"DailyApiRequests": 1}, name: False})
    assert await rig.calls() == before
    _, shown = await socket.ask("GET", f"/v1/package?{name}=1")
    assert shown["state"] == "missing"
    await rig.install_package()
    _, shown = await socket.ask("POST", "/v1/package/changed", {"calls": {}})
    assert (shown["state"], shown["version"]) == ("installed", "1.0.0")  # before anything was pushed
    assert shown["settings"]["gateway_url"] == rig.gateway


async def test_another_gateway_and_a_missing_trigger_are_shown(socket: Socket) -> None:
    """What contradicts the configuration is said, with what to do."""
    await socket.rig.sim.control(
        "package/install", {"objects": ["Lead"], "settings": {"Gateway_URL__c": "https://x.io"}}
    )
    await socket.ask("GET", "/v1/package?probe=1")
    _, status = await socket.ask("GET", "/v1/status")
    told = [problem["what"] for problem in status["package"]["problems"]]
    assert told == [
        "The package posts to https://x.io, not to https://rts.example.com.",
        "No trigger pushes Contact: Interval Sync reads them.",
    ]
    assert all("rtsd package deploy" in problem["do"] for problem in status["package"]["problems"])


@pytest.mark.parametrize(
    ("ours", "theirs", "problems"),
    [
        ("https://rts.example.com", "https://RTS.example.com/v1/push", 0),
        ("https://rts.example.com", "https://rts.example.org", 1),
        ("", "https://rts.example.com", 0),  # nobody said what is right
        ("", "", 1),
    ],
)
async def test_the_gateways_address_is_compared(
    ours: str, theirs: str, problems: int, socket: Socket
) -> None:
    """With or without the path of pushes; without public_url there is nothing to compare with."""
    watch = socket.rig.parts.channel.package
    assert watch is not None
    watch.wanted = Wanted(ours, ["Contact"])
    await socket.rig.install_package()
    await socket.rig.sim.control("package/settings", {"Gateway_URL__c": theirs})
    _, shown = await socket.ask("GET", "/v1/package?probe=1")
    told = [problem for problem in shown["problems"] if problem["what"].startswith("The package posts to")]
    assert len(told) == problems
    if (
        problems and not theirs
    ):  # a package that publishes posts nowhere: rtsd need not know of its channel yet
        assert "restart rtsd" in told[0]["do"]


async def test_settings_of_one_user_do_not_disable_the_org(socket: Socket) -> None:
    """A row of a user or profile silences that user only (Apex Developer Guide, Custom Settings)."""
    org = socket.rig.org
    await socket.rig.sim.control("package/install")
    for user in org.user_ids[:3]:
        org.create(org.admin, "RTS_Settings__c", [{"SetupOwnerId": user, "Disable_RTS__c": True}])[0].unwrap()
    await socket.rig.install_package()
    _, shown = await socket.ask("GET", "/v1/package?probe=1")
    assert shown["disabled"] is False
    assert socket.rig.mode is Mode.INTERVAL


async def test_disabled_and_enabled_by_an_operator(socket: Socket) -> None:
    """The org's row is changed, the mode follows at once, the journal says who; twice changes nothing."""
    await installed(socket)
    status, shown = await socket.ask("POST", "/v1/package/disable")
    assert (status, shown["disabled"], shown["changed"]) == (200, True, True)
    assert socket.rig.mode is Mode.DISABLED
    assert (await socket.ask("POST", "/v1/package/disable"))[1]["changed"] is False
    (row,) = [row async for row in socket.rig.sim.rows("RTS_Settings__c")]
    assert row["Disable_RTS__c"] is True
    await socket.rig.dml(
        "update", "Contact", rows=[{"Id": await socket.rig.a_record("Contact"), "Title": "x"}]
    )
    await socket.rig.settle()
    assert len(await socket.rig.differences()) == 1
    await socket.rig.parts.services.interval_sync.step()
    assert await socket.rig.differences() == []
    status, shown = await socket.ask("POST", "/v1/package/enable")
    assert (shown["disabled"], shown["changed"], socket.rig.mode) == (False, True, Mode.INTERVAL)
    assert [note for note in await notes(socket) if "operator" in note] == [
        "disabled by an operator",
        "enabled by an operator",
    ]


async def test_nothing_to_disable_without_the_package(socket: Socket) -> None:
    """409, with what to do."""
    for verb in ("disable", "enable"):
        status, answer = await socket.ask("POST", f"/v1/package/{verb}")
        assert (status, answer["error"]) == (409, "Conflict")
        assert "rtsd package deploy" in answer["message"]


async def test_conditions_are_the_configurations_without_the_package(socket: Socket) -> None:
    """Source config, nothing known of the org; changing them needs the package."""
    status, shown = await socket.ask("GET", "/v1/objects/contact/conditions")
    assert (status, shown["object"], shown["fields"], shown["source"]) == (200, "Contact", [], "config")
    assert (shown["in_org"], shown["as_of"]) == (None, None)
    assert "Email" in shown["available"]
    assert (await socket.ask("PUT", "/v1/objects/Contact/conditions", {"fields": ["Email"]}))[0] == 409


async def test_conditions_are_written_to_the_org_and_obeyed(socket: Socket) -> None:
    """As the org spells them; those that go are switched off; twice writes nothing; the journal knows."""
    await installed(socket)
    status, shown = await socket.ask(
        "PUT", "/v1/objects/Contact/conditions", {"fields": ["email", "OwnerId"]}
    )
    assert (status, shown["fields"], shown["source"]) == (200, ["Email", "OwnerId"], "org")
    assert shown["in_org"] == ["Email", "OwnerId"]
    assert shown["as_of"]
    assert await rows(socket) == {"Contact.Email": True, "Contact.OwnerId": True}
    before = (await socket.rig.calls()).get("collection_write", 0)
    await socket.ask("PUT", "/v1/objects/Contact/conditions", {"fields": ["OwnerId", "Email"]})
    assert (await socket.rig.calls())["collection_write"] == before
    await socket.ask("PUT", "/v1/objects/Contact/conditions", {"fields": ["Phone"]})
    assert await rows(socket) == {"Contact.Email": False, "Contact.OwnerId": False, "Contact.Phone": True}
    await socket.ask("PUT", "/v1/objects/Contact/conditions", {"fields": []})
    assert set((await rows(socket)).values()) == {False}
    assert [note for note in await notes(socket) if "conditions" in note] == [
        "sync conditions set by an operator: Email, OwnerId",
        "sync conditions set by an operator: Phone",
        "sync conditions set by an operator: none: every update is pushed",
    ]


async def test_conditions_as_last_read_cost_no_call(socket: Socket) -> None:
    """`?org=0` is what a dashboard asks for each object: the org is left alone."""
    await installed(socket)
    await socket.ask("PUT", "/v1/objects/Contact/conditions", {"fields": ["Email"]})
    before = await socket.rig.calls()
    _, shown = await socket.ask("GET", "/v1/objects/Contact/conditions?org=0")
    assert (shown["fields"], shown["source"]) == (["Email"], "org")
    assert await socket.rig.calls() == before
    await socket.ask("GET", "/v1/objects/Contact/conditions")
    assert await socket.rig.calls() != before


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("MailingAddress", "name MailingStreet, MailingCity"),
        ("mailingaddress", "MailingAddress is a compound field"),
        ("LastModifiedDate", "changes with every save"),
        ("SystemModstamp", "changes with every save"),
        ("CreatedDate", "never changes"),
    ],
)
async def test_fields_that_cannot_be_conditions_are_refused(field: str, says: str, socket: Socket) -> None:
    """Compound fields with their components, and audit stamps; nothing is written."""
    await installed(socket)
    status, answer = await socket.ask("PUT", "/v1/objects/Contact/conditions", {"fields": ["Email", field]})
    assert (status, says in answer["message"]) == (400, True), answer
    _, shown = await socket.ask("GET", "/v1/objects/Contact/conditions")
    assert shown["fields"] == []
    assert field not in shown["available"] or field == "MailingAddress"


@pytest.mark.parametrize("fields", [["Emial"], ["Email", "Nope__c"]])
async def test_unknown_conditions_are_refused_with_what_is_allowed(fields: list[str], socket: Socket) -> None:
    """400, the allowed names; nothing was written."""
    await installed(socket)
    status, answer = await socket.ask("PUT", "/v1/objects/Contact/conditions", {"fields": fields})
    assert (status, answer["error"]) == (400, "UsageError")
    assert fields[-1] in answer["message"]
    assert "Email" in answer["message"]
    assert await rows(socket) == {}


async def test_an_edit_in_salesforce_shows_up_within_a_describe_period(socket: Socket) -> None:
    """The org's rows are read again, for one call; then they are what the mirror reckons with."""
    await installed(socket)
    probe = socket.rig.parts.services.package_probe
    assert probe is not None
    await probe.step()
    org = socket.rig.org
    edit: dict[str, Any] = {
        "Key__c": "Contact.Email",
        "Object__c": "Contact",
        "Field__c": "Email",
        "Condition__c": True,
    }
    org.create(org.admin, "RTS_Synced_Field__c", [edit])[0].unwrap()
    await probe.step()
    assert socket.rig["Contact"].conditions == ()
    socket.rig.advance(PACKAGE_PERIOD_S)
    await probe.step()
    assert socket.rig["Contact"].conditions == ("Email",)
    assert "sync conditions edited in Salesforce: Email" in await notes(socket)
    await socket.rig.sim.control("package/uninstall")
    await probe.step()
    assert socket.rig["Contact"].in_org.fields is None


async def test_settings_that_the_sync_user_may_not_read_are_said_so(socket: Socket) -> None:
    """The package is there, and the permission set is what is missing; told once in the journal."""
    await socket.rig.install_package()
    await socket.rig.sim.control("visibility", {"hidden_fields": ["RTS_Settings__c.Disable_RTS__c"]})
    for _ in range(2):
        await socket.rig.package_probe.step()
    _, shown = await socket.ask("GET", "/v1/package")
    assert shown["state"] == "installed"
    assert [problem["do"] for problem in shown["problems"]] == [
        "Setup → Permission Sets → RTS Sync → Manage Assignments: add it."
    ]
    assert sum("may not read" in note for note in await notes(socket)) == 1


async def test_a_heartbeat_without_triggers_says_nothing_of_them(socket: Socket) -> None:
    """Unknown is not missing: no object is read for it; who pushes has a trigger, whatever was said."""
    rig = socket.rig
    beat = {"v": 1, "kind": "heartbeat", "org": rig.org.org_id}
    assert (await rig.push(beat))[0] == 200
    assert (await socket.ask("GET", "/v1/package"))[1]["triggers"] == [
        {"object": "Contact", "installed": None}
    ]
    await rig.push({**beat, "triggers": ["Lead"]}, name="msg_2")
    assert (await socket.ask("GET", "/v1/package"))[1]["triggers"] == [
        {"object": "Contact", "installed": False}
    ]
    record = await rig.a_record("Contact")
    await rig.push(rig.changes({"object": "Contact", "op": "update", "id": record}), name="msg_3")
    assert (await socket.ask("GET", "/v1/package"))[1]["triggers"] == [
        {"object": "Contact", "installed": True}
    ]


async def test_conditions_are_written_one_by_one_where_collections_know_no_upsert(socket: Socket) -> None:
    """Before API version 46 (REST API guide, Upsert Multiple Records)."""
    await installed(socket)
    await socket.rig.sim.fault("405", path="/composite/sobjects/RTS_Synced_Field__c")
    await socket.ask("PUT", "/v1/objects/Contact/conditions", {"fields": ["Email", "Phone"]})
    assert await rows(socket) == {"Contact.Email": True, "Contact.Phone": True}
