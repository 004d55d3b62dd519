"""The views that ask the daemon: audits, conditions, rules, SQL; and a daemon that cannot answer them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from rtstui.screens.dialogs import Confirm, Reader
from rtstui.widgets.conditions import Fields
from tests.support.dashboard.app import notices, text, until
from tests.support.dashboard.papers import PACKAGE, RESULT, conditions
from tests.support.dashboard.watching import pressed, watching


async def test_audits_show_what_runs_and_what_was_found(socket: Path) -> None:
    """The audit under way, the newest findings, and the ids of one in full."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "7")
        await until(lambda: "reading by Bulk, 81,200 rows" in text(app) and "2 missing" in text(app), pilot)
        await pressed(pilot, "tab", "tab", "up", "enter")
        await until(lambda: isinstance(app.screen, Reader), pilot)
        await until(lambda: "00TDn00000Kk1PoAAJ" in text(app))


async def test_verifying_asks_and_tells_what_was_wrong(socket: Path) -> None:
    """It reads the whole file: nothing begins by itself, and a fault is not called success."""
    async with watching(socket) as (app, pilot, daemon):
        await pressed(pilot, "7", "V", "escape")
        assert daemon.requests == []
        daemon.papers["POST /v1/verify"] = {
            "ok": False,
            "faults": [],
            "objects": [{"name": "Task", "broken": ["x"]}],
        }
        await pressed(pilot, "V", "y")
        await until(lambda: any("Not everything is right: Task" in note for note in notices(app)))


async def test_conditions_are_staged_reviewed_and_applied(socket: Path) -> None:
    """Toggling sends nothing; the name has to be typed; exactly what was reviewed is sent."""
    async with watching(socket) as (app, pilot, daemon):
        await pressed(pilot, "6", "down", "enter")
        await until(lambda: "[x] Email" in text(app), pilot)
        await pressed(pilot, "space", "down", "down", "down", "space", "u", "space")
        await until(lambda: "[-] Email" in text(app), pilot)
        assert "+ FirstName" in text(app)
        await pressed(pilot, "enter")
        await until(lambda: isinstance(app.screen, Confirm), pilot)
        assert "- Email" in text(app)
        await pressed(pilot, "enter")
        assert daemon.requests == []
        await pressed(pilot, *"Contact", "enter")
        await until(lambda: daemon.requests)
        assert daemon.requests == [
            ("PUT /v1/objects/Contact/conditions", {"fields": ["FirstName", "Phone"]}),
        ]


async def test_conditions_edited_in_salesforce_meanwhile_are_not_overwritten(socket: Path) -> None:
    """What stands in the org is read again before it is replaced."""
    async with watching(socket) as (app, pilot, daemon):
        await pressed(pilot, "6", "down", "enter")
        await until(lambda: "[x] Email" in text(app), pilot)
        await pressed(pilot, "space", "enter")
        await until(lambda: isinstance(app.screen, Confirm), pilot)
        daemon.papers["/v1/objects/Contact/conditions"] = conditions("Contact", ["Email", "Phone", "Title"])
        await pressed(pilot, *"Contact", "enter")
        await until(lambda: any("changed in Salesforce meanwhile" in note for note in notices(app)))
        assert daemon.requests == []
        await until(lambda: "[x] Title" in text(app) and "[-] Email" in text(app))


async def test_looking_at_conditions_costs_no_call(socket: Path) -> None:
    """Only c reads the org, and asks before."""
    async with watching(socket) as (app, pilot, daemon):
        await pressed(pilot, "6", "down")
        await until(lambda: app.screen.query_one(Fields).keys(), pilot)
        asked = [path for path in daemon.asked if "/conditions" in path]
        assert asked
        assert all(path.endswith("?org=0") for path in asked)
        await pressed(pilot, "c", "y")
        await until(lambda: "/v1/objects/Contact/conditions" in daemon.asked)


@pytest.mark.parametrize("disabled", [False, True])
async def test_push_is_switched_off_and_on(socket: Path, disabled: bool) -> None:  # noqa: FBT001
    """Off needs a word to be typed, for it concerns the whole org; on needs a yes."""
    async with watching(socket) as (app, pilot, daemon):
        daemon.papers["/v1/package"] = PACKAGE | {"disabled": disabled}
        daemon.papers["POST /v1/package/enable"] = daemon.papers["POST /v1/package/disable"] = PACKAGE
        await pressed(pilot, "6", "X")
        await until(lambda: isinstance(app.screen, Confirm), pilot)
        await pressed(pilot, *("y" if disabled else (*"disable", "enter")))
        verb = "enable" if disabled else "disable"
        await until(lambda: f"/v1/package/{verb}" in daemon.asked)


async def test_a_rule_is_tested_without_sending_anything(socket: Path) -> None:
    """T, since when, and what it would have fired on; a moment that is none is told."""
    async with watching(socket) as (app, pilot, daemon):
        await pressed(pilot, "9")
        await until(lambda: "webinar-sequence" in text(app) and "2 in trouble" in text(app), pilot)
        await pressed(pilot, "T", "x", "enter")
        await until(lambda: any("24hx is no time; such as 5m" in note for note in notices(app)), pilot)
        await pressed(pilot, "backspace", "enter")
        await until(lambda: "2 matching of 8,120 changes" in text(app))
        assert "/v1/rules/webinar-sequence/test" in daemon.asked
        assert daemon.requests == []


async def test_a_rule_in_trouble_says_why(socket: Path) -> None:
    """The card explains the row under the cursor."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "9")
        await until(lambda: "webinar-sequence" in text(app), pilot)
        await pressed(pilot, "down")
        await until(lambda: "circuit open" in text(app), pilot)
        await pressed(pilot, "down")
        await until(lambda: "Task has no field Gone__c" in text(app))


async def test_sql_is_asked_shown_and_saved(
    socket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A SELECT's rows, one of them in full, and all of them as CSV that only its owner may read."""
    monkeypatch.chdir(tmp_path)
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "0", *"SELECT", "enter")
        await until(lambda: "Person 3" in text(app) and "more that are not shown" in text(app), pilot)
        await pressed(pilot, "down", "d")
        await until(lambda: isinstance(app.screen, Reader) and "Person 1" in text(app), pilot)
        await pressed(pilot, "escape", "w")
        await pressed(pilot, "right", "right")
        await until(lambda: "Person" not in text(app), pilot)
    mode, rows = saved(tmp_path)
    assert (mode, rows[0]) == (0o600, RESULT["columns"])
    assert (len(rows), rows[1][1], rows[1][2]) == (41, "Person 0", "")


def saved(directory: Path) -> tuple[int, list[list[str]]]:
    """The mode of the one file there is, and what is in it."""
    (file,) = directory.iterdir()
    return file.stat().st_mode & 0o777, list(csv.reader(file.read_text().splitlines()))


@pytest.mark.parametrize("view", ["5", "6", "7", "9"])
async def test_an_older_daemon_is_called_older(socket: Path, view: str) -> None:
    """A route that it has never heard of leaves the view standing, with what to do."""
    async with watching(socket, size=(120, 35)) as (app, pilot, daemon):
        daemon.papers.clear()
        await pressed(pilot, view)
        await until(lambda: "older than the dashboard" in text(app))
        assert "Upgrade rtsd" in text(app)
        assert "failed" not in text(app)


async def test_a_refusal_stays_in_its_panel(socket: Path) -> None:
    """The reason stands where the answer would; the view lives."""
    async with watching(socket) as (app, pilot, daemon):
        del daemon.papers["POST /v1/query"]
        daemon.refuse = (400, "UsageError", "no such column: [/] \x1b[2J")
        await pressed(pilot, "0", *"S", "enter")
        await until(lambda: "no such column: [/] ␛[2J" in text(app))


async def test_what_was_asked_is_asked_again_after_a_restart(socket: Path) -> None:
    """Old answers are dated while the daemon is away, and fresh when it is back."""
    async with watching(socket) as (app, pilot, daemon):
        await pressed(pilot, "9")
        await until(lambda: "webinar-sequence" in text(app), pilot)
        await daemon.stop()
        await until(lambda: "as of 12:34:56" in text(app))
        before: list[Any] = list(daemon.asked)
        await daemon.start()
        await until(lambda: daemon.asked[len(before) :].count("/v1/rules"), seconds=8)
        await until(lambda: "as of" not in text(app))
