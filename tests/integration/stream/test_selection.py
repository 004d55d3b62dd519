"""`rtsd stream enable` and `disable`, and what `rtsd check` says of the selection."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from rtsd import config
from rtsd.cli import main
from rtsd.cli.check import lines
from rtsd.config import Config
from rtsd.errors import ConfigError
from rtsd.salesforce.capture import Member
from rtsd.workflows import capture
from rtsd.workflows.check import Report, inspect
from rtssim.process import SimulatedOrg

TOML = """
[org]
login_url = "{url}"
client_id = "{client_id}"
client_secret = "{client_secret}"
[push]
channel = "cdc"
endpoint = "{pubsub}"
{more}
[store]
path = "{place}/mirror.db"
[control]
socket = "{place}/rtsd.sock"
"""
OBJECTS = ("Contact", "Account", "Lead", "Opportunity", "Invoice__c", "Task")


def configured(org: SimulatedOrg, place: Path, more: str = "", objects: tuple[str, ...] = OBJECTS) -> Config:
    """A configuration of the channel: no gateway, no token."""
    path = place / "rtsd.toml"
    sections = "".join(f'[[objects]]\nname = "{name}"\n' for name in objects)
    path.write_text(TOML.format(place=place, more=more, **org.info) + sections)
    path.chmod(0o600)
    return config.load(path)


async def test_five_objects_are_free(org: SimulatedOrg, tmp_path: Path) -> None:
    """The sixth is refused with what to do, the others are selected; again, nothing changes."""
    chosen = configured(org, tmp_path)
    done = await capture.enable(chosen, ["account", *OBJECTS[2:]])
    assert [choice.name for choice in done.objects if choice.changed] == list(OBJECTS[1:5])
    refused = done.objects[-1]
    assert (refused.name, refused.selected, done.is_done, done.selected_in_org) == ("Task", False, False, 5)
    assert "as many objects selected as it may" in str(refused.error)
    assert "rtsd stream disable OBJECT" in str(refused.do)
    again = await capture.enable(chosen, ["Lead"])
    assert (again.is_done, [choice.changed for choice in again.objects]) == (True, [False])
    gone = await capture.disable(chosen, ["Lead", "Task"])
    assert [(choice.changed, choice.selected) for choice in gone.objects] == [(True, False), (False, False)]
    assert gone.selected_in_org == 4
    assert json.loads(json.dumps(gone.document()))["objects"][0]["name"] == "Lead"


async def test_what_cannot_be_selected(org: SimulatedOrg, tmp_path: Path) -> None:
    """Events have no change events; an object that the org does not know is its answer."""
    done = await capture.enable(configured(org, tmp_path), ["RTS_Push__e", "Acount"])
    assert [choice.error is not None for choice in done.objects] == [True, True]
    assert "no change events" in str(done.objects[0].error)
    assert str(done.objects[1].error).endswith("Did you mean Account?")
    single = configured(org, tmp_path, 'topic = "/data/LeadChangeEvent"')
    done = await capture.enable(single, ["Account"])
    assert "/data/LeadChangeEvent cannot carry Account" in str(done.objects[0].error)


async def run(org: SimulatedOrg, place: Path, *words: str, url: str = "") -> int:
    """Run `rtsd stream` with the configuration; return the exit status."""
    configured(org, place)
    path = place / "rtsd.toml"
    if url:
        path.write_text(path.read_text().replace(org.url, url))
    return await asyncio.to_thread(main, ("stream", *words, "-c", str(path)))


async def test_exit_statuses(org: SimulatedOrg, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 if everything is as wanted, 1 if the org refuses an object or cannot be asked."""
    assert await run(org, tmp_path, "enable", "Account", "Lead") == 0
    assert await run(org, tmp_path, "enable", "Account") == 0
    assert capsys.readouterr().out.count("Account is selected for /data/ChangeEvents") == 2
    assert await run(org, tmp_path, "enable", "Nonsense") == 1
    assert await run(org, tmp_path, "enable", "RTS_Push__e", "Opportunity") == 1
    said = capsys.readouterr()
    assert "Opportunity is selected for /data/ChangeEvents." in said.out
    assert "RTS_Push__e has no change events" in said.err
    assert await run(org, tmp_path, "enable", "Invoice__c", "Task", "--json") == 1
    refused = json.loads(capsys.readouterr().out)["objects"]
    assert [(choice["selected"], choice["error"] is None) for choice in refused] == [
        (True, True),
        (False, False),
    ]
    assert await run(org, tmp_path, "disable", "Lead", "Nonsense") == 0, "neither is selected now"
    for verb in ("enable", "disable"):
        assert await run(org, tmp_path, verb, "Lead", url="http://127.0.0.1:9") == 1
    assert "127.0.0.1:9" in capsys.readouterr().err


async def report_of(chosen: Config) -> Report:
    """What the check finds."""
    return await inspect(chosen)


async def test_check_tells_the_selection(org: SimulatedOrg, tmp_path: Path) -> None:
    """Which objects can have it, which are selected, the price, and what is delivered in vain."""
    chosen = configured(org, tmp_path, objects=("Account", "Lead", "Survey__c"))
    report = await report_of(chosen)
    (problem,) = [problem for problem in report.problems if "is selected for" in problem.what]
    assert "rtsd stream enable Account Lead" in problem.do
    await capture.enable(chosen, ["Account"])
    report = await report_of(chosen)
    assert report.capture is not None
    assert [(found.name, found.selected) for found in report.capture.objects][:2] == [
        ("Account", True),
        ("Lead", False),
    ]
    assert report.capture.completion_calls_a_day == 288 + 60
    assert report.capture.ignored == ["ContactChangeEvent"]
    warnings = " ".join(warning.what for warning in report.warnings)
    assert "read by Interval Sync: Lead" in warnings
    assert "Selected, but not mirrored: ContactChangeEvent" in warnings
    assert report.document()["capture"]["objects"][0] == {
        "name": "Account",
        "can_be_selected": True,
        "selected": True,
    }
    shown = "\n".join(lines(report))
    assert "cdc       /data/ChangeEvents; 2 selected in the org, 5 free" in shown
    assert "Account: selected" in shown
    assert "Lead: can be selected" in shown
    assert "348 API calls a day to complete rows" in shown


async def test_check_tells_of_missing_rights(org: SimulatedOrg, tmp_path: Path) -> None:
    """Events of what the user may not see are left out in silence."""
    assert org.server is not None
    org.server.org.database.execute("UPDATE PermissionSet SET PermissionsViewAllData = 0")  # the profile's
    report = await report_of(configured(org, tmp_path))
    assert [problem for problem in report.problems if "nothing says so" in problem.what]


def test_a_member_is_known_by_its_name_too() -> None:
    """Where the Tooling API gives ids of channels and events."""
    member = Member("0v8000000000001AAA", "Sales_chn_Order_ChangeEvent", "0YL000000000001", "01I000000000001")
    assert member.selects("Order__c", "Sales__chn")
    assert not member.selects("Order__c", "ChangeEvents")
    assert Member("0v8", "", "ChangeEvents", "Order__ChangeEvent").selects("Order__c", "ChangeEvents")


async def test_no_port_is_opened_for_nobody(org: SimulatedOrg, tmp_path: Path) -> None:
    """With a token the gateway stays open, as while a package still pushes; a wrong topic is a mistake."""
    assert configured(org, tmp_path).gateway.listen is None
    opened = configured(org, tmp_path, 'token = "0123456789abcdef"')
    assert opened.gateway.listen is not None
    assert not opened.is_pushed_to
    with pytest.raises(ConfigError) as caught:
        configured(org, tmp_path, 'topic = "ChangeEvents"')
    assert [mistake for mistake in caught.value.mistakes if mistake.startswith("push.topic")]
