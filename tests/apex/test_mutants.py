"""Mistakes planted in the package, and which check finds each.

All are planted at once, each in a file of its own, and every check runs once over the result. A mistake that
nobody finds is listed as well, so that nobody believes the checks to be an org.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.apex import analysers, metadata_rules, source_rules
from tests.support.apex.source_rules import Finding

ROOTS = ("force-app/main/default/", "generated/main/default/")
FOLDERS = {".cls": "classes/", ".trigger": "triggers/"}
GOAL = 27
"""Of at least 30, as many must be found."""


class Mutant(NamedTuple):
    """A mistake: `new` None removes the file. `finder` None: nobody finds it."""

    what: str
    file: str
    old: str = ""
    new: str | None = None
    finder: str | None = None
    says: str = ""
    """A part of the finding's message."""


MUTANTS = [
    Mutant(**entry) for entry in tomllib.loads(Path(__file__).with_name("mutants.toml").read_text())["mutant"]
]


@pytest.fixture(scope="module")
def mutated(tree: dict[str, bytes]) -> dict[str, bytes]:
    """The project with every mistake in it."""
    changed = dict(tree)
    for mutant in MUTANTS:
        path = located(mutant.file, tree)
        assert changed.get(path) == tree[path], f"two mistakes in {mutant.file}"
        if mutant.new is None:
            del changed[path]
            continue
        assert tree[path].count(mutant.old.encode()) > 0, f"{mutant.file} has no {mutant.old!r}"
        changed[path] = tree[path].replace(mutant.old.encode(), mutant.new.encode())
    return changed


def located(file: str, tree: dict[str, bytes]) -> str:
    """A file's path in the project."""
    paths = [root + FOLDERS.get(Path(file).suffix, "") + file for root in ROOTS]
    return next(path for path in paths if path in tree)


def missed(finder: str, findings: list[Finding], tree: dict[str, bytes]) -> list[str]:
    """The mistakes that a check does not find, although it is to."""
    return [
        mutant.what
        for mutant in MUTANTS
        if mutant.finder == finder
        and not any(
            mutant.says in finding.message
            and (mutant.new is None or finding.path == located(mutant.file, tree))
            for finding in findings
        )
    ]


def test_enough_is_found() -> None:
    """At least 30 mistakes, of which at least 27 are found."""
    assert len(MUTANTS) >= 30
    assert sum(mutant.finder is not None for mutant in MUTANTS) >= GOAL


@pytest.mark.parametrize(
    ("finder", "check"), [("rules", source_rules.findings), ("metadata", metadata_rules.findings)]
)
def test_rules_find_their_mistakes(
    finder: str,
    check: Callable[[dict[str, bytes]], list[Finding]],
    tree: dict[str, bytes],
    mutated: dict[str, bytes],
) -> None:
    """Each mistake that a check is there for, and nothing where none was planted."""
    assert check(tree) == []
    assert missed(finder, check(mutated), tree) == []


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("finder", ["compiler", "pmd"])
def test_analysers_find_their_mistakes(
    finder: str, tree: dict[str, bytes], mutated: dict[str, bytes], tmp_path: Path
) -> None:
    """What Salesforce's compiler refuses, and PMD."""
    analysers.write(mutated, tmp_path)
    if finder == "compiler":
        assert missed(finder, analysers.compile_apex(tmp_path), tree) == []
    else:
        assert missed(finder, analysers.pmd(tmp_path, mutated), tree) == []
