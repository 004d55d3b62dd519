"""The shape of the code: short files and functions, clocks at the edge, no privates in tests."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("rtsd", "rtssim", "rtstui", "website", "examples", "tests")
MODULES = [
    path.relative_to(ROOT).as_posix()
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if "node_modules" not in path.parts
]
TESTS = [module for module in MODULES if module.startswith("tests/")]
MOST_LINES = 400
MOST_FUNCTION_LINES = 60

NAMED_TUPLE = {"_asdict", "_fields", "_make", "_replace"}
"""Public in spite of the underscore, so that no field can hide them."""

ALLOWED = {
    "tests/support/inprocess/board.py: asyncio._set_running_loop": "saves while the loop is at rest",
    "tests/support/dashboard/app.py: app.screen._compositor": "Textual's screen as text, in this one place",
    "tests/support/apex/metadata_rules.py: etree._Element": "lxml calls the class of an element so",
}
"""Privates that tests reach into, and why. None is ours."""


def parsed(module: str) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse((ROOT / module).read_text())


def too_long(module: str) -> Iterator[str]:
    """The module and its functions, where they are too long."""
    if len((ROOT / module).read_text().splitlines()) > MOST_LINES:
        yield module
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > MOST_FUNCTION_LINES:
                yield f"{module}: {node.name}"


def is_private(name: object) -> bool:
    """Whether a name is one that only its owner may use."""
    return (
        isinstance(name, str)
        and name.startswith("_")
        and not name.startswith("__")
        and name not in NAMED_TUPLE
    )


def privates(module: ast.AST) -> Iterator[str]:
    """Private names of others that are read, imported, or replaced by their name as text."""
    for node in ast.walk(module):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                pass
            case ast.Attribute(attr=name) if is_private(name):
                yield ast.unparse(node)
            case ast.ImportFrom(module=source, names=names):
                yield from (f"{source}.{alias.name}" for alias in names if is_private(alias.name))
            case ast.Call(
                func=ast.Name(id="getattr" | "setattr") | ast.Attribute(attr="setattr" | "delattr"), args=args
            ):
                texts = (arg.value for arg in args if isinstance(arg, ast.Constant))
                yield from (str(text) for text in texts if is_private(str(text).rpartition(".")[2]))


def nameless(module: ast.AST) -> Iterator[int]:
    """Lines where something gets the name `one`, which says nothing of what it is."""
    for node in ast.walk(module):
        match node:
            case (
                ast.Name(id="one", ctx=ast.Store())
                | ast.arg(arg="one")
                | ast.alias(asname="one")
                | ast.ExceptHandler(name="one")
                | ast.MatchAs(name="one")
                | ast.MatchStar(name="one")
                | ast.MatchMapping(rest="one")
            ):
                yield node.lineno


def test_files_and_functions_are_short() -> None:
    """400 lines a file, 60 a function: more than that is two subjects."""
    assert [problem for module in MODULES for problem in too_long(module)] == []


def test_tests_use_what_others_may_use() -> None:
    """A test that reads or replaces a private breaks with every change inside, and shows nothing outside."""
    found = {f"{module}: {name}" for module in TESTS for name in privates(parsed(module))}
    assert found - ALLOWED.keys() == set(), "test it from outside, or make it public"
    assert ALLOWED.keys() - found == set(), "take it off the list"


def test_names_say_what_they_name() -> None:
    """A variable or parameter called `one` sends the reader to look up what it is one of."""
    assert [f"{module}:{line}" for module in MODULES for line in nameless(parsed(module))] == []


@pytest.mark.parametrize(
    "banned", ["time.time", "time.monotonic", "datetime.datetime.now", "random", "secrets"]
)
def test_time_and_chance_come_in_as_values(banned: str) -> None:
    """Ruff refuses clocks and random numbers everywhere but at the edge of the process."""
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert banned in ruff["flake8-tidy-imports"]["banned-api"]
    everywhere = {"rtsd/**", "rtsd/**/*.py", "**", "rtstui/**"}
    allowed = {place for place, rules in ruff["per-file-ignores"].items() if "TID251" in rules}
    assert allowed
    assert allowed & everywhere == set()


def test_the_rules_find_what_they_are_for() -> None:
    """Reading, importing and replacing a private are found; one's own and a named tuple's are not."""
    found = privates(
        ast.parse(
            "from a.b import _c, d\nx._y = 1\nz.u._v.w()\n"
            "patch.setattr(x, '_q', 1)\npatch.setattr('a._m', 1)\n"
            "self._own = cls._own\nrow._replace(a=1)\nx.__doc__\n"
        )
    )
    assert sorted(found) == ["_q", "a._m", "a.b._c", "x._y", "z.u._v"]


def test_no_place_for_a_nameless_variable_is_overlooked() -> None:
    """Every way to bind a name is found, and nothing that only reads it or is an attribute."""
    found = nameless(
        ast.parse(
            "one = 1\n[x for one in y]\nlambda one: 1\ndef f(*, one): pass\nimport a as one\n"
            "(one := 2)\ntry: pass\nexcept E as one: pass\n"
            "match y:\n case [one, *_]: pass\n case {**one}: pass\n case [*one]: pass\n"
            "print(one, x.one, 'one', f(one=1))\nx.one = 1\n"
        )
    )
    assert sorted(found) == [1, 2, 3, 4, 5, 6, 8, 10, 11, 12]
