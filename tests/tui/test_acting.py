"""What keys make the daemon do, and what they take along: questions first, refusals told, nothing lost."""

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec
import pytest
from textual.widgets import Button

from rtsd.control.protocol import Drift
from rtstui import saving
from rtstui.screens.dialogs import Confirm
from rtstui.widgets.stream import Stream
from tests.support.dashboard.app import notices, text, until
from tests.support.dashboard.scenarios import ago
from tests.support.dashboard.watching import kept, pressed, watching


async def test_pause_asks_first_and_enter_means_no(socket: Path) -> None:
    """Only y, or the button, pauses; the request names the object under the cursor."""
    async with watching(socket) as (app, pilot, daemon):
        await pressed(pilot, "3", "down", "P")
        await until(lambda: isinstance(app.screen, Confirm), pilot)
        await pressed(pilot, "enter")
        await until(lambda: not isinstance(app.screen, Confirm), pilot)
        assert daemon.requests == []
        await pressed(pilot, "P", "y")
        await until(lambda: daemon.requests)
        assert daemon.requests == [("POST /v1/pause", {"objects": ["Contact"]})]
        await until(lambda: "‖ paused" in text(app))
        await pressed(pilot, "P", "y")
        await until(lambda: len(daemon.requests) == 2)
        assert daemon.requests[1] == ("POST /v1/resume", {"objects": ["Contact"]})


async def test_an_audit_shows_its_price_and_wants_the_name(socket: Path) -> None:
    """Nothing is sent before the name is typed; the target is the row at the key press."""
    async with watching(socket) as (app, pilot, daemon):
        await pressed(pilot, "3", "down", "A")
        await until(lambda: isinstance(app.screen, Confirm), pilot)
        await until(lambda: "663,102" in text(app) and "140, up to 155 with repairs" in text(app))
        daemon.status.objects.reverse()
        daemon.send([], status=True)
        await pressed(pilot, *"Con", "enter")
        await until(lambda: isinstance(app.screen, Confirm), pilot)
        assert app.screen.query_one("#yes", Button).disabled
        assert daemon.requests == []
        await pressed(pilot, *"tact", "enter")
        await until(lambda: daemon.requests)
        assert daemon.requests == [("POST /v1/objects/Contact/audit", {"full": False, "dry_run": False})]


async def test_a_in_the_overview_audits_the_object_that_is_wrong(socket: Path) -> None:
    """Wherever the cursor is: the first answer promises that A repairs this object."""
    async with watching(socket) as (app, pilot, daemon):
        daemon.status.objects[4].drift = Drift(checked_at=ago(43), orphaned=28)
        daemon.send([], status=True)
        await until(lambda: "A repairs" in text(app), pilot)
        await pressed(pilot, "A")
        await until(lambda: isinstance(app.screen, Confirm), pilot)
        await pressed(pilot, *"Task", "enter")
        await until(lambda: daemon.requests)
        assert daemon.requests == [("POST /v1/objects/Task/audit", {"full": False, "dry_run": False})]


async def test_escape_in_a_dialog_sends_nothing(socket: Path) -> None:
    """The way out is always free."""
    async with watching(socket) as (app, pilot, daemon):
        for keys in (("3", "A"), ("3", "P"), ("4", "tab", "D"), ("4", "R")):
            await pressed(pilot, *keys)
            await until(lambda: isinstance(app.screen, Confirm), pilot)
            await pressed(pilot, "escape")
            await until(lambda: not isinstance(app.screen, Confirm), pilot)
        assert daemon.requests == []


async def test_dead_letters_are_retried_and_dropped(
    socket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chosen ones, one request each, and the list is read again; what is dropped is in a file first."""
    monkeypatch.chdir(tmp_path)
    async with watching(socket) as (app, pilot, daemon):
        await pressed(pilot, "4", "tab", "space", "space", "R", "y")
        await until(lambda: len(daemon.requests) == 2)
        paths = [path for path, _ in daemon.requests]
        assert paths == ["POST /v1/dead-letters/8790/retry", "POST /v1/dead-letters/8812/retry"]
        await until(lambda: len(app.state.dead_letters or ()) == 1, pilot)
        await pressed(pilot, "D", "1", "enter")
        await until(lambda: len(daemon.requests) == 3)
        assert daemon.requests[2][0] == "POST /v1/dead-letters/8633/drop"
        assert '"id": 8633' in kept(tmp_path)


async def test_a_retry_that_fails_again_says_so_and_why(socket: Path) -> None:
    """In the answer, with the next step, and in the detail at once: the loss keeps its time."""
    async with watching(socket, size=(120, 35)) as (app, pilot, daemon):
        daemon.failing = {8812}
        await pressed(pilot, "4", "tab")
        await until(lambda: "lost 12:33:56 UTC · Contact · 003Dn00000Dd4WuAAJ · 5 tries" in text(app), pilot)
        await pressed(pilot, "R", "y")
        await until(lambda: notices(app))
        why = "Dead letter 8812 failed again: Survey__c is not mirrored."
        do = "Add an [[objects]] section for it to rtsd.toml, restart rtsd, and retry; or drop it."
        assert notices(app) == [f"{why} {do}"]
        await until(lambda: "6 tries, the last 12:34:56 UTC" in text(app), pilot)
        assert "lost 12:33:56 UTC" in text(app)
        assert "rtsd retries it by itself once the field is there." in text(app)
        await pressed(pilot, "a", "R", "y")
        await until(lambda: len(daemon.letters) == 1)
        await until(lambda: any("2 applied, 1 failed again." in note for note in notices(app)))


async def test_nothing_is_dropped_that_could_not_be_kept(
    socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full must not cost what the dead letter held."""
    monkeypatch.setattr(saving, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    async with watching(socket) as (app, pilot, daemon):
        await pressed(pilot, "4", "tab", "D", "1", "enter")
        await until(lambda: any("No space left" in note for note in notices(app)))
        assert daemon.requests == []


async def test_a_refusal_is_told_in_its_own_words(socket: Path) -> None:
    """The daemon's reason reaches the operator, safely."""
    async with watching(socket) as (app, pilot, daemon):
        daemon.refuse = (429, "QuotaExhausted", "the reserve is [/] reached \x1b[2J")
        await pressed(pilot, "3", "P", "y")
        await until(lambda: any("reserve is [/] reached ␛[2J" in note for note in notices(app)))


async def test_read_only_never_writes(socket: Path) -> None:
    """No key, no palette entry: a thousand random presses, not one request."""
    random = Random(6)
    keys = [*"AFPRDVEXcsy1234567890anumz", "enter", "tab", "down", "space", "escape", "ctrl+s"]
    async with watching(socket, read_only=True) as (app, pilot, daemon):
        await pressed(pilot, "3")
        await until(lambda: app.current_mode == "3", pilot)
        assert "audit" not in text(app)
        for _ in range(8):
            for key in random.choices(keys, k=50):
                app.simulate_key(key)
            await pilot.pause()
        assert daemon.requests == []
        assert not [command for command in app.get_system_commands(app.screen) if "…" in command.title]


async def test_only_this_record_and_saved_as_lines(
    socket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O leaves the entries of the record under the cursor; w writes what is shown, as it is filtered."""
    monkeypatch.chdir(tmp_path)
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "2", "up", "o")
        stream = app.screen.query_one(Stream)
        await until(lambda: len(stream.lines) == 1, pilot)
        await pressed(pilot, "w")
        await until(lambda: any("Saved to" in note for note in notices(app)))
    assert msgspec.json.decode(kept(tmp_path))["seq"] == 399


async def test_copying_says_what_it_did_and_not_more(
    socket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a terminal takes it cannot be known; what is too long for one becomes a file."""
    monkeypatch.chdir(tmp_path)
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "2", "up", "Y")
        await until(lambda: '"seq":399,' in app.clipboard, pilot)
        await pressed(pilot, "y")
        await until(lambda: "PUSH" in app.clipboard, pilot)
        assert not any("copied" in note.lower() for note in notices(app))
        app.copy_to_clipboard("x" * 80_000)
        assert len(kept(tmp_path)) == 80_000


async def test_the_palette_says_why_something_cannot_be_done(socket: Path) -> None:
    """An act on a daemon that is away is offered with its reason, and does nothing."""
    async with watching(socket) as (app, pilot, daemon):
        await pressed(pilot, "3")
        await daemon.stop()
        await until(lambda: not app.state.live, pilot)
        (audit,) = [command for command in app.get_system_commands(app.screen) if command.title == "Audit…"]
        assert "not connected" in audit.help
        audit.callback()
        assert not isinstance(app.screen, Confirm)
        assert daemon.requests == []
