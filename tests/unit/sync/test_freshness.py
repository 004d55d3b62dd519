"""Freshness: what is measured of an outage is over after an hour."""

from __future__ import annotations

from rtsd.core.change import Source
from rtsd.sync.freshness import MEASURED_MS, Freshness

NOW = 1_772_368_496_000


def test_an_outage_leaves_the_percentiles_after_an_hour() -> None:
    """However few changes came since; and without any in that hour, the newest ones are shown."""
    freshness = Freshness()
    freshness.applied(NOW, [(Source.INTERVAL, 61_000)] * 900)
    freshness.applied(NOW + 1_000, [(Source.PUSH, 400)])
    assert len(freshness.shown(NOW + MEASURED_MS)) == 901
    assert freshness.shown(NOW + 1 + MEASURED_MS) == [(Source.PUSH, 400)]
    assert len(freshness.shown(NOW + 2_000 + MEASURED_MS)) == 901
    assert freshness.since(NOW + 1_000) == [(Source.PUSH, 400)]
    assert freshness.last_change_at == "2026-03-01T12:34:57.000Z"
