"""Hints at extras, which are to be true for every way to install rtsd."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from rtsd.core.extras import how_to_add

ROOT = Path(__file__).parents[3]


def test_a_hint_names_the_extra_and_where_the_commands_are() -> None:
    """The commands differ by the tool that installed rtsd, so the page has them."""
    hint = how_to_add("stream")
    assert "rtsd[stream]" in hint
    page, _, section = re.search(r"\((.+), (.+)\)", hint).expand(r"\1|\2").partition("|")  # type: ignore[union-attr]
    assert f"\n## {section}\n" in (ROOT / page).read_text()


def test_every_extra_is_on_that_page() -> None:
    """With what it is for."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    page = (ROOT / "docs" / "install.md").read_text()
    assert [name for name in extras if f"| `{name}` |" not in page] == []


def test_nothing_tells_to_install_from_an_index() -> None:
    """There is no release: an index has no rtsd to install."""
    texts = [*ROOT.glob("rtsd/**/*.py"), *ROOT.glob("docs/**/*.md"), ROOT / "README.md"]
    from_index = re.compile(r"""(pip|pipx|uv tool) install (--\S+ )*['"]?rtsd\b""")
    assert [str(path) for path in texts if from_index.search(path.read_text())] == []
