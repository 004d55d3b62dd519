"""Nothing that steers a terminal survives `clean`."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsd.control.protocol import Event, Status
from rtstui.clean import LONGEST, clean, scrub

BAD = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_no_character_that_steers_survives(text: str) -> None:
    """Whatever comes in, only printable characters go out, and never more than is kept."""
    shown = clean(text)
    assert {unicodedata.category(character) for character in shown}.isdisjoint(BAD)
    assert len(shown) <= LONGEST


@given(st.text(st.characters(categories=("L", "N", "P", "S"))))
def test_ordinary_text_is_left_alone(text: str) -> None:
    """Any script, any punctuation, `[markup]` included."""
    assert clean(text, longest=len(text) + 1) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;cHduZWQ=\x07", "␛]52;c;cHduZWQ=␇"),
        ("a\nb\tc\r", "a␊b␉c␍"),
        ("\x9b31mred", "\N{REPLACEMENT CHARACTER}31mred"),
        ("\u202egnp.exe", "\N{REPLACEMENT CHARACTER}gnp.exe"),
        ("a\u00a0b", "a b"),
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
        ("e" + "\u0301" * 50, "e\u0301\u0301"),
        ("[/x] [@click=app.quit]x[/]", "[/x] [@click=app.quit]x[/]"),
        ("Ψηφία 数字 🙂", "Ψηφία 数字 🙂"),
    ],
)
def test_what_is_replaced_is_seen(text: str, shown: str) -> None:
    """A replaced character leaves a visible mark: nothing vanishes."""
    assert clean(text) == shown


def test_a_megabyte_is_cut() -> None:
    """One field cannot fill the memory or the screen."""
    assert len(clean("x" * 1_000_000)) == LONGEST


def test_scrub_reaches_every_string() -> None:
    """Lists, dicts, keys and structs inside structs."""
    event = scrub(
        Event(
            seq=1, at="\x1b", type="\x1b", changed=["\x1b"], detail={"\x1b": {"a": ["\x1b", 1, None, True]}}
        )
    )
    assert (event.at, event.type, event.changed) == ("␛", "␛", ["␛"])
    assert event.detail == {"␛": {"a": ["␛", 1, None, True]}}
    status = Status(version="\x1b", started_at="", now="")
    status.org.name = "\x1b]0;x\x07"
    assert scrub(status).org.name == "␛]0;x␇"
