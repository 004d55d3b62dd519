"""The mode diagram of docs/architecture.md is the table of rtsd.core.mode.

`python tests/unit/docs/test_architecture.py` writes it anew.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import rtsd
from rtsd.core.mode import READS_BY_INTERVAL, TRANSITIONS, Mode

DOC = Path(__file__).parents[3] / "docs" / "architecture.md"
BLOCK = re.compile(r"(?s)```mermaid\nstateDiagram-v2\n.*?```")


def diagram() -> str:
    """The table as a diagram: an arrow for each pair of modes, with the signals that lead there."""
    signals: dict[tuple[Mode, Mode], list[str]] = defaultdict(list)
    for (mode, signal), target in TRANSITIONS.items():
        if mode is not target:
            signals[mode, target].append(signal.value)
    order = list(Mode)
    arrows = [
        f"    {mode} --> {target}: {' / '.join(signals[mode, target])}"
        for mode in order
        for target in order
        if (mode, target) in signals
    ]
    reads = [f"    note left of {mode}: Interval Sync reads" for mode in order if mode in READS_BY_INTERVAL]
    return "\n".join(["```mermaid", "stateDiagram-v2", *arrows, *reads, "```"])


def test_the_diagram_is_the_table() -> None:
    """A change of the table changes the document."""
    found = BLOCK.search(DOC.read_text())
    assert found is not None
    assert found[0] == diagram()


def test_the_map_is_the_package() -> None:
    """Every part of rtsd is in the document's map."""
    text = DOC.read_text()
    home = Path(rtsd.__file__).parent
    parts = [path.stem for path in home.iterdir() if (path / "__init__.py").exists() or path.suffix == ".py"]
    assert [part for part in parts if f"`{part}`" not in text and not part.startswith("__")] == []


if __name__ == "__main__":
    DOC.write_text(BLOCK.sub(lambda _: diagram(), DOC.read_text()))
