"""Record ids: 15 and 18 characters are one record."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsd.core.ids import full_id, is_id

# from examples of Salesforce and of its clients
VECTORS = [
    "a00D0000008pQRAIA2",
    "750R0000000zlh9IAA",
    "005R0000000UyrWIAS",
    "001xx000003DGb1AAG",
    "003q000000KvQ1tAAF",
    "003q000000KvQ2DAAV",
    "00Dxx0000001gPFEAY",
    "017bW00000HKErBQAX",
    "01gD0000002HU6KIAW",
]
CHARS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@pytest.mark.parametrize("vector", VECTORS)
def test_published_vectors(vector: str) -> None:
    """Short, full and wrongly cased suffixes give the one stored form."""
    assert full_id(vector[:15]) == vector
    assert full_id(vector) == vector
    assert full_id(vector[:15] + vector[15:].lower()) == vector


@given(st.text(CHARS, min_size=15, max_size=15), st.integers(0, 14))
def test_case_is_never_lost(stem: str, place: int) -> None:
    """Ids that differ in one letter's case alone differ when compared without regard to case."""
    full = full_id(stem)
    assert full_id(full) == full
    other = stem[:place] + stem[place].swapcase() + stem[place + 1 :]
    if other != stem:
        assert full_id(other).lower() != full.lower()


@pytest.mark.parametrize(
    "text", ["", "x", "0" * 14, "0" * 16, "0" * 17, "0" * 19, "00300000000000é", " " * 18]
)
def test_what_is_no_id_is_refused(text: str) -> None:
    """Other lengths and letters raise, and the message shows what came."""
    assert not is_id(text)
    with pytest.raises(ValueError, match="is not a Salesforce id"):
        full_id(text)


def test_a_newline_at_the_end_is_no_part_of_an_id() -> None:
    """A regular expression's `$` would let it pass."""
    assert not is_id("001xx000003DGb1AAG\n")
