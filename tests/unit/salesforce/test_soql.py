"""SOQL as text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import rtsd
from rtsd.salesforce import soql

SOURCE = Path(rtsd.__file__).parent
ELSEWHERE = (
    "store/",
    "apex/",
    "cli/sql.py",
    "control/openapi/",
    "salesforce/soql.py",
    "workflows/demo/compare.py",
    "workflows/demo/postgres.py",
)
"""SQL is another language, and so is Apex; examples and the demo's comparison read the mirror."""
STATEMENT = re.compile(r"\bselect\b.+\bfrom\b", re.IGNORECASE | re.DOTALL)


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        ("O'Neill", r"'O\'Neill'"),
        ("a\\b", r"'a\\b'"),
        ("a\nb\tc", r"'a\nb\tc'"),
        ("", "''"),
        ("' OR Id != '", r"'\' OR Id != \''"),
    ],
)
def test_strings_are_quoted(value: str, literal: str) -> None:
    """No value can end its literal."""
    assert soql.text(value) == literal


def test_moments_are_unquoted_whole_seconds() -> None:
    """Milliseconds and ISO text give the same literal."""
    assert soql.moment(1_772_359_200_123) == "2026-03-01T10:00:00Z"
    assert soql.moment("2026-03-01T10:00:00.000+0000") == "2026-03-01T10:00:00Z"


def test_select() -> None:
    """Empty parts are left out."""
    assert soql.select(["Id", "Name"], "Account") == "SELECT Id,Name FROM Account"
    assert (
        soql.select(["Id"], "Account", soql.after_id("001"), order_by="Id", limit=200)
        == "SELECT Id FROM Account WHERE Id > '001' ORDER BY Id LIMIT 200"
    )
    assert soql.after_id("") == ""


def test_keyset_by_stamp_and_id_takes_every_row_once() -> None:
    """Rows of the same second behind the last Id are included, and only those."""
    assert soql.after_stamp("SystemModstamp", "2026-03-01T10:00:00.000Z", "003x") == (
        "SystemModstamp > 2026-03-01T10:00:00Z OR (SystemModstamp = 2026-03-01T10:00:00Z AND Id > '003x')"
    )


def test_conditions_keep_their_meaning_when_joined() -> None:
    """An OR inside one condition does not swallow the others."""
    assert soql.all_of("", "a = 1 OR b = 2", "c = 3") == "(a = 1 OR b = 2) AND (c = 3)"
    assert soql.all_of("a = 1", "") == "a = 1"
    assert soql.all_of("", "") == ""
    assert soql.one_of("Id", ["a", "b'"]) == r"Id IN ('a','b\'')"


def test_select_list() -> None:
    """The columns of a Bulk result follow from its statement."""
    assert soql.select_list("SELECT Id, Owner.Name,\n From__c \nFROM Contact WHERE X = ' from '") == [
        "Id",
        "Owner.Name",
        "From__c",
    ]
    with pytest.raises(ValueError, match="FROM"):
        soql.select_list("SELECT Id")


def test_wide_field_lists_are_split_with_id_and_stamp_in_each_part() -> None:
    """Every field is in exactly one part, the joining fields in all."""
    fields = ["Id", "SystemModstamp", *(f"Field_{number:03d}__c" for number in range(800))]
    chunks = list(soql.column_chunks(fields, max_characters=4_000, always=("Id", "SystemModstamp")))
    assert all(chunk[:2] == ["Id", "SystemModstamp"] for chunk in chunks)
    assert all(len(",".join(chunk)) <= 4_000 for chunk in chunks)
    assert [name for chunk in chunks for name in chunk[2:]] == fields[2:]
    assert len(chunks) == 3


def test_a_list_that_fits_is_one_part() -> None:
    """Nothing is split without need, and a field that is asked for always but absent is not added."""
    assert list(soql.column_chunks(["Id", "A"], max_characters=100, always=("Id", "SystemModstamp"))) == [
        ["Id", "A"]
    ]


def test_statements() -> None:
    """Counts, groups and the setup objects are composed from the same parts."""
    assert soql.count("Account") == "SELECT COUNT() FROM Account"
    assert soql.by_day("Account", "SystemModstamp", "X = 1") == (
        "SELECT DAY_ONLY(SystemModstamp) d,COUNT(Id) n,MAX(SystemModstamp) m FROM Account WHERE X = 1"
        " GROUP BY DAY_ONLY(SystemModstamp)"
    )
    assert soql.by_hour("Account", "SystemModstamp", "X = 1").endswith("GROUP BY HOUR_IN_DAY(SystemModstamp)")
    assert soql.earliest("Account", "SystemModstamp", "") == "SELECT MIN(SystemModstamp) m FROM Account"
    assert soql.user_named("o'neill@x") == r"SELECT Id,Username FROM User WHERE Username = 'o\'neill@x'"
    assert soql.between("X", 0, 60_000) == "(X >= 1970-01-01T00:00:00Z) AND (X < 1970-01-01T00:01:00Z)"
    assert (soql.keyset_order(), soql.keyset_order("CreatedDate")) == ("Id", "CreatedDate,Id")


@pytest.mark.parametrize("text", ['"SELECT Id FROM A"', 'f"select {x} from {y}"', '"SELECT x " "FROM y"'])
def test_a_statement_in_code_is_found(text: str) -> None:
    """However it is written; docstrings may speak of statements."""
    assert list(_statements(f"x = {text}")) == [1]
    assert not list(_statements('"""SELECT Id FROM A."""'))


def test_soql_is_composed_in_one_module() -> None:
    """Whoever looks for a statement, or changes how one is quoted, has one file to read."""
    files = {path.relative_to(SOURCE).as_posix(): path for path in SOURCE.rglob("*.py")}
    found = [
        f"{name}:{line}"
        for name, path in files.items()
        if not name.startswith(ELSEWHERE)
        for line in _statements(path.read_text())
    ]
    assert found == []


def _statements(source: str) -> Iterator[int]:
    """The lines with a SELECT … FROM in a string that is no docstring."""
    tree = ast.parse(source)
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in told | inside:
            continue
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        text = "?".join(str(part.value) for part in parts if isinstance(part, ast.Constant))
        if STATEMENT.search(text):
            yield node.lineno if isinstance(node, ast.expr) else 0
