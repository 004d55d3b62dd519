"""Every condition selects the same rows as a plain evaluation in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rtssim.org import Org

TEXTS = [None, "a", "A", "b", "ä", "Ä", "a'b", "%", "x_y", "\\", "Ω"]
NUMBERS = [None, -1.5, 0.0, 2.0, 7.25]
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a is not None and a < b,
    ">=": lambda a, b: a is not None and a >= b,
}
Case = tuple[str, Any]


def quoted(text: str) -> str:
    """Return a SOQL string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def folded(value: Any) -> Any:
    """Return text as SOQL compares it."""
    return value.casefold() if isinstance(value, str) else value


def _text(op: str, value: str | None) -> Case:
    literal = "null" if value is None else quoted(value)
    return f"Title {op} {literal}", lambda row: COMPARE[op](folded(row["Title"]), folded(value))


def _number(op: str, value: float) -> Case:
    return f"Score__c {op} {value}", lambda row: COMPARE[op](row["Score__c"], value)


def _within(values: list[str], *, negated: bool) -> Case:
    listed = ", ".join(quoted(value) for value in values)
    wanted = {folded(value) for value in values}
    word = "NOT IN" if negated else "IN"
    return f"Title {word} ({listed})", lambda row: (folded(row["Title"]) in wanted) is not negated


def _junction(word: str, parts: list[Case]) -> Case:
    join = all if word == "AND" else any
    text = f" {word} ".join(f"({part})" for part, _ in parts)
    return text, lambda row: join(test(row) for _, test in parts)


filled = st.sampled_from([text for text in TEXTS if text is not None])
simple = st.one_of(
    st.builds(_text, st.sampled_from(["=", "!="]), st.sampled_from(TEXTS)),
    st.builds(_number, st.sampled_from(list(COMPARE)), st.sampled_from([-1.5, 0.0, 2.0, 9.0])),
    st.builds(_within, st.lists(filled, min_size=1, max_size=3), negated=st.booleans()),
)
conditions = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(_junction, st.sampled_from(["AND", "OR"]), st.lists(inner, min_size=2, max_size=3)),
        inner.map(lambda case: (f"NOT ({case[0]})", lambda row: not case[1](row))),
    ),
    max_leaves=6,
)


def test_conditions_mean_what_they_say() -> None:
    """Nested AND, OR, NOT over nulls, cases and escapes agree with a plain evaluation."""
    org = Org(records={})
    rows = [{"LastName": "x", "Title": text, "Score__c": number} for text in TEXTS for number in NUMBERS]
    org.create(org.sync_user, "Contact", rows)
    stored = list(org.query(org.sync_user, "SELECT Id, Title, Score__c FROM Contact").records())

    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(conditions)
    def check(case: Case) -> None:
        soql, test = case
        found = {row[0] for row in org.query(org.sync_user, f"SELECT Id FROM Contact WHERE {soql}").rows()}
        assert found == {row["Id"] for row in stored if test(row)}

    check()
    org.close()
