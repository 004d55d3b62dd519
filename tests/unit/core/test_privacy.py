"""What is done to private values, before anything is written."""

from __future__ import annotations

import pytest

from rtsd.core.privacy import masks

KEY = b"k" * 32


def test_a_hash_tells_equal_from_unequal_and_nothing_else() -> None:
    """Same value, same hash; another mirror's key, another hash; NULL stays NULL."""
    hashed, elsewhere = masks({"Phone": "hash"}, KEY)["phone"], masks({"Phone": "hash"}, b"o" * 32)["phone"]
    assert hashed("+49 30 1") == hashed("+49 30 1")
    assert hashed("+49 30 1") != hashed("+49 30 2")
    assert hashed("+49 30 1") != elsewhere("+49 30 1")
    assert len(str(hashed("+49 30 1"))) == 32
    assert hashed(None) is None


@pytest.mark.parametrize(
    ("value", "kept"), [("+49 30 123456", "3456"), ("12", "12"), (None, None), ("ü🚀ab!", "🚀ab!")]
)
def test_last4(value: str | None, kept: str | None) -> None:
    """The last four characters, not bytes."""
    assert masks({"Phone": "last4"}, KEY)["phone"](value) == kept


def test_a_dropped_field_needs_no_mask() -> None:
    """It has no column."""
    assert masks({"Phone": "drop"}, KEY) == {}
