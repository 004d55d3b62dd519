"""Markdown as GitHub reads it, in the form that Python-Markdown reads: lists, blocks, tables, links."""

from __future__ import annotations

import re
from collections.abc import Iterator

ITEM = re.compile(r"( *)([-*]|\d+\.) +(?=\S)")
FENCE = re.compile(r" *(```|~~~)")


def adapted(text: str) -> str:
    """Return a page with blank lines before lists and tables, and nested blocks indented by four."""
    return "\n".join(_lines(text.split("\n"))) + "\n"


def _lines(lines: list[str]) -> Iterator[str]:
    before, offset, is_code, has_blocks = "", 0, False, False
    for line in lines:
        item = None if is_code else ITEM.match(line)
        if FENCE.match(line):
            is_code = not is_code
        if item and not item[1]:
            if before.strip() and (has_blocks or (not offset and not ITEM.match(before))):
                yield ""
            offset, has_blocks = item.end(), False
        elif line.strip() and not line.startswith(" ") and not before.strip():
            offset, has_blocks = 0, False
        elif offset and line.startswith(" ") and not before.strip():
            has_blocks = True
        if line.startswith("|") and before.strip() and not before.startswith("|") and not is_code:
            yield ""
        yield _indented(line, offset)
        before = line


def _indented(line: str, offset: int) -> str:
    """Return a line below an item whose text begins at `offset`, indented as Python-Markdown wants it."""
    depth = len(line) - len(line.lstrip(" "))
    if not offset or depth < offset or offset == 4:
        return line
    return " " * (4 + depth - offset) + line.lstrip(" ")


def relinked(text: str, links: dict[str, str]) -> str:
    """Return a page whose links that begin with a key begin with its value."""
    for begin, other in links.items():
        text = text.replace(f"]({begin}", f"]({other}")
    return text


ARROW = re.compile(r"^\s*(\w+) --> (\w+)(?:: (.*))?$")


def without_mermaid(text: str) -> str:
    """Return a page with Mermaid's diagrams as tables: what draws them is megabytes of another project."""
    return re.sub(r"(?ms)^```mermaid\n(.*?)^```$", lambda found: _table(found[1].splitlines()), text)


def _table(lines: list[str]) -> str:
    arrows = [found.groups() for line in lines if (found := ARROW.match(line))]
    if not any(label for _, _, label in arrows):
        targets: dict[str, list[str]] = {}
        for begin, end, _ in arrows:
            targets.setdefault(begin, []).append(f"`{end}`")
        rows = [f"| `{begin}` | {', '.join(ends)} |" for begin, ends in targets.items()]
        return "\n".join(["| package | imports |", "|---|---|", *rows])
    rows = [f"| `{begin}` | `{end}` | {label} |" for begin, end, label in arrows]
    return "\n".join(["| from | to | when |", "|---|---|---|", *rows])
