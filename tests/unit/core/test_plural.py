"""Counts in messages: the noun and the verb agree with the number, everywhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from rtsd.core.plural import plural

ROOT = Path(__file__).parents[3]
MODULES = [path for package in ("rtsd", "rtstui") for path in sorted((ROOT / package).rglob("*.py"))]
NOUNS = (
    "rows records objects changes pushes calls errors letters entries tries files components tests fields"
    " columns deliveries restarts jobs rules days mistakes"
)
COUNTED = re.compile(rf" (?:API |dead |bulk |Bulk |waiting |journal )?(?:{NOUNS.replace(' ', '|')})\b")
ALLOWED = {
    "rtsd/workflows/demo/scenario.py:  records at once",  # two hundred
    "rtsd/salesforce/client.py:  records change faster than they can be read in ",  # an object's name
    "rtsd/cli/conditions.py:  changes",  # a verb after fields
    "rtsd/core/condition_fields.py:  changes with every save, so every update would be pushed",  # a field's
}
"""What follows a value that is no number, or never 1."""


@pytest.mark.parametrize(
    ("number", "noun", "verb", "said"),
    [
        (0, "row", "", "0 rows"),
        (1, "row", "differ", "1 row differs"),
        (2, "row", "differ", "2 rows differ"),
        (1, "dead letter", "are", "1 dead letter is"),
        (1_234, "try", "", "1,234 tries"),
        (3, "day", "have", "3 days have"),
        (1, "day", "have", "1 day has"),
        (5, "push", "wait", "5 pushes wait"),
        (2, "journal entry", "were", "2 journal entries were"),
    ],
)
def test_number_noun_and_verb_agree(number: int, noun: str, verb: str, said: str) -> None:
    """Regular nouns and verbs, and the three irregular verbs that messages need."""
    assert plural(number, noun, verb) == said


def bare_counts(module: ast.AST) -> Iterator[str]:
    """What follows a number that is formatted beside a plural noun, so that 1 would read wrong."""
    for node in ast.walk(module):
        values = node.values if isinstance(node, ast.JoinedStr) else []
        for pair in pairwise(values):
            match pair:
                case (ast.FormattedValue(), ast.Constant(value=str(said))) if COUNTED.match(said):
                    yield said


def test_no_message_says_1_rows() -> None:
    """`plural` is the one place that knows how."""
    found = {
        f"{path.relative_to(ROOT)}: {text}"
        for path in MODULES
        for text in bare_counts(ast.parse(path.read_text()))
    }
    assert found == ALLOWED


def test_a_bare_count_is_found() -> None:
    """Of a name, an attribute or an expression, with or without a format."""
    source = "f'{n} rows'\nf'a {x.y:,} API calls b'\nf'{len(z)} dead letters'\nf'{plural(n, \"row\")} left'"
    assert list(bare_counts(ast.parse(source))) == [" rows", " API calls b", " dead letters"]
