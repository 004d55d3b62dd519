"""docs/reliability.md and docs/acceptance.md against the tests there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROWS = re.findall(r"(?m)^\| (\d+) \| (.+?) \| (.+) \|$", (ROOT / "docs" / "reliability.md").read_text())
CASES = re.findall(r"(?m)^\| (\d\d) \|.* \| (.+) \|$", (ROOT / "docs" / "acceptance.md").read_text())
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def functions(path: Path) -> set[str]:
    """The tests of a module."""
    tree = ast.parse(path.read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_promise_is_there_once() -> None:
    """1 to 64, in order, each with a test or a reason."""
    assert [int(number) for number, _, _ in ROWS] == list(range(1, 65))
    assert [
        number for number, _, proof in ROWS if not NAMED.search(proof) and "Exception: " not in proof
    ] == []


def test_the_tests_that_are_named_exist() -> None:
    """A test that is renamed or removed takes its promise along."""
    named = [(number, path, name) for number, _, proof in ROWS for path, name in NAMED.findall(proof)]
    assert len(named) > 50
    assert [mention for mention in named if mention[2] not in functions(ROOT / mention[1])] == []


def test_every_case_has_its_tests() -> None:
    """1 to 50, in order, each with tests that exist; and every test named after a case is told."""
    assert [int(number) for number, _ in CASES] == list(range(1, 51))
    named = [(number, path, name) for number, tests in CASES for path, name in NAMED.findall(tests)]
    assert {number for number, _, _ in named} == {number for number, _ in CASES}
    assert [mention for mention in named if mention[2] not in functions(ROOT / mention[1])] == []
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        if "node_modules" not in path.parts
        for name in functions(path)
        if name.startswith("test_ac_")
    }
    assert there <= {name for _, _, name in named}
