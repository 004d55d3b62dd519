"""The navigation of the site, website/mkdocs.yml, against the pages in docs/."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
LISTED = re.findall(r"(?m)^ +- (?:[\w ]+: )?([\w/-]+\.md)$", (ROOT / "website/mkdocs.yml").read_text())


def test_every_page_is_in_the_navigation() -> None:
    """A page that nobody finds might as well not be there."""
    there = {path.name for path in (ROOT / "docs").glob("*.md")}
    missing = there - set(LISTED)
    assert not missing, f"add to nav in website/mkdocs.yml: {', '.join(sorted(missing))}"


def test_no_page_is_there_twice() -> None:
    """Each has one place."""
    assert len(LISTED) > 30
    assert len(set(LISTED)) == len(LISTED)
