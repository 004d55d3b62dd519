"""The pages as the site's builder reads them: `python -m website.stage DIRECTORY` writes them.

Those of docs/, those made from the code, and files beside docs/; links and Markdown are adapted.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from rtsd.control.openapi.route import encoded
from website import api, reference
from website.markdown import adapted, relinked, without_mermaid

ROOT = Path(__file__).parents[1]
BESIDE = {"changes.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}
"""Pages of the site that are beside docs/."""
LINKS = {
    "../config/": "config/",
    "../examples/README.md": "examples.md",
    "../CHANGELOG.md": "changes.md",
    "../CONTRIBUTING.md": "contributing.md",
}
MADE = {
    "## Verbs": "[Every verb, with its help](reference/verbs.md)",
    "## Errors": "[Every error, with its statuses](reference/errors.md)",
    "## Metrics": "[Every metric, with its labels](reference/metrics.md)",
    "## The control API": "[Every route, with its types](reference/api.md)",
}
"""Headings of docs/reference.md, and the pages that only the site has."""
EXAMPLES = ROOT / "examples"
EXAMPLE = re.compile(r"\]\(\.\./examples/([\w-]+)/README\.md\)")
"""A link to one, which is a heading of the page with all of them."""
PICTURE = re.compile(r"!\[[^\]]*\]\((pictures/\w+\.svg)\)")
NAMED = re.compile(r"\[([\w-]+\.md)\](?=\(\1[#)])")
"""A link with the name of its file, which the site does not show."""
SOURCE = re.compile(r"\[([^\]]*)\]\(\.\./rtsd/[^)]*\)")
"""A link to the source code, which is no part of the site."""


def stage(place: Path) -> None:
    """Write everything to an empty directory."""
    shutil.copytree(ROOT / "docs", place, dirs_exist_ok=True)
    shutil.copytree(ROOT / "config", place / "config")
    shutil.copytree(ROOT / "website" / "assets", place / "assets")
    for name, text in pages():
        path = place / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (place / "reference" / "openapi.json").write_bytes(encoded())


def pages() -> Iterator[tuple[str, str]]:
    """Yield the pages by name."""
    for path in (ROOT / "docs").glob("*.md"):
        text = path.read_text()
        yield path.name, _page(_with_pages_of_the_site(text) if path.name == "reference.md" else text)
    for name, source in BESIDE.items():
        yield name, _page(relinked((ROOT / source).read_text(), {"docs/": ""}))
    yield "examples.md", _page(_examples())
    yield from reference.pages().items()
    yield "reference/api.md", api.page()


def _examples() -> str:
    """Return all of them as one page."""
    text = (EXAMPLES / "README.md").read_text()
    for path in sorted(EXAMPLES.glob("*/README.md")):
        heading, _, rest = path.read_text().removeprefix("# ").partition("\n")
        text += f"\n## {heading} {{#{path.parent.name}}}\n{rest}"
    text = re.sub(r"\]\((?:\.\./)?([\w-]+)/README\.md\)", r"](#\1)", text)
    return relinked(text, {"../../docs/": "", "../../": "../"})


def _with_pages_of_the_site(text: str) -> str:
    """Return a page with links below headings. Raises ValueError if one is not there."""
    for heading, link in MADE.items():
        if f"{heading}\n" not in text:
            raise ValueError(f"docs/reference.md has no {heading!r}")
        text = text.replace(f"{heading}\n", f"{heading}\n\n{link}.\n")
    return text


def _page(text: str) -> str:
    """Return a page with titles in links, drawings in the page's own colours, and diagrams as tables."""
    text = EXAMPLE.sub(r"](examples.md#\1)", SOURCE.sub(r"\1", relinked(text, LINKS)))
    text = NAMED.sub(lambda found: f"[{_title(found[1])}]", text)
    text = PICTURE.sub(lambda found: _inlined(found[1]), text)
    return adapted(without_mermaid(text))


def _title(name: str) -> str:
    """Return the title of a page of docs/."""
    return (ROOT / "docs" / name).read_text().partition("\n")[0].removeprefix("# ")


def _inlined(name: str) -> str:
    drawing = (ROOT / "docs" / name).read_text().replace("\n", "")
    return f'<div class="drawing">{drawing}</div>'


if __name__ == "__main__":
    stage(Path(sys.argv[1]))
