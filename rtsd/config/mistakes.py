"""The mistakes of a configuration, each a line `key: what is wrong; what is allowed`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from rtsd.core.spelling import meant

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_WORDING = {
    "string_type": "is not text; text in quotes",
    "int_type": "is not a whole number; a whole number without quotes",
    "bool_type": "is not true or false; true or false without quotes",
    "model_type": "is not a table; a [table] of keys",
    "dict_type": "is not a table; a [table] of keys",
    "tuple_type": "is not a list; a list in [brackets]",
    "too_short": "is empty; at least one",
    "missing": "is missing; it is required",
}


class Mistakes:
    """Collects mistakes, at most one per key."""

    def __init__(self) -> None:
        self._by_key: dict[str, str] = {}

    def __iter__(self) -> Iterator[str]:
        """Yield the lines grouped by table."""
        tables = list(dict.fromkeys(_table(key) for key in self._by_key))
        keys = sorted(self._by_key, key=lambda key: tables.index(_table(key)))
        return (f"{key}: {self._by_key[key]}" for key in keys)

    def __len__(self) -> int:
        return len(self._by_key)

    def add(self, key: str, text: str) -> None:
        """Add a mistake of `key`; `text` is `what is wrong; what is allowed`."""
        self._by_key.setdefault(key, text)

    def add_errors(self, errors: Sequence[ErrorDetails], raw: dict[str, Any], model: type[BaseModel]) -> None:
        """Add pydantic's `errors` about the document `raw`, in rtsd's wording."""
        for error in errors:
            key = _key(error["loc"], raw)
            if error["type"] == "extra_forbidden":
                self.add(key, _unknown(error["loc"], model))
            elif error["type"] == "value_error":
                self.add(key, str(error["ctx"]["error"]))
            elif error["type"] == "literal_error":
                self.add(key, f"{error['input']!r} is not allowed; {error['ctx']['expected']}")
            else:
                self.add(key, _WORDING.get(error["type"], error["msg"]))


def _table(key: str) -> str:
    return key.partition(".")[0].partition("[")[0]


def entry_key(table: str, position: int, entry: object) -> str:
    """The key of an entry of `[[table]]` in messages: its name, or else its position from 1."""
    name = entry.get("name") if isinstance(entry, dict) else None
    return f"{table}[{name if isinstance(name, str) and name else position + 1}]"


def _key(loc: tuple[int | str, ...], raw: Any) -> str:
    """`("objects", 0, "where")` -> `objects[Contact].where`."""
    key = ""
    for part in loc:
        if part == "[key]":  # pydantic's marker for the key itself rather than its value
            break
        inner = raw[part] if _has(raw, part) else None
        if not isinstance(part, int):
            key = f"{key}.{part}" if key else part
        elif isinstance(inner, dict):
            key = entry_key(key, part, inner)
        else:
            key = f"{key}[{part + 1}]"
        raw = inner
    return key


def _has(raw: Any, part: int | str) -> bool:
    if isinstance(raw, dict):
        return part in raw
    return isinstance(raw, list) and isinstance(part, int) and part < len(raw)


def _unknown(loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """The text about an unknown key, with the closest match and all valid keys."""
    keys = _keys_at(loc[:-1], model)
    return f"is not a key here{meant(str(loc[-1]), keys)}; {', '.join(keys)}"


def _keys_at(loc: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    """Return the valid keys of the table at `loc`, as written in the file."""
    for part in loc:
        if isinstance(part, str):
            model = model_in(model.model_fields[part].annotation)
    return [
        written
        for name, field in model.model_fields.items()
        for written in ([name, f"{name}_file"] if _is_secret(field.json_schema_extra) else [name])
    ]


def _is_secret(extra: Any) -> bool:
    return isinstance(extra, dict) and bool(extra.get("secret"))


def model_in(annotation: Any) -> type[BaseModel]:
    """Return the model inside `Model`, `Model | None` or `tuple[Model, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        if inner is not type(None) and inner is not Ellipsis:
            return model_in(inner)
    raise TypeError(f"{annotation!r} contains no table")
