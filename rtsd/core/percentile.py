"""Percentiles of small samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def percentiles(sample: Iterable[int], ranks: Sequence[int]) -> list[int] | None:
    """The nearest-rank percentiles of a sample, such as `(50, 95, 99)`; None for an empty sample."""
    ordered = sorted(sample)
    if not ordered:
        return None
    return [ordered[max(-(-len(ordered) * rank // 100) - 1, 0)] for rank in ranks]
