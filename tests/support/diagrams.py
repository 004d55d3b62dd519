"""The generated diagrams of docs/architecture.md, and how they are written again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

DOC = Path(__file__).parents[2] / "docs" / "architecture.md"


def diagram(kind: str, lines: Iterable[str]) -> str:
    """A Mermaid diagram as the document has it; `kind` is its first line."""
    return "\n".join(["```mermaid", kind, *(f"    {line}" for line in lines), "```"])


def _block(kind: str) -> re.Pattern[str]:
    return re.compile(rf"(?s)```mermaid\n{kind}\n.*?```")


def drawn(kind: str) -> list[str]:
    """The diagrams of a kind that the document has."""
    return _block(kind).findall(DOC.read_text())


def out_of_date(test: str) -> str:
    """What to say when the document has others; `test` is the file that writes them again."""
    return f"{DOC.name} is out of date: `python -m tests.unit.docs.{Path(test).stem}` writes it again"


def draw(kind: str, diagrams: Sequence[str]) -> None:
    """Write the diagrams of a kind into the document, in its order."""
    following = iter(diagrams)
    DOC.write_text(_block(kind).sub(lambda _: next(following), DOC.read_text()))
