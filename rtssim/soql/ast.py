"""Syntax tree of a SOQL query; `at` is an offset into its text, for error messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Path:
    """A field with the relationships that lead to it: `Account.Owner.Name`."""

    names: tuple[str, ...]
    at: int

    def __str__(self) -> str:
        return ".".join(self.names)


@dataclass(frozen=True, slots=True)
class Call:
    """A function call: `COUNT(Id)`, `DAY_ONLY(convertTimezone(CreatedDate))`."""

    name: str
    args: tuple[Operand, ...]
    at: int

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.args))})"


Operand = Path | Call


@dataclass(frozen=True, slots=True)
class Value:
    """A literal; `raw` is its text (of strings without quotes), `number` the n of LAST_N_DAYS:n."""

    kind: Literal["string", "number", "datetime", "date", "time", "boolean", "null", "date_literal", "bind"]
    raw: str
    at: int
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """`operand op value` with op = != < <= > >= or like."""

    operand: Operand
    op: str
    value: Value


@dataclass(frozen=True, slots=True)
class Membership:
    """`operand IN (...)`, NOT IN, INCLUDES or EXCLUDES."""

    operand: Operand
    op: Literal["in", "not in", "includes", "excludes"]
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class SemiJoin:
    """`operand [NOT] IN (SELECT ...)`."""

    operand: Operand
    negated: bool
    query: Query


@dataclass(frozen=True, slots=True)
class Junction:
    """Conditions joined by AND or OR."""

    op: Literal["AND", "OR"]
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """`NOT condition`."""

    part: Condition


Condition = Comparison | Membership | SemiJoin | Junction | Negation


@dataclass(frozen=True, slots=True)
class Item:
    """A selected field or function."""

    operand: Operand
    alias: str | None


@dataclass(frozen=True, slots=True)
class TypeOf:
    """`TYPEOF What WHEN Account THEN Name ... ELSE ... END`."""

    path: Path
    branches: tuple[tuple[str, tuple[Path, ...]], ...]
    otherwise: tuple[Path, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Order:
    """An ORDER BY term; `nulls` is None if the query does not say."""

    operand: Operand
    descending: bool
    nulls: Literal["FIRST", "LAST"] | None


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query or subquery."""

    text: str
    at: int
    items: list[Item | TypeOf | Query]
    source: Path
    alias: str | None = None
    where: Condition | None = None
    group: list[Operand] = field(default_factory=list)
    having: Condition | None = None
    order: list[Order] = field(default_factory=list)
    limit: int | None = None
    offset: int | None = None
    offset_at: int = 0
    all_rows: bool = False
