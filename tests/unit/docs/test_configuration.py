"""docs/configuration.md against the configuration's classes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from rtsd import config
from rtsd.config import values
from rtsd.config.secrets import Secret

DOC = Path(__file__).parents[3] / "docs" / "configuration.md"
ROW = re.compile(r"(?m)^\| `([\w.]+)` \| (?:`([^`]*)`)? ?\|")
SHORT = {"objects": "", "daily": "daily."} | {
    name: f"{name}." for name in ("rules", "alerts", "streams", "views")
}
DURATIONS = {
    *("fresh_goal", "silence_after", "interval", "lookback"),
    *("fingerprint_every", "describe_every", "formula_refresh"),
    *("journal_keep", "webhook.timeout", "command.timeout"),
}


def tables_of(annotation: Any) -> list[type[BaseModel]]:
    """The tables that a key holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in {tuple, UnionType}:
        return [found for argument in get_args(annotation) for found in tables_of(argument)]
    return []


def keys(table: type[BaseModel], prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Every key below a table, as the document names it, with its type and default."""
    found: dict[str, tuple[Any, Any]] = {}
    for name, field in table.model_fields.items():
        inner = tables_of(field.annotation)
        if inner:
            short = f"{name}." if name in {"webhook", "command"} else SHORT.get(name, "")
            found |= keys(inner[0], short)
        else:
            found[prefix + (field.alias or name)] = (field.annotation, field.default)
    return found


def documented() -> dict[str, str]:
    """Every key of the document, with its default."""
    return {key: default or "" for key, default in ROW.findall(DOC.read_text())}


def plain(key: str, shown: str) -> Any:
    """A documented default as the model has it."""
    value = tomllib.loads(f"x = {shown}")["x"]
    parsers: dict[str, Any] = {**dict.fromkeys(DURATIONS, values.duration), "journal_max": values.size}
    parsers |= {
        "reserve": values.share,
        "deliveries": values.share,
        "listen": values.listen,
        "metrics": values.listen,
    }
    value = parsers[key](value) if key in parsers else value
    return tuple(value) if isinstance(value, list) else value


def test_every_key_is_documented() -> None:
    """None is missing, none is there that is not."""
    assert sorted(documented()) == sorted(keys(config.Config))


def test_the_defaults_are_those_of_the_code() -> None:
    """What stands in the table is what a file without the key means."""
    shown = documented()
    for key, (annotation, default) in keys(config.Config).items():
        if default is PydanticUndefined or default == {} or key == "client_id" or key.startswith("daily."):
            assert shown[key] == "", key
        elif (
            Secret in get_args(annotation)
            or key == "token"
            or ("| None" in str(annotation) and default is None)
        ):
            assert shown[key] == '""', key
        else:
            assert plain(key, shown[key]) == (
                default if isinstance(default, (str, int, float, tuple)) else str(default)
            ), key
