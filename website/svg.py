"""Drawings of boxes and arrows, in the colours of the page that they are in, or of the system."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

LIGHT = "--ink:#1f2933;--dim:#52606d;--fill:#fff;--soft:#eef2f6;--line:#7b8794;--good:#1b7f4b;--way:#0b69a3"
DARK = "--ink:#e4e7eb;--dim:#aeb8c2;--fill:#232a33;--soft:#1b2129;--line:#7b8794;--good:#57c98f;--way:#5bb3e8"
STYLE = "".join(
    (
        f"svg.picture{{{LIGHT};font:14px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}}",
        f"@media (prefers-color-scheme:dark){{svg.picture{{{DARK}}}}}",
        "svg.picture .box{fill:var(--fill);stroke:var(--line);stroke-width:1.3}",
        "svg.picture .group{fill:var(--soft)}",
        "svg.picture .good{fill:var(--fill);stroke:var(--good);stroke-width:2.5}",
        "svg.picture .arrow{fill:none;stroke:var(--line);stroke-width:1.5}",
        "svg.picture .way{fill:none;stroke:var(--way);stroke-width:2}",
        "svg.picture .head{fill:var(--line)}",
        "svg.picture .wayhead{fill:var(--way)}",
        "svg.picture text{fill:var(--ink);text-anchor:middle}",
        "svg.picture .name{font-weight:600}",
        "svg.picture .small{fill:var(--dim);font-size:12px}",
    )
)
"""Where the picture is in a page, the page sets the variables."""


@dataclass
class Picture:
    """A drawing of a size, with its title for who can't see it."""

    width: int
    height: int
    title: str
    parts: list[str] = field(default_factory=list)

    def group(self, x: float, y: float, width: float, height: float, name: str = "") -> None:
        """Draw an area, with its name at the top."""
        self.parts.append(f'<rect class="group" x="{x}" y="{y}" width="{width}" height="{height}" rx="10"/>')
        if name:
            self.text(x + width / 2, y + 20, name, "name")

    def box(
        self,
        place: tuple[float, float, float, float],
        name: str,
        lines: Sequence[str] = (),
        kind: str = "box",
    ) -> None:
        """Draw a box at (left, top, width, height) with a name and smaller lines."""
        x, y, width, height = place
        self.parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="7"/>')
        first = y + height / 2 + 5 - 8 * len(lines)
        self.text(x + width / 2, first, name, "name")
        for number, line in enumerate(lines, start=1):
            self.text(x + width / 2, first + 16 * number, line, "small")

    def text(self, x: float, y: float, text: str, kind: str = "small") -> None:
        """Write a line around a point."""
        self.parts.append(f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(text)}</text>')

    def line(self, points: Iterable[tuple[float, float]], kind: str = "arrow", head: str = "") -> None:
        """Draw a line through points, `way` for what is pushed."""
        steps = " L".join(f"{x:g} {y:g}" for x, y in points)
        end = f' marker-end="url(#{head})"' if head else ""
        self.parts.append(f'<path class="{kind}" d="M{steps}"{end}/>')

    def arrow(self, points: Iterable[tuple[float, float]], kind: str = "arrow") -> None:
        """Draw an arrow through points."""
        self.line(points, kind, "wayhead" if kind == "way" else "head")

    def svg(self) -> str:
        """Return the drawing as a file."""
        heads = "".join(_head(kind) for kind in ("head", "wayhead"))
        title = escape(self.title, {'"': "&quot;"})
        return (
            f'<svg class="picture" xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{title}"'
            f' viewBox="0 0 {self.width} {self.height}">'
            f"<style>{STYLE}</style><defs>{heads}</defs>\n" + "\n".join(self.parts) + "\n</svg>\n"
        )


def _head(kind: str) -> str:
    """Return the head of an arrow."""
    return (
        f'<marker id="{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"'
        f' markerUnits="userSpaceOnUse" orient="auto"><path class="{kind}" d="M0 0L8 4L0 8z"/></marker>'
    )
