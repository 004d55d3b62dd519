"""SOQL planner: from syntax tree to plan, with Salesforce's checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtssim.database import quote
from rtssim.interface import OrgError
from rtssim.schema.model import COMPOUND_TYPES, Child, Field
from rtssim.soql import ast
from rtssim.soql.conditions import Conditions
from rtssim.soql.messages import located, malformed, no_such_children
from rtssim.soql.plan import ChildPlan, Column, Plan
from rtssim.soql.scope import Context, Expression, Scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rtssim.schema.model import ObjectType

MAX_OFFSET = 2000
MAX_GROUPS = 2000
_FIELDS_LIMIT = 200
_BULK = "is not supported by the Bulk API"


def plan(context: Context, query: ast.Query) -> Plan:
    """Return the plan of a top-level query."""
    context.all_rows = context.all_rows or query.all_rows
    obj = context.object(str(query.source), query.source.at)
    return _Select(context, query, obj).plan()


def plan_fields(context: Context, obj: ObjectType, fields: Sequence[str], where: str, tail: str = "") -> Plan:
    """Return the plan for named fields of an object, with an SQL condition over its row `{t}`."""
    query = ast.Query(
        "", 0, [ast.Item(ast.Path((name,), 0), None) for name in fields], ast.Path((obj.name,), 0)
    )
    return _Select(context, query, obj).plan(where, tail)


class _Select:
    """Builds the plan of a SELECT."""

    def __init__(self, context: Context, query: ast.Query, obj: ObjectType) -> None:
        self._context = context
        self._query = query
        self._object = obj
        self._scope = Scope(context, obj, query.alias)
        self._children: list[ChildPlan] = []
        self._columns: list[Column] = []
        self._aliases: dict[str, Expression] = {}
        self._conditions = Conditions(self._scope, self._semi_join)

    def plan(self, extra: str | None = None, tail: str = "") -> Plan:
        query = self._query
        is_count = self._is_count()
        is_aggregate = bool(query.group) or any(self._aggregates(item) for item in query.items)
        if self._context.bulk:
            self._refuse_for_bulk(aggregate=is_count or is_aggregate)
        grouped = [self._grouped(operand) for operand in query.group]
        if not is_count:
            self._select(aggregate=is_aggregate, grouped=grouped)
        where = self._where(extra)
        having = self._conditions.sql(query.having) if query.having is not None else ""
        order = self._order(aggregate=is_aggregate, grouped=grouped)
        groups = ", ".join(e.sql + e.collation for e in grouped)
        source = [f"FROM {quote(self._object.name)} {self._scope.alias}", *self._scope.joins, where]
        source += [f"GROUP BY {groups}"] if groups else []
        source += [f"HAVING {having}"] if having else []
        single = not is_aggregate and not is_count
        return Plan(
            object=self._object,
            columns=self._columns,
            source=" ".join(source).strip(),
            tail=" ".join(part for part in (order, self._limit(), tail) if part),
            params=self._context.params,
            is_count=is_count,
            is_aggregate=is_aggregate and not is_count,
            id_sql=f"{self._scope.alias}.Id" if single else "",
            parents=list(self._scope.parents.values()) if single else [],
            children=self._children,
            grouped=bool(grouped),
            capped=query.limit is not None and query.limit <= MAX_GROUPS,
        )

    # -- select list -----------------------------------------------------------------------------------
    def _is_count(self) -> bool:
        items = self._query.items
        first = items[0]
        if not (isinstance(first, ast.Item) and isinstance(first.operand, ast.Call)):
            return False
        bare = first.operand.name.upper() == "COUNT" and not first.operand.args
        if bare and (len(items) > 1 or self._query.group or first.alias):
            raise malformed(self._query.text, first.operand.at, "COUNT() must be the only item selected")
        return bare

    @staticmethod
    def _aggregates(item: ast.Item | ast.TypeOf | ast.Query) -> bool:
        if not (isinstance(item, ast.Item) and isinstance(item.operand, ast.Call)):
            return False
        return item.operand.name.upper() in {"COUNT", "COUNT_DISTINCT", "SUM", "AVG", "MIN", "MAX"}

    def _select(self, *, aggregate: bool, grouped: list[Expression]) -> None:
        unnamed = 0
        for item in self._query.items:
            if isinstance(item, ast.Query):
                self._children.append(self._child(item))
            elif isinstance(item, ast.TypeOf):
                raise malformed(self._query.text, item.at, "TYPEOF is not supported by this simulated org")
            elif isinstance(item.operand, ast.Call) and item.operand.name.upper() == "FIELDS":
                self._all_fields(item.operand)
            else:
                found = self._scope.resolve(item.operand)
                if aggregate and not found.aggregate and not any(g.sql == found.sql for g in grouped):
                    raise self._ungrouped(found, str(item.operand))
                if item.alias and not aggregate:
                    reason = "only aggregate expressions use field aliasing"
                    raise malformed(self._query.text, found.at, reason)
                name = item.alias or (found.path[-1] if aggregate and found.path else found.name)
                if not name or (isinstance(item.operand, ast.Call) and not item.alias and not found.path):
                    name = f"expr{unnamed}"
                    unnamed += 1
                self._add(
                    Column(name, str(item.operand), found.sql, found.type, found.path or (name,)), found.at
                )
                self._aliases[name.lower()] = found

    def _add(self, column: Column, at: int) -> None:
        if any(known.name == column.name for known in self._columns):
            raise located(self._query.text, at, "INVALID_FIELD", f"duplicate field selected: {column.name}")
        self._columns.append(column)

    def _ungrouped(self, found: Expression, typed: str) -> OrgError:
        return malformed(self._query.text, found.at, f"Field must be grouped or aggregated: {typed}")

    def _all_fields(self, call: ast.Call) -> None:
        group = str(call.args[0]).upper() if call.args else ""
        if group not in ("ALL", "STANDARD", "CUSTOM"):
            raise malformed(self._query.text, call.at, f"Invalid argument to the FIELDS function: {group}")
        limited = self._query.limit is not None and self._query.limit <= _FIELDS_LIMIT
        exempt = group == "STANDARD" and not self._context.switches.fields_standard_needs_limit
        if not limited and not exempt:
            reason = "The SOQL FIELDS function must have a LIMIT of at most 200"
            raise OrgError(400, "MALFORMED_QUERY", reason)
        for field in self._object.fields.values():
            if self._context.sees(self._object, field) and (
                group == "ALL" or field.custom == (group == "CUSTOM")
            ):
                found = self._scope.resolve(ast.Path((field.name,), call.at))
                if not any(known.name == field.name for known in self._columns):
                    self._columns.append(Column(field.name, field.name, found.sql, found.type, found.path))

    # -- clauses ---------------------------------------------------------------------------------------
    def _where(self, extra: str | None) -> str:
        alias = self._scope.alias
        conditions = self._context.visible(self._object, alias)
        if "IsDeleted" in self._object.fields and not self._context.all_rows:
            conditions.append(f"{alias}.IsDeleted = 0")
        if self._query.where is not None:
            conditions.append(self._conditions.sql(self._query.where))
        if extra is not None:
            conditions.append(extra.replace("{t}", alias))
        return f"WHERE {' AND '.join(conditions)}" if conditions else ""

    def _grouped(self, operand: ast.Operand) -> Expression:
        found = self._scope.resolve(operand)
        if found.aggregate or (found.field is not None and not found.field.groupable):
            reason = f"field '{found.name or operand}' can not be grouped in a query call"
            raise malformed(self._query.text, found.at, reason)
        return found

    def _order(self, *, aggregate: bool, grouped: list[Expression]) -> str:
        terms = []
        for order in self._query.order:
            aliased = self._aliases.get(str(order.operand).lower()) if aggregate else None
            found = aliased or self._scope.resolve(order.operand)
            if aggregate and not found.aggregate and not any(g.sql == found.sql for g in grouped):
                raise malformed(
                    self._query.text,
                    found.at,
                    f"Ordered field must be grouped or aggregated: {order.operand}",
                )
            if found.field is not None and not found.field.sortable:
                reason = f"field '{found.field.name}' can not be sorted in a query call"
                raise malformed(self._query.text, found.at, reason)
            never_null = found.field is not None and not found.field.nillable and len(found.path) == 1
            nulls = f" NULLS {order.nulls or 'FIRST'}"
            if never_null or (not order.descending and order.nulls != "LAST"):
                nulls = ""
            terms.append(f"{found.sql}{found.collation}{' DESC' if order.descending else ''}{nulls}")
        return f"ORDER BY {', '.join(terms)}" if terms else ""

    def _limit(self) -> str:
        query = self._query
        if query.offset is not None and query.offset > MAX_OFFSET:
            raise located(
                query.text,
                query.offset_at,
                "NUMBER_OUTSIDE_VALID_RANGE",
                "Maximum SOQL offset allowed is 2000",
            )
        if query.limit is None and query.offset is None:
            return ""
        limit = -1 if query.limit is None else query.limit
        return f"LIMIT {limit}" + (f" OFFSET {query.offset}" if query.offset else "")

    # -- subqueries ------------------------------------------------------------------------------------
    def _child(self, query: ast.Query) -> ChildPlan:
        context = self._context
        child = self._children_named(str(query.source).rsplit(".", 1)[-1])
        if child is None or child.object.name in context.who.hidden_objects:
            raise no_such_children(query.text, query.source.at, str(query.source))
        select = _Select(context, query, child.object)
        subquery = select.plan(f"{{t}}.{quote(child.field.name)} = :parent")
        return ChildPlan(str(child.field.child_relationship), len(self._columns), subquery)

    def _children_named(self, name: str) -> Child | None:
        return next(
            (
                child
                for child in self._context.schema.children(self._object)
                if child.field.child_relationship and child.field.child_relationship.lower() == name.lower()
            ),
            None,
        )

    def _semi_join(self, query: ast.Query, left: Expression) -> str:
        context = self._context
        inner = context.object(str(query.source), query.source.at)
        select = _Select(context, query, inner).plan()
        columns = select.columns
        if len(columns) != 1 or columns[0].type not in ("id", "reference") or select.is_aggregate:
            reason = f"The inner select of a semi join must select one id or reference field: {left.name}"
            raise malformed(query.text, query.at, reason)
        rows = f"SELECT {columns[0].sql} AS x {select.source} {select.tail}"
        return f"SELECT x FROM ({rows}) WHERE x IS NOT NULL"

    # -- Bulk ------------------------------------------------------------------------------------------
    def _refuse_for_bulk(self, *, aggregate: bool) -> None:
        query = self._query
        if self._object.name in self._context.switches.bulk_refuses:
            message = f"Entity '{self._object.name}' is not supported by the Bulk API."
            raise OrgError(400, "INVALIDENTITY", message)
        for item in query.items:
            if isinstance(item, ast.Query):
                raise self._bulk(f"Parent to child subqueries: {_BULK}")
            if isinstance(item, ast.TypeOf):
                raise self._bulk(f"TYPEOF: {_BULK}")
        if aggregate or query.group:
            raise self._bulk(f"Aggregate queries and GROUP BY: {_BULK}")
        if query.offset is not None:
            raise self._bulk(f"OFFSET: {_BULK}")
        for field in self._selected_fields():
            if field.type in COMPOUND_TYPES:
                raise OrgError(400, "INVALID_FIELD", "Selecting compound data not supported in Bulk Query")
            if field.type == "base64":
                raise self._bulk(f"base64 field {field.name}: {_BULK}")

    @staticmethod
    def _bulk(reason: str) -> OrgError:
        return OrgError(400, "API_ERROR", f"Implementation restriction: {reason}")

    def _selected_fields(self) -> Iterator[Field]:
        for item in self._query.items:
            if not isinstance(item, ast.Item):
                continue
            if isinstance(item.operand, ast.Call) and item.operand.name.upper() == "FIELDS":
                yield from self._object.fields.values()
            else:
                found = self._scope.resolve(item.operand)
                if found.field is not None:
                    yield found.field
