"""The filter line against what plain Python would choose."""

from __future__ import annotations

import pytest

from rtsd.control.protocol import Event
from rtstui.filter import FilterMistake, parse
from tests.support.dashboard.scenarios import events

JOURNAL = events(1, 400)


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ("", lambda one: True),
        ("obj:contact", lambda one: one.object == "Contact"),
        ("obj:Lead,Task op:delete", lambda one: one.object in {"Lead", "Task"} and one.op == "delete"),
        ("kind:pull", lambda one: one.source == "interval"),
        ("kind:error,audit", lambda one: one.type in {"error", "audit"}),
        ("!kind:push", lambda one: one.source != "push"),
        ("out:stale", lambda one: one.outcome == "stale"),
        ("field:phone", lambda one: "Phone" in (one.changed or ())),
        ("id:003", lambda one: (one.id or "").startswith("003")),
        ("LOCK_ROW", lambda one: "LOCK_ROW" in (one.message or "")),
        ("/^(PUSH|PULL) Lead/", lambda one: one.object == "Lead" and one.source in {"push", "interval"}),
        ('"exclusive access"', lambda one: "exclusive access" in (one.message or "")),
    ],
)
def test_a_filter_chooses_what_it_says(words: str, chosen: object) -> None:
    """Every kind of word, alone and together."""
    wanted = [one.seq for one in JOURNAL if chosen(one)]  # type: ignore[operator]
    assert [one.seq for one in JOURNAL if parse(words)(one)] == wanted
    assert wanted


@pytest.mark.parametrize("words", ["/(/", "/open", "objekt:Contact", "obj:", '"open'])
def test_a_filter_that_cannot_be_read_says_why(words: str) -> None:
    """No traceback, a reason."""
    with pytest.raises(FilterMistake):
        parse(words)


def test_an_entry_without_anything_passes_no_word() -> None:
    """Absent fields are no error."""
    bare = Event(seq=1, at="", type="mode")
    assert not any(parse(words)(bare) for words in ("obj:a", "op:a", "id:0", "out:a", "field:a", "xyz"))
