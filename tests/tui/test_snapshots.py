"""Pictures of every view and every state; a change of one is looked at before it is accepted.

`pytest tests/tui/test_snapshots.py --snapshot-update`, then open the SVG files beside this one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from textual.pilot import Pilot

from rtstui import documents
from rtstui.app import RtsTui
from rtstui.state import Phase, State
from tests.support.dashboard.app import answered, filled, state, still_app
from tests.support.dashboard.choice import chosen, settled
from tests.support.dashboard.cluster import clustered
from tests.support.dashboard.scenarios import NOW, SCENARIOS, events

SIZES = {"small": (80, 24), "medium": (120, 35), "large": (200, 50)}
VIEWS = {
    "overview": "1",
    "events": "2",
    "objects": "3",
    "errors": "4",
    "quota": "5",
    "conditions": "6",
    "audits": "7",
    "record": "8",
    "rules": "9",
    "sql": "0",
    "service": "S",
}

Compare = Callable[..., bool]
Before = Callable[[Pilot[int]], Awaitable[None]]


def pictured(compare: Compare, app: RtsTui, size: str, run_before: Before | None = None) -> bool:
    """Whether the picture is the accepted one, of an app that did not crash on the way."""
    same = compare(app, terminal_size=SIZES[size], run_before=run_before or settled)
    return same and not app.return_code


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("view", VIEWS)
def test_view(snap_compare: Compare, view: str, size: str) -> None:
    """Every view, busy and well, in three sizes."""
    app = still_app(answered(filled(SCENARIOS["live"]())), view=VIEWS[view])
    assert pictured(snap_compare, app, size, chosen)


@pytest.mark.parametrize(
    "scenario", ["loading", "silent", "empty", "error", "deferred", "paused", "captured", "stream_down"]
)
def test_scenario(snap_compare: Compare, scenario: str) -> None:
    """The overview in each state of the daemon, at the smallest full size."""
    journal = {"empty": 0, "loading": 12}.get(scenario, 400)
    app = still_app(filled(SCENARIOS[scenario](), events(1, journal)))
    assert pictured(snap_compare, app, "small")


@pytest.mark.parametrize(
    ("scenario", "view"),
    [("captured", "objects"), ("captured", "conditions"), ("stream_down", "conditions")],
)
def test_channel(snap_compare: Compare, scenario: str, view: str) -> None:
    """How changes arrive by a subscription: what it says of itself, and of what it leaves out."""
    app = still_app(answered(filled(SCENARIOS[scenario]())), view=VIEWS[view])
    assert pictured(snap_compare, app, "small")


def test_cluster(snap_compare: Compare) -> None:
    """Several nodes, of which one refused pushes and one is configured otherwise; a stream is behind."""
    assert pictured(snap_compare, still_app(answered(filled(clustered())), view="S"), "small")


def connecting() -> State:
    """Nothing has answered yet."""
    told = state()
    told.relink(Phase.CONNECTING)
    return told


def failed(phase: Phase, message: str, do: str, told: State | None = None) -> State:
    """An attempt that failed."""
    told = told or state()
    told.relink(phase, message, do, attempt=2, retry_at=NOW + timedelta(seconds=2))
    return told


LINKS: dict[str, Callable[[], State]] = {
    "connecting": connecting,
    "absent": lambda: failed(
        Phase.ABSENT,
        "No rtsd here: /run/rtsd/rtsd.sock does not exist.",
        "Start it with `rtsd run` (or `systemctl start rtsd`), or name its socket with --socket.",
    ),
    "forbidden": lambda: failed(
        Phase.FORBIDDEN,
        "No permission to use /run/rtsd/rtsd.sock.",
        "Join its group with `sudo usermod -aG rtsd ana`, then log in again.",
    ),
    "foreign": lambda: failed(
        Phase.FOREIGN, "rtsd 3.0.0 speaks protocol 2, this rtstui speaks 1.", "Upgrade rtstui."
    ),
    "lost": lambda: failed(
        Phase.LOST,
        "rtsd behind /run/rtsd/rtsd.sock closed the connection.",
        "Look at its log, or start it again.",
        filled(SCENARIOS["live"]()),
    ),
}


@pytest.mark.parametrize("link", LINKS)
def test_link(snap_compare: Compare, link: str) -> None:
    """Every state of the connection says what it is and what to do."""
    assert pictured(snap_compare, still_app(LINKS[link]()), "small")


KEYS = {
    "help": ("1", "question_mark"),
    "detail": ("2", "up", "up", "d"),
    "find": ("1", "ctrl+f"),
    "filter": ("2", "slash", *"obj:lead /(/"),
    "pause": ("3", "down", "P"),
    "drop": ("4", "tab", "D"),
}


@pytest.mark.parametrize("name", KEYS)
def test_keys(snap_compare: Compare, name: str) -> None:
    """What opens over a view."""
    view, *keys = KEYS[name]
    app = still_app(filled(SCENARIOS["live"]()), view=view)

    async def press(pilot: Pilot[int]) -> None:
        await settled(pilot)
        await pilot.press(*keys)
        await settled(pilot)

    assert pictured(snap_compare, app, "small", press)


def older() -> State:
    """A daemon that has never heard of a question."""
    told = filled(SCENARIOS["live"]())
    document = told.documents.get(documents.audits())
    document.unsupported, document.requested_at = True, told.now()
    return told


def asking() -> State:
    """An answer that has not come yet."""
    told = filled(SCENARIOS["live"]())
    document = told.documents.get(documents.rules())
    document.loading, document.requested_at = True, NOW - timedelta(seconds=4)
    return told


def refused() -> State:
    """A question that was refused, with an old answer to show."""
    told = answered(filled(SCENARIOS["live"]()))
    document = told.documents.get(documents.quota_history())
    document.value, document.problem = None, "StorageFailed: the disk is broken"
    return told


ANSWERS: dict[str, tuple[str, Callable[[], State]]] = {
    "older": ("7", older),
    "asking": ("9", asking),
    "refused": ("5", refused),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answer(snap_compare: Compare, name: str) -> None:
    """Every way of having no answer says what it is and what to do."""
    view, told = ANSWERS[name]
    assert pictured(snap_compare, still_app(told(), view=view), "small")


def test_masked(snap_compare: Compare) -> None:
    """A record on a shared screen."""
    app = still_app(answered(filled(SCENARIOS["live"]())), view="8")
    app.masking = True
    assert pictured(snap_compare, app, "medium", chosen)


def test_orgs(snap_compare: Compare) -> None:
    """Several daemons, each with what is worst about it."""
    app = still_app(filled(SCENARIOS["live"]()))
    for scenario, name in (("silent", "Globex"), ("loading", "Initech"), ("error", "Umbrella")):
        other = filled(SCENARIOS[scenario]())
        assert other.status is not None
        other.status.org.name = other.status.store.id = name
        app.links.append(still_app(other).links[0])
    gone = LINKS["lost"]()
    app.links.append(still_app(gone).links[0])

    async def press(pilot: Pilot[int]) -> None:
        await settled(pilot)
        await pilot.press("ctrl+o")
        await settled(pilot)

    assert pictured(snap_compare, app, "medium", press)


@pytest.mark.parametrize("size", ["small", "large"])
def test_action_log(snap_compare: Compare, size: str) -> None:
    """Who did what, over a view, with one that can be undone under the cursor."""
    app = still_app(answered(filled(SCENARIOS["live"]())), view="3")

    async def press(pilot: Pilot[int]) -> None:
        await settled(pilot)
        await pilot.press("L", "down")
        await pilot.pause(0.6)

    assert pictured(snap_compare, app, size, press)


def test_ascii(snap_compare: Compare) -> None:
    """Nothing but ASCII, and every state can still be told apart."""
    app = still_app(filled(SCENARIOS["error"]()), ascii_only=True)
    assert pictured(snap_compare, app, "medium")


async def reviewed(pilot: Pilot[int]) -> None:
    """Conditions changed, and the question before they are applied."""
    await settled(pilot)
    await pilot.press("down", "enter", "space", "down", "down", "space", "enter")
    await settled(pilot)


def test_review(snap_compare: Compare) -> None:
    """What will be written in the org, before it is."""
    app = still_app(answered(filled(SCENARIOS["live"]())), view="6")
    assert pictured(snap_compare, app, "small", reviewed)


@pytest.mark.parametrize("theme", ["rts-light", "rts-contrast"])
def test_theme(snap_compare: Compare, theme: str) -> None:
    """The other themes, with something of every role in sight."""
    app = still_app(filled(SCENARIOS["error"]()))
    app.theme = theme
    assert pictured(snap_compare, app, "medium")


def test_no_color(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR: the terminal's own two colours, and everything can still be told apart."""
    monkeypatch.setenv("NO_COLOR", "1")
    app = still_app(filled(SCENARIOS["error"]()), view="3")
    assert pictured(snap_compare, app, "small")
