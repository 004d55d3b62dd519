"""The contact sheet of the dashboard, `docs/dashboard-views.svg`: every view, at one glance.

`make sheet` draws it, from the scenarios of the tests.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from rtstui.themes import DARK, LIGHT
from rtstui.widgets.chrome import VIEWS
from tests.support.dashboard.app import answered, filled, still_app
from tests.support.dashboard.choice import chosen
from tests.support.dashboard.scenarios import SCENARIOS

FILE = Path(__file__).parents[3] / "docs" / "dashboard-views.svg"
SIZE = (120, 35)
COLUMNS = 3
GAP = 40
"""Between two pictures, in the units of their own."""
PICTURES = (
    *((key, "live", DARK.name) for key in VIEWS),
    ("1", "silent", DARK.name),
    ("1", "drifting", LIGHT.name),
    ("5", "deferred", DARK.name),
    ("6", "stream_down", DARK.name),
)
"""View, scenario and theme of each picture."""


async def picture(view: str, scenario: str, theme: str) -> str:
    """A view as SVG."""
    app = still_app(answered(filled(SCENARIOS[scenario]())), view=view)
    async with app.run_test(size=SIZE) as pilot:
        app.theme = theme
        await chosen(pilot)
        return app.export_screenshot(title=f"{VIEWS[view][0]}: {scenario.replace('_', ' ')}")


def sheet(pictures: list[str]) -> str:
    """The pictures side by side, in one SVG."""
    sizes = [re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', each) for each in pictures]
    found = [(float(size[1]), float(size[2])) for size in sizes if size]
    width, height = max(size[0] for size in found) + GAP, max(size[1] for size in found) + GAP
    rows = -(-len(pictures) // COLUMNS)
    placed = [
        each.replace(
            "<svg ",
            f'<svg x="{place % COLUMNS * width}" y="{place // COLUMNS * height}" '
            f'width="{size[0]}" height="{size[1]}" ',
            1,
        )
        for place, (each, size) in enumerate(zip(pictures, found, strict=True))
    ]
    box = f'viewBox="0 0 {COLUMNS * width - GAP} {rows * height - GAP}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>\n' + "\n".join(placed) + "\n</svg>\n"


async def main() -> None:
    """Draw the sheet."""
    FILE.write_text(sheet([await picture(*each) for each in PICTURES]))


if __name__ == "__main__":
    asyncio.run(main())
