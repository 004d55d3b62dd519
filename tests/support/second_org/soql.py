"""SOQL by recursive descent: what is asked, and the rows that answer it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from tests.support.second_org.errors import Refused, malformed, no_field
from tests.support.second_org.records import Field, Row, SObject, as_json

Test = Callable[[Row], bool]
Getter = Callable[[Row], Any]

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^'\\]|\\.)*')
      |(?P<datetime>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))
      |(?P<date>\d{4}-\d\d-\d\d)|(?P<number>[+-]?\d+(?:\.\d+)?)
      |(?P<word>[A-Za-z_][\w.]*)|(?P<sign><=|>=|!=|<>|[=<>(),]))""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_OF_DATES: dict[str, Callable[[datetime], Any]] = {
    "DAY_ONLY": lambda at: at.date(),
    "HOUR_IN_DAY": lambda at: at.hour,
    "CALENDAR_YEAR": lambda at: at.year,
    "CALENDAR_MONTH": lambda at: at.month,
    "DAY_IN_MONTH": lambda at: at.day,
}
_AGGREGATES: dict[str, Callable[[list[Any]], Any]] = {
    "COUNT": len,
    "COUNT_DISTINCT": lambda values: len(set(values)),
    "MAX": lambda values: max(values, default=None),
    "MIN": lambda values: min(values, default=None),
    "SUM": lambda values: float(sum(values)),
}
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}


@dataclass
class Item:
    """One thing selected: a field, or a function of one."""

    field: Field | None
    function: str | None = None
    alias: str | None = None


@dataclass
class Query:
    """What a SOQL text asks for."""

    entity: SObject
    items: list[Item]
    test: Test = lambda _row: True
    groups: list[tuple[str | None, Field]] = field(default_factory=list)
    order: list[tuple[Getter, bool]] = field(default_factory=list)
    limit: int | None = None
    words: set[str] = field(default_factory=set)

    @property
    def aggregate(self) -> bool:
        """Whether the answer is of sums, not of rows."""
        return bool(self.groups) or any(item.function in _AGGREGATES for item in self.items)

    @property
    def counts(self) -> bool:
        """`SELECT COUNT()`: the answer is totalSize."""
        return [(item.function, item.field) for item in self.items] == [("COUNT", None)]

    def rows(self, *, deleted: bool) -> list[Row]:
        """The rows that match, in the order asked for, else the newest first."""
        found = [
            row
            for row in reversed(list(self.entity.rows.values()))
            if (deleted or not row.get("IsDeleted")) and self.test(row)
        ]
        for getter, backwards in reversed(self.order):
            found.sort(key=lambda row: (getter(row) is not None, getter(row)), reverse=backwards)
        return found if self.limit is None or self.aggregate else found[: self.limit]

    def sums(self, rows: list[Row]) -> list[dict[str, Any]]:
        """The groups of an aggregate query, as REST writes them (SOQL and SOSL Reference, GROUP BY)."""
        grouped: dict[tuple[Any, ...], list[Row]] = {} if self.groups else {(): []}
        for row in rows:
            key = tuple(_function(name, kind)(row) for name, kind in self.groups)
            grouped.setdefault(key, []).append(row)
        if len(grouped) > 2_000 and self.limit is None:
            raise Refused(400, "EXCEEDED_ID_LIMIT", "Aggregate query does not support queryMore(), use LIMIT")
        return [self._sum(members) for members in list(grouped.values())[: self.limit]]

    def _sum(self, rows: list[Row]) -> dict[str, Any]:
        answer: dict[str, Any] = {"attributes": {"type": "AggregateResult"}}
        unnamed = 0
        for item in self.items:
            if item.function in _AGGREGATES:
                values = [_function(None, item.field)(row) for row in rows] if item.field else rows
                value = _AGGREGATES[item.function]([operand for operand in values if operand is not None])
            else:
                value = _function(item.function, item.field)(rows[0])
            name = item.alias or (item.field.name if item.field and not item.function else None)
            if name is None:
                name, unnamed = f"expr{unnamed}", unnamed + 1
            answer[name] = as_json(value, item.field or Field("", "int"))
        return answer


def _function(name: str | None, kind: Field | None) -> Getter:
    assert kind is not None
    if name is None:
        return lambda row: row.get(kind.name)
    if name not in _OF_DATES or kind.type not in ("datetime", "date"):
        raise malformed(name)
    of = _OF_DATES[name]
    return lambda row: None if (at := row.get(kind.name)) is None else of(at)  # type: ignore[arg-type]


class _Reader:
    """The tokens of one text, read from left to right."""

    def __init__(self, text: str, find: Callable[[str], SObject]) -> None:
        if len(text) > 100_000:
            raise malformed("SOQL statements can not be longer than 100000 characters")
        self.tokens: list[tuple[str, str]] = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            if (found := _TOKEN.match(text, at)) is None or found.lastgroup is None:
                raise malformed(text[at : at + 12])
            self.tokens.append((found.lastgroup, found[found.lastgroup]))
            at = found.end()
        self.tokens.append(("end", "<EOF>"))
        self.at = 0
        self.find = find

    def peek(self, *words: str) -> bool:
        kind, text = self.tokens[self.at]
        return kind in ("word", "sign") and text.upper() in words

    def take(self, *words: str) -> str | None:
        if not self.peek(*words):
            return None
        self.at += 1
        return self.tokens[self.at - 1][1].upper()

    def need(self, *words: str) -> str:
        if (taken := self.take(*words)) is None:
            raise malformed(self.tokens[self.at][1])
        return taken

    def next(self, *kinds: str) -> tuple[str, str]:
        if self.tokens[self.at][0] not in kinds:
            raise malformed(self.tokens[self.at][1])
        self.at += 1
        return self.tokens[self.at - 1]

    def list(self, element: Callable[[], Any]) -> list[Any]:
        found = [element()]
        while self.take(","):
            found.append(element())
        return found

    def query(self) -> Query:
        self.need("SELECT")
        selected = self.list(self.item)
        self.need("FROM")
        self.entity = self.find(self.next("word")[1])
        if self.tokens[self.at][0] == "word" and not self.peek("WHERE", "GROUP", "ORDER", "LIMIT"):
            self.at += 1  # an alias of the object
        items = [
            Item(self.column(name) if name else None, function, alias) for function, name, alias in selected
        ]
        query = Query(
            self.entity, items, words={text.upper() for kind, text in self.tokens if kind == "word"}
        )
        if self.take("WHERE"):
            query.test = self.condition()
        if self.take("GROUP"):
            self.need("BY")
            query.groups = self.list(self.group)
        if self.take("ORDER"):
            self.need("BY")
            query.order = self.list(self.sorting)
        if self.take("LIMIT"):
            query.limit = int(self.next("number")[1])
        self.next("end")
        self.check(query)
        return query

    def check(self, query: Query) -> None:
        if not query.aggregate:
            if any(item.function for item in query.items):
                raise malformed("Grouped field should not be aggregated")
            return
        groups = [(name, kind.name) for name, kind in query.groups]
        for item in query.items:
            plain = item.function not in _AGGREGATES
            if plain and (item.function, item.field.name if item.field else None) not in groups:
                raise malformed(f"Field must be grouped or aggregated: {item.field and item.field.name}")

    def column(self, name: str) -> Field:
        kind = self.entity.find(name)
        if kind is None:
            raise no_field(name, self.entity.name)
        return kind

    def item(self) -> tuple[str | None, str | None, str | None]:
        name = self.next("word")[1]
        function = argument = alias = None
        if self.take("("):
            function = name.upper()
            argument = None if self.peek(")") else self.next("word")[1]
            self.need(")")
        if self.tokens[self.at][0] == "word" and not self.peek("FROM"):
            alias = self.next("word")[1]
        return function, argument if function else name, alias

    def operand(self) -> tuple[str | None, Field]:
        name = self.next("word")[1]
        if not self.take("("):
            return None, self.column(name)
        kind = self.column(self.next("word")[1])
        self.need(")")
        return name.upper(), kind

    def group(self) -> tuple[str | None, Field]:
        function, kind = self.operand()
        if function is None and not kind.groupable:
            raise malformed(f"field '{kind.name}' can not be grouped in a query call")
        return function, kind

    def sorting(self) -> tuple[Getter, bool]:
        function, kind = self.operand()
        backwards = self.take("ASC", "DESC") == "DESC"
        if self.take("NULLS"):
            self.need("FIRST", "LAST")
        return _function(function, kind), backwards

    def condition(self) -> Test:
        tests = [self.negation()]
        word = self.take("AND", "OR")
        while word:
            tests.append(self.negation())
            if self.peek("OR" if word == "AND" else "AND"):
                raise malformed(self.tokens[self.at][1])  # AND beside OR wants parentheses
            if not self.take(word):
                break
        return tests[0] if len(tests) == 1 else _joined(all if word == "AND" else any, tests)

    def negation(self) -> Test:
        if self.take("NOT"):
            test = self.negation()
            return lambda row: not test(row)
        if self.take("("):
            test = self.condition()
            self.need(")")
            return test
        return self.comparison()

    def comparison(self) -> Test:
        function, kind = self.operand()
        if not kind.filterable or kind.length > 255 or kind.type in ("base64", "address", "location"):
            raise Refused(400, "INVALID_FIELD", f"field '{kind.name}' can not be filtered in a query call")
        getter = _function(function, kind)
        refused = bool(self.take("NOT"))
        operator = (
            self.need("IN") if refused else self.need("=", "!=", "<>", "<", ">", "<=", ">=", "IN", "LIKE")
        )
        if operator == "IN":
            self.need("(")
            wanted = {self.value(kind, function) for _ in self.items()}
            self.need(")")
            return lambda row: (_folded(getter(row), kind) in wanted) is not refused
        value = self.value(kind, function)
        if operator == "LIKE":
            pattern = re.escape(str(value)).replace("%", ".*").replace("_", ".")
            return lambda row: re.fullmatch(pattern, str(getter(row) or "").lower(), re.DOTALL) is not None
        if operator in ("=", "!=", "<>"):
            return lambda row: (_folded(getter(row), kind) == value) is (operator == "=")
        compare = _OPERATORS[operator]
        if value is None:
            raise malformed("null")
        return lambda row: (at := _folded(getter(row), kind)) is not None and compare(at, value)

    def items(self) -> Iterable[None]:
        yield
        while self.take(","):
            yield

    def value(self, kind: Field, function: str | None) -> Any:
        shape, text = self.next("text", "datetime", "date", "number", "word")
        if shape == "word":
            words = {"NULL": None, "TRUE": True, "FALSE": False}
            if text.upper() not in words:
                raise malformed(text)
            return words[text.upper()]
        wanted = _literal(kind) if function is None else ("date" if function == "DAY_ONLY" else "number")
        if shape != wanted:
            raise Refused(
                400, "INVALID_FIELD", f"value of filter criterion for field '{kind.name}' must be {wanted}"
            )
        if shape == "text":
            plain = re.sub(
                r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text[1:-1], flags=re.DOTALL
            )
            if len(plain) > 4_000:
                raise malformed("string literal")
            return _folded(plain, kind)
        if shape == "datetime":
            return datetime.fromisoformat(text).replace(microsecond=0)
        return date.fromisoformat(text) if shape == "date" else float(text)


def _joined(how: Callable[[Iterable[bool]], bool], tests: list[Test]) -> Test:
    return lambda row: how(test(row) for test in tests)


def _literal(kind: Field) -> str:
    numbers = ("int", "double", "currency", "percent")
    if kind.type in ("datetime", "date"):
        return kind.type
    return "number" if kind.type in numbers else "boolean" if kind.type == "boolean" else "text"


def _folded(value: Any, kind: Field) -> Any:
    if not isinstance(value, str):
        return value
    if kind.type in ("id", "reference"):
        return value[:15]
    return value.lower()


def parse(text: str, find: Callable[[str], SObject]) -> Query:
    """Read a SOQL text; Refused says what is wrong with it."""
    return _Reader(text, find).query()
