# ruff: noqa: S608 - SQL is composed of identifiers that store.quote quoted; values are bound
"""Schema drift: what an administrator does to objects and fields while others read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rtssim.database import quote
from rtssim.interface import OrgError
from rtssim.schema.model import NUMBER_TYPES, TEXT_TYPES, Field, ObjectType
from rtssim.soql.literals import stamp

if TYPE_CHECKING:
    from datetime import datetime

    from rtssim.clock import Clock
    from rtssim.records.rows import Rows


class Drift:
    """Changes of the schema; each moves the object's describe date. None fires a trigger."""

    def __init__(self, rows: Rows, clock: Clock) -> None:
        self._rows = rows
        self._schema = rows.schema
        self._store = rows.store
        self._clock = clock

    def add_object(self, obj: ObjectType) -> None:
        """Add an object, empty."""
        if self._schema.find(obj.name) is not None:
            raise OrgError(400, "DUPLICATE_DEVELOPER_NAME", f"There is already an object named {obj.name}")
        self._store.create_table(obj)
        self._store.index(obj)
        self._schema.add(obj)
        self.touch(obj)

    def remove_object(self, name: str) -> None:
        """Remove an object with its rows."""
        obj = self._schema[name]
        self._schema.remove(name)
        self._store.drop_table(obj)
        for log in ("_bin", "_deleted"):
            self._store.execute(f"DELETE FROM {log} WHERE object = ?", [obj.name])
        self._schema.changed = self._clock.now()

    def add_field(self, obj_name: str, field: Field) -> None:
        """Add a field; rows get its default."""
        obj = self._schema[obj_name]
        if obj.find(field.name) is not None:
            raise OrgError(400, "DUPLICATE_DEVELOPER_NAME", f"There is already a field named {field.name}")
        if field.stored:
            self._store.add_column(obj, field)
        obj.fields[field.name] = field
        if field.stored and field.default is not None:
            value = int(field.default) if isinstance(field.default, bool) else field.default
            stamped = self._rows.behaviour.new_field_default_moves_stamp
            self._bulk(obj, f"{quote(field.name)} = ?", [value], "1", stamped=stamped)
        self.touch(obj)

    def remove_field(self, obj_name: str, field_name: str) -> None:
        """Remove a field; its values are gone."""
        obj = self._schema[obj_name]
        field = obj.fields.pop(field_name)
        if field.stored and self._rows.behaviour.field_removal_moves_stamp:
            self._bulk(obj, "", [], f"{quote(field_name)} IS NOT NULL", stamped=True)
        self.touch(obj)

    def change_field_type(self, obj_name: str, field_name: str, new: Field) -> None:
        """Give a field another definition; values that don't fit the new type are lost."""
        obj = self._schema[obj_name]
        old = obj.fields[field_name]
        column = quote(field_name)
        if new.type in TEXT_TYPES:
            self._store.execute(f"UPDATE {quote(obj.name)} SET {column} = substr({column}, 1, {new.length})")
        elif new.type in NUMBER_TYPES and old.type in TEXT_TYPES:
            number = "INTEGER" if new.type == "int" else "REAL"
            fits = f"{column} GLOB '*[0-9]*' AND {column} NOT GLOB '*[^0-9.-]*'"
            value = f"CASE WHEN {fits} THEN CAST({column} AS {number}) END"
            self._store.execute(f"UPDATE {quote(obj.name)} SET {column} = {value}")
        elif new.type != old.type and not (new.type in NUMBER_TYPES and old.type in NUMBER_TYPES):
            self._store.execute(f"UPDATE {quote(obj.name)} SET {column} = NULL")
        obj.fields[field_name] = replace(new, name=field_name)
        self.touch(obj)

    def _bulk(self, obj: ObjectType, assign: str, params: list[Any], where: str, *, stamped: bool) -> None:
        parts, values = ([assign], list(params)) if assign else ([], [])
        if stamped and "SystemModstamp" in obj.fields:
            parts.append("SystemModstamp = ?")
            values.append(stamp(self._clock.now()))
        if parts:
            self._store.execute(f"UPDATE {quote(obj.name)} SET {', '.join(parts)} WHERE {where}", values)

    def touch(self, obj: ObjectType) -> datetime:
        """Mark the object's definition as changed now."""
        obj.changed = self._schema.changed = self._clock.now()
        return obj.changed
