"""The filter line against what plain Python would choose."""

from __future__ import annotations

import pytest

from rtsd.control.protocol import Event
from rtstui.filter import FilterMistake, parse
from tests.support.dashboard.scenarios import NOW, ago, events

JOURNAL = events(1, 400)


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ("", lambda event: True),
        ("obj:contact", lambda event: event.object == "Contact"),
        ("obj:Lead,Task op:delete", lambda event: event.object in {"Lead", "Task"} and event.op == "delete"),
        ("kind:pull", lambda event: event.source == "interval"),
        ("kind:error,audit", lambda event: event.type in {"error", "audit"}),
        ("!kind:push", lambda event: event.source != "push"),
        ("out:stale", lambda event: event.outcome == "stale"),
        ("field:phone", lambda event: "Phone" in (event.changed or ())),
        ("id:003", lambda event: (event.id or "").startswith("003")),
        ("LOCK_ROW", lambda event: "LOCK_ROW" in (event.message or "")),
        (
            "/^(PUSH|PULL) Lead/",
            lambda event: event.object == "Lead" and event.source in {"push", "interval"},
        ),
        ("by:audit,repair", lambda event: event.source == "repair"),
        ("by:pull", lambda event: event.source == "interval"),
        ("since:5s", lambda event: event.at >= ago(5)),
        ("until:5s", lambda event: event.at <= ago(5)),
        ("since:12:34:50 until:12:34:55", lambda event: "T12:34:50" <= event.at[10:] < "T12:34:55.001"),
        ("since:2026-03-01T12:34:56Z", lambda event: event.at[10:] >= "T12:34:56"),
        ("!since:2026-03-01T12:34:56", lambda event: event.at[10:] < "T12:34:56"),
        ('"exclusive access"', lambda event: "exclusive access" in (event.message or "")),
    ],
)
def test_a_filter_chooses_what_it_says(words: str, chosen: object) -> None:
    """Every kind of word, alone and together."""
    wanted = [event.seq for event in JOURNAL if chosen(event)]  # type: ignore[operator]
    assert [event.seq for event in JOURNAL if parse(words, NOW)(event)] == wanted
    assert wanted


@pytest.mark.parametrize(
    "words",
    [
        "/(/",
        "/open",
        "objekt:Contact",
        "obj:",
        '"open',
        "since:",
        "since:5",
        "since:soon",
        "until:25:00",
        "until:12:30,13:30",
        "since:999999999d",
        "since:2026-13-01",
        "by:ana",
    ],
)
def test_a_filter_that_cannot_be_read_says_why(words: str) -> None:
    """No traceback, a reason."""
    with pytest.raises(FilterMistake):
        parse(words, NOW)


def test_a_mistake_names_what_is_allowed() -> None:
    """A time that is none is answered with examples, a source with those there are."""
    with pytest.raises(FilterMistake, match="since: soon is no time; such as 5m, 12:30 or"):
        parse("since:soon", NOW)
    with pytest.raises(FilterMistake, match="by: ana is not one of push, interval, audit, repair"):
        parse("by:ana", NOW)


def test_an_entry_without_anything_passes_no_word() -> None:
    """Absent fields are no error."""
    bare = Event(seq=1, at="", type="mode")
    assert not any(
        parse(words, NOW)(bare)
        for words in ("obj:a", "op:a", "id:0", "out:a", "field:a", "by:push", "since:9d", "until:1s", "xyz")
    )
