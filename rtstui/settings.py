"""The operator's own settings: `~/.config/rts/tui.toml`. A mistake in it is a warning, never a crash."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textual.keys import Keys, _character_to_key

from rtstui.clean import clean

NAMED_KEYS = frozenset(key.value for key in Keys)
SIGNS = frozenset(_character_to_key(sign) for sign in "?/:;[].,-_=+*#'\"")
MODIFIERS = frozenset({"ctrl", "shift", "alt"})


@dataclass(frozen=True, slots=True)
class Preset:
    """A way to look at rtsd, by name: `[presets.NAME]`. What is None stays as it is."""

    view: str | None = None
    filter: str | None = None
    """The words of the filter of the events."""
    theme: str | None = None
    mask: bool | None = None
    """True hides values of records."""


PRESET_KEYS: dict[str, type] = {"view": str, "filter": str, "theme": str, "mask": bool}


@dataclass(slots=True)
class Settings:
    """The settings. `keys` maps a binding's id to its keys; docs/dashboard.md lists the ids."""

    theme: str | None = None
    mouse: bool = True
    fps: int | None = None
    ascii: bool = False
    keys: dict[str, str] = field(default_factory=dict)
    presets: dict[str, Preset] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    """The mistakes, shown once after the start."""


def path() -> Path:
    """Return the path of the settings (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "rts" / "tui.toml"


def load(file: Path, known: Mapping[str, str]) -> Settings:
    """Load the settings; without a file, the defaults. `known` has every binding's id and keys."""
    found = Settings()
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return found
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        found.warnings.append(clean(f"{file} cannot be read: {error}"))
        return found
    for name, value in document.items():
        match name, value:
            case "keys", dict():
                _keys(value, known, found)
            case "presets", dict():
                _presets(value, found)
            case "theme", str():
                found.theme = value
            case "mouse", bool():
                found.mouse = value
            case "ascii", bool():
                found.ascii = value
            case "fps", int() if not isinstance(value, bool):
                found.fps = value
            case _:
                found.warnings.append(clean(f"{file.name}: {name} is not a setting, or has the wrong type"))
    return _with_known_fps(file, found)


def _with_known_fps(file: Path, found: Settings) -> Settings:
    if found.fps is not None and not 1 <= found.fps <= 10:
        found.warnings.append(f"{file.name}: fps must be 1 to 10")
        found.fps = None
    return found


def _presets(wanted: Mapping[str, Any], found: Settings) -> None:
    """Take the presets, except for keys that are none, or have a wrong type."""
    for name, table in wanted.items():
        taken: dict[str, Any] = {}
        for key, value in table.items() if isinstance(table, dict) else [("", table)]:
            if isinstance(value, PRESET_KEYS.get(key, ())):
                taken[key] = value
            else:
                known = ", ".join(PRESET_KEYS)
                found.warnings.append(clean(f"[presets.{name}] {key or value!r}: a preset has {known}"))
        found.presets[name] = Preset(**taken)


def _keys(wanted: Mapping[str, Any], known: Mapping[str, str], found: Settings) -> None:
    """Take the key map, except for unknown bindings, malformed keys, and keys of other bindings."""
    for name, keys in wanted.items():
        if name not in known:
            found.warnings.append(clean(f"[keys] {name}: there is no such binding"))
        elif not isinstance(keys, str) or not all(_is_key(key.strip()) for key in keys.split(",")):
            found.warnings.append(clean(f"[keys] {name}: {keys!r} is no key, such as x, ctrl+x or f5"))
        else:
            found.keys[name] = keys
    for name, keys in list(found.keys.items()):
        clash = _clash(name, keys, known, found)
        if clash is not None:
            found.warnings.append(f"[keys] {name}: {keys} is {clash}'s key already")
            del found.keys[name]


def _clash(name: str, keys: str, known: Mapping[str, str], found: Settings) -> str | None:
    """Return another binding, of the same place or of the app, that has one of these keys."""
    places = {name.split(".", maxsplit=1)[0], "app"}
    for other in known:
        if (
            other != name
            and other.split(".")[0] in places
            and set(keys.split(",")) & _of(other, known, found)
        ):
            return other
    return None


def _of(name: str, known: Mapping[str, str], found: Settings) -> set[str]:
    return set(found.keys.get(name, known[name]).split(","))


def _is_key(key: str) -> bool:
    *modifiers, last = key.split("+")
    named = (
        len(last) == 1 or last in NAMED_KEYS or last in {_character_to_key(sign) for sign in "?/:;[].,-_="}
    )
    return bool(last) and named and set(modifiers) <= MODIFIERS
