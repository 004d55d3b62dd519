"""Values: each kind from JSON and from CSV, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsd.core.schema import Kind
from rtsd.core.values import mirror_value

ACCEPTED: list[tuple[Kind, Any, Any]] = [
    (Kind.TEXT, 'line\nbreak, "quoted", 🚀', 'line\nbreak, "quoted", 🚀'),
    (Kind.TEXT, "  spaces  ", "  spaces  "),
    (Kind.TEXT, "a\0b", "ab"),
    (Kind.TEXT, "\0", None),
    (Kind.TEXT, 12, "12"),
    (Kind.TEXT, True, "true"),
    (Kind.TEXT, {"city": "Köln"}, '{"city": "Köln"}'),
    (Kind.BOOLEAN, True, 1),
    (Kind.BOOLEAN, False, 0),
    (Kind.BOOLEAN, "true", 1),
    (Kind.BOOLEAN, "FALSE", 0),
    (Kind.INT, 3, 3),
    (Kind.INT, "3", 3),
    (Kind.INT, "3.0", 3),
    (Kind.INT, 3.0, 3),
    (Kind.INT, 9_007_199_254_740_993, 9_007_199_254_740_993),
    (Kind.INT, "9007199254740993", 9_007_199_254_740_993),
    (Kind.REAL, 400, 400.0),
    (Kind.REAL, "0.1", 0.1),
    (Kind.REAL, "1E3", 1000.0),
    (Kind.DATE, "2026-03-01", "2026-03-01"),
    (Kind.DATETIME, "2026-03-01T10:00:00.000+0000", "2026-03-01T10:00:00.000Z"),
    (Kind.DATETIME, "2026-03-01T10:00:00.000Z", "2026-03-01T10:00:00.000Z"),
    (Kind.TIME, "07:00:00.000Z", "07:00:00.000Z"),
    (Kind.TIME, "07:00:00", "07:00:00.000Z"),
]


@pytest.mark.parametrize(("kind", "value", "kept"), ACCEPTED, ids=str)
def test_what_each_kind_becomes(kind: Kind, value: Any, kept: Any) -> None:
    """Contract 4: the stored value and its very type."""
    found = mirror_value(kind, value)
    assert (found, type(found)) == (kept, type(kept))


@pytest.mark.parametrize("kind", list(Kind))
def test_nothing_is_null(kind: Kind) -> None:
    """Salesforce stores no empty text: an empty cell is NULL in every kind."""
    assert mirror_value(kind, None) is None
    assert mirror_value(kind, "") is None


REFUSED: list[tuple[Kind, Any]] = [
    (Kind.BOOLEAN, "yes"),
    (Kind.BOOLEAN, 2),
    (Kind.BOOLEAN, []),
    (Kind.INT, "three"),
    (Kind.INT, "1e400"),
    (Kind.INT, "nan"),
    (Kind.INT, 3.5),
    (Kind.INT, "3.5"),
    (Kind.INT, 2**63),
    (Kind.INT, -(2**63) - 1),
    (Kind.INT, {}),
    (Kind.REAL, "much"),
    (Kind.REAL, "nan"),
    (Kind.REAL, "inf"),
    (Kind.REAL, 10**400),
    (Kind.REAL, []),
    (Kind.DATETIME, "today"),
    (Kind.DATETIME, 5),
    (Kind.DATETIME, "zzzzzzzzzzzzzzzzzzzzzzzZ"),
]


@pytest.mark.parametrize(("kind", "value"), REFUSED, ids=str)
def test_what_does_not_fit_is_refused(kind: Kind, value: Any) -> None:
    """Only ValueError and TypeError: anything else would end the daemon, again after every restart."""
    with pytest.raises((ValueError, TypeError)):
        mirror_value(kind, value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(list(Kind)), JSON)
def test_any_json_value_is_storable_or_refused(kind: Kind, value: Any) -> None:
    """What comes out fits a SQLite column; what does not is refused in the two ways that are handled."""
    try:
        found = mirror_value(kind, value)
    except (ValueError, TypeError):
        return
    assert found is None or isinstance(found, str | int | float)
    assert not isinstance(found, int) or -(2**63) <= found < 2**63
    assert found == found  # noqa: PLR0124 - NaN would differ from itself at every comparison
