"""The org's clock and record ids."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtssim import ids
from rtssim.clock import Clock

VECTORS = {
    "a00D0000008pQRA": "IA2",
    "750R0000000zlh9": "IAA",
    "005R0000000UyrW": "IAS",
    "001xx000003DGb1": "AAG",
    "003q000000KvQ1t": "AAF",
    "003q000000KvQ2D": "AAV",
    "00Dxx0000001gPF": "EAY",
    "017bW00000HKErB": "QAX",
    "01gD0000002HU6K": "IAW",
}


def test_frozen_clock_moves_only_when_told() -> None:
    """A frozen clock stands still until it is advanced."""
    clock = Clock(datetime(2026, 1, 1, tzinfo=UTC), speed=0)
    assert clock.now() == clock.now() == datetime(2026, 1, 1, tzinfo=UTC)
    clock.advance(3600)
    assert clock.now() == datetime(2026, 1, 1, 1, tzinfo=UTC)


def test_speed_and_offset() -> None:
    """A fast clock outruns the machine's, and an offset clock is aware and off by what was asked."""
    clock = Clock(datetime(2026, 1, 1, tzinfo=UTC), speed=1e9)
    assert clock.now() > datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    clock.freeze()
    clock.set_offset(-600)
    assert abs(datetime.now(UTC) - clock.now() - timedelta(seconds=600)) < timedelta(seconds=5)


@pytest.mark.parametrize("action", [lambda c: c.advance(-1), lambda c: c.set_speed(-1)])
def test_time_never_runs_back(action: Callable[[Clock], object]) -> None:
    """Negative jumps and speeds are refused."""
    with pytest.raises(ValueError, match="never runs backwards"):
        action(Clock())


@pytest.mark.parametrize(("id15", "suffix"), VECTORS.items())
def test_checksum_vectors(id15: str, suffix: str) -> None:
    """Ids seen in the wild get the checksum they have there."""
    assert ids.to_18(id15) == id15 + suffix


@given(st.text(alphabet=ids.BASE62, min_size=15, max_size=15))
def test_case_is_restored(id15: str) -> None:
    """An 18-character id names the same record after its case is lost."""
    full = ids.to_18(id15)
    assert full is not None
    assert ids.to_18(full.upper()) == ids.to_18(full.lower()) == full


@pytest.mark.parametrize("text", ["", "001", "001xx000003DGb1AAGX", "001xx000003DGb-", "001xx000003DGb1AA9"])
def test_no_id(text: str) -> None:
    """Text of another shape is no id."""
    assert ids.to_18(text) is None


@pytest.mark.parametrize("start", [0, 1, 3840, 238_320])
def test_sequence_is_encode(start: int) -> None:
    """The fast sequence yields what `encode` does, in ascending order, over block borders."""
    made = list(islice(ids.sequence("003", "Qx1", start), 10))
    assert made == [ids.encode("003", "Qx1", start + n) for n in range(10)] == sorted(made)
