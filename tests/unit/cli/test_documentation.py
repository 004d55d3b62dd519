"""The documents keep pace with the commands: what they show exists, and the guide leaves nothing out."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from rtsd.cli import app

ROOT = Path(__file__).parents[3]
COMMAND = re.compile(r"(?:^\$ |`)rtsd ((?:[a-z][a-z-]*)(?: [a-z-][\w./-]*)*)", re.MULTILINE)


def command(name: str) -> click.Command:
    """A verb of rtsd."""
    found = app.rtsd.get_command(click.Context(app.rtsd), name)
    assert found is not None, f"there is no rtsd {name}"
    return found


def named_in(document: str) -> list[list[str]]:
    """The commands that a document shows, as words."""
    return [match[1].split() for match in COMMAND.finditer((ROOT / document).read_text())]


@pytest.mark.parametrize(
    "document", ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
)
def test_every_command_and_option_that_is_shown_exists(document: str) -> None:
    """A reader who copies a line is not told that there is no such thing."""
    for words in named_in(document):
        shown = command(words[0])
        rest = words[1:]
        if isinstance(shown, click.Group) and rest and not rest[0].startswith("-"):
            inner = shown.get_command(click.Context(shown), rest[0])
            assert inner is not None, f"{document}: rtsd {' '.join(words)}"
            shown = inner
        options = {name for parameter in shown.params for name in parameter.opts} | {"--help", "--version"}
        used = {word for word in rest if word.startswith("-")}
        assert used <= options, f"{document}: rtsd {' '.join(words)}"


@pytest.mark.parametrize("verb", ["package", "conditions"])
def test_the_guide_names_every_verb_of_the_salesforce_side(verb: str) -> None:
    """docs/salesforce.md is where an administrator looks for them."""
    group = command(verb)
    assert isinstance(group, click.Group)
    shown = {words[1] for words in named_in("docs/salesforce.md") if words[0] == verb and len(words) > 1}
    assert set(group.commands) - shown <= {"show"}  # the same as none at all
