"""Whether a mirror equals the org, field by field, after the type rules of contract section 4 alone."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from tests.support.second_org.home import Home
from tests.support.second_org.records import Field, Value, alive

DECLARED = {"boolean": "INTEGER", "int": "INTEGER", "double": "REAL", "currency": "REAL", "percent": "REAL"}
LEFT_OUT = ("base64", "address", "location")


def stored(value: Value, kind: Field) -> Any:
    """What the mirror holds for a value of the org."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return int(value)
    return float(value) if DECLARED.get(kind.type) == "REAL" and value is not None else value


def columns(home: Home, name: str) -> list[str]:
    """How the columns of an object's table differ from what its describe says."""
    expected = {
        field.name: DECLARED.get(field.type, "TEXT")
        for field in home.org.records.objects[name].visible()
        if field.type not in LEFT_OUT
    }
    found = home.read(f'PRAGMA table_info("{name}")')
    declared = {column["name"]: column["type"] for column in found if not column["name"].startswith("_rts_")}
    wrong = [
        f"{name}.{key}: {declared.get(key)}, not {expected.get(key)}"
        for key in sorted(expected | declared)
        if declared.get(key) != expected.get(key)
    ]
    keys = [column["name"] for column in found if column["pk"]]
    return wrong + ([] if keys == ["Id"] else [f"{name}: primary key {keys}"])


def differences(home: Home, *names: str) -> list[str]:
    """Every value that differs, and every row that is missing or too many."""
    wrong = []
    for name in names:
        entity = home.org.records.objects[name]
        kinds = [field for field in entity.visible() if field.type not in LEFT_OUT]
        mirror = {
            row["Id"]: dict(zip(row.keys(), row, strict=True)) for row in home.read(f'SELECT * FROM "{name}"')
        }
        org = alive(entity)
        wrong += [
            f"{name} {key}: {'orphaned' if key in mirror else 'missing'}"
            for key in mirror.keys() ^ org.keys()
        ]
        for key in mirror.keys() & org.keys():
            for kind in kinds:
                value, expected = mirror[key][kind.name], stored(org[key].get(kind.name), kind)
                if value != expected or type(value) is not type(expected):
                    wrong.append(f"{name} {key} {kind.name}: {value!r:.80}, not {expected!r:.80}")
    return wrong
