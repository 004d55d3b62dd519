"""docs/operations.md against the errors there are."""

from __future__ import annotations

import re
from pathlib import Path

from rtsd import errors

DOCS = Path(__file__).parents[3] / "docs"
ON_THE_WIRE = {"Forbidden", "InternalError"}
"""Names that the control socket gives without an exception of their own."""


def test_every_error_has_its_row() -> None:
    """An operator finds each name that can be met, and no name that is gone."""
    rows = re.findall(r"(?m)^\| `(\w+)` \| (.*?) \|", (DOCS / "operations.md").read_text())
    named = [name for name, _ in rows]
    classes = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)}
    assert sorted(named) == sorted(classes | ON_THE_WIRE)
    assert all(text for _, text in rows)


def test_its_status_is_the_one_in_the_table() -> None:
    """Where a row begins with an HTTP status it is the error's."""
    rows = re.findall(r"(?m)^\| `(\w+)` \| (\d{3})\b", (DOCS / "operations.md").read_text())
    assert len(rows) >= 6
    assert {name: int(status) for name, status in rows} == {
        name: getattr(errors, name).http_status for name, _ in rows
    }
