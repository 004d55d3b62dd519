"""The action log: who did what, and the way back from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from rtstui.app import RtsTui
from rtstui.screens.action_log import ActionLog
from rtstui.screens.dialogs import Confirm, Reader
from tests.support.dashboard.action_entries import action
from tests.support.dashboard.app import notices, text, until
from tests.support.dashboard.fake_daemon import FakeDaemon
from tests.support.dashboard.watching import pressed, watching


async def opened(app: RtsTui, pilot: Pilot[int], seen: str) -> None:
    """Open the log, and wait for its rows."""
    await pressed(pilot, "L")
    await until(lambda: isinstance(app.screen, ActionLog) and seen in text(app), pilot)


def logged(app: RtsTui, daemon: FakeDaemon, **entry: Any) -> None:
    """Have the daemon answer with one action, and the dashboard ask again."""
    daemon.papers["/v1/actions"] = {"actions": [action(399, **entry)]}
    app.state.documents.expire("actions")


async def test_the_log_opens_over_any_view_and_closes(socket: Path) -> None:
    """Time, who and by what, what, cost and end; Enter has the whole reason, Esc leads back."""
    async with watching(socket, size=(160, 40)) as (app, pilot, _):
        for view in ("1", "5", "9"):
            await pressed(pilot, view)
            await opened(app, pilot, "paused Contact")
            rows = text(app).splitlines()
            (row,) = [row for row in rows if "set the sync conditions" in row and "ana" in row]
            assert [word in row for word in ("ana (rtstui)", "to Email, Phone", " 3 ", "✔ done")] == [
                True
            ] * 4
            assert any("deploy (rtsd)" in row and "begun, run 17" in row for row in rows)
            await pressed(pilot, "down", "down", "down", "enter")
            await until(lambda: isinstance(app.screen, Reader), pilot)
            await until(lambda: "wait until it has arrived or failed again" in text(app), pilot)
            await pressed(pilot, "escape", "escape")
            await until(lambda: not isinstance(app.screen, ActionLog), pilot)
            assert app.current_mode == view


async def test_a_pause_is_undone_after_a_question(socket: Path) -> None:
    """Only what is still paused is resumed; the log is read again."""
    async with watching(socket) as (app, pilot, daemon):
        logged(app, daemon, name="pause", object="Contact", what="paused Contact", objects=["Contact"])
        daemon.status.objects[1].state = "paused"
        daemon.send([], status=True)
        await opened(app, pilot, "u: Resume Contact?")
        await pressed(pilot, "u", "n")
        await until(lambda: isinstance(app.screen, ActionLog), pilot)
        assert daemon.requests == []
        asked = daemon.asked.count("/v1/actions")
        await pressed(pilot, "u", "y")
        await until(lambda: daemon.requests)
        assert daemon.requests == [("POST /v1/resume", {"objects": ["Contact"]})]
        await until(lambda: "Contact resumed;" in text(app), pilot)
        await until(lambda: daemon.asked.count("/v1/actions") > asked, pilot)
        await until(lambda: "Contact is not paused any more" in text(app), pilot)
        await pressed(pilot, "u")
        assert len(daemon.requests) == 1


async def test_a_resume_is_undone_by_a_pause(socket: Path) -> None:
    """A resume of everything is not: nobody knows what was paused."""
    async with watching(socket) as (app, pilot, daemon):
        logged(app, daemon, name="resume", object="Lead", what="resumed Lead", objects=["Lead"])
        await opened(app, pilot, "u: Pause Lead?")
        await pressed(pilot, "u", "y")
        await until(lambda: daemon.requests)
        assert daemon.requests == [("POST /v1/pause", {"objects": ["Lead"]})]
        logged(app, daemon, name="resume", what="resumed the whole sync")
        await until(lambda: "does not tell what was paused before" in text(app), pilot)


async def test_conditions_are_set_back_unless_they_were_changed_since(socket: Path) -> None:
    """The fields before, as they were journalled; an edit that came later is not overwritten."""
    fields = {"before": ["Fax"], "after": ["Email", "Phone"]}
    async with watching(socket) as (app, pilot, daemon):
        logged(app, daemon, name="conditions", object="Contact", what="set the sync conditions", **fields)
        await opened(app, pilot, "u: Set the sync conditions of Contact back?")
        await pressed(pilot, "u", *"Contact", "enter")
        await until(lambda: daemon.requests)
        assert daemon.requests == [("PUT /v1/objects/Contact/conditions", {"fields": ["Fax"]})]
        daemon.papers["/v1/objects/Contact/conditions"]["fields"] = ["Email"]
        await pressed(pilot, "u", *"Contact", "enter")
        await until(lambda: any("were changed since" in note for note in notices(app)), pilot)
        assert len(daemon.requests) == 1


async def test_push_is_switched_back(socket: Path) -> None:
    """Disabled is enabled after y; to disable it again, the word is typed."""
    async with watching(socket) as (app, pilot, daemon):
        logged(app, daemon, name="disable", what="disabled the package", changed=True)
        daemon.status.package.disabled = True
        daemon.send([], status=True)
        await opened(app, pilot, "u: Enable push in Salesforce?")
        await pressed(pilot, "u", "y")
        await until(lambda: daemon.requests)
        logged(app, daemon, name="enable", what="enabled the package", changed=True)
        daemon.status.package.disabled = False
        daemon.send([], status=True)
        await until(lambda: "u: Disable push in Salesforce?" in text(app), pilot)
        await pressed(pilot, "u", "y", "enter")
        assert isinstance(app.screen, Confirm)
        assert len(daemon.requests) == 1
        await pressed(pilot, "escape", "u", *"disable", "enter")
        await until(lambda: len(daemon.requests) == 2)
        assert [path for path, _ in daemon.requests] == [
            "POST /v1/package/enable",
            "POST /v1/package/disable",
        ]


async def test_what_cannot_be_undone_says_why(socket: Path) -> None:
    """On the row, and when u is pressed; nothing is asked of the daemon."""
    async with watching(socket) as (app, pilot, daemon):
        for entry, why in (
            ({"name": "drop", "what": "dropped dead letter 7"}, "is in the file that was written first"),
            ({"name": "drop", "what": "dropped dead letter 8", "program": "rtsd"}, "dead letter is gone"),
            ({"name": "audit", "outcome": "running", "what": "audit Lead"}, "equal to the org"),
            ({"name": "pause", "outcome": "refused", "what": "pause X", "reason": "no"}, "it was not done"),
            ({"name": "enable", "what": "enabled the package", "changed": False}, "enabled already"),
        ):
            logged(app, daemon, **entry)
            await opened(app, pilot, why)
            await pressed(pilot, "u")
            await until(lambda why=why: any(why in note for note in notices(app)), pilot)
            await pressed(pilot, "L")
            await until(lambda: not isinstance(app.screen, ActionLog), pilot)
            assert daemon.requests == []


async def test_read_only_shows_the_log_and_undoes_nothing(socket: Path) -> None:
    """Looking is free; u is not offered, and says why not."""
    async with watching(socket, read_only=True) as (app, pilot, daemon):
        await opened(app, pilot, "paused Contact")
        assert "u undo" not in text(app)
        await pressed(pilot, "u")
        assert isinstance(app.screen, ActionLog)
        assert daemon.requests == []


async def test_empty_old_and_lost(socket: Path) -> None:
    """No action yet; a daemon without a log; a daemon that is gone, whose last data are dated."""
    async with watching(socket) as (app, pilot, daemon):
        daemon.papers["/v1/actions"] = {"actions": []}
        await opened(app, pilot, "No action yet.")
        del daemon.papers["/v1/actions"]
        await pressed(pilot, "escape")
        app.state.documents.expire()
        await opened(app, pilot, "No action yet.")
        await daemon.stop()
        await until(lambda: "as of 12:34:56" in text(app), pilot)
    async with watching(socket) as (app, pilot, daemon):
        del daemon.papers["/v1/actions"]
        await opened(app, pilot, "older than the dashboard")
        await daemon.stop()
        await pressed(pilot, "u")
        await until(lambda: isinstance(app.screen, ActionLog), pilot)


async def test_a_masked_log_hides_reasons(socket: Path) -> None:
    """A daemon's text about a refusal may quote a value; names of people who acted stay."""
    async with watching(socket, size=(120, 35)) as (app, pilot, daemon):
        logged(
            app,
            daemon,
            name="drop",
            outcome="refused",
            what="drop dead letter 7",
            reason="canary@example.com",
        )
        await pressed(pilot, "m")
        await opened(app, pilot, "drop dead letter 7")
        assert "canary" not in text(app)
        assert "refused: •••••" in text(app)
        await pressed(pilot, "enter")
        await until(lambda: isinstance(app.screen, Reader), pilot)
        await until(lambda: "could not drop dead letter 7" in text(app), pilot)
        assert "canary" not in text(app)
