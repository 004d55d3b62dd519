"""`rtsd status` begins with the three answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Rtsd = Callable[..., Any]


def test_status_begins_with_the_three_answers(rtsd: Rtsd, daemon: Any) -> None:
    """As the dashboard gives them: the worst first, with the culprit."""
    assert daemon.answers
    lines = rtsd("status").out.splitlines()[:3]
    assert [line.split()[0] for line in lines] == ["right", "fresh", "cost"]
    assert lines[0].startswith("right     ▲ 0 of 2 proven · Contact: 3 differ, 0s ago · Lead: incomplete")
    assert lines[2] == "cost      ✔ 2% used: 12 ours, 0 others"
