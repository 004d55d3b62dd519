"""One record: how it is reached, what is shown of it, what may be seen by others."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot

from rtsd.control.protocol import DeadLetter, ErrorEntry, Event
from rtstui.app import RtsTui
from rtstui.screens.dialogs import Confirm, Reader
from rtstui.screens.find import Find
from rtstui.screens.record import RecordView
from rtstui.screens.view import record_of
from rtstui.widgets.record import Values
from tests.support.dashboard.app import notices, text, until
from tests.support.dashboard.papers import CONTACT, HISTORY, VALUES, WHY_COMPARED
from tests.support.dashboard.scenarios import ago, event
from tests.support.dashboard.watching import pressed, watching

PATH = f"/v1/objects/Contact/records/{CONTACT}"


async def typed(app: RtsTui, pilot: Pilot[int], words: str) -> None:
    """Open a record by typing it."""
    await pressed(pilot, "8", "slash", *("space" if letter == " " else letter for letter in words), "enter")
    await until(lambda: "ana@acme.example" in text(app), pilot)


async def test_an_id_alone_is_looked_for_in_every_object(socket: Path) -> None:
    """The operator need not know whose id it is; the values, the past and the reasons are all there."""
    async with watching(socket, size=(200, 50)) as (app, pilot, daemon):
        await typed(app, pilot, CONTACT)
        await pressed(pilot, "e")
        for said in ("Head of Logistics", "null", "ana@old.example → ana@acme.example", "1 push stale"):
            await until(lambda said=said: said in text(app))
        assert f"{PATH}/why?org=0" in daemon.asked
        assert f"{PATH}/why" not in daemon.asked, "looking must not cost an API call"


async def test_the_object_of_a_record_has_the_state_that_its_view_shows(socket: Path) -> None:
    """The words "pending, proven 03:42" stood beside "proving" in the view of objects."""
    async with watching(socket, size=(200, 50)) as (app, pilot, _):
        assert app.state.status is not None
        contact = next(item for item in app.state.status.objects if item.name == "Contact")
        contact.state = "pending"
        await typed(app, pilot, CONTACT)
        await until(lambda: "Its object is proving, last proven" in text(app), pilot)


async def test_what_is_no_id_is_not_asked_for(socket: Path) -> None:
    """What may be a name is searched for; nothing at all is told, and the line stays open."""
    async with watching(socket) as (app, pilot, daemon):
        await pressed(pilot, "8", "slash", "enter")
        await until(lambda: any("Type an id, or a name" in note for note in notices(app)), pilot)
        await pressed(pilot, *"003", "enter")
        await until(lambda: isinstance(app.screen, Find), pilot)
        assert not [path for path in daemon.asked if "/records/" in path]


async def test_a_record_nobody_has_seen_says_so(socket: Path) -> None:
    """Not found is an answer, not a blank page."""
    async with watching(socket) as (app, pilot, _):
        await pressed(pilot, "8", "slash", *"003000000000001", "enter")
        await until(lambda: "never seen" in text(app))


async def test_enter_on_an_event_opens_its_record(socket: Path) -> None:
    """From the stream, in any view of it, to the record in one key; and back to its events with another."""
    async with watching(socket) as (app, pilot, daemon):
        daemon.happen(
            [Event(seq=401, at=event(1).at, type="change", object="Contact", id=CONTACT, op="update")]
        )
        await until(lambda: app.state.newest == 401, pilot)
        await pressed(pilot, "enter")
        await until(lambda: "Head of Logistics" in text(app), pilot)
        await pressed(pilot, "o")
        await until(lambda: app.current_mode == "2" and f"id:{CONTACT[:15]}" in text(app), pilot)


async def test_enter_on_a_dead_letter_opens_its_record(socket: Path) -> None:
    """What could not be applied leads to what is there."""
    async with watching(socket) as (app, pilot, daemon):
        daemon.letters[0].record = CONTACT
        app.link.read_log()
        await pressed(pilot, "4", "tab")
        await until(lambda: CONTACT in text(app), pilot)
        await pressed(pilot, "enter")
        await until(lambda: "Head of Logistics" in text(app), pilot)


def test_an_error_names_a_record_by_the_id_in_its_text() -> None:
    """Errors have no record of their own; a word that is no id is not taken for one."""
    error = ErrorEntry(seq=1, at="", error="X", message=f"cannot lock {CONTACT}", object="Contact")
    assert record_of(error) == ("Contact", CONTACT)
    error.message = "unable to obtain exclusive access"
    assert record_of(error) is None
    assert record_of(DeadLetter(id=1, at="", reason="x", message="", object="Contact")) is None


async def test_enter_shows_all_of_a_value(socket: Path) -> None:
    """What does not fit in the line can be read in full."""
    async with watching(socket) as (app, pilot, _):
        await typed(app, pilot, f"Contact {CONTACT}")
        await pressed(pilot, "e", *["down"] * list(VALUES).index("Description"), "enter")
        await until(lambda: isinstance(app.screen, Reader), pilot)
        await until(lambda: "Fridays" in text(app))
        await pressed(pilot, "escape")
        await until(lambda: isinstance(app.screen, RecordView), pilot)
        await pressed(pilot, "e")
        await until(lambda: "Phone" not in app.screen.query_one(Values).values(), pilot)


async def test_masking_hides_every_value_and_privacy_stays(socket: Path) -> None:
    """For a shared screen: no value of the record is on it, in the table, the past, or the comparison."""
    async with watching(socket, size=(200, 50)) as (app, pilot, daemon):
        daemon.papers[f"{PATH}/why"] = WHY_COMPARED
        await typed(app, pilot, CONTACT)
        await until(lambda: "sha256:9f2ac0 (hash)" in text(app), pilot)
        await pressed(pilot, "c", "y")
        await until(lambda: "differs from the org in Title" in text(app), pilot)
        await pressed(pilot, "m")
        await until(lambda: "•••••" in text(app))
        hidden = [str(value) for name, value in VALUES.items() if value and name not in {"Id", "IsActive__c"}]
        for value in [*hidden, "ana@old.example", "Director", "+351"]:
            assert value not in text(app), value
        await pressed(pilot, "m")
        await until(lambda: "Head of Logistics" in text(app))


async def test_comparing_and_fetching_ask_first(socket: Path) -> None:
    """Both cost a call: nothing is asked of the org before the answer is yes."""
    async with watching(socket) as (app, pilot, daemon):
        await typed(app, pilot, CONTACT)
        await pressed(pilot, "c")
        await until(lambda: isinstance(app.screen, Confirm), pilot)
        assert "One API call" in text(app)
        await pressed(pilot, "enter")
        assert f"{PATH}/why" not in daemon.asked
        await pressed(pilot, "R", "y")
        await until(lambda: daemon.requests)
        assert daemon.requests == [("POST /v1/objects/Contact/repair", {"ids": [CONTACT]})]


async def test_the_record_follows_the_feed(socket: Path) -> None:
    """A change of the record that is looked at is seen without a key."""
    async with watching(socket) as (app, pilot, daemon):
        await typed(app, pilot, CONTACT)
        values = VALUES | {"Title": "Director of Everything"}
        daemon.papers[f"{PATH}/history"] = HISTORY | {"now": HISTORY["now"] | {"values": values}}
        daemon.happen([Event(seq=401, at=event(1).at, type="change", object="Contact", id=CONTACT)])
        await until(lambda: "Director of Everything" in text(app))
        assert isinstance(app.screen, RecordView)


SYSTEM: dict[str, dict[str, object]] = {
    "LastModifiedById": {"from": "005Dn00000Kk1PnIAJ", "to": "005Dn00000Kk1PoIAJ"},
    "SystemModstamp": {"from": "2026-03-01T10:00:00.000Z", "to": "2026-03-01T12:32:56.000Z"},
}


async def test_the_history_leaves_out_what_the_system_sets(socket: Path) -> None:
    """Unless nothing else changed; `a` shows all of it, enter on a change too."""
    async with watching(socket, size=(200, 50)) as (app, pilot, daemon):
        edited = {"Amount__c": {"from": 12_000, "to": 15_000}, "Title": {"from": None, "to": "Director"}}
        first, *_ = HISTORY["versions"]
        both = {"seq": 320, "at": ago(60), "op": "update", "source": "push", "changed": SYSTEM | edited}
        alone = {"seq": 321, "at": ago(50), "op": "update", "source": "interval", "changed": SYSTEM}
        daemon.papers[f"{PATH}/history"] = HISTORY | {"versions": [first, both, alone]}
        await typed(app, pilot, CONTACT)
        said = "Amount__c 12,000 → 15,000 · Title null → Director"
        await until(lambda: said in text(app))
        whose = "LastModifiedById 005Dn00000Kk1PnIAJ → 005Dn00000Kk1PoIAJ"
        assert text(app).count(whose) == 1
        await pressed(pilot, "a")
        await until(lambda: text(app).count(whose) == 2)
        await pressed(pilot, "a")
        await until(lambda: text(app).count(whose) == 1)
        await pressed(pilot, "tab", "up", "enter")
        await until(lambda: isinstance(app.screen, Reader) and whose in text(app), pilot)
