"""Translation of WHERE and HAVING into SQL, with SOQL's two-valued logic: null is an ordinary value."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rtssim.schema.model import ID_TYPES, TEXT_TYPES
from rtssim.soql import ast, literals
from rtssim.soql.messages import located, malformed

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtssim.soql.scope import Expression, Scope

_RANGES = {
    "=": "({x} >= {a} AND {x} < {b})",
    "!=": "ifnull(NOT ({x} >= {a} AND {x} < {b}), 1)",
    "<": "{x} < {a}",
    "<=": "{x} < {b}",
    ">": "{x} >= {b}",
    ">=": "{x} >= {a}",
}


class Conditions:
    """Translates the conditions of a scope; `subquery` plans the single-column SELECT of a semi-join."""

    def __init__(self, scope: Scope, subquery: Callable[[ast.Query, Expression], str]) -> None:
        self._scope = scope
        self._context = scope.context
        self._subquery = subquery

    def sql(self, condition: ast.Condition) -> str:
        """Return the SQL of a condition."""
        match condition:
            case ast.Junction(op, parts):
                return "(" + f" {op} ".join(self.sql(part) for part in parts) + ")"
            case ast.Negation(part):
                return f"NOT ifnull({self.sql(part)}, 0)"
            case ast.Comparison():
                return self._comparison(condition)
            case ast.Membership():
                return self._membership(condition)
            case ast.SemiJoin():
                return self._semi_join(condition)

    def _operand(self, operand: ast.Operand) -> Expression:
        found = self._scope.resolve(operand)
        if found.field is not None and not found.field.filterable:
            raise located(
                self._context.text,
                found.at,
                "INVALID_FIELD",
                f"field '{found.field.name}' can not be filtered in a query call",
            )
        return found

    def _comparison(self, condition: ast.Comparison) -> str:
        left = self._operand(condition.operand)
        if condition.op == "like":
            return self._like(left, condition.value)
        if condition.value.kind == "date_literal":
            return self._range(left, condition)
        value = literals.stored(self._context.text, condition.value, left.name, left.type)
        if value is None:
            return self._null(left, condition)
        if condition.op not in ("=", "!=") and left.type in ("boolean", "multipicklist"):
            raise self._bad_operator(left)
        return self._compare(left, condition.op, value)

    def _null(self, left: Expression, condition: ast.Comparison) -> str:
        tests = {"=": "IS NULL", "!=": "IS NOT NULL"}
        if condition.op not in tests:
            raise self._bad_operator(left)
        return f"{left.sql} {tests[condition.op]}"

    def _bad_operator(self, left: Expression) -> Exception:
        reason = "invalid operator"
        return located(self._context.text, left.at, "INVALID_QUERY_FILTER_OPERATOR", reason)

    def _compare(self, left: Expression, op: str, value: Any) -> str:
        sql, collate = left.sql, left.collation
        if collate and not str(value).isascii():
            sql, collate, value = f"sf_fold({sql})", "", str(value).casefold()
        bound = self._context.param(value)
        if op == "!=":
            return f"({sql} IS NOT {bound}{collate})"
        return f"{sql} {op} {bound}{collate}"

    def _like(self, left: Expression, value: ast.Value) -> str:
        if left.type in ID_TYPES:
            raise located(
                self._context.text, left.at, "INVALID_QUERY_FILTER_OPERATOR", "invalid operator on id field"
            )
        if left.type not in TEXT_TYPES or left.type == "multipicklist":
            raise self._bad_operator(left)
        pattern = literals.stored(self._context.text, value, left.name, left.type, pattern=True)
        if pattern is None:
            return f"{left.sql} IS NULL"
        bound = self._context.param(pattern)
        if str(pattern).isascii():
            return f"ifnull({left.sql} LIKE {bound} ESCAPE '\\', 0)"
        return f"sf_like({left.sql}, {bound})"

    def _range(self, left: Expression, condition: ast.Comparison) -> str:
        context = self._context
        first, after = literals.date_range(
            context.text, condition.value, left.type, context.now, context.zone
        )
        sql = _RANGES[condition.op].replace("{x}", left.sql)
        return sql.replace("{a}", context.param(first)).replace("{b}", context.param(after))

    # -- lists -----------------------------------------------------------------------------------------
    def _membership(self, condition: ast.Membership) -> str:
        left = self._operand(condition.operand)
        if condition.op in ("includes", "excludes"):
            return self._includes(left, condition)
        if left.type == "multipicklist":
            raise self._bad_operator(left)
        if any(value.kind == "date_literal" for value in condition.values):
            equal = [self._range_or_equal(left, value) for value in condition.values]
            found = "(" + " OR ".join(equal) + ")"
        else:
            found = self._listed(left, condition)
        return found if condition.op == "in" else f"NOT ifnull({found}, 0)"

    def _range_or_equal(self, left: Expression, value: ast.Value) -> str:
        return self._comparison(ast.Comparison(ast.Path(tuple(left.name.split(".")), left.at), "=", value))

    def _listed(self, left: Expression, condition: ast.Membership) -> str:
        text = self._context.text
        values = [literals.stored(text, value, left.name, left.type) for value in condition.values]
        known = [value for value in values if value is not None]
        sql, collate = left.sql, left.collation
        if collate and not all(str(value).isascii() for value in known):
            sql, collate = f"sf_fold({sql})", ""
            known = [str(value).casefold() for value in known]
        if collate and len(known) > 1:
            known = sorted({str(value).lower() for value in known})
            sql, collate = f"lower({sql})", ""
        bound = self._context.param(json.dumps(known))
        source = f"(SELECT value{collate} FROM json_each({bound}))"
        found = f"{sql}{collate} IN {source}"
        return f"({found} OR {left.sql} IS NULL)" if None in values else found

    def _includes(self, left: Expression, condition: ast.Membership) -> str:
        if left.type != "multipicklist":
            raise self._bad_operator(left)
        text = self._context.text
        choices = []
        for value in condition.values:
            choice = literals.stored(text, value, left.name, left.type)
            names = [name for name in str(choice or "").split(";") if name]
            tests = [
                f"instr(sf_fold(';' || {left.sql} || ';'), {self._context.param(f';{name.casefold()};')}) > 0"
                for name in names
            ]
            choices.append("(" + " AND ".join(tests) + ")" if tests else f"{left.sql} IS NULL")
        found = "(" + " OR ".join(choices) + ")"
        return f"ifnull({found}, 0)" if condition.op == "includes" else f"NOT ifnull({found}, 0)"

    def _semi_join(self, condition: ast.SemiJoin) -> str:
        left = self._operand(condition.operand)
        if left.type not in ID_TYPES:
            reason = f"The left operand of a semi join must be an id or reference field: {left.name}"
            raise malformed(self._context.text, left.at, reason)
        inner = self._subquery(condition.query, left)
        found = f"{left.sql} IN ({inner})"
        return f"NOT ifnull({found}, 0)" if condition.negated else found
