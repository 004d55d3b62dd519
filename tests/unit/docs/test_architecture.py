"""The diagrams of docs/architecture.md are the tables of rtsd.core.mode and rtsd.core.object_state.

`python -m tests.unit.docs.test_architecture` writes them again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import rtsd
from rtsd.core import mode, object_state
from rtsd.core.mode import READS_BY_INTERVAL, Mode
from rtsd.core.object_state import ObjectState
from tests.support.diagrams import DOC, diagram, draw, drawn, out_of_date

State = TypeVar("State", bound=StrEnum)
Event = TypeVar("Event", bound=StrEnum)

KIND = "stateDiagram-v2"


def diagrams() -> list[str]:
    """The diagrams, in the document's order."""
    notes = [f"note left of {state}: Interval Sync reads" for state in Mode if state in READS_BY_INTERVAL]
    return [
        table(list(Mode), mode.TRANSITIONS, notes),
        table(list(ObjectState), object_state.TRANSITIONS),
    ]


def table(
    states: Sequence[State],
    transitions: Mapping[tuple[State, Event], State],
    notes: Sequence[str] = (),
) -> str:
    """A table as a diagram: an arrow for each pair of states, with the events that lead there."""
    events: dict[tuple[State, State], list[str]] = defaultdict(list)
    for (state, event), target in transitions.items():
        if state is not target:
            events[state, target].append(event.value)
    arrows = [
        f"{state} --> {target}: {' / '.join(events[state, target])}"
        for state in states
        for target in states
        if (state, target) in events
    ]
    return diagram(KIND, [*arrows, *notes])


def test_the_diagrams_are_the_tables() -> None:
    """A change of a table changes the document."""
    assert drawn(KIND) == diagrams(), out_of_date(__file__)


def test_the_map_is_the_package() -> None:
    """Every part of rtsd is in the document's map."""
    text = DOC.read_text()
    home = Path(rtsd.__file__).parent
    parts = [path.stem for path in home.iterdir() if (path / "__init__.py").exists() or path.suffix == ".py"]
    assert [part for part in parts if f"`{part}`" not in text and not part.startswith("__")] == []


if __name__ == "__main__":
    draw(KIND, diagrams())
