"""Schema changes by an administrator while others read: objects and fields added, removed, retyped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rtssim.clock import stamp
from rtssim.database import quote
from rtssim.interface import OrgError
from rtssim.schema.model import NUMBER_TYPES, TEXT_TYPES, Field, ObjectType

if TYPE_CHECKING:
    from rtssim.clock import Clock
    from rtssim.records.rows import Rows


class SchemaChanges:
    """Changes objects and fields; each change moves the object's describe date, none fires a trigger."""

    def __init__(self, rows: Rows, clock: Clock) -> None:
        self._rows = rows
        self._schema = rows.schema
        self._database = rows.database
        self._clock = clock

    def add_object(self, obj: ObjectType) -> None:
        """Add an object, empty."""
        if self._schema.find(obj.name) is not None:
            raise OrgError(400, "DUPLICATE_DEVELOPER_NAME", f"There is already an object named {obj.name}")
        self._database.create_table(obj)
        self._database.index(obj)
        self._schema.add(obj)
        self._touch(obj)

    def remove_object(self, name: str) -> None:
        """Remove an object with its rows."""
        obj = self._schema[name]
        self._schema.remove(name)
        self._database.drop_table(obj)
        for log in ("_bin", "_deleted"):
            self._database.execute(f"DELETE FROM {log} WHERE object = ?", [obj.name])
        self._schema.changed = self._clock.now()

    def add_field(self, obj_name: str, field: Field) -> None:
        """Add a field; existing rows get its default."""
        obj = self._schema[obj_name]
        if obj.find(field.name) is not None:
            raise OrgError(400, "DUPLICATE_DEVELOPER_NAME", f"There is already a field named {field.name}")
        if field.stored:
            self._database.add_column(obj, field)
        obj.fields[field.name] = field
        if field.stored and field.default is not None:
            value = int(field.default) if isinstance(field.default, bool) else field.default
            stamped = self._rows.switches.new_field_default_moves_stamp
            self._update_rows(obj, f"{quote(field.name)} = ?", [value], "1", stamped=stamped)
        self._touch(obj)

    def remove_field(self, obj_name: str, field_name: str) -> None:
        """Remove a field with its values."""
        obj = self._schema[obj_name]
        field = obj.fields.pop(field_name)
        if field.stored and self._rows.switches.field_removal_moves_stamp:
            self._update_rows(obj, "", [], f"{quote(field_name)} IS NOT NULL", stamped=True)
        self._touch(obj)

    def change_field_type(self, obj_name: str, field_name: str, new: Field) -> None:
        """Replace a field's definition; values that don't fit the new type become null."""
        obj = self._schema[obj_name]
        old = obj.fields[field_name]
        column = quote(field_name)
        if new.type in TEXT_TYPES:
            self._set(obj, column, f"substr({column}, 1, {new.length})")
        elif new.type in NUMBER_TYPES and old.type in TEXT_TYPES:
            number = "INTEGER" if new.type == "int" else "REAL"
            fits = f"{column} GLOB '*[0-9]*' AND {column} NOT GLOB '*[^0-9.-]*'"
            value = f"CASE WHEN {fits} THEN CAST({column} AS {number}) END"
            self._set(obj, column, value)
        elif new.type != old.type and not (new.type in NUMBER_TYPES and old.type in NUMBER_TYPES):
            self._set(obj, column, "NULL")
        obj.fields[field_name] = replace(new, name=field_name)
        self._touch(obj)

    def _set(self, obj: ObjectType, column: str, value: str) -> None:
        self._database.execute(f"UPDATE {quote(obj.name)} SET {column} = {value}")

    def _update_rows(
        self, obj: ObjectType, assign: str, params: list[Any], where: str, *, stamped: bool
    ) -> None:
        parts, values = ([assign], list(params)) if assign else ([], [])
        if stamped and "SystemModstamp" in obj.fields:
            parts.append("SystemModstamp = ?")
            values.append(stamp(self._clock.now()))
        if parts:
            self._database.execute(f"UPDATE {quote(obj.name)} SET {', '.join(parts)} WHERE {where}", values)

    def _touch(self, obj: ObjectType) -> None:
        obj.changed = self._schema.changed = self._clock.now()
