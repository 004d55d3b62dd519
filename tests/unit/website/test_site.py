"""The built site: its links lead somewhere, it asks no other host for anything, and it answers questions."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rtsd.control.openapi.document import document
from tests.support.site import Site, Target

ROOT = Path(__file__).parents[3]
ROLES = ("for-revops", "for-developers", "for-data-engineers", "for-operations", "for-security")
QUESTION = re.compile(r"(?m)^\| (.+\?) \| .+ \| \[[^|]+\]\(([^)]+)\) \|$")
MOST_CLICKS = 3


def questions() -> list[tuple[str, str, str]]:
    """Each question of a role: the role's page, the question, and the link to its answer."""
    return [
        (role, question, link)
        for role in ROLES
        for question, link in QUESTION.findall((ROOT / "docs" / f"{role}.md").read_text())
    ]


def test_every_link_leads_to_a_page_and_an_anchor(site: Site) -> None:
    """Those of articles, of the navigation and of footers."""
    broken = []
    for path, page in site.pages.items():
        for link in [*page.links, *page.menu]:
            target = site.target(path, link)
            if target is None:
                continue
            there = site.pages.get(target.path)
            is_there = (
                target.path.exists() if there is None or not target.anchor else target.anchor in there.anchors
            )
            if not is_there:
                broken.append((path.relative_to(site.place).as_posix(), link))
    assert len(site.pages) > 30
    assert broken == []


def test_no_page_loads_anything_from_another_host(site: Site) -> None:
    """Fonts, icons, scripts, styles and the search are files of the site, which opens without a network."""
    foreign = re.compile(r"(?:https?:)?//")
    found = [link for page in site.pages.values() for link in page.loaded if foreign.match(link)]
    styles = [
        path for path in site.place.rglob("*.css") if re.search(r"url\(['\"]?https?:", path.read_text())
    ]
    assert found == []
    assert styles == []
    assert all(page.loaded for page in site.pages.values())


def test_the_search_works_in_files(site: Site) -> None:
    """Its index is a script, since a page that was opened as a file may not read another file."""
    index = (site.place / "search.js").read_text()
    assert "_rts_tombstone" in index
    shims = [link for page in site.pages.values() for link in page.loaded if "iframe-worker" in link]
    assert len(shims) == len(site.pages)


def test_no_markdown_is_left(site: Site) -> None:
    """Lists, tables, fences and links were understood, as GitHub understands them."""
    signs = re.compile(r"```|\]\(|\*\*|^\s*\|.*\|\s*$|\n(?:- |\d+\. )\S", re.MULTILINE)
    left = {
        path.name: found[0]
        for path, page in site.pages.items()
        for text in page.text
        if (found := signs.search(text))
    }
    assert left == {}


def test_each_role_has_ten_questions() -> None:
    """Fifty in all, each once."""
    asked = questions()
    assert [sum(role == each for each, _, _ in asked) for role in ROLES] == [10] * len(ROLES)
    assert len({(role, question) for role, question, _ in asked}) == len(asked)


@pytest.mark.parametrize(("role", "question", "link"), questions())
def test_each_question_is_answered_within_three_clicks(
    site: Site, role: str, question: str, link: str
) -> None:
    """By links in the text, from the start page to the heading that answers it, which exists."""
    page = site.place / f"{role}.html"
    target = site.target(page, link.replace(".md", ".html"))
    assert target is not None
    clicks = site.clicks()
    assert clicks[Target(target.path, target.anchor)] <= MOST_CLICKS, question
    assert not target.anchor or target.anchor in site.pages[target.path].anchors


def test_the_reference_is_of_this_code(site: Site) -> None:
    """Each route, each metric that an alert asks for, each verb and error has its place."""
    texts = {
        name: (site.place / "reference" / f"{name}.html").read_text() for name in ("api", "metrics", "verbs")
    }
    for path in document()["paths"]:
        assert path in texts["api"]
    asked = set(re.findall(r"rtsd_\w+", (ROOT / "config/alerts.yml").read_text()))
    assert len(asked) > 10
    assert {name for name in asked if name.removesuffix("_bucket") not in texts["metrics"]} == set()
    assert "rtsd package deploy" in texts["verbs"]
    assert json.loads((site.place / "reference/openapi.json").read_text()) == document()
