"""The wire types as JSON Schema, with the docstrings of their fields, and the units that their names tell."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import msgspec

TEMPLATE = "#/components/schemas/{name}"

UNITS = {
    "_ms": "Milliseconds.",
    "_s": "Seconds.",
    "seconds": "Seconds.",
    "minutes": "Minutes.",
    "bytes": "Bytes.",
    "mb": "Megabytes (10^6 bytes).",
    "rate": "Rows a second.",
    "_24h": "In the last 24 hours.",
    "p50": "Milliseconds.",
    "p95": "Milliseconds.",
    "p99": "Milliseconds.",
}
"""Units of numbers, by how a field's name ends."""

MOMENTS = ("at", "since", "until", "now", "time", "as_of")
"""How the names of moments end; they are texts in ISO 8601, UTC with milliseconds in answers."""

_WORDS = {"None": "null", "True": "true", "False": "false"}


def schemas_of(types: Sequence[Any]) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return the schema of each type, and the named ones that these refer to."""
    found, named = msgspec.json.schema_components(types, ref_template=TEMPLATE)
    structs = {struct.__name__: struct for kind in types for struct in _structs(kind)}
    for name, schema in named.items():
        schema["description"] = _in_json(schema["description"])
        _describe(structs[name], schema)
    return list(found), dict(named)


def _describe(struct: type[msgspec.Struct], schema: dict[str, Any]) -> None:
    """Add what the code says about the fields."""
    said = _said(struct)
    for field in msgspec.structs.fields(struct):
        shown = schema["properties"][field.encode_name]
        if _is_moment(field.encode_name, shown):
            shown["format"] = "date-time"
            if shown.get("default") == "":
                del shown["default"]
        notes = [said.get(field.name, ""), _unit(field.encode_name, shown)]
        if text := " ".join(filter(None, notes)):
            shown["description"] = _in_json(text)


def _in_json(said: str) -> str:
    """Return what a docstring says, in JSON's words."""
    return re.sub(r"\b(?:None|True|False)\b", lambda found: _WORDS[found[0]], said)


def _is_moment(name: str, schema: dict[str, Any]) -> bool:
    return "string" in _kinds(schema) and name.rpartition("_")[2] in {*MOMENTS, "of"}


def _unit(name: str, schema: dict[str, Any]) -> str:
    if not {"integer", "number"} & _kinds(schema):
        return ""
    return next((unit for ending, unit in UNITS.items() if name == ending or name.endswith(ending)), "")


def _kinds(schema: dict[str, Any]) -> set[str]:
    return {each.get("type", "") for each in (schema, *schema.get("anyOf", ()))}


def _structs(kind: Any) -> Iterator[type[msgspec.Struct]]:
    """Yield the structs of a type, and those that they refer to."""
    seen: set[Any] = set()
    waiting = [msgspec.inspect.type_info(kind)]
    while waiting:
        info = waiting.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in seen:
                continue
            seen.add(info.cls)
            yield info.cls
            waiting += [field.type for field in info.fields]
        for name in ("item_type", "key_type", "value_type", "type"):
            if isinstance(inner := getattr(info, name, None), msgspec.inspect.Type):
                waiting.append(inner)
        waiting += getattr(info, "types", ())


@cache
def _said(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return the docstrings of a struct's fields, those of its bases included."""
    found: dict[str, str] = {}
    for base in reversed(struct.__mro__):
        if issubclass(base, msgspec.Struct) and base is not msgspec.Struct:
            found |= _said_by(base)
    return found


def _said_by(struct: type[msgspec.Struct]) -> dict[str, str]:
    (defined,) = ast.parse(textwrap.dedent(inspect.getsource(struct))).body
    found: dict[str, str] = {}
    field = ""
    for node in getattr(defined, "body", ()):
        match node:
            case ast.AnnAssign(target=ast.Name(id=name)):
                field = name
            case ast.Expr(value=ast.Constant(value=str(text))) if field:
                found[field] = inspect.cleandoc(text)
                field = ""
            case _:
                field = ""
    return found
