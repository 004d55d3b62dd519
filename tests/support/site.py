"""A built site: its pages with their links, anchors and texts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


@dataclass
class Page(HTMLParser):
    """What a test asks of a page."""

    links: list[str] = field(default_factory=list)
    """Where its article leads."""
    menu: list[str] = field(default_factory=list)
    """Where the rest leads, navigation and footer."""
    loaded: list[str] = field(default_factory=list)
    """What a browser loads with it."""
    anchors: set[str] = field(default_factory=set)
    text: list[str] = field(default_factory=list)
    """The texts of the article, without code."""
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Prepare the parser."""
        super().__init__()

    @property
    def is_in_article(self) -> bool:
        """Whether the parser is in the page's own text."""
        return "article" in self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note links, anchors and what is loaded."""
        named = {name: value or "" for name, value in attrs}
        if tag not in VOID:
            self.open.append(tag)
        if "id" in named:
            self.anchors.add(named["id"])
        if tag == "a" and "href" in named:
            (self.links if self.is_in_article else self.menu).append(named["href"])
        if "src" in named or (tag == "link" and named.get("rel") != "canonical"):
            self.loaded.append(named.get("src") or named.get("href", ""))

    def handle_endtag(self, tag: str) -> None:
        """Close what is open."""
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Note the article's text."""
        if self.is_in_article and not {"code", "pre", "style", "script"} & set(self.open):
            self.text.append(data)


@dataclass(frozen=True)
class Target:
    """A place in the site: a file and, if it is named, an anchor of it."""

    path: Path
    anchor: str = ""


@dataclass
class Site:
    """A directory with a built site."""

    place: Path

    @cached_property
    def pages(self) -> dict[Path, Page]:
        """Every page by its path."""
        found = {}
        for path in sorted(self.place.rglob("*.html")):
            if path.name != "404.html":
                found[path] = Page()
                found[path].feed(path.read_text())
        return found

    @property
    def start(self) -> Path:
        """The start page."""
        return self.place / "index.html"

    def target(self, page: Path, link: str) -> Target | None:
        """Where a link of a page leads in the site; None if it leads elsewhere."""
        if urlsplit(link).scheme:
            return None
        path, anchor = urldefrag(link)
        return Target((page.parent / unquote(path)).resolve() if path else page, unquote(anchor))

    def targets(self, page: Path) -> Iterator[Target]:
        """Where the article of a page leads in the site."""
        for link in self.pages[page].links:
            if (target := self.target(page, link)) is not None:
                yield target

    def clicks(self) -> dict[Target, int]:
        """How many clicks each place is from the start page, by links in articles."""
        found = {Target(self.start): 0}
        waiting = deque([self.start])
        seen = {self.start}
        while waiting:
            page = waiting.popleft()
            for target in self.targets(page):
                found.setdefault(target, found[Target(page)] + 1)
                found.setdefault(Target(target.path), found[Target(page)] + 1)
                if target.path in self.pages and target.path not in seen:
                    seen.add(target.path)
                    waiting.append(target.path)
        return found
