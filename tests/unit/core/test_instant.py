"""Moments: both of Salesforce's spellings, and nothing that is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsd.core.instant import from_iso, normal_iso, soql_literal, to_iso, to_minute

MOMENTS = st.integers(-62_135_596_800_000, 253_402_300_799_999)  # the years 1 to 9999


@given(MOMENTS)
def test_round_trip(moment: int) -> None:
    """Milliseconds survive, whatever the spelling."""
    text = to_iso(moment)
    assert from_iso(text) == moment
    assert normal_iso(text) == text
    assert normal_iso(text[:-1] + "+0000") == text
    assert normal_iso(text[:-1] + "+00:00") == text


@given(MOMENTS, MOMENTS)
def test_text_sorts_as_time_does(moment: int, other: int) -> None:
    """Versions are compared as text."""
    assert (to_iso(moment) < to_iso(other)) == (moment < other)


def test_early_years_have_four_digits() -> None:
    """In each of the forms."""
    first = from_iso("0001-01-01T00:00:00Z")
    assert to_iso(first) == "0001-01-01T00:00:00.000Z"
    assert to_minute(first) == "0001-01-01 00:00 UTC"
    assert soql_literal(first) == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00.000Z"),
        ("2026-03-01T11:00:00.000+0100", "2026-03-01T10:00:00.000Z"),
        ("2026-02-28T23:30:00.500-10:30", "2026-03-01T10:00:00.500Z"),
    ],
)
def test_other_spellings_become_the_one(text: str, normal: str) -> None:
    """Zones are turned into UTC."""
    assert normal_iso(text) == normal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-03-01",
        "2026-03-01T10:00:00",
        "2026-13-01T10:00:00.000Z",
        "2026-02-30T10:00:00.000Z",
        "2026-03-01T25:00:00.000+0000",
        "zzzzzzzzzzzzzzzzzzzzzzzZ",
        "zzzzzzzzzzzzzzzzzz.zzz+0000",
        "0001-01-01T00:00:00+14:00",
    ],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    """A value that only looks like one would order versions for ever."""
    with pytest.raises(ValueError, match=r"."):
        normal_iso(text)


def test_soql_knows_whole_seconds() -> None:
    """A SOQL literal has no fraction; what is left of a second is cut off, not rounded up."""
    assert soql_literal(from_iso("2026-03-01T10:00:00.999Z")) == "2026-03-01T10:00:00Z"
