"""SOQL parser: from text to syntax tree (SOQL and SOSL Reference, SOQL SELECT Syntax)."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, cast

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedEOF, UnexpectedToken, v_args
from lark.exceptions import VisitError

from rtssim.interface import OrgError
from rtssim.soql import ast
from rtssim.soql.messages import malformed

if TYPE_CHECKING:
    from collections.abc import Sequence

_ESCAPES = {
    "n": "\n",
    "N": "\n",
    "r": "\r",
    "R": "\r",
    "t": "\t",
    "T": "\t",
    "b": "\b",
    "B": "\b",
    "f": "\f",
    "F": "\f",
}
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
MAX_LENGTH = 100_000


def unescape(raw: str, *, pattern: bool = False) -> str:
    r"""Return the value of a string literal; a LIKE `pattern` keeps `\%`, `\_` and `\\` escaped."""

    def character(match: re.Match[str]) -> str:
        char = match[1]
        if len(char) == 5:
            return chr(int(char[1:], 16))
        if char in _ESCAPES:
            return _ESCAPES[char]
        if pattern and char in "%_\\":
            return match[0]
        if char in "'\"\\%_":
            return char
        raise ValueError(match[0])

    return _ESCAPE.sub(character, raw)


def _token(children: Sequence[Any], kind: str) -> Token | None:
    return next((c for c in children if isinstance(c, Token) and c.type == kind), None)


class _Clause(dict[str, Any]):
    """Fields of `ast.Query` that a clause sets."""


@v_args(inline=False)
class _Builder(Transformer[Token, Any]):
    """Converts lark's tree into the classes of `ast`, bottom up."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def query(self, children: list[Any]) -> ast.Query:
        select, items, _, (source, alias), *clauses = children
        fields = _Clause()
        for clause in clauses:
            if isinstance(clause, _Clause):
                fields |= clause
        return ast.Query(self._text, select.start_pos, items, source, alias, **fields)

    def select_list(self, children: list[Any]) -> list[Any]:
        return children

    def item(self, children: list[Any]) -> ast.Item:
        return ast.Item(children[0], str(children[1]) if len(children) > 1 else None)

    def alias(self, children: list[Token]) -> str:
        return str(children[0])

    def typeof(self, children: list[Any]) -> ast.TypeOf:
        start, path, *rest = children
        branches = tuple(part for part in rest if isinstance(part, tuple) and isinstance(part[0], str))
        otherwise = next(
            (part for part in rest if isinstance(part, tuple) and isinstance(part[0], ast.Path)), ()
        )
        return ast.TypeOf(path, branches, otherwise, start.start_pos)

    def when(self, children: list[Any]) -> tuple[str, tuple[ast.Path, ...]]:
        return str(children[1]), children[3]

    def otherwise(self, children: list[Any]) -> tuple[ast.Path, ...]:
        return cast("tuple[ast.Path, ...]", children[1])

    def path_list(self, children: list[ast.Path]) -> tuple[ast.Path, ...]:
        return tuple(children)

    def source(self, children: list[Any]) -> tuple[ast.Path, str | None]:
        return children[0], children[1] if len(children) > 1 else None

    def source_alias(self, children: list[Token]) -> str:
        return str(children[-1])

    def where(self, children: list[Any]) -> _Clause:
        return _Clause(where=children[1])

    def group(self, children: list[Any]) -> _Clause:
        having = children[-1] if isinstance(children[-1], _Clause) else {}
        return _Clause(group=[c for c in children[1:] if isinstance(c, ast.Path | ast.Call)], **having)

    def having(self, children: list[Any]) -> _Clause:
        return _Clause(having=children[1])

    def order(self, children: list[Any]) -> _Clause:
        return _Clause(order=children[1:])

    def order_item(self, children: list[Any]) -> ast.Order:
        nulls = _token(children, "FIRST") or _token(children, "LAST")
        place = None if nulls is None else ("FIRST" if nulls.type == "FIRST" else "LAST")
        return ast.Order(children[0], _token(children, "DESC") is not None, place)  # type: ignore[arg-type]

    def limit(self, children: list[Token]) -> _Clause:
        return _Clause(limit=self._count(children[1]))

    def offset(self, children: list[Token]) -> _Clause:
        return _Clause(offset=self._count(children[1]), offset_at=children[1].start_pos)

    def _count(self, token: Token) -> int:
        if not token.isdigit():
            raise malformed(self._text, token.start_pos or 0, f"unexpected token: '{token}'")
        return int(token)

    def all_rows(self, _: list[Token]) -> _Clause:
        return _Clause(all_rows=True)

    def conjunction(self, children: list[Any]) -> ast.Junction:
        return ast.Junction("AND", tuple(c for c in children if not isinstance(c, Token)))

    def disjunction(self, children: list[Any]) -> ast.Junction:
        return ast.Junction("OR", tuple(c for c in children if not isinstance(c, Token)))

    def negation(self, children: list[Any]) -> ast.Negation:
        return ast.Negation(children[1])

    def comparison(self, children: list[Any]) -> ast.Comparison:
        op = "!=" if children[1] == "<>" else str(children[1])
        return ast.Comparison(children[0], op, children[2])

    def like(self, children: list[Any]) -> ast.Comparison:
        return ast.Comparison(children[0], "like", children[2])

    def within(self, children: list[Any]) -> ast.Membership:
        return ast.Membership(children[0], "in", children[-1])

    def not_within(self, children: list[Any]) -> ast.Membership:
        return ast.Membership(children[0], "not in", children[-1])

    def includes(self, children: list[Any]) -> ast.Membership:
        return ast.Membership(children[0], "includes", children[-1])

    def excludes(self, children: list[Any]) -> ast.Membership:
        return ast.Membership(children[0], "excludes", children[-1])

    def semi_join(self, children: list[Any]) -> ast.SemiJoin:
        return ast.SemiJoin(children[0], negated=False, query=children[-1])

    def anti_join(self, children: list[Any]) -> ast.SemiJoin:
        return ast.SemiJoin(children[0], negated=True, query=children[-1])

    def values(self, children: list[ast.Value]) -> tuple[ast.Value, ...]:
        return tuple(children)

    def path(self, children: list[Token]) -> ast.Path:
        return ast.Path(tuple(map(str, children)), children[0].start_pos or 0)

    def call(self, children: list[Any]) -> ast.Call:
        return ast.Call(str(children[0]), tuple(children[1:]), children[0].start_pos)

    def string(self, children: list[Token]) -> ast.Value:
        return ast.Value("string", str(children[0])[1:-1], children[0].start_pos or 0)

    def number(self, children: list[Token]) -> ast.Value:
        return ast.Value("number", str(children[0]), children[0].start_pos or 0)

    def datetime(self, children: list[Token]) -> ast.Value:
        return ast.Value("datetime", str(children[0]), children[0].start_pos or 0)

    def date(self, children: list[Token]) -> ast.Value:
        return ast.Value("date", str(children[0]), children[0].start_pos or 0)

    def time(self, children: list[Token]) -> ast.Value:
        return ast.Value("time", str(children[0]), children[0].start_pos or 0)

    def true(self, children: list[Token]) -> ast.Value:
        return ast.Value("boolean", "true", children[0].start_pos or 0)

    def false(self, children: list[Token]) -> ast.Value:
        return ast.Value("boolean", "false", children[0].start_pos or 0)

    def null(self, children: list[Token]) -> ast.Value:
        return ast.Value("null", "", children[0].start_pos or 0)

    def date_literal(self, children: list[Token]) -> ast.Value:
        number = int(children[1]) if len(children) > 1 else None
        return ast.Value("date_literal", str(children[0]).upper(), children[0].start_pos or 0, number)

    def bind(self, children: list[Any]) -> ast.Value:
        path = children[0]
        raise malformed(self._text, path.at, "Bind variables only allowed in Apex code")


@lru_cache(maxsize=1)
def _lark() -> Lark:
    grammar = resources.files(__package__).joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", keep_all_tokens=False, maybe_placeholders=False)


def _refusal(text: str, error: UnexpectedCharacters | UnexpectedToken | UnexpectedEOF) -> OrgError:
    at = error.pos_in_stream
    if (isinstance(error, UnexpectedToken) and error.token.type == "$END") or at is None or at >= len(text):
        return malformed(text, len(text), "unexpected token: '<EOF>'")
    if text[at] == "'" and isinstance(error, UnexpectedCharacters):
        return malformed(text, at, "mismatched character '<EOF>' expecting '''")
    word = re.compile(r"\w+|.", re.DOTALL).match(text, at)
    return malformed(text, at, f"unexpected token: '{word[0] if word else text[at]}'")


def parse(text: str) -> ast.Query:
    """Return the query's tree; OrgError MALFORMED_QUERY points at the first token that is not SOQL."""
    if len(text) > MAX_LENGTH:
        raise OrgError(
            400, "MALFORMED_QUERY", f"SOQL statements can not be longer than {MAX_LENGTH} characters"
        )
    if not text.strip():
        raise OrgError(400, "MALFORMED_QUERY", "A query string has to be specified")
    try:
        tree = _lark().parse(text)
        return cast("ast.Query", _Builder(text).transform(tree))
    except (UnexpectedCharacters, UnexpectedToken, UnexpectedEOF) as error:
        raise _refusal(text, error) from None
    except VisitError as error:
        if isinstance(error.orig_exc, OrgError):
            raise error.orig_exc from None
        raise
