"""docs/contract.md: every verb and every route is there that users and other programs may rely on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rtsd.cli.app import SECTIONS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "contract.md").read_text()
SOURCES = sorted((ROOT / "rtsd" / "control").glob("*.py"))
ROUTE = re.compile(r'(?:get|post|put|add_get)\("(/[^"]+)"')
"""How a route is registered."""


def routes() -> set[str]:
    """Every route of the control API, as it is registered."""
    found = {route for source in SOURCES for route in ROUTE.findall(source.read_text())}
    assert len(found) > 20
    return found


@pytest.mark.parametrize("verb", [verb for section in SECTIONS.values() for verb in section])
def test_every_verb_is_named(verb: str) -> None:
    """A verb that is not on the page is nothing to rely on."""
    assert re.search(rf"`(?:rtsd )?{verb}\b", PAGE)


@pytest.mark.parametrize("route", sorted(routes()))
def test_every_route_is_named(route: str) -> None:
    """By its last part that is no placeholder, as the page writes several in a line."""
    last = [part for part in route.split("/") if part and not part.startswith("{")][-1]
    assert re.search(rf"[/|…]{re.escape(last)}\b", PAGE)
