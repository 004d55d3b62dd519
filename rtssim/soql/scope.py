"""Name resolution: from field paths and functions to SQL, with the joins they need."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rtssim.database import quote
from rtssim.schema.model import ID_TYPES, NUMBER_TYPES, Field, ObjectType, Schema
from rtssim.soql import ast
from rtssim.soql.messages import (
    located,
    malformed,
    no_such_column,
    no_such_relationship,
    no_such_type,
)

if TYPE_CHECKING:
    from datetime import datetime

    from rtssim.interface import Principal
    from rtssim.switches import OrgSwitches

MAX_LEVELS = 5
_NAME_FIELDS = frozenset(
    {"id", "name", "firstname", "lastname", "email", "phone", "title", "username", "alias", "isactive"}
)
_PARTS = {
    "CALENDAR_YEAR": "CAST(substr({x}, 1, 4) AS INTEGER)",
    "CALENDAR_QUARTER": "(CAST(substr({x}, 6, 2) AS INTEGER) + 2) / 3",
    "CALENDAR_MONTH": "CAST(substr({x}, 6, 2) AS INTEGER)",
    "DAY_IN_MONTH": "CAST(substr({x}, 9, 2) AS INTEGER)",
    "DAY_IN_WEEK": "CAST(strftime('%w', substr({x}, 1, 10)) AS INTEGER) + 1",
    "DAY_IN_YEAR": "CAST(strftime('%j', substr({x}, 1, 10)) AS INTEGER)",
    "WEEK_IN_MONTH": "(CAST(substr({x}, 9, 2) AS INTEGER) - 1) / 7 + 1",
    "WEEK_IN_YEAR": "(CAST(strftime('%j', substr({x}, 1, 10)) AS INTEGER) - 1) / 7 + 1",
    "HOUR_IN_DAY": "CAST(substr({x}, 12, 2) AS INTEGER)",
    "DAY_ONLY": "substr({x}, 1, 10)",
}
_PARTS |= {f"FISCAL_{part}": _PARTS[f"CALENDAR_{part}"] for part in ("YEAR", "QUARTER", "MONTH")}
_DATETIME_ONLY = frozenset({"HOUR_IN_DAY", "DAY_ONLY"})
_ACCUMULATE = {"COUNT": "count", "SUM": "sum", "AVG": "avg", "MIN": "min", "MAX": "max"}


@dataclass(slots=True)
class Context:
    """State that all parts of a query share: who asks, options, parameters, and table aliases."""

    schema: Schema
    who: Principal
    switches: OrgSwitches
    now: datetime
    zone: str
    text: str
    all_rows: bool = False
    bulk: bool = False
    params: dict[str, Any] = field(default_factory=dict)
    aliases: int = 0

    def param(self, value: Any) -> str:
        """Bind a value and return its placeholder."""
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f":{name}"

    def alias(self) -> str:
        """Return an unused table alias."""
        self.aliases += 1
        return f"t{self.aliases}"

    def object(self, name: str, at: int) -> ObjectType:
        """Return a visible object; INVALID_TYPE otherwise."""
        obj = self.schema.find(name)
        if obj is None or obj.name in self.who.hidden_objects:
            raise no_such_type(self.text, at, name)
        return obj

    def sees(self, obj: ObjectType, field_: Field) -> bool:
        """Return True if field-level security lets the user see the field."""
        return (obj.name, field_.name) not in self.who.hidden_fields

    def visible(self, obj: ObjectType, alias: str) -> list[str]:
        """Return SQL conditions for the rows of `obj` that the user may see."""
        conditions = []
        if self.who.hidden_records:
            hidden = self.param(json.dumps(sorted(self.who.hidden_records)))
            conditions.append(f"{alias}.Id NOT IN (SELECT value FROM json_each({hidden}))")
        if not self.who.view_all and "OwnerId" in obj.fields:
            conditions.append(f"{alias}.OwnerId = {self.param(self.who.user_id)}")
        return conditions


@dataclass(frozen=True, slots=True)
class Expression:
    """A resolved operand: its SQL, its field type, and its origin in the query."""

    sql: str
    type: str
    name: str
    at: int
    path: tuple[str, ...] = ()
    field: Field | None = None
    aggregate: bool = False
    alias: str = ""

    @property
    def collation(self) -> str:
        """SQL collation for comparing and sorting: only text ignores case."""
        plain = self.type in ID_TYPES or self.type in NUMBER_TYPES
        if plain or self.type in ("boolean", "date", "datetime", "time", "base64"):
            return ""
        return "" if self.field is not None and self.field.case_sensitive else " COLLATE NOCASE"


@dataclass(frozen=True, slots=True)
class Parent:
    """A joined relationship: SQL of the parent's id, and its object (None: several, identified by the id)."""

    path: tuple[str, ...]
    id_sql: str
    object: ObjectType | None


def column(obj: ObjectType, field_: Field, alias: str) -> str:
    """Return SQL for a field of the row `alias`: a column, or the expression of a derived field."""
    if field_.type == "address":
        return _address(obj, field_, alias)
    if field_.expression is not None:
        return "(" + field_.expression.replace("{t}", alias) + ")"
    return f"{alias}.{quote(field_.name)}"


def _address(obj: ObjectType, field_: Field, alias: str) -> str:
    parts = [f for f in obj.fields.values() if f.compound == field_.name]
    prefix = field_.name.removesuffix("Address")
    pairs, filled = [], []
    for part in sorted(parts, key=lambda f: f.name):
        key = part.name.removeprefix(prefix)
        pairs.append(f"'{key[0].lower()}{key[1:]}', {alias}.{quote(part.name)}")
        filled.append(f"{alias}.{quote(part.name)}")
    return f"CASE WHEN coalesce({', '.join(filled)}) IS NOT NULL THEN json_object({', '.join(pairs)}) END"


class Scope:
    """The names of a FROM clause: the object, its alias, and the parents joined so far."""

    def __init__(self, context: Context, obj: ObjectType, alias: str | None = None) -> None:
        self.context = context
        self.object = obj
        self.alias = context.alias()
        self.parents: dict[tuple[str, ...], Parent] = {}
        self.joins: list[str] = []
        self._joined: dict[tuple[str, ...], tuple[ObjectType, str]] = {(): (obj, self.alias)}
        self._prefixes = {obj.name.lower()} | ({alias.lower()} if alias else set())

    def resolve(self, operand: ast.Operand) -> Expression:
        """Return the SQL of a field or function."""
        return self._path(operand) if isinstance(operand, ast.Path) else self._call(operand)

    # -- fields ----------------------------------------------------------------------------------------
    def _path(self, path: ast.Path) -> Expression:
        names = path.names
        if len(names) > 1 and names[0].lower() in self._prefixes and not self.object.relationship(names[0]):
            names = names[1:]
        if len(names) > MAX_LEVELS + 1:
            raise malformed(
                self.context.text, path.at, f"only {MAX_LEVELS} levels of parents can be followed"
            )
        walked: tuple[str, ...] = ()
        for depth, name in enumerate(names[:-1]):
            obj, alias = self._joined[walked]
            link = self._link(obj, name, path.at)
            if link.polymorphic:
                if depth != len(names) - 2:
                    raise no_such_relationship(self.context.text, path.at, names[depth + 1])
                return self._by_prefix(walked, link, alias, names[-1], path.at)
            walked = self._join(walked, link, obj, alias)
        obj, alias = self._joined[walked]
        found = obj.find(names[-1])
        if found is None or not self.context.sees(obj, found):
            raise no_such_column(self.context.text, path.at, names[-1], obj.name)
        full = (*walked, found.name)
        return Expression(
            column(obj, found, alias), found.type, ".".join(full), path.at, full, found, alias=alias
        )

    def _link(self, obj: ObjectType, name: str, at: int) -> Field:
        link = obj.relationship(name)
        if link is None or not self.context.sees(obj, link):
            raise no_such_relationship(self.context.text, at, name)
        targets = [self.context.schema.find(target) for target in link.reference_to]
        if all(target is None or target.name in self.context.who.hidden_objects for target in targets):
            raise no_such_relationship(self.context.text, at, name)
        return link

    def _join(self, walked: tuple[str, ...], link: Field, obj: ObjectType, alias: str) -> tuple[str, ...]:
        path = (*walked, str(link.relationship))
        if path not in self._joined:
            parent = self.context.schema[link.reference_to[0]]
            joined = self.context.alias()
            conditions = [f"{joined}.Id = {column(obj, link, alias)}", *self.context.visible(parent, joined)]
            self.joins.append(f"LEFT JOIN {quote(parent.name)} {joined} ON {' AND '.join(conditions)}")
            self._joined[path] = (parent, joined)
            self.parents[path] = Parent(path, f"{joined}.Id", parent)
        return path

    def _by_prefix(self, walked: tuple[str, ...], link: Field, alias: str, name: str, at: int) -> Expression:
        """Return SQL for a field of the Name object, the target of a polymorphic relationship."""
        path = (*walked, str(link.relationship))
        key = f"{alias}.{quote(link.name)}"
        self.parents.setdefault(path, Parent(path, key, None))
        branches, kind, canonical = [], "string", name
        for target in link.reference_to:
            obj = self.context.schema.find(target)
            if obj is None:
                continue
            if name.lower() == "type":
                canonical, value = "Type", f"'{obj.name}'"
            else:
                found = obj.find(name) if name.lower() in _NAME_FIELDS else None
                if found is None and name.lower() == "name":
                    found = obj.name_field()
                if found is None or not self.context.sees(obj, found):
                    continue
                canonical, kind = (found.name if found.name.lower() == name.lower() else "Name"), found.type
                value = f"(SELECT {column(obj, found, 'n')} FROM {quote(obj.name)} n WHERE n.Id = {key})"
            branches.append(f"WHEN '{obj.prefix}' THEN {value}")
        if not branches:
            raise no_such_column(self.context.text, at, name, "Name")
        sql = f"CASE substr({key}, 1, 3) {' '.join(branches)} END"
        full = (*path, canonical)
        return Expression(sql, kind, ".".join(full), at, full)

    # -- functions -------------------------------------------------------------------------------------
    def _call(self, call: ast.Call) -> Expression:
        name = call.name.upper()
        if name in _ACCUMULATE or name == "COUNT_DISTINCT":
            return self._aggregate(call, name)
        if name in _PARTS:
            return self._part(call, name)
        if name in ("TOLABEL", "FORMAT", "CONVERTCURRENCY") and len(call.args) == 1:
            inner = self.resolve(call.args[0])
            return Expression(inner.sql, inner.type, inner.name, call.at, inner.path, inner.field)
        raise malformed(self.context.text, call.at, f"Invalid function: {call.name}")

    def _argument(self, call: ast.Call) -> Expression:
        if len(call.args) != 1:
            raise malformed(self.context.text, call.at, f"Incorrect number of arguments: {call.name}")
        return self.resolve(call.args[0])

    def _aggregate(self, call: ast.Call, name: str) -> Expression:
        if name == "COUNT" and not call.args:
            return Expression("count(*)", "int", "", call.at, aggregate=True)
        inner = self._argument(call)
        known = inner.field is None or inner.field.aggregatable or name.startswith("COUNT")
        numeric = inner.type in NUMBER_TYPES or name not in ("SUM", "AVG")
        if not known or not numeric or inner.aggregate:
            reason = f"field {inner.name} does not support aggregate operator {call.name}"
            raise malformed(self.context.text, call.at, reason)
        if name == "COUNT_DISTINCT":
            return Expression(f"count(DISTINCT {inner.sql})", "int", "", call.at, aggregate=True)
        kind = {"COUNT": "int", "AVG": "double"}.get(name, inner.type)
        return Expression(f"{_ACCUMULATE[name]}({inner.sql})", kind, "", call.at, aggregate=True)

    def _part(self, call: ast.Call, name: str) -> Expression:
        argument = call.args[0] if len(call.args) == 1 else None
        converted = isinstance(argument, ast.Call) and argument.name.upper() == "CONVERTTIMEZONE"
        inner = self._argument(argument if converted and isinstance(argument, ast.Call) else call)
        sql = inner.sql
        if converted or (self.context.switches.date_functions_local and inner.type == "datetime"):
            self.context.params["zone"] = self.context.zone
            sql = f"sf_local({inner.sql}, :zone)"
        if inner.type != "datetime" and (inner.type != "date" or name in _DATETIME_ONLY or sql != inner.sql):
            expected = "datetime" if name in _DATETIME_ONLY else "date or datetime"
            raise located(
                self.context.text,
                call.at,
                "MALFORMED_QUERY",
                f"{call.name} needs a {expected} field: {inner.name}",
            )
        kind = "date" if name == "DAY_ONLY" else "int"
        return Expression(_PARTS[name].replace("{x}", sql), kind, "", call.at)
