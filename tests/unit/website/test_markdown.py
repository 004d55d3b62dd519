"""Markdown as GitHub reads it becomes what the site's builder reads."""

from __future__ import annotations

import pytest

from website.markdown import adapted, relinked, without_mermaid

CASES = {
    "a list after a line": ("Text:\n- one\n- two\n", "Text:\n\n- one\n- two\n"),
    "a table after a line": ("Text:\n| a |\n|---|\n", "Text:\n\n| a |\n|---|\n"),
    "a block below an item": (
        "1. one:\n\n   ```sh\n   ls\n     deep\n   ```\n2. two\n",
        "1. one:\n\n    ```sh\n    ls\n      deep\n    ```\n\n2. two\n",
    ),
    "a list below an item": ("- one\n  - two\n", "- one\n    - two\n"),
    "text after a list": ("- one\n\nText\n  kept\n", "- one\n\nText\n  kept\n"),
    "code": ("```\nText:\n- one\n| a |\n  deep\n```\n", "```\nText:\n- one\n| a |\n  deep\n```\n"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_forms_that_differ(name: str) -> None:
    """Blank lines before lists and tables, four spaces below items, and code as it is."""
    given, wanted = CASES[name]
    assert adapted(given).rstrip() == wanted.rstrip()


def test_links_out_of_the_folder_lead_into_the_site() -> None:
    """What they begin with changes, anchors stay."""
    assert (
        relinked("[a](../config/x.toml) [b](c.md#d)", {"../config/": "config/"})
        == "[a](config/x.toml) [b](c.md#d)"
    )


def test_diagrams_become_tables() -> None:
    """Arrows with a reason, and arrows of imports."""
    states = "```mermaid\nstateDiagram-v2\n    a --> b: why / how\n    note left of a: x\n```\n"
    assert without_mermaid(states) == "| from | to | when |\n|---|---|---|\n| `a` | `b` | why / how |\n"
    imports = "```mermaid\nflowchart TD\n    a --> b\n    a --> c\n```\n"
    assert without_mermaid(imports) == "| package | imports |\n|---|---|\n| `a` | `b`, `c` |\n"
