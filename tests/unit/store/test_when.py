"""A rule's condition: SQLite's own judgement of a row, and nothing else."""

from __future__ import annotations

import re
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rtsd.core.schema import Field, Kind, ObjectSchema
from rtsd.store.sqlite.library import pysqlite3
from rtsd.store.when import MAX_LENGTH, UnknownColumn, When, check_syntax

COLUMNS = {
    "Id": Kind.TEXT,
    "Email": Kind.TEXT,
    "Employees": Kind.INT,
    "Score__c": Kind.REAL,
    "Active__c": Kind.BOOLEAN,
}
SCHEMA = ObjectSchema("Lead", tuple(Field(name, "string", kind) for name, kind in COLUMNS.items()), None)

NAMES = st.sampled_from([*COLUMNS, "email", '"Email"'])
TEXTS = st.sampled_from(
    ["'a'", "'B'", "''", "'1'", "'1.0'", "'%a_'", "'it''s -- so'", "NULL", "1", "1.5", "0", "TRUE"]
)


def value_of(kind: Kind) -> st.SearchStrategy[Any]:
    """What a column of that kind holds."""
    if kind is Kind.TEXT:
        return st.sampled_from([None, "a", "A", "b", "1", "1.0", "xa1", "é"])
    if kind is Kind.REAL:
        return st.sampled_from([None, 0.0, 1.0, 1.5, -2.25])
    return st.sampled_from([None, 0, 1, 15])


ROWS = st.fixed_dictionaries({name: value_of(kind) for name, kind in COLUMNS.items()})
OPERANDS = st.one_of(
    NAMES, NAMES.map(lambda name: f"old.{name}"), NAMES.map(lambda name: f"new.{name}"), TEXTS
)
COMPARISONS = st.one_of(
    st.tuples(
        OPERANDS, st.sampled_from(["=", "<>", "<", ">=", "IS", "IS NOT", "LIKE", "||", "+", "GLOB"]), OPERANDS
    ).map(" ".join),
    st.tuples(OPERANDS, OPERANDS, OPERANDS).map(lambda three: f"{three[0]} IN ({three[1]}, {three[2]})"),
    st.tuples(OPERANDS, OPERANDS, OPERANDS).map(
        lambda three: f"{three[0]} BETWEEN {three[1]} AND {three[2]}"
    ),
    OPERANDS.map(lambda operand: f"{operand} IS NULL"),
    OPERANDS.map(lambda operand: f"lower(coalesce({operand}, 'none')) = 'a'"),
    OPERANDS.map(lambda operand: f"CASE {operand} WHEN 'a' THEN 1 WHEN 1 THEN NULL ELSE 0 END"),
)
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda three: f"({' '.join(three)})"),
        inner.map(lambda condition: f"NOT ({condition})"),
        inner.map(lambda condition: f"{condition} -- and a comment"),
    ).map(lambda text: text + "\n"),
    max_leaves=5,
)


def by_where(condition: str, new: dict[str, Any], old: dict[str, Any] | None) -> bool:
    """What a WHERE over two tables of one row, joined, says of it; bare names are `new`'s."""
    declared = ", ".join(f"{name} {kind.declared}" for name, kind in COLUMNS.items())
    other = pysqlite3.connect(":memory:")
    other.execute(f"CREATE TABLE new ({declared})")
    other.execute(f"CREATE TABLE old ({declared})")
    marks = ", ".join("?" * len(COLUMNS))
    other.execute(f"INSERT INTO new VALUES ({marks})", [new[name] for name in COLUMNS])
    other.execute(f"INSERT INTO old VALUES ({marks})", [(old or {}).get(name) for name in COLUMNS])
    sql = f"SELECT COUNT(*) FROM old WHERE EXISTS (SELECT * FROM new WHERE {condition}\n)"
    ((count,),) = other.execute(sql)
    return bool(count)


NOBODY = dict.fromkeys(COLUMNS)


@settings(max_examples=200)
@example(
    "Employees = '1' AND Id = 1 AND Score__c = '1.0'",
    NOBODY | {"Employees": 1, "Id": "1", "Score__c": 1.0},
    None,
)
@given(condition=CONDITIONS, new=ROWS, old=st.none() | ROWS)
def test_it_agrees_with_a_where(condition: str, new: dict[str, Any], old: dict[str, Any] | None) -> None:
    """Types, affinity, collation and NULL are those of the object's own table."""
    assert When(condition, SCHEMA).holds(new, old) is by_where(condition, new, old)


def test_one_condition_judges_many_records() -> None:
    """Nothing of a record is left when the next one is judged; a value that is absent is NULL."""
    when = When("Email = old.Email OR Employees > 10", SCHEMA)
    assert when.holds({"Email": "a", "Employees": 11}, {"Email": "b"})
    assert not when.holds({"Email": "a"}, {"Email": "b"})
    assert when.holds({"Email": "b"}, {"Email": "b"})
    assert not when.holds({"Email": "b"}, None)


def test_nothing_asked_always_holds() -> None:
    """An empty condition is none."""
    assert When(" \n", SCHEMA).holds({}, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Emial IS NULL", "has no column Emial in the mirror (did you mean Email?); Id, Email, Employees"),
        ("old.Nope = 1", "has no column Nope"),
        ('Email = "Opne"', 'has no column "Opne"; text in single quotes'),
        ("Email = [Opne]", "has no column"),
        ("Email =", "is not a condition"),
        ("1) OR (1", "is not a condition"),
        ("1 THEN 1 END, (CASE WHEN 1", "is not a condition"),
        ("1 ORDER BY 1", "is not a condition"),
        ("/* never closed", "is not a condition"),
        ("Email = ?", "is not a condition"),
        ("1; DELETE FROM new", "is not a condition"),
        ("DELETE FROM new", "is not a condition"),
        ("ATTACH '/tmp/x' AS y", "is not a condition"),
        ("PRAGMA user_version", "is not a condition"),
        ("Email IN (SELECT Email FROM old)", "contains SELECT"),
        ("EXISTS (VALUES (1))", "contains VALUES"),
        (
            "1 IN (WITH RECURSIVE n(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n) SELECT x FROM n)",
            "contains WITH",
        ),
        ("Id IN sqlite_master", "is not a condition"),
        ("Id IN pragma_database_list", "is not a condition"),
        ("rowid = 1", "is not a condition"),
        ("load_extension('/tmp/x.so')", "functions"),
        ("randomblob(1000000000) IS NULL", "functions"),
        ("printf('%1000000000d', 1) IS NULL", "functions"),
        ("count(*) > 0", "functions"),
        ("nosuch(1)", "no such function"),
        ("x" * (MAX_LENGTH + 1), "longer than"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, says: str) -> None:
    """Mistakes and everything that is more than a look at one record, with what is allowed instead."""
    with pytest.raises(ValueError, match=re.escape(says)) as refused:
        When(text, SCHEMA)
    assert "; " in str(refused.value)


def test_syntax_is_checked_without_columns() -> None:
    """Before the object is described, only its columns are taken on trust."""
    check_syntax("Whatever__c = 'x' AND old.Other IS NULL")
    check_syntax("")
    for text in ("Whatever =", "load_extension('x')", "EXISTS (SELECT 1)"):
        with pytest.raises(ValueError, match="; "):
            check_syntax(text)


def test_an_unknown_column_is_told_from_other_mistakes() -> None:
    """So that a field that is gone can be told from one that never was."""
    with pytest.raises(UnknownColumn) as unknown:
        When("old.Gone__c IS NULL", SCHEMA)
    assert unknown.value.column == "Gone__c"


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ("Email LIKE Id", {"Email": "a" * 131_072, "Id": "%a" * 20_000 + "b"}),
        ("Email GLOB Id", {"Email": "a" * 131_072, "Id": "*a" * 20_000 + "b"}),
        ("replace(Email, 'a', Id) = 'x'", {"Email": "a" * 131_072, "Id": "b" * 131_072}),
    ],
)
def test_work_that_grows_without_bounds_is_cut(text: str, record: dict[str, Any]) -> None:
    """A value cannot hold up the transaction that the condition is judged in."""
    when = When(text, SCHEMA)
    begun = time.process_time()
    with pytest.raises(ValueError, match=r"too long|longer than"):
        when.holds(record, None)
    assert time.process_time() - begun < 0.5
    assert not when.holds({}, None), "the next record is judged all the same"


def test_the_longest_pattern_that_is_taken_is_quick() -> None:
    """The worst LIKE there can be, over the longest text there can be."""
    when = When("Email LIKE Id", SCHEMA)
    begun = time.process_time()
    assert not when.holds({"Email": "a" * 131_072, "Id": "%a" * 127 + "%b"}, None)
    assert time.process_time() - begun < 0.5


def test_a_value_that_cannot_be_judged_is_an_error_of_that_record() -> None:
    """SQLite's own refusal is told, and the next record is judged."""
    when = When("json_extract(Email, '$.a') = 1", SCHEMA)
    with pytest.raises(ValueError, match="malformed JSON"):
        when.holds({"Email": "{"}, None)
    assert when.holds({"Email": '{"a": 1}'}, None)


def test_a_long_condition_is_taken() -> None:
    """What an operator may write in earnest fits: hundreds of alternatives."""
    condition = " OR ".join(f"Email = 'x{number}'" for number in range(200))
    assert When(condition, SCHEMA).holds({"Email": "x199"}, None)


def test_a_condition_that_is_replaced_is_freed() -> None:
    """Each describe makes conditions anew: over a year none may be left behind, nor the refused ones."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    wide = ObjectSchema("Wide", tuple(Field(f"F{n}__c", "string", Kind.TEXT) for n in range(300)), None)
    sizes = []
    for _ in range(3):
        for _ in range(50):
            When("F1__c LIKE 'a%'", wide).holds({}, None)
            with pytest.raises(ValueError, match="no column"):
                When("nope = 1", wide)
        sizes.append(resident())
    assert sizes[2] - sizes[0] < 10_000_000


def test_the_standard_library_would_not_do() -> None:
    """The mirror's SQLite judges, not the one that Python was built with."""
    when = When("octet_length(Email) = 2", SCHEMA)
    assert when.holds({"Email": "é"}, None)
    assert pysqlite3 is not sqlite3
