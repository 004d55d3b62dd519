"""What a benchmark says: a table for people, a document for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass
class Report:
    """The result of one benchmark: lines of a table, and the numbers under their names."""

    title: str
    head: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """Return the table: the first column to the left, numbers to the right."""
        lines = [self.head, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.head))]
        shown = [
            "  ".join(
                cell.ljust(width) if column == 0 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]
        rule = "  ".join("-" * width for width in widths)
        notes = [f"  {note}" for note in self.notes]
        return "\n".join([f"\n{self.title}", shown[0], rule, *shown[1:], *notes])


def middle(samples: Sequence[float]) -> float:
    """Return the median: one disturbed round does not move it."""
    return float(median(samples))


def spread(samples: Sequence[float]) -> str:
    """Return the least and the most of some samples."""
    return f"{min(samples):,.0f}..{max(samples):,.0f}"


def ratio(mine: Sequence[float], other: Sequence[float]) -> float:
    """Return the median of the ratios round by round: what disturbed both cancels out."""
    return middle([dividend / divisor for dividend, divisor in zip(mine, other, strict=True)])


def rounded(numbers: Mapping[str, float]) -> dict[str, float]:
    """Return numbers with four significant digits, for the JSON line."""
    return {name: float(f"{value:.4g}") for name, value in numbers.items()}
