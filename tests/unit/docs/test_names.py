"""Names that the documents mention exist: tables, configuration keys, keys of status, modules."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from pydantic import BaseModel

from rtsd.config.model import Config
from rtsd.control.protocol import Status
from rtsd.store.postgres.views import OWN_NUMBER
from rtsd.store.schema import OWN_COLUMNS

ROOT = Path(__file__).parents[3]
DOCUMENTS = {path.name: path.read_text() for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))}
_STORE = ROOT / "rtsd" / "store" / "sqlite" / "migrations"
MIGRATIONS = [sorted(folder.glob("*.sql")) for folder in (_STORE, _STORE / "inbox")]
GLOSSARY = DOCUMENTS["glossary.md"]


def tables() -> set[str]:
    """Every table of the migrated files."""
    found: set[str] = set()
    for scripts in MIGRATIONS:
        database = sqlite3.connect(":memory:")
        for script in scripts:
            database.executescript(script.read_text())
        found |= {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return found


def has_key(kind: Any, path: list[str]) -> bool:
    """Whether a wire type, or the item of a list or optional type, has the nested key `path`."""
    inner = [kind, *get_args(kind)]
    structs = [item for item in inner if isinstance(item, type) and issubclass(item, msgspec.Struct)]
    hints = get_type_hints(structs[0]) if structs else {}
    return path[0] in hints and (len(path) == 1 or has_key(hints[path[0]], path[1:]))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_tables(name: str) -> None:
    """Every `_rts_` table is created by the migrations, and every column is one of a mirrored object."""
    known = {f"`{known_name}`" for known_name in (*tables(), *OWN_COLUMNS, OWN_NUMBER)}
    assert set(re.findall(r"`_rts_\w+`", DOCUMENTS[name])) <= known


@pytest.mark.parametrize("name", DOCUMENTS)
def test_configuration_keys(name: str) -> None:
    """Every key that is written with its table, as in `[sync] interval`."""
    for section, key in re.findall(r"`\[(\w+)\] (\w+)", DOCUMENTS[name]):
        table = Config.model_fields[section].annotation
        assert isinstance(table, type)
        assert issubclass(table, BaseModel)
        secret = key.removesuffix("_file")
        written = {field.alias or name for name, field in table.model_fields.items()}
        assert {key, secret} & written, f"[{section}] {key}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_modules(name: str) -> None:
    """Every module that is named by its path, from the repository or from rtsd."""
    named = re.findall(r"`((?:\w+/)+\w+\.py)`", DOCUMENTS[name])
    assert [path for path in named if not ((ROOT / path).exists() or (ROOT / "rtsd" / path).exists())] == []


def test_keys_of_status() -> None:
    """The glossary says where in status a term appears."""
    paths = re.findall(r"status `([\w.]+)`", GLOSSARY)
    assert len(paths) > 10
    assert [path for path in paths if not has_key(Status, path.split("."))] == []


def test_terms_stand_once() -> None:
    """One word, one meaning: no term has two rows."""
    terms = re.findall(r"(?m)^\| \*\*(.+?)\*\* \|", GLOSSARY)
    assert len(terms) > 40
    assert sorted(set(terms)) == sorted(terms)
