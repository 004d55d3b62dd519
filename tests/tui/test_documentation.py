"""docs/dashboard.md against the program: every key, every view, every option."""

from __future__ import annotations

import re
from pathlib import Path

import click
from textual.keys import format_key

from rtstui.__main__ import main, serve
from rtstui.bindings import bindings
from rtstui.settings import Settings
from rtstui.widgets.chrome import VIEWS

TEXT = (Path(__file__).parents[2] / "docs" / "dashboard.md").read_text()

PLACES = {
    "app": "Everywhere",
    "view": "Every view",
    "table": "Every table",
    "events": "Events",
    "overview": "Overview",
    "objects": "Objects, and drift in Audits",
    "dead": "Dead letters",
    "quota": "Quota",
    "conditions": "Conditions",
    "audits": "Audits",
    "record": "Record",
    "rules": "Rules",
    "sql": "SQL",
    "dialog": "Dialogs",
    "reader": "Text viewer",
    "help": "Help",
    "orgs": "List of daemons",
    "actions": "Action log",
    "spell": "Changes of a spell",
    "find": "Find",
    "line": "Prompts",
}
"""What the first part of a binding's name means, in the order of the page."""


def page() -> str:
    """The keys as the page has to have them."""
    groups: dict[str, list[str]] = {}
    for name, binding in bindings():
        keys = " ".join(f"`{format_key(key.strip())}`" for key in binding.key.split(","))
        groups.setdefault(name.split(".")[0], []).append(f"| {keys} | {binding.description} | `{name}` |")
    assert set(groups) == set(PLACES)
    lines = []
    for place, title in PLACES.items():
        lines += [f"### {title}", "", "| key | does | name |", "|---|---|---|", *groups[place], ""]
    return "\n".join(lines)


def test_the_page_has_every_key_and_no_other() -> None:
    """A binding that comes, goes or changes its key has to be written down; the assertion shows how."""
    assert TEXT.partition("## Keys\n\n")[2].strip() == page().strip()


def test_the_page_has_every_view() -> None:
    """By key and name."""
    assert dict(re.findall(r"^\| `(\d|S)` \| (\w+) \|", TEXT.partition("## Keys")[0], re.MULTILINE)) == {
        key: names[0] for key, names in VIEWS.items()
    }


def test_every_setting_is_on_the_page() -> None:
    """What can be set, and what an option can do."""
    settings = set(Settings.__dataclass_fields__) - {"warnings"}
    assert all(re.search(rf"^{name} =|\[{name}[.\]]", TEXT, re.MULTILINE) for name in settings)
    for command in (main, serve):
        for option in command.params:
            assert isinstance(option, click.Option)
            assert option.is_eager or option.help or option.name == "port", option.name
